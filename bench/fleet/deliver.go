package fleet

import (
	"bytes"

	"encke/bench/wire"
)

// missed is a message that has not come when it should have.
type missed struct {
	client    uint32
	publisher uint8
	sequence  uint32
}

// maxMissing bounds a loop's memory of them: beyond it they are lost for good, which is bad enough.
const maxMissing = 100_000

var (
	another = []byte("elsewhere-")       // in the names of channels that clients follow now and then
	ownKey  = []byte(`"channel":"user:`) // in the answer about the channel of a token's user
)

// text takes a message or an answer. JSON may hold any number of publications.
func (l *loop) text(i uint32, c *client, b []byte, now int64) {
	if !l.kinds[c.group].JSON {
		l.deliver(i, c, b, now)
		return
	}
	p, rest, ok := wire.NextPublication(b)
	if !ok && c.marks&placed == 0 && !bytes.Contains(b, another) && (l.kinds[c.group].Own || !bytes.Contains(b, ownKey)) {
		if epoch, offset, ok := wire.LastPosition(b); ok {
			l.place(c, epoch, offset)
		}
		return
	}
	for ; ok; p, rest, ok = wire.NextPublication(rest) {
		l.publication(i, c, p, now)
	}
}

// publication checks offsets where sequences alone would not tell: of clients that joined in mid-stream.
func (l *loop) publication(i uint32, c *client, p wire.Publication, now int64) {
	switch {
	case p.Gap:
		l.figures.gaps++
		l.forget(i, c)
		return
	case c.marks&late == 0 || c.marks&placed == 0:
	case p.Offset <= c.offset:
		l.figures.faults.Duplicated++
		return
	case p.Offset > c.offset+1:
		l.figures.faults.Lost += p.Offset - c.offset - 1
		l.forget(i, c)
	}
	c.offset = p.Offset
	c.marks |= placed
	l.deliver(i, c, p.Payload, now)
}

// deliver holds a payload against what its publisher sent: sequences 1, 2, 3, …
func (l *loop) deliver(i uint32, c *client, b []byte, now int64) {
	l.figures.delivered++
	l.figures.last = now
	size := l.fleet.config.Size
	if size == 0 {
		return
	}
	if n := len(b); n == size+2 && b[0] == '"' { // encke.raw of what was pushed as JSON
		b = b[1 : n-1]
	}
	stream := uint32(0)
	if l.kinds[c.group].Streams {
		stream = c.number
	}
	m, ok := wire.ParsePayload(b, size, stream)
	publishers := l.fleet.config.Publishers
	if !ok || int(m.Publisher) >= publishers {
		l.figures.faults.Corrupted++
		return
	}
	c.order = (c.order ^ (uint64(m.Publisher)<<32 | uint64(m.Sequence))) * 0x9e3779b97f4a7c15
	last := &l.last[int(i)*publishers+int(m.Publisher)]
	switch {
	case m.Sequence == *last+1 || *last == 0 && c.marks&late != 0:
		*last = m.Sequence
	case m.Sequence > *last:
		l.pass(i, m, *last+1)
		*last = m.Sequence
	default:
		l.behind(i, m)
	}
	_ = l.latency.RecordValue(min(max((now-m.Time)/1000, 1), longest))
}

// pass notes that those from from up to m have not come when they should have.
func (l *loop) pass(i uint32, m wire.Mark, from uint32) {
	if l.missing == nil {
		l.missing = map[missed]struct{}{}
	}
	for ; from < m.Sequence; from++ {
		if len(l.missing) >= maxMissing {
			l.figures.faults.Lost += uint64(m.Sequence - from)
			return
		}
		l.missing[missed{i, m.Publisher, from}] = struct{}{}
	}
}

// behind sorts what came behind a later one: for the first time, or again.
func (l *loop) behind(i uint32, m wire.Mark) {
	key := missed{i, m.Publisher, m.Sequence}
	if _, ok := l.missing[key]; ok {
		delete(l.missing, key)
		l.figures.faults.Reordered++
		return
	}
	l.figures.faults.Duplicated++
}

// forget lets the client begin anew in mid-stream. What it misses until now is lost.
func (l *loop) forget(i uint32, c *client) {
	if len(l.missing) > 0 {
		for key := range l.missing {
			if key.client == i {
				delete(l.missing, key)
				l.figures.faults.Lost++
			}
		}
	}
	c.marks = c.marks&^placed | late
	n := l.fleet.config.Publishers
	clear(l.last[int(i)*n : (int(i)+1)*n])
}

// verify holds the loop's clients against what was published.
func (l *loop) verify(sent *Sent, v *Verdict) {
	v.Faults.Lost += uint64(len(l.missing))
	n := l.fleet.config.Publishers
	for i := range l.clients {
		c := &l.clients[i]
		if c.state != here || c.marks&(deaf|visiting) != 0 {
			continue
		}
		last := l.last[i*n : (i+1)*n]
		for p, want := range sent.Publishers {
			v.Faults.Lost += lost(c, last[p], want)
		}
		if at := int(c.number) - sent.First; at >= 0 && at < len(sent.Numbers) {
			v.Faults.Lost += lost(c, last[0], sent.Numbers[at])
		}
		if c.marks&late == 0 {
			v.Orders[c.order]++
		}
	}
}

// lost is how many of want messages are missing at the end.
func lost(c *client, last, want uint32) uint64 {
	switch {
	case last >= want:
		return 0
	case last == 0 && c.marks&late != 0:
		return 1 // how many it should have had since it joined is not known here, but the last one it should
	}
	return uint64(want - last)
}
