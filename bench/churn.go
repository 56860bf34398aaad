package bench

import (
	"fmt"
	"time"

	"encke/bench/fleet"
	"encke/bench/push"
)

// held is what the server holds when nobody is connected.
type held struct {
	memory                  int64
	goroutines, connections int64
	descriptors             int
}

// churn lets clients come and go for a time. When all have left, the server must hold what it held before; the first
// measurement is made after a fifth of the churning, when pools have grown.
func churn(r *run) error {
	n := r.o.Clients
	if !r.servers.known() {
		return fmt.Errorf("cannot watch memory without --pid")
	}
	if err := r.muster(n, fleet.Config{}); err != nil {
		return err
	}
	if err := r.addMix(n, "b", nil); err != nil {
		return err
	}
	var counts push.Counts
	pubs, err := r.publishersOf(1, "b", &counts)
	if err != nil {
		return err
	}
	if _, err := r.connect(n); err != nil {
		return err
	}
	if err := r.comeAndGo(pubs, &counts, r.o.Seconds/5); err != nil { // pools and slabs grow to what churning needs
		return err
	}
	first, err := r.comeAndLeave(n, pubs, &counts)
	if err != nil {
		return err
	}
	began, err := r.monitor.now()
	if err != nil {
		return err
	}
	if err := r.comeAndGo(pubs, &counts, r.o.Seconds); err != nil {
		return err
	}
	last, err := r.comeAndLeave(n, pubs, &counts)
	if err != nil {
		return err
	}
	now, err := r.monitor.now()
	if err != nil {
		return err
	}
	r.r.Add("connections made while churning", "", float64(now.Handshakes-began.Handshakes))
	r.r.Add("deliveries", "", float64(now.Delivered-began.Delivered))
	r.r.Faults.Add(now.Faults)
	if now.Gaps > 0 {
		r.r.Note("clients that were away for longer than the server's history were told so, %d times", now.Gaps)
	}
	return r.compare(first, last)
}

// comeAndGo lets clients come and go, with messages meanwhile.
func (r *run) comeAndGo(pubs []*push.Publisher, counts *push.Counts, long float64) error {
	c := fleet.Churn{Rate: r.o.ChurnRate / float64(len(r.crew.members)), Commands: r.o.JSON}
	if err := r.crew.all(fleet.Request{Churn: &c}); err != nil {
		return err
	}
	if err := r.pace(pubs, counts, max(int(r.o.Rate*long), 1), r.o.Rate); err != nil {
		return err
	}
	return r.crew.all(fleet.Request{Churn: &fleet.Churn{}})
}

// comeAndLeave lets all clients be there, pushes a little, verifies, lets all leave, and measures what is left.
func (r *run) comeAndLeave(n int, pubs []*push.Publisher, counts *push.Counts) (h held, err error) {
	if _, err := r.connect(n); err != nil {
		return h, err
	}
	if err := r.pace(pubs, counts, 3, r.o.Rate); err != nil {
		return h, err
	}
	if err := r.monitor.sleep(2 * time.Second); err != nil {
		return h, err
	}
	v, err := r.crew.verify(sent(pubs, 1), false)
	if err != nil {
		return h, err
	}
	r.r.Faults.Add(v.Faults)
	if err := r.crew.all(fleet.Request{Leave: &struct{}{}}); err != nil {
		return h, err
	}
	if err := r.monitor.until("clients to leave", time.Minute, func(s *fleet.Stat) bool { return s.Here == 0 }); err != nil {
		return h, err
	}
	if err := r.collect(); err != nil {
		return h, err
	}
	return r.holds()
}

// holds returns the smallest figures of some seconds.
func (r *run) holds() (h held, err error) {
	r.monitor.enter("settling", 0, nil)
	end := time.Now().Add(seconds(r.o.Settle))
	for first := true; first || time.Now().Before(end); first = false {
		s, err := r.servers.stats()
		if err != nil {
			return h, err
		}
		now := held{r.servers.resident(), s.Memory.Goroutines, int64(s.Connections.Total), r.servers.descriptors()}
		if first {
			h = now
		}
		h = held{min(h.memory, now.memory), min(h.goroutines, now.goroutines), min(h.connections, now.connections), min(h.descriptors, now.descriptors)}
		if err := r.monitor.sleep(200 * time.Millisecond); err != nil {
			return h, err
		}
	}
	return h, nil
}

// few is how many descriptors and goroutines may be there for a moment: the questions asked about them take some.
const few = 2

// noise is what the collector makes of a process without anybody connected, bytes.
const noise = 2 << 20

// compare is an error where the server holds more than it did.
func (r *run) compare(first, last held) error {
	r.r.Add("server memory before", "MiB", float64(first.memory)/(1<<20))
	r.r.Add("server memory after", "MiB", float64(last.memory)/(1<<20))
	r.r.Add("goroutines before", "", float64(first.goroutines))
	r.r.Add("goroutines after", "", float64(last.goroutines))
	r.r.Add("descriptors before", "", float64(first.descriptors))
	r.r.Add("descriptors after", "", float64(last.descriptors))
	switch {
	case float64(last.memory) > float64(first.memory)*(1+r.o.Tolerance)+noise:
		return fmt.Errorf("the server's memory went from %d to %d bytes, which is more than --tolerance allows", first.memory, last.memory)
	case last.descriptors > first.descriptors+few || last.goroutines > first.goroutines+few:
		return fmt.Errorf("the server kept descriptors (%d, then %d) or goroutines (%d, then %d)", first.descriptors, last.descriptors, first.goroutines, last.goroutines)
	}
	return nil
}
