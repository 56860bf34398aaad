package bench

import (
	"time"

	"encke/bench/fleet"
	"encke/bench/push"
)

// storm lets all clients drop and come back at once, while messages go on where clients can resume: then nothing may be
// lost. Where they cannot, messages rest until all are back.
func storm(r *run) error {
	n := r.o.Clients
	if err := r.muster(n, fleet.Config{Forgiving: true}); err != nil {
		return err
	}
	if err := r.addMix(n, "b", nil); err != nil {
		return err
	}
	if _, err := r.connect(n); err != nil {
		return err
	}
	var counts push.Counts
	pubs, err := r.publishersOf(1, "b", &counts)
	if err != nil {
		return err
	}
	if err := r.pace(pubs, &counts, 5, r.o.Rate); err != nil {
		return err
	}
	if err := r.arrive(uint64(5 * n)); err != nil {
		return err
	}
	resume := r.group("ws", "b", 1).Resume
	over := make(chan error, 1)
	stop := make(chan struct{})
	if resume {
		go func() { over <- r.keepPushing(pubs, &counts, stop) }() // ends with stop
	}
	err = r.comeBack(n)
	close(stop)
	if resume && err == nil {
		err = <-over
	}
	if err != nil {
		return err
	}
	if err := r.pace(pubs, &counts, 5, r.o.Rate); err != nil {
		return err
	}
	r.r.Add("messages while they were away", "", float64(counts.Acknowledged.Load()/int64(len(pubs))-10))
	if err := r.arrive(uint64(counts.Acknowledged.Load()/int64(len(pubs))) * uint64(n)); err != nil {
		return err
	}
	return r.verify(sent(pubs, 1), false)
}

// keepPushing pushes on schedule until stop.
func (r *run) keepPushing(pubs []*push.Publisher, counts *push.Counts, stop chan struct{}) error {
	start := time.Now()
	for i := 0; ; i++ {
		at := start.Add(time.Duration(float64(i) / r.o.Rate * float64(time.Second)))
		select {
		case <-stop:
			return r.answered(len(pubs), func() bool { return counts.Acknowledged.Load() == int64((5+i)*len(pubs)) })
		case <-time.After(time.Until(at)):
		}
		for _, p := range pubs {
			p.Schedule(at.UnixNano())
		}
	}
}

// comeBack drops all clients and waits until they are back.
func (r *run) comeBack(n int) error {
	r.monitor.reset()
	before, err := r.monitor.now()
	if err != nil {
		return err
	}
	r.monitor.enter("storm", float64(n), func(s *fleet.Stat) float64 { return float64(s.Handshakes - before.Handshakes) })
	start, cpu := time.Now(), r.servers.cpu()
	if err := r.crew.all(fleet.Request{Storm: ptr(r.ramp())}); err != nil {
		return err
	}
	back := uint64(n) + before.Handshakes
	if err := r.monitor.until("clients to come back", 2*time.Minute, func(s *fleet.Stat) bool {
		return s.Handshakes >= back && int(s.Here) == n
	}); err != nil {
		return err
	}
	now, err := r.monitor.now()
	if err != nil {
		return err
	}
	took := time.Unix(0, now.LastHere).Sub(start).Seconds()
	r.r.Add("time until all are back", "s", took)
	r.r.Add("comebacks/s", "/s", float64(n)/took)
	if r.servers.known() {
		r.r.Add("server CPU per comeback", "µs", micros(r.servers.cpu()-cpu)/float64(n))
	}
	r.monitor.mu.Lock()
	defer r.monitor.mu.Unlock()
	r.r.Add("time to come back p99", "ms", float64(r.monitor.connect.ValueAtQuantile(99))/1000)
	if now.Refused > 0 {
		r.r.Note("%d handshakes failed or were refused and were tried again", now.Refused)
	}
	return nil
}
