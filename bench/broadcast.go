package bench

import (
	"fmt"
	"sync/atomic"
	"time"
)

// Broadcast is one channel with many subscribers.
type Broadcast struct {
	Target      Target
	Subscribers int
	Size        int
	Rate        float64 // messages a second; ignored when Saturate
	Saturate    bool    // each publisher posts the next message as soon as the last was acknowledged
	Publishers  int
	Window      int // with Saturate: messages that may be under way to the average subscriber; 0: any number
	Seconds     float64
	Subprotocol string // encke.raw or encke.json
	ClientLoops int
	Runs        int
	Floor       bool // measure the bare kernel too, before each run
}

// Run measures. The error tells of wrong deliveries too.
func (b Broadcast) Run() (*Report, error) {
	r := &Report{Scenario: fmt.Sprintf("broadcast: %s, %d subscribers, %d bytes, %s, %s", b.Target.Kind, b.Subscribers, b.Size, b.load(), b.Subprotocol)}
	if b.Publishers > 256 || b.Publishers < 1 || b.Size < MinSize {
		return r, fmt.Errorf("cannot use %d publishers and %d bytes: 1 to 256, and at least %d bytes", b.Publishers, b.Size, MinSize)
	}
	if err := b.Target.try(); err != nil {
		return r, err
	}
	for range max(b.Runs, 1) {
		if b.Floor {
			if err := b.floor(r); err != nil {
				return r, err
			}
		}
		if err := b.once(r); err != nil {
			return r, err
		}
	}
	b.ratios(r)
	return r, r.Faults.Err()
}

func (b Broadcast) load() string {
	if b.Saturate {
		return fmt.Sprintf("saturated by %d publishers", b.Publishers)
	}
	return fmt.Sprintf("%g/s", b.Rate)
}

func (b Broadcast) ratios(r *Report) {
	if cpu, floor := r.median("server CPU per delivery"), r.median("floor CPU per write"); floor > 0 && cpu > 0 {
		r.add("server CPU / floor CPU", "×", cpu/floor)
	}
	if rate, floor := r.median("deliveries/s"), r.median("floor writes/s"); floor > 0 && b.Saturate {
		r.add("deliveries/s / floor writes/s", "×", rate/floor)
	}
}

func (b Broadcast) once(r *Report) error {
	s, err := b.Target.open()
	if err != nil {
		return err
	}
	defer s.close()
	f, err := newFleet(b.ClientLoops)
	if err != nil {
		return err
	}
	defer f.close()
	subprotocol := b.Subprotocol
	if s.kind == "uws" {
		subprotocol = ""
	}
	publishers := b.Publishers
	if !b.Saturate {
		publishers = 1
	}
	subs := newSubscribers(b.Subscribers, upgrade("/ws?channels=b", subprotocol), b.Size, publishers, subprotocol == "encke.json")
	if err := f.connect(f.subscribers(), s.public, peersOf(subs)); err != nil {
		return err
	}
	var idle, refused, count atomic.Int64
	var pubs []*publisher
	for i := range publishers {
		pubs = append(pubs, newPublisher(i, "b", b.Size, &idle, &refused, &count))
	}
	if err := f.connect(f.workers[:1], s.backend, peersOf(pubs)); err != nil {
		return err
	}
	time.Sleep(300 * time.Millisecond)
	return b.measure(r, s, f, subs, pubs)
}

// measure drives the load and notes what it cost.
func (b Broadcast) measure(r *Report, s *server, f *fleet, subs []*subscriber, pubs []*publisher) error {
	m, err := begin(s, f)
	if err != nil {
		return err
	}
	var loadErr error
	if b.Saturate {
		loadErr = b.saturate(f, pubs, m.delivered, uint64(len(subs)))
	} else {
		loadErr = b.pace(f, pubs[0])
	}
	if loadErr != nil {
		return loadErr
	}
	count := pubs[0].count.Load()
	want := uint64(count) * uint64(len(subs))
	_ = f.wait("deliveries", 15*time.Second, func() bool { return f.delivered()-m.delivered >= want }) // the verifiers tell
	if err := m.end(r, "delivery"); err != nil {
		return err
	}
	r.add("messages/s", "/s", float64(count)/m.seconds)
	if n := pubs[0].refused.Load(); n > 0 {
		r.note("%d pushes were refused with 503 and tried again", n)
	}
	h := f.latency()
	for _, q := range []float64{50, 99, 99.9, 100} {
		r.add(fmt.Sprintf("latency p%g", q), "ms", float64(h.ValueAtQuantile(q))/1000)
	}
	if err := f.failed(); err != nil {
		return err
	}
	r.Faults.add(verify(f, subs, pubs, s.kind == "encke"))
	return nil
}

// saturate lets all publishers post as fast as they are answered, as long as subscribers are not too far behind: beyond
// the machine's TCP memory (tcp_mem) it would be the kernel that is measured.
func (b Broadcast) saturate(f *fleet, pubs []*publisher, before, subs uint64) error {
	end := time.Now().Add(time.Duration(b.Seconds * float64(time.Second)))
	open := func() bool {
		behind := uint64(pubs[0].count.Load())*subs - min(f.delivered()-before, uint64(pubs[0].count.Load())*subs)
		return time.Now().Before(end) && (b.Window == 0 || behind < uint64(b.Window)*subs)
	}
	wake := func() {
		for _, p := range pubs {
			p.saturate = open
			p.wake()
		}
	}
	for time.Now().Before(end) {
		f.workers[0].call(wake)
		time.Sleep(time.Millisecond)
		if err := f.failed(); err != nil {
			n := pubs[0].count.Load()
			return fmt.Errorf("after %d messages, of which the average subscriber has had %d: %w", n, (f.delivered()-before)/subs, err)
		}
	}
	return f.wait("pushes to be answered", 20*time.Second, func() bool { return pubs[0].idle.Load() == int64(len(pubs)) })
}

// pace posts on schedule, whether the last one was answered or not: a push that is late counts as late.
func (b Broadcast) pace(f *fleet, p *publisher) error {
	total := int(b.Rate * b.Seconds)
	start := time.Now()
	for i := range total {
		at := start.Add(time.Duration(float64(i) / b.Rate * float64(time.Second)))
		time.Sleep(time.Until(at))
		f.workers[0].do(func() {
			p.due = append(p.due, at.UnixNano())
			p.wake()
		})
		if err := f.failed(); err != nil {
			return err
		}
	}
	return f.wait("pushes to be answered", 20*time.Second, func() bool { return p.count.Load() == int64(total) })
}

// verify holds every subscriber against what was acknowledged.
func verify(f *fleet, subs []*subscriber, pubs []*publisher, oneOrder bool) (faults Faults) {
	sent := make([]uint32, len(pubs))
	f.workers[0].call(func() {
		for i, p := range pubs {
			sent[i] = p.acked
		}
	})
	var all []*verifier
	for _, w := range f.subscribers() {
		w.call(func() {}) // what the loop wrote is seen from here on
	}
	for _, s := range subs {
		faults.add(s.verifier.end(sent))
		all = append(all, &s.verifier)
	}
	if oneOrder && faults == (Faults{}) {
		faults.Disordered = disordered(all)
	}
	return faults
}

func newSubscribers(n int, request []byte, size, publishers int, json bool) []*subscriber {
	subs := make([]*subscriber, n)
	for i := range subs {
		subs[i] = &subscriber{request: request, size: size, json: json, verifier: verifier{last: make([]uint32, publishers)}}
	}
	return subs
}

func peersOf[P peer](of []P) []peer {
	peers := make([]peer, len(of))
	for i, p := range of {
		peers[i] = p
	}
	return peers
}
