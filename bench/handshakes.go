package bench

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"encke/netloop"
)

// Handshakes connects, upgrades and closes.
type Handshakes struct {
	Target      Target
	Count       int
	Concurrency int
	ClientLoops int
	Runs        int
	Floor       bool
}

// Run measures.
func (h Handshakes) Run() (*Report, error) {
	r := &Report{Scenario: fmt.Sprintf("handshakes: %s, %d, %d at a time", h.Target.Kind, h.Count, h.Concurrency)}
	if h.Count < 1 || h.Concurrency < 1 || h.ClientLoops < 1 {
		return r, fmt.Errorf("cannot make %d handshakes, %d at a time", h.Count, h.Concurrency)
	}
	if err := h.Target.try(); err != nil {
		return r, err
	}
	for range max(h.Runs, 1) {
		if h.Floor {
			if err := h.floor(r); err != nil {
				return r, err
			}
		}
		s, err := h.Target.open()
		if err != nil {
			return r, err
		}
		err = h.once(r, s, "server ")
		s.close()
		if err != nil {
			return r, err
		}
	}
	if cpu, floor := r.median("server CPU per handshake"), r.median("floor CPU per handshake"); cpu > 0 && floor > 0 {
		r.add("server CPU / floor CPU", "×", cpu/floor)
	}
	return r, nil
}

func (h Handshakes) floor(r *Report) error {
	c, err := openFloor()
	if err != nil {
		return err
	}
	defer c.close()
	if err := h.once(r, &c.server, "floor "); err != nil {
		return fmt.Errorf("at the floor: %w", err)
	}
	return nil
}

func (h Handshakes) once(r *Report, s *server, name string) error {
	f, err := newFleet(h.ClientLoops)
	if err != nil {
		return err
	}
	defer f.close()
	var done atomic.Int64
	for _, w := range f.subscribers() {
		w.call(func() { w.limit = max(h.Concurrency/h.ClientLoops, 1) })
	}
	peers := make([]peer, h.Count)
	one := &visitor{request: upgrade("/ws?channels=", ""), done: &done}
	for i := range peers {
		peers[i] = one
	}
	start, cpu, mine := time.Now(), s.cpu(), ownCPU()
	// Only as many are open as handshakes are under way: connect would ask for descriptors for all.
	for i, w := range f.subscribers() {
		var queue []dialing
		for j := i; j < len(peers); j += h.ClientLoops {
			queue = append(queue, dialing{peers[j], s.public})
		}
		w.do(func() { w.queue = queue })
	}
	if err := f.wait("handshakes", 60*time.Second, func() bool { return done.Load() == int64(h.Count) }); err != nil {
		return fmt.Errorf("after %d handshakes: %w", done.Load(), err)
	}
	took := time.Since(start).Seconds()
	mineUsed := ownCPU() - mine
	time.Sleep(200 * time.Millisecond) // until the server has seen the last ones close
	n := float64(h.Count)
	r.add(name+"handshakes/s", "/s", n/took)
	if s.pid != 0 {
		r.add(name+"CPU per handshake", "µs", float64((s.cpu()-cpu).Nanoseconds())/1000/n)
	}
	r.add(name+"run: client CPU per handshake", "µs", float64(mineUsed.Nanoseconds())/1000/n)
	return nil
}

func ownCPU() time.Duration {
	d, _ := cpuOf(os.Getpid())
	return d
}

// visitor shakes hands and goes. It has no state: all connections of a run share it.
type visitor struct {
	request []byte
	done    *atomic.Int64
}

func (v *visitor) opened(w *worker, c netloop.ID) { w.loop.Share(c, v.request) }

func (v *visitor) data(w *worker, c netloop.ID, b []byte) int {
	r, ok := parseHead(b)
	if !ok {
		return 0
	}
	if r.status != 101 {
		w.fleet.fail(fmt.Errorf("a WebSocket handshake was answered %q", firstLine(r.head)))
	}
	w.loop.Close(c, netloop.ReasonUser)
	return len(b)
}

func (v *visitor) closed(w *worker, why netloop.Reason) {
	if why != netloop.ReasonUser {
		w.fleet.fail(ended(why))
		return
	}
	w.inflight--
	v.done.Add(1)
}
