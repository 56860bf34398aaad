package netloop

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// output is what the kernel did not take. Segments are owned by nobody: they are either copies or shared with other
// connections, and are only read.
type output struct {
	segs  []segment
	head  int // index of the first segment not yet sent
	bytes int
	moved uint32 // tick at which the peer had last taken another step's bytes
	taken int    // bytes that it has taken since
}

// step is how much a peer has to take for its output to count as moving: one that takes so much within a handler's
// time-out is slow, one that takes less is stuck.
const step = 16 << 10

type segment struct {
	b     []byte
	owner *buffer // counts who shares the bytes; nil for a copy
	size  uint32  // of a copy: bytes that keeping it takes
	at    uint32  // tick at which it began to wait
}

// buffer is bytes that wait for several connections: they take memory once. It is found by its first byte while anybody has
// it.
type buffer struct {
	first *byte
	size  int
	users int
}

// segmentSize is what a segment takes besides its bytes.
const segmentSize = int(unsafe.Sizeof(segment{}))

// age returns how long the oldest byte has waited, or since when the peer has taken less than a step.
func (p *output) age(now uint32, tick time.Duration) time.Duration {
	return time.Duration(min(now-p.segs[p.head].at, now-p.moved)) * tick
}

// Sent says what became of bytes given to a connection.
type Sent uint8

// The outcomes of Send and Share.
const (
	SentWhole  Sent = iota // the kernel has them
	SentLater              // some wait until the peer has read; Drained will tell
	SentNobody             // the connection is ending; a reset that Send has met with ends it when the turn does
)

// Send gives b to the connection. b may be used again after the call. Within Handler.Data, what is sent to the connection
// whose data it is goes out in one call when Data returns.
func (l *Loop) Send(c ID, b []byte) Sent {
	s := l.slots.at(c)
	if s.flags&(flagOpen|flagFinishing) != flagOpen || len(b) == 0 {
		return SentNobody
	}
	if l.inData && l.current == c {
		l.out = append(l.out, b...)
		if len(l.out) > maxGather {
			return l.flush(c, s)
		}
		return SentWhole
	}
	return l.send(c, s, b, false)
}

// maxGather is how much is gathered for one connection within one call of Handler.Data before it is sent.
const maxGather = 256 << 10

// Share gives b to the connection without copying: b must never change again.
func (l *Loop) Share(c ID, b []byte) Sent {
	s := l.slots.at(c)
	if s.flags&(flagOpen|flagFinishing) != flagOpen || len(b) == 0 {
		return SentNobody
	}
	if l.inData && l.current == c && len(l.out) > 0 {
		if l.flush(c, s) == SentNobody {
			return SentNobody
		}
	}
	return l.send(c, s, b, true)
}

// flush sends what was gathered during Handler.Data.
func (l *Loop) flush(c ID, s *slot) Sent {
	result := SentWhole
	if len(l.out) > 0 {
		b := l.out
		l.out = l.out[:0]
		result = l.send(c, s, b, false)
		if cap(l.out) > 4*maxGather {
			l.out = nil
		}
		if result == SentNobody {
			return result
		}
	}
	if s.flags&flagFinishing != 0 && s.flags&(flagOutput|flagLingering) == 0 && !l.inData {
		l.linger(c, s)
	}
	return result
}

func (l *Loop) send(c ID, s *slot, b []byte, shared bool) Sent {
	n := 0
	if s.flags&flagOutput == 0 {
		sent, errno := send(s.fd, b)
		l.counts.Sends.Add(1)
		switch {
		case sent == len(b):
			l.counts.BytesOut.Add(uint64(sent))
			return SentWhole
		case errno != 0 && errno != unix.EAGAIN && errno != unix.EINTR && errno != unix.ENOBUFS:
			l.fail(c, s)
			return SentNobody
		}
		n = sent
		l.counts.BytesOut.Add(uint64(n))
		l.counts.Shorts.Add(1)
	}
	g := segment{b: b[n:], at: l.wheel.now}
	if shared {
		g.owner = l.share(b)
	} else {
		g.b = append([]byte(nil), g.b...)
		g.size = uint32(cap(g.b))
		l.counts.Held.Add(int64(g.size))
	}
	l.queue(c, s, g)
	return SentLater
}

// fail ends a connection to which nothing can be sent any more, at the end of the turn: whoever sends may go on with it until
// then, as with one that is finishing.
func (l *Loop) fail(c ID, s *slot) {
	if s.flags&flagFinishing == 0 {
		s.flags |= flagFinishing
		l.ending[c] = ReasonReset
	}
	l.failed = append(l.failed, l.Handle(c))
}

// closeFailed ends them.
func (l *Loop) closeFailed() {
	for i := 0; i < len(l.failed); i++ {
		if c, ok := l.Resolve(l.failed[i]); ok {
			l.Close(c, ReasonReset)
		}
	}
	l.failed = l.failed[:0]
}

// share notes that one more connection needs a buffer.
func (l *Loop) share(b []byte) *buffer {
	o := l.shared[&b[0]]
	if o == nil {
		o = &buffer{first: &b[0], size: cap(b)}
		l.shared[o.first] = o
		l.counts.Held.Add(int64(o.size))
	}
	o.users++
	return o
}

// forget lets a segment go that waits no longer.
func (l *Loop) forget(g *segment) {
	l.counts.Held.Add(-int64(segmentSize) - int64(g.size))
	if o := g.owner; o != nil {
		if o.users--; o.users == 0 {
			l.counts.Held.Add(-int64(o.size))
			delete(l.shared, o.first)
		}
	}
	*g = segment{}
}

func (l *Loop) queue(c ID, s *slot, g segment) {
	p := l.outputs[c]
	if p == nil {
		p = &output{moved: l.wheel.now}
		l.outputs[c] = p
		s.flags |= flagOutput
		l.watch(c, s)
	}
	p.segs = append(p.segs, g)
	p.bytes += len(g.b)
	l.counts.Waiting.Add(int64(len(g.b)))
	l.counts.Held.Add(int64(segmentSize))
}

// Waiting returns how many bytes of output wait for the peer to read, 40 more for each piece in which they were given.
func (l *Loop) Waiting(c ID) int {
	if l.slots.at(c).flags&flagOutput == 0 {
		return 0
	}
	p := l.outputs[c]
	return p.bytes + (len(p.segs)-p.head)*segmentSize
}

// WaitingSince returns how long the oldest of them has waited, or the peer has taken less than 16 KiB, whichever is shorter.
func (l *Loop) WaitingSince(c ID) time.Duration {
	if p := l.outputs[c]; p != nil {
		return p.age(l.wheel.now, l.tick)
	}
	return 0
}

// DropWaiting forgets output that waits, but never a segment of which a part has been sent; it returns the number of
// bytes forgotten.
func (l *Loop) DropWaiting(c ID) int {
	p := l.outputs[c]
	if p == nil {
		return 0
	}
	dropped := 0
	for i := p.head + 1; i < len(p.segs); i++ {
		dropped += len(p.segs[i].b)
		l.forget(&p.segs[i])
	}
	p.segs = p.segs[:p.head+1]
	p.bytes -= dropped
	l.counts.Waiting.Add(int64(-dropped))
	return dropped
}

// onWritable sends what waits, as much as the kernel takes, in at most a few calls a turn.
func (l *Loop) onWritable(c ID, s *slot) {
	p := l.outputs[c]
	if p == nil {
		l.watch(c, s)
		return
	}
	for range 4 {
		k := 0
		for _, g := range p.segs[p.head:min(len(p.segs), p.head+len(l.iov))] {
			l.iov[k].Base = &g.b[0]
			l.iov[k].SetLen(len(g.b))
			k++
		}
		n, errno := sendmsg(s.fd, l.iov[:k])
		clear(l.iov[:k])
		l.counts.Sends.Add(1)
		if errno == unix.EAGAIN || errno == unix.EINTR || errno == unix.ENOBUFS {
			return
		}
		if errno != 0 {
			l.close(c, s, ReasonReset)
			return
		}
		l.counts.BytesOut.Add(uint64(n))
		if p.taken += n; p.taken >= step {
			p.moved, p.taken = l.wheel.now, 0
		}
		l.advance(p, n)
		if p.bytes == 0 {
			l.drained(c, s)
			return
		}
	}
}

// advance forgets the n bytes that have been sent.
func (l *Loop) advance(p *output, n int) {
	p.bytes -= n
	l.counts.Waiting.Add(int64(-n))
	for n > 0 {
		g := &p.segs[p.head]
		if n < len(g.b) {
			g.b = g.b[n:]
			return
		}
		n -= len(g.b)
		l.forget(g)
		p.head++
	}
	if p.head > 256 && p.head > len(p.segs)/2 {
		p.segs = append(p.segs[:0], p.segs[p.head:]...)
		clear(p.segs[len(p.segs):cap(p.segs)])
		p.head = 0
	}
}

func (l *Loop) drained(c ID, s *slot) {
	delete(l.outputs, c)
	s.flags &^= flagOutput
	if s.flags&flagFinishing != 0 {
		l.linger(c, s)
		return
	}
	l.watch(c, s)
	l.handler.Drained(c)
}

func (l *Loop) dropOutput(c ID, s *slot) {
	p := l.outputs[c]
	l.counts.Waiting.Add(-int64(p.bytes))
	for i := p.head; i < len(p.segs); i++ {
		l.forget(&p.segs[i])
	}
	delete(l.outputs, c)
	s.flags &^= flagOutput
}
