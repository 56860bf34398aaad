package bench

import (
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"encke/bench/proc"
	"encke/bench/push"
	"encke/bench/wire"
)

// nothing is the run of a scenario that has only a floor.
func nothing(*run) error { return nil }

// requests measures small keep-alive requests.
func requests(r *run) error {
	const host = " HTTP/1.1\r\nHost: localhost\r\n"
	s := r.servers.all[0]
	kinds := []struct {
		name    string
		remote  netip.AddrPort
		request string
	}{
		{"POST /channels/x", s.backend, "POST /channels/x" + host + push.Authorization() + "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"},
		{"GET /healthz", s.backend, "GET /healthz" + host + "\r\n"},
		{"GET /poll wait=0", s.public, "GET /poll?channels=x&wait=0" + host + "\r\n"},
	}
	if r.servers.kind != "encke" {
		kinds = kinds[:1]
	}
	for _, k := range kinds {
		if err := r.ask(k.name, k.remote, []byte(k.request)); err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
	}
	return nil
}

// ask makes one request again and again.
func (r *run) ask(name string, remote netip.AddrPort, request []byte) error {
	set, err := push.New(1)
	if err != nil {
		return err
	}
	defer set.Close()
	var count atomic.Int64
	var on atomic.Bool
	on.Store(true)
	posters := make([]*push.Poster, r.o.Publishers)
	for i := range posters {
		posters[i] = &push.Poster{
			Next: func(b []byte) ([]byte, bool) { return append(b, request...), on.Load() },
			Done: func(a wire.Response) error {
				count.Add(1)
				if a.Status < 200 || a.Status > 202 {
					return fmt.Errorf("a request was answered %q %.300s", a.StatusLine(), a.Body)
				}
				return nil
			}}
	}
	if err := set.Dial(remote, posters); err != nil {
		return err
	}
	start, cpu, mine := time.Now(), r.servers.cpu(), proc.OwnCPU()
	push.WakeAll(posters)
	end := start.Add(seconds(r.o.Seconds))
	for time.Now().Before(end) && r.ctx.Err() == nil && set.Err() == nil {
		time.Sleep(10 * time.Millisecond)
	}
	on.Store(false)
	for limit := time.Now().Add(10 * time.Second); set.Idle() < len(posters) && set.Err() == nil && time.Now().Before(limit); {
		time.Sleep(time.Millisecond)
	}
	if err := set.Err(); err != nil {
		return err
	}
	if r.ctx.Err() != nil {
		return r.why()
	}
	n, took := float64(count.Load()), time.Since(start).Seconds()
	r.r.Add(name+": requests/s", "/s", n/took)
	if r.servers.known() {
		r.r.Add(name+": server CPU per request", "µs", micros(r.servers.cpu()-cpu)/n)
	}
	r.r.Add(name+": client CPU per request", "µs", micros(proc.OwnCPU()-mine)/n)
	return nil
}
