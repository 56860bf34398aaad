package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"encke/netloop"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// peer is one client connection. Its methods run on the loop of its worker.
type peer interface {
	opened(w *worker, c netloop.ID)
	data(w *worker, c netloop.ID, b []byte) int
	closed(w *worker, why netloop.Reason)
}

// fleet is a set of clients on loops: loop 0 posts, the others hold subscribers.
type fleet struct {
	engine  *netloop.Engine
	workers []*worker
	ready   atomic.Int64 // peers that have finished their handshake
	sources atomic.Uint32
	closing atomic.Bool

	mu  sync.Mutex
	err error // guarded by mu: the first thing that went wrong
}

// worker is the handler of one loop.
type worker struct {
	// immutable
	fleet *fleet
	loop  *netloop.Loop

	// owned by the loop
	peers    []peer
	queue    []dialing
	inflight int
	limit    int
	scratch  []byte
	latency  *hdrhistogram.Histogram // µs

	delivered atomic.Uint64
}

type dialing struct {
	peer   peer
	remote netip.AddrPort
}

// newFleet starts loops for clients, one of them for posters.
func newFleet(loops int) (*fleet, error) {
	if loops < 1 {
		return nil, errors.New("cannot run without --client-loops: at least 1 is needed")
	}
	f := &fleet{}
	f.sources.Store(uint32(time.Now().UnixMicro())) // not the addresses of the run before: their ports are in TIME_WAIT
	engine, err := netloop.New(netloop.Config{Loops: loops + 1, Silence: time.Hour, New: func(l *netloop.Loop) netloop.Handler {
		w := &worker{fleet: f, loop: l, limit: 100, latency: hdrhistogram.New(1, 120e6, 3)}
		f.workers = append(f.workers, w)
		return w
	}})
	if err != nil {
		return nil, err
	}
	f.engine = engine
	return f, engine.Start()
}

// close ends all clients.
func (f *fleet) close() {
	f.closing.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = f.engine.Stop(ctx)
}

// subscribers returns the loops for subscribers.
func (f *fleet) subscribers() []*worker { return f.workers[1:] }

// fail notes what went wrong first.
func (f *fleet) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
}

func (f *fleet) failed() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// wait returns when cond holds, with an error when something failed or limit has passed.
func (f *fleet) wait(what string, limit time.Duration, cond func() bool) error {
	end := time.Now().Add(limit)
	for !cond() {
		if err := f.failed(); err != nil {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("gave up after %v waiting for %s", limit, what)
		}
		time.Sleep(time.Millisecond)
	}
	return f.failed()
}

// connect brings peers up on the workers in turn, and returns when all have finished their handshakes.
func (f *fleet) connect(workers []*worker, remote netip.AddrPort, peers []peer) error {
	if err := needDescriptors(f.open() + len(peers)); err != nil {
		return err
	}
	want := f.ready.Load() + int64(len(peers))
	for i, w := range workers {
		var mine []dialing
		for j := i; j < len(peers); j += len(workers) {
			mine = append(mine, dialing{peers[j], remote})
		}
		w.do(func() { w.queue = append(w.queue, mine...) })
	}
	err := f.wait("clients to connect", 60*time.Second, func() bool { return f.ready.Load() >= want })
	if err != nil {
		return fmt.Errorf("cannot connect %d clients (%d are): %w", len(peers), f.ready.Load()-want+int64(len(peers)), err)
	}
	return nil
}

func (f *fleet) open() int { return int(f.engine.Open()) }

func (f *fleet) delivered() (n uint64) {
	for _, w := range f.workers {
		n += w.delivered.Load()
	}
	return n
}

// latency merges the workers' histograms. Call it when they rest.
func (f *fleet) latency() *hdrhistogram.Histogram {
	h := hdrhistogram.New(1, 120e6, 3)
	for _, w := range f.workers {
		w.call(func() { h.Merge(w.latency) })
	}
	return h
}

// source picks the next local address, so that no address runs out of ports; only on loopback.
func (f *fleet) source(remote netip.AddrPort) netip.AddrPort {
	if !remote.Addr().Is4() || !remote.Addr().IsLoopback() {
		return netip.AddrPort{}
	}
	n := f.sources.Add(1) % 4000
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1 + byte(n/1000), byte(n / 200 % 5), 1 + byte(n%200)}), 0)
}

// do runs f on the worker's loop, later.
func (w *worker) do(f func()) { w.loop.Post(netloop.Mail{Val: f}) }

// call runs f on the worker's loop and waits.
func (w *worker) call(f func()) {
	done := make(chan struct{})
	w.do(func() { f(); close(done) })
	<-done
}

// ready is called by a peer when its handshake is done.
func (w *worker) ready() {
	w.inflight--
	w.fleet.ready.Add(1)
}

// Turn dials what is queued, a bounded number of handshakes at a time: listen queues are short.
func (w *worker) Turn() bool {
	for w.inflight < w.limit && len(w.queue) > 0 {
		d := w.queue[0]
		w.queue = w.queue[1:]
		c, err := w.loop.Dial(d.remote, w.fleet.source(d.remote))
		if err != nil {
			w.fleet.fail(err)
			w.queue = nil
			return false
		}
		w.inflight++
		for int(c) >= len(w.peers) {
			w.peers = append(w.peers, make([]peer, 1024)...)
		}
		w.peers[c] = d.peer
	}
	return false
}

func (w *worker) Open(c netloop.ID, _ int)               { w.peers[c].opened(w, c) }
func (w *worker) Data(c netloop.ID, b []byte) int        { return w.peers[c].data(w, c, b) }
func (w *worker) EOF(c netloop.ID)                       { w.loop.Close(c, netloop.ReasonPeer) }
func (w *worker) Mail(m netloop.Mail)                    { m.Val.(func())() }
func (w *worker) Drained(netloop.ID)                     {}
func (w *worker) Tick(time.Time)                         {}
func (w *worker) Timeout(netloop.ID, netloop.TimerKind)  {}
func (w *worker) Silent(netloop.ID, time.Duration)       {}
func (w *worker) Stalled(netloop.ID, int, time.Duration) {}

// Closed tells the peer, unless the whole fleet is going.
func (w *worker) Closed(c netloop.ID, why netloop.Reason) {
	p := w.peers[c]
	w.peers[c] = nil
	if p != nil && !w.fleet.closing.Load() {
		p.closed(w, why)
	}
}

var (
	errRefused = errors.New("the connection was refused or could not be made")
	errClosed  = errors.New("the server closed the connection")
)

// ended is the error of a connection that should have stayed.
func ended(why netloop.Reason) error {
	if why == netloop.ReasonConnect {
		return errRefused
	}
	return errClosed
}
