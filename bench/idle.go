package bench

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"encke/bench/fleet"
	"encke/bench/proc"
)

// level is what a number of connections takes, in bytes.
type level struct {
	server, clients, kernel int64
	stats                   stats
}

// idle measures memory at --from connections and at --clients of them.
func idle(r *run) error {
	if r.o.From < 1 || r.o.Clients <= r.o.From {
		return fmt.Errorf("cannot measure from %d to %d connections", r.o.From, r.o.Clients)
	}
	if !r.servers.known() {
		return fmt.Errorf("cannot measure memory without --pid")
	}
	r.size = 0 // messages are only counted
	if err := r.muster(r.o.Clients, fleet.Config{}); err != nil {
		return err
	}
	var levels [2]level
	for i, n := range []int{r.o.From, r.o.Clients - r.o.From} {
		if err := r.addMix(n, "idle", nil); err != nil {
			return err
		}
		if _, err := r.connect(int(r.monitor.clients()) + n); err != nil {
			return err
		}
		var err error
		if levels[i], err = r.settle(); err != nil {
			return err
		}
	}
	a, b, n := levels[0], levels[1], float64(r.o.Clients-r.o.From)
	r.r.Add("server bytes per connection", "B", float64(b.server-a.server)/n)
	r.r.Add("kernel slab bytes per connection, both ends", "B", float64(b.kernel-a.kernel)/n)
	r.r.Add("client bytes per connection", "B", float64(b.clients-a.clients)/n)
	r.r.Add(fmt.Sprintf("server memory at %d", r.o.From), "MiB", float64(a.server)/(1<<20))
	r.r.Add(fmt.Sprintf("server memory at %d", r.o.Clients), "MiB", float64(b.server)/(1<<20))
	if r.servers.kind == "encke" {
		a, b := a.stats.Memory, b.stats.Memory
		r.r.Add("goroutines per connection", "", float64(b.Goroutines-a.Goroutines)/n)
		r.r.Add("heap objects per connection", "", float64(b.Objects-a.Objects)/n)
		r.r.Add("heap bytes per connection", "B", float64(b.Heap-a.Heap)/n)
	}
	return nil
}

func (m *monitor) clients() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sum.Clients
}

// settle sends a little traffic until the server has collected its garbage a few times, and returns the smallest figures
// of some seconds.
func (r *run) settle() (l level, err error) {
	r.monitor.enter("settling", 0, nil)
	for range 3 { // each connection hears of something
		if r.o.Transport != "ws0" {
			if err := nudge(r.servers, "idle"); err != nil {
				return l, err
			}
		}
		if err := r.monitor.sleep(seconds(min(r.o.Settle/10, 0.3))); err != nil {
			return l, err
		}
	}
	if err := r.collect(); err != nil {
		return l, err
	}
	end := time.Now().Add(seconds(r.o.Settle))
	for first := true; first || time.Now().Before(end); first = false {
		if err := r.look(&l, first); err != nil {
			return l, err
		}
		if err := r.monitor.sleep(50 * time.Millisecond); err != nil {
			return l, err
		}
	}
	return l, nil
}

// look lowers the level to what is seen now.
func (r *run) look(l *level, first bool) error {
	now, err := r.servers.stats()
	if err != nil {
		return err
	}
	r.monitor.mu.Lock()
	here, clients := r.monitor.sum.Here, r.monitor.rss
	r.monitor.mu.Unlock()
	if held := now.Connections.Total; r.servers.kind == "encke" && held < int(here) {
		return fmt.Errorf("the server holds %d connections of %d", held, here)
	}
	lower := func(to *int64, v int64) {
		if first || v < *to {
			*to = v
		}
	}
	lower(&l.server, r.servers.resident())
	lower(&l.clients, clients)
	lower(&l.kernel, proc.Slab())
	if first || now.Memory.Objects < l.stats.Memory.Objects {
		l.stats = now
	}
	return nil
}

// collect makes requests that leave garbage until encke's collector has run three times more.
func (r *run) collect() error {
	if r.servers.kind != "encke" {
		return nil
	}
	before, err := r.servers.stats()
	if err != nil {
		return err
	}
	end := time.Now().Add(20 * time.Second)
	for time.Now().Before(end) {
		now, err := r.servers.stats()
		if err != nil || now.Memory.GCs >= before.Memory.GCs+3 {
			return err
		}
	}
	return nil // so little garbage that it does not matter
}

// nudge sends one message that nobody verifies.
func nudge(s *servers, channel string) error {
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for _, one := range s.all {
		answer, err := client.Post("http://"+one.backend.String()+"/channels/"+channel, "text/plain", strings.NewReader("hello"))
		if err != nil {
			return fmt.Errorf("cannot push: %w", err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode/100 != 2 {
			return fmt.Errorf("cannot push: %s", answer.Status)
		}
	}
	return nil
}
