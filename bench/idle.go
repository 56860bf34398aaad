package bench

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Idle measures the memory of idle connections: the server's resident set at From and at To of them.
type Idle struct {
	Target      Target
	Transport   string // ws: no channel; ws1: one shared channel; poll, sse, stream: the same
	From, To    int
	Settle      float64 // seconds
	ClientLoops int
	Runs        int
}

// Run measures.
func (i Idle) Run() (*Report, error) {
	r := &Report{Scenario: fmt.Sprintf("idle: %s, %s, %d to %d connections", i.Target.Kind, i.Transport, i.From, i.To)}
	if i.From < 1 || i.To <= i.From {
		return r, fmt.Errorf("cannot measure from %d to %d connections", i.From, i.To)
	}
	if _, err := i.peers(0); err != nil {
		return r, err
	}
	for range max(i.Runs, 1) {
		if err := i.once(r); err != nil {
			return r, err
		}
	}
	return r, nil
}

// peers makes n idle clients.
func (i Idle) peers(n int) ([]peer, error) {
	get := func(path string) []byte { return []byte("GET " + path + " HTTP/1.1\r\nHost: bench\r\n\r\n") }
	var one func() peer
	switch i.Transport {
	case "ws":
		request := upgrade("/ws?channels=", "")
		one = func() peer { return &subscriber{request: request} }
	case "ws1":
		request := upgrade("/ws?channels=idle", "")
		one = func() peer { return &subscriber{request: request} }
	case "sse", "stream":
		request := get("/" + i.Transport + "?channels=idle")
		one = func() peer { return &listener{request: request} }
	case "poll":
		request := get("/poll?channels=idle&wait=60s")
		one = func() peer { return &listener{request: request, poll: true} }
	default:
		return nil, fmt.Errorf("cannot use transport %q: ws, ws1, poll, sse or stream", i.Transport)
	}
	peers := make([]peer, n)
	for j := range peers {
		peers[j] = one()
	}
	return peers, nil
}

// level is what a number of connections takes.
type level struct {
	rss   int64
	stats stats
}

func (i Idle) once(r *Report) error {
	if err := needDescriptors(i.To); err != nil {
		return err
	}
	s, err := i.Target.open()
	if err != nil {
		return err
	}
	defer s.close()
	if s.pid == 0 {
		return fmt.Errorf("cannot measure memory without --pid")
	}
	f, err := newFleet(i.ClientLoops)
	if err != nil {
		return err
	}
	defer f.close()
	var levels [2]level
	var slabs [2]int64
	for j, n := range []int{i.From, i.To - i.From} {
		peers, _ := i.peers(n)
		if err := f.connect(f.subscribers(), s.public, peers); err != nil {
			return err
		}
		if levels[j], err = i.settle(s, f); err != nil {
			return err
		}
		slabs[j], _ = slab()
	}
	n := float64(i.To - i.From)
	r.add("user-space bytes per connection", "B", float64(levels[1].rss-levels[0].rss)/n)
	r.add("kernel slab bytes per connection, both ends", "B", float64(slabs[1]-slabs[0])/n)
	r.add(fmt.Sprintf("server RSS at %d", i.From), "MiB", float64(levels[0].rss)/(1<<20))
	r.add(fmt.Sprintf("server RSS at %d", i.To), "MiB", float64(levels[1].rss)/(1<<20))
	if s.kind == "encke" {
		a, b := levels[0].stats.Memory, levels[1].stats.Memory
		r.add("goroutines per connection", "", float64(b.Goroutines-a.Goroutines)/n)
		r.add("heap objects per connection", "", float64(b.Objects-a.Objects)/n)
		r.add("heap bytes per connection", "B", float64(b.Heap-a.Heap)/n)
	}
	return f.failed()
}

// settle sends a little traffic until the server has collected its garbage a few times, and returns the smallest figures
// of some seconds.
func (i Idle) settle(s *server, f *fleet) (l level, err error) {
	for range 3 { // each connection hears of something
		if i.Transport != "ws" {
			if err := push(s, "idle"); err != nil {
				return l, err
			}
		}
		time.Sleep(time.Duration(min(i.Settle/10, 0.3) * float64(time.Second)))
	}
	if s.kind == "encke" {
		if err := collect(s); err != nil {
			return l, err
		}
	}
	end := time.Now().Add(time.Duration(i.Settle * float64(time.Second)))
	for first := true; first || time.Now().Before(end); first = false {
		rss, err := rssOf(s.pid)
		if err != nil {
			return l, err
		}
		if first || rss < l.rss {
			l.rss = rss
		}
		if s.kind == "encke" {
			now, err := s.stats()
			if err != nil {
				return l, err
			}
			if held := now.Connections.Total; held < f.open() {
				return l, fmt.Errorf("the server holds %d connections of %d", held, f.open())
			}
			if first || now.Memory.Objects < l.stats.Memory.Objects {
				l.stats = now
			}
		}
		if err := f.failed(); err != nil {
			return l, err
		}
		time.Sleep(50 * time.Millisecond)
	}
	return l, nil
}

// collect makes requests that leave garbage until the collector has run three times more.
func collect(s *server) error {
	before, err := s.stats()
	if err != nil {
		return err
	}
	end := time.Now().Add(20 * time.Second)
	for time.Now().Before(end) {
		now, err := s.stats()
		if err != nil || now.Memory.GCs >= before.Memory.GCs+3 {
			return err
		}
	}
	return nil // so little garbage that it does not matter
}

// push sends one message.
func push(s *server, channel string) error {
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Post("http://"+s.backend.String()+"/channels/"+channel, "text/plain", strings.NewReader("hello"))
	if err != nil {
		return fmt.Errorf("cannot push: %w", err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("cannot push: %s", answer.Status)
	}
	return nil
}
