package bench

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"time"
)

// Targeted is many channels with one subscriber each.
type Targeted struct {
	Target      Target
	Channels    int
	Connections int // that push
	Batch       int // lines of a POST /publish; 0: POST /channels/NAME
	Size        int
	Seconds     float64
	ClientLoops int
	Runs        int
}

// Run measures.
func (t Targeted) Run() (*Report, error) {
	how := "POST /channels/NAME"
	if t.Batch > 0 {
		how = fmt.Sprintf("POST /publish with %d JSON lines", t.Batch)
	}
	r := &Report{Scenario: fmt.Sprintf("targeted: %s, %d channels, %d bytes, %d connections, %s", t.Target.Kind, t.Channels, t.Size, t.Connections, how)}
	if t.Channels < t.Connections || t.Connections < 1 || t.Size < MinSize {
		return r, fmt.Errorf("cannot use %d channels, %d connections and %d bytes: at least a channel for each connection, and %d bytes",
			t.Channels, t.Connections, t.Size, MinSize)
	}
	for range max(t.Runs, 1) {
		if err := t.once(r); err != nil {
			return r, err
		}
	}
	return r, r.Faults.Err()
}

func (t Targeted) once(r *Report) error {
	s, err := t.Target.open()
	if err != nil {
		return err
	}
	defer s.close()
	f, err := newFleet(t.ClientLoops)
	if err != nil {
		return err
	}
	defer f.close()
	subprotocol := "encke.raw"
	if s.kind == "uws" {
		subprotocol = ""
	}
	subs := make([]*subscriber, t.Channels)
	for i := range subs {
		subs[i] = &subscriber{request: upgrade(fmt.Sprintf("/ws?channels=t%d", i), subprotocol), size: t.Size,
			verifier: verifier{last: make([]uint32, 1)}}
	}
	if err := f.connect(f.subscribers(), s.public, peersOf(subs)); err != nil {
		return err
	}
	load := &pushes{t: t, sent: make([]uint32, t.Channels)}
	posters := make([]*poster, t.Connections)
	for i := range posters {
		posters[i] = load.poster(i)
	}
	if err := f.connect(f.workers, s.backend, peersOf(posters)); err != nil {
		return err
	}
	return t.measure(r, s, f, load, posters, subs)
}

func (t Targeted) measure(r *Report, s *server, f *fleet, load *pushes, posters []*poster, subs []*subscriber) error {
	m, err := begin(s, f)
	if err != nil {
		return err
	}
	long := time.Duration(t.Seconds * float64(time.Second))
	load.end.Store(time.Now().Add(long).UnixNano())
	wakeAll(f, posters)
	time.Sleep(long)
	err = f.wait("pushes to be answered", 20*time.Second, func() bool { return load.idle.Load() == int64(len(posters)) })
	if err != nil {
		return err
	}
	want := uint64(load.count.Load())
	_ = f.wait("deliveries", 10*time.Second, func() bool { return f.delivered()-m.delivered >= want })
	if err := m.end(r, "publish"); err != nil {
		return err
	}
	h := f.latency()
	r.add("latency p50", "ms", float64(h.ValueAtQuantile(50))/1000)
	r.add("latency p99", "ms", float64(h.ValueAtQuantile(99))/1000)
	if n := load.refused.Load(); n > 0 {
		r.note("%d pushes were refused with 503 and tried again", n)
	}
	for _, w := range f.workers {
		w.call(func() {})
	}
	for i, sub := range subs {
		r.Faults.add(sub.verifier.end(load.sent[i : i+1]))
	}
	return f.failed()
}

// pushes are the requests of all posters. Poster i pushes to channels i, i+Connections, …, so that each channel has one
// publisher.
type pushes struct {
	t    Targeted
	sent []uint32 // acknowledged, of each channel; an element is owned by the loop of the channel's poster

	idle, count, refused, end atomic.Int64 // end: Unix ns
}

func (l *pushes) poster(id int) *poster {
	at := id // the next channel
	n := max(l.t.Batch, 1)
	step := func(c int) int {
		if c += l.t.Connections; c >= l.t.Channels {
			return id
		}
		return c
	}
	mine := (l.t.Channels - id + l.t.Connections - 1) / l.t.Connections
	n = min(n, mine) // a batch names a channel once: sent is counted when it is acknowledged
	var body []byte
	next := func(b []byte) ([]byte, bool) {
		now := time.Now().UnixNano()
		if now > l.end.Load() {
			return b, false
		}
		if l.t.Batch == 0 {
			return appendPush(b, fmt.Sprintf("t%d", at), mark{0, l.sent[at] + 1, now}, l.t.Size), true
		}
		body = body[:0]
		for c, i := at, 0; i < n; c, i = step(c), i+1 {
			body = append(body, `{"channel":"t`...)
			body = appendInt(body, c)
			body = append(body, `","data":"`...)
			body = appendPayload(body, mark{0, l.sent[c] + 1, now}, l.t.Size)
			body = append(body, "\"}\n"...)
		}
		b = fmt.Appendf(b, "POST /publish HTTP/1.1\r\nHost: bench\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n", len(body))
		return append(b, body...), true
	}
	done := func(r response) error {
		switch {
		case r.status == 503:
			l.refused.Add(1)
			return nil
		case r.status < 200 || r.status > 202:
			return fmt.Errorf("a push was answered %q %s", firstLine(r.head), r.body)
		case l.t.Batch > 0 && (bytes.Contains(r.body, []byte(`"error"`)) || bytes.Count(r.body, []byte("\n")) != n):
			return fmt.Errorf("a batch of %d lines was answered %.300s", n, r.body)
		}
		for range n {
			l.sent[at]++
			at = step(at)
		}
		l.count.Add(int64(n))
		return nil
	}
	return &poster{next: next, done: done, idle: &l.idle}
}
