package fleet

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"encke/bench/report"
	"encke/netloop"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// kind is a group as a loop sees it.
type kind struct {
	Group
	transport     transport
	remotes       []netip.AddrPort
	before, after string // Path around #
	numbered      bool
	tokens        tokens // empty without Users
}

// loop is the handler of one event loop. All of it is owned by the loop's goroutine.
type loop struct {
	fleet   *Fleet
	net     *netloop.Loop
	kinds   []kind
	clients []client
	last    []uint32 // of each client, of each publisher: the latest sequence; 0: none yet
	byConn  []uint32 // client of a connection
	epochs  []string
	missing map[missed]struct{} // what was passed over; nil while all is well
	broken  map[uint32][]byte   // lines that go on in the next chunk
	ramp    ramp
	churn   churn
	random  *rand.Rand
	scratch []byte

	figures figures
	shown   atomic.Uint64           // figures.delivered as of the last turn, for whoever asks
	latency *hdrhistogram.Histogram // µs
	connect *hdrhistogram.Histogram // µs
}

// figures are a loop's part of Stat.
type figures struct {
	here                                                          int64
	handshakes, left, dropped, refused, delivered, requests, gaps uint64
	faults                                                        report.Faults
	lastHere, last                                                int64
}

func (f *figures) addTo(s *Stat) {
	s.Here += f.here
	s.Handshakes += f.handshakes
	s.Left += f.left
	s.Dropped += f.dropped
	s.Refused += f.refused
	s.Delivered += f.delivered
	s.Requests += f.requests
	s.Gaps += f.gaps
	s.Faults.Add(f.faults)
	s.LastHere = max(s.LastHere, f.lastHere)
	s.Last = max(s.Last, f.last)
}

func newLoop(f *Fleet, n *netloop.Loop) *loop {
	return &loop{fleet: f, net: n, latency: histogram(), connect: histogram(),
		random: rand.New(rand.NewPCG(uint64(f.began.UnixNano()), uint64(n.Index())))}
}

// add takes every step-th client of a group, from the at-th on.
func (l *loop) add(k kind, group uint8, at, step int) {
	l.kinds = append(l.kinds, k)
	n := (k.Count - at + step - 1) / step
	l.clients = append(make([]client, 0, len(l.clients)+n), l.clients...)
	var m marks
	if k.Deaf {
		m |= deaf
	}
	if k.Visit {
		m |= visiting
	}
	for i := at; i < k.Count; i += step {
		l.clients = append(l.clients, client{number: uint32(k.First + i), group: group, marks: m})
	}
	l.last = append(make([]uint32, 0, len(l.clients)*l.fleet.config.Publishers), l.last...)
	l.last = l.last[:len(l.clients)*l.fleet.config.Publishers]
}

// appendPath appends the path of the client's request.
func (l *loop) appendPath(b []byte, c *client) []byte {
	k := &l.kinds[c.group]
	b = append(b, k.before...)
	if k.numbered {
		b = strconv.AppendUint(b, uint64(c.number), 10)
		b = append(b, k.after...)
	}
	return b
}

// appendSince appends the parameter that names the client's position. A user's own channel stands behind the other one;
// nobody pushes to both, so there a client is still where it began.
func (l *loop) appendSince(b []byte, c *client) []byte {
	b = append(b, "&since="...)
	b = append(b, l.epochs[c.epoch]...)
	b = append(b, '.')
	b = strconv.AppendUint(b, c.offset, 10)
	if k := &l.kinds[c.group]; k.Users > 0 && !k.Own {
		b = append(b, ",0"...)
	}
	return b
}

// place notes the client's position. Who begins behind others' messages has joined in mid-stream.
func (l *loop) place(c *client, epoch []byte, offset uint64) {
	c.marks |= placed
	if c.offset = offset; offset > 0 && c.order == 0 {
		c.marks |= late
	}
	for i, e := range l.epochs {
		if e == string(epoch) {
			c.epoch = uint8(i)
			return
		}
	}
	if len(l.epochs) < 256 {
		c.epoch = uint8(len(l.epochs))
		l.epochs = append(l.epochs, string(epoch))
	}
}

// now is the publishers' clock, Unix ns.
func (l *loop) now() int64 { return time.Now().UnixNano() + l.fleet.config.Offset }

// clock is the fleet's, in µs; it wraps after 71 minutes.
func (l *loop) clock() uint32 { return uint32(time.Since(l.fleet.began).Microseconds()) }

var (
	errRefused = errors.New("the connection was refused or could not be made")
	errClosed  = errors.New("the server closed the connection")
	errTimeout = errors.New("the server did not answer a handshake within 30 s")
)

// connected is called by a transport when its handshake is done. It says whether the client stays.
func (l *loop) connected(i uint32, c *client) bool {
	c.state = here
	c.attempts = 0
	l.ramp.inflight--
	l.figures.here++
	l.figures.handshakes++
	l.figures.lastHere = l.now()
	_ = l.connect.RecordValue(min(int64(max(l.clock()-c.began, 1)), longest))
	l.net.StopTimer(c.id())
	if c.marks&visiting != 0 {
		l.leave(i, c)
		return false
	}
	if c.marks&deaf != 0 {
		l.net.Pause(c.id())
	}
	return true
}

// leave ends the client's connection.
func (l *loop) leave(i uint32, c *client) {
	if c.state == away {
		return
	}
	l.figures.left++
	l.gone(i, c)
	l.net.Close(c.id(), netloop.ReasonUser)
}

// gone takes note that a client has no connection any more.
func (l *loop) gone(i uint32, c *client) {
	if c.state == here {
		l.figures.here--
	} else {
		l.ramp.inflight--
	}
	c.state, c.chunk = away, 0
	c.marks &^= chunked | elsewhere
	delete(l.broken, i)
	if k := &l.kinds[c.group]; !k.Resume || c.marks&placed == 0 {
		l.forget(i, c)
	}
}

// fault ends a connection for what came over it, or for what did not.
func (l *loop) fault(i uint32, c *client, err error) {
	before := c.state
	l.gone(i, c)
	l.net.Close(c.id(), netloop.ReasonUser)
	l.ended(i, c, before, err)
}

// ended decides what becomes of a client whose connection was not ended by itself.
func (l *loop) ended(i uint32, c *client, before state, err error) {
	switch {
	case c.marks&deaf != 0 && before == here:
		l.figures.dropped++
	case !l.fleet.config.Forgiving || c.attempts > 100:
		l.fleet.fail(err)
	default:
		if before == here {
			l.figures.dropped++
		} else {
			l.figures.refused++
		}
		c.attempts++
		l.ramp.later = append(l.ramp.later, i)
	}
}

// Open is called when a dialed connection is made.
func (l *loop) Open(id netloop.ID, _ int) {
	i := l.byConn[id]
	c := &l.clients[i]
	c.state = asking
	l.kinds[c.group].transport.ask(l, i, c)
}

// Data hands bytes to the client's transport.
func (l *loop) Data(id netloop.ID, b []byte) int {
	i := l.byConn[id]
	c := &l.clients[i]
	if c.state == away {
		return len(b)
	}
	return l.kinds[c.group].transport.data(l, i, c, b)
}

// Closed is called when a connection has gone, by whomever.
func (l *loop) Closed(id netloop.ID, why netloop.Reason) {
	i := l.byConn[id]
	c := &l.clients[i]
	if c.state == away || l.fleet.closing.Load() {
		return
	}
	err := errClosed
	if why == netloop.ReasonConnect {
		err = errRefused
	}
	before := c.state
	l.gone(i, c)
	l.ended(i, c, before, err)
}

// Timeout is of a handshake that takes too long, or the transport's.
func (l *loop) Timeout(id netloop.ID, kind netloop.TimerKind) {
	i := l.byConn[id]
	c := &l.clients[i]
	switch {
	case kind == timerHandshake && c.state != here && c.state != away:
		l.fault(i, c, errTimeout)
	case kind == timerTransport && c.state == here:
		l.kinds[c.group].transport.timeout(l, i, c)
	}
}

const (
	timerHandshake netloop.TimerKind = 1 + iota
	timerTransport
)

// EOF ends the connection: no transport has a half-closed state.
func (l *loop) EOF(id netloop.ID) { l.net.Close(id, netloop.ReasonPeer) }

// Mail runs what another goroutine wants done here.
func (l *loop) Mail(m netloop.Mail) { m.Val.(func())() }

// Turn connects those whose turn it is.
func (l *loop) Turn() bool {
	l.dial()
	l.shown.Store(l.figures.delivered)
	return false
}

// Tick goes on with churning and with those that are to try again.
func (l *loop) Tick(time.Time) {
	l.ramp.queue = append(l.ramp.queue, l.ramp.later...)
	l.ramp.later = l.ramp.later[:0]
	l.shuffle()
}

// Drained is of no interest.
func (l *loop) Drained(netloop.ID) {}

// Silent is of no interest.
func (l *loop) Silent(netloop.ID, time.Duration) {}

// Stalled is of no interest.
func (l *loop) Stalled(netloop.ID, int, time.Duration) {}
