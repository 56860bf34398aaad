package bench

import (
	"fmt"
	"time"

	"encke/bench/fleet"
)

// connect measures handshakes: each client shakes hands and goes.
func connect(r *run) error {
	cpu, client, took, err := r.visits()
	if err != nil {
		return err
	}
	n := float64(r.o.Clients)
	r.r.Add("handshakes/s", "/s", n/took.Seconds())
	if r.servers.known() {
		r.r.Add("server CPU per handshake", "µs", micros(cpu)/n)
	}
	r.r.Add("client CPU per handshake", "µs", micros(client)/n)
	r.monitor.mu.Lock()
	defer r.monitor.mu.Unlock()
	r.r.Add("time to connect p50", "ms", float64(r.monitor.connect.ValueAtQuantile(50))/1000)
	r.r.Add("time to connect p99", "ms", float64(r.monitor.connect.ValueAtQuantile(99))/1000)
	return nil
}

// visits lets all clients visit once.
func (r *run) visits() (cpu, client, took time.Duration, err error) {
	n := r.o.Clients
	if err = r.muster(r.o.Concurrency, fleet.Config{}); err != nil {
		return
	}
	g := r.group("ws0", "", n)
	g.Visit = true
	for _, m := range r.crew.members {
		m.room = n // few are connected at a time
	}
	if err = r.crew.add(g); err != nil {
		return
	}
	s, err := r.monitor.now()
	if err != nil {
		return
	}
	start, before := time.Now(), r.servers.cpu()
	r.monitor.enter("visiting", float64(n), func(s *fleet.Stat) float64 { return float64(s.Handshakes) })
	if err = r.crew.all(fleet.Request{Connect: ptr(r.ramp())}); err != nil {
		return
	}
	err = r.monitor.until("handshakes", 60*time.Second+time.Duration(n)*time.Millisecond, func(s *fleet.Stat) bool { return s.Handshakes >= uint64(n) })
	if err != nil {
		return cpu, client, took, fmt.Errorf("after %d handshakes: %w", r.monitor.sum.Handshakes, err)
	}
	now, err := r.monitor.now() // and the server has seen the last ones close
	return r.servers.cpu() - before, now.CPU - s.CPU, time.Unix(0, now.LastHere).Sub(start), err
}
