package bench

import (
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"
)

// Requests are small keep-alive HTTP requests.
type Requests struct {
	Target      Target
	Connections int
	Seconds     float64
	Runs        int
}

// Run measures.
func (q Requests) Run() (*Report, error) {
	r := &Report{Scenario: fmt.Sprintf("http: %s, %d keep-alive connections", q.Target.Kind, q.Connections)}
	if q.Connections < 1 {
		return r, fmt.Errorf("cannot use %d connections", q.Connections)
	}
	for range max(q.Runs, 1) {
		if err := q.once(r); err != nil {
			return r, err
		}
	}
	return r, nil
}

func (q Requests) once(r *Report) error {
	s, err := q.Target.open()
	if err != nil {
		return err
	}
	defer s.close()
	const host = " HTTP/1.1\r\nHost: bench\r\n"
	kinds := []struct {
		name    string
		remote  netip.AddrPort
		request string
	}{
		{"GET /healthz", s.backend, "GET /healthz" + host + "\r\n"},
		{"GET /poll wait=0", s.public, "GET /poll?channels=x&wait=0" + host + "\r\n"},
		{"POST /channels/x", s.backend, "POST /channels/x" + host + "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"},
	}
	if s.kind == "uws" {
		kinds = kinds[2:]
	}
	for _, k := range kinds {
		if err := q.one(r, s, k.name, k.remote, []byte(k.request)); err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
	}
	return nil
}

func (q Requests) one(r *Report, s *server, name string, remote netip.AddrPort, request []byte) error {
	f, err := newFleet(1)
	if err != nil {
		return err
	}
	defer f.close()
	var idle, count atomic.Int64
	var on atomic.Bool
	on.Store(true)
	posters := make([]*poster, q.Connections)
	for i := range posters {
		posters[i] = &poster{idle: &idle,
			next: func(b []byte) ([]byte, bool) { return append(b, request...), on.Load() },
			done: func(a response) error {
				count.Add(1)
				if a.status < 200 || a.status > 202 {
					return fmt.Errorf("a request was answered %q %s", firstLine(a.head), a.body)
				}
				return nil
			}}
	}
	if err := f.connect(f.workers, remote, peersOf(posters)); err != nil {
		return err
	}
	start, cpu, mine := time.Now(), s.cpu(), ownCPU()
	wakeAll(f, posters)
	time.Sleep(time.Duration(q.Seconds * float64(time.Second)))
	on.Store(false)
	if err := f.wait("answers", 10*time.Second, func() bool { return idle.Load() == int64(q.Connections) }); err != nil {
		return err
	}
	n, took := float64(count.Load()), time.Since(start).Seconds()
	r.add(name+": requests/s", "/s", n/took)
	if s.pid != 0 {
		r.add(name+": server CPU per request", "µs", float64((s.cpu()-cpu).Nanoseconds())/1000/n)
	}
	r.add(name+": client CPU per request", "µs", float64((ownCPU()-mine).Nanoseconds())/1000/n)
	return nil
}
