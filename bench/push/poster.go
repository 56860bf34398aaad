// Package push is the backend's part of the load harness: keep-alive HTTP clients on event loops that push numbered
// payloads, on schedule or as fast as they are acknowledged.
package push

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"encke/bench/wire"
	"encke/netloop"
)

// Posters are HTTP clients, each with at most one request under way. Methods may be called by any goroutine.
type Posters struct {
	engine *netloop.Engine
	loops  []*loop

	idle  atomic.Int64 // posters without a request under way
	ready atomic.Int64 // connections made

	mu  sync.Mutex
	err error // guarded by mu: what went wrong first
}

// Poster is one of them. Its functions are called on its loop.
type Poster struct {
	// Next appends the next request to b; false: there is none now, Wake asks again.
	Next func(b []byte) ([]byte, bool)
	// Done takes the answer.
	Done func(r wire.Response) error

	loop *loop
	id   netloop.ID
	busy bool
}

// loop is the handler of one event loop.
type loop struct {
	set     *Posters
	net     *netloop.Loop
	posters []*Poster // by connection
	scratch []byte
}

// New starts loops for posters. Close ends them.
func New(loops int) (*Posters, error) {
	if loops < 1 {
		return nil, errors.New("cannot push without a loop")
	}
	p := &Posters{}
	engine, err := netloop.New(netloop.Config{Loops: loops, Silence: time.Hour, New: func(l *netloop.Loop) netloop.Handler {
		w := &loop{set: p, net: l}
		p.loops = append(p.loops, w)
		return w
	}})
	if err != nil {
		return nil, err
	}
	p.engine = engine
	return p, engine.Start()
}

// Close ends all connections.
func (p *Posters) Close() {
	p.Fail(errors.New("the posters are closed"))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = p.engine.Stop(ctx)
}

// Fail notes what went wrong first.
func (p *Posters) Fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
}

// Err returns what went wrong first.
func (p *Posters) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Idle returns how many posters have no request under way.
func (p *Posters) Idle() int { return int(p.idle.Load()) }

// Dial connects posters to remote, on the loops in turn, and returns when all are connected.
func (p *Posters) Dial(remote netip.AddrPort, posters []*Poster) error {
	want := p.ready.Load() + int64(len(posters))
	for i, q := range posters {
		q.loop = p.loops[i%len(p.loops)]
		q.loop.do(func() { q.loop.dial(remote, q) })
	}
	for end := time.Now().Add(10 * time.Second); p.ready.Load() < want; time.Sleep(time.Millisecond) {
		if err := p.Err(); err != nil {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("cannot connect to the backend at %s: no answer within 10 s", remote)
		}
	}
	return p.Err()
}

// Do runs f on the poster's loop, later.
func (q *Poster) Do(f func()) { q.loop.do(f) }

// Call runs f on the poster's loop and waits for it.
func (q *Poster) Call(f func()) {
	done := make(chan struct{})
	q.loop.do(func() { f(); close(done) })
	<-done
}

// Wake makes the next request if none is under way. On the poster's loop only.
func (q *Poster) Wake() {
	if q.busy {
		return
	}
	b, ok := q.Next(q.loop.scratch[:0])
	if !ok {
		return
	}
	q.loop.scratch = b
	q.busy = true
	q.loop.set.idle.Add(-1)
	q.loop.net.Send(q.id, b)
}

// WakeAll wakes posters, each on its loop.
func WakeAll(posters []*Poster) {
	for _, q := range posters {
		q.Do(q.Wake)
	}
}

func (l *loop) do(f func()) { l.net.Post(netloop.Mail{Val: f}) }

func (l *loop) dial(remote netip.AddrPort, q *Poster) {
	id, err := l.net.Dial(remote, netip.AddrPort{})
	if err != nil {
		l.set.Fail(err)
		return
	}
	for int(id) >= len(l.posters) {
		l.posters = append(l.posters, make([]*Poster, 64)...)
	}
	l.posters[id], q.id = q, id
}

// Open is called when a connection is made.
func (l *loop) Open(netloop.ID, int) {
	l.set.idle.Add(1)
	l.set.ready.Add(1)
}

// Data takes an answer.
func (l *loop) Data(id netloop.ID, b []byte) int {
	q := l.posters[id]
	r, ok, err := wire.ParseResponse(b)
	if err == nil && !ok {
		return 0
	}
	q.busy = false
	l.set.idle.Add(1)
	if err == nil {
		err = q.Done(r)
	}
	if err != nil {
		l.set.Fail(err)
		return len(b)
	}
	q.Wake()
	return r.Size
}

// Closed is a failure: the backend keeps connections.
func (l *loop) Closed(_ netloop.ID, why netloop.Reason) {
	switch why {
	case netloop.ReasonStop:
	case netloop.ReasonConnect:
		l.set.Fail(errors.New("the backend refused a connection"))
	default:
		l.set.Fail(errors.New("the backend closed a connection"))
	}
}

// EOF ends a connection.
func (l *loop) EOF(id netloop.ID) { l.net.Close(id, netloop.ReasonPeer) }

// Mail runs what another goroutine wants done here.
func (l *loop) Mail(m netloop.Mail) { m.Val.(func())() }

// Turn has nothing to do.
func (l *loop) Turn() bool { return false }

// Tick has nothing to do.
func (l *loop) Tick(time.Time) {}

// Drained is of no interest.
func (l *loop) Drained(netloop.ID) {}

// Timeout does not happen.
func (l *loop) Timeout(netloop.ID, netloop.TimerKind) {}

// Silent is of no interest.
func (l *loop) Silent(netloop.ID, time.Duration) {}

// Stalled is of no interest.
func (l *loop) Stalled(netloop.ID, int, time.Duration) {}
