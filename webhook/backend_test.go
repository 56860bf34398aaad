package webhook

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var secret, secrets = []byte("0123456789abcdef"), [][]byte{[]byte("0123456789abcdef")}

// begin is when the tests' clocks begin.
var begin = time.Unix(1_700_000_000, 0)

// clock is a synthetic clock.
type clock struct{ ms atomic.Int64 }

func (c *clock) now() time.Time            { return begin.Add(time.Duration(c.ms.Load()) * time.Millisecond) }
func (c *clock) pass(d time.Duration)      { c.ms.Add(d.Milliseconds()) }
func within(t testing.TB) <-chan time.Time { t.Helper(); return time.After(20 * time.Second) }

// get takes from a channel what is bound to come.
func get[T any](t testing.TB, what string, from <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-within(t):
		t.Fatalf("never: %s", what)
	}
	return v
}

func listen(address string) (net.Listener, error) { return net.Listen("tcp", address) }

// quietLog is for servers whose troubles are wanted.
var quietLog = log.New(io.Discard, "", 0)

// journal is a log that is read by tests.
type journal struct {
	mu    sync.Mutex
	lines []string // guarded by mu
}

func (j *journal) log(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
}

func (j *journal) text() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Join(j.lines, "\n")
}

// reply answers the n-th request, from 1; its body has been read.
type reply func(n int, w http.ResponseWriter, q *http.Request)

func status(code int) reply {
	return func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// hang answers when the client has gone.
func hang(_ int, _ http.ResponseWriter, q *http.Request) { <-q.Context().Done() }

// reset ends the connection with a RST.
func reset(_ int, w http.ResponseWriter, _ *http.Request) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	_ = c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// raw answers with bytes and ends the connection.
func raw(text string) reply {
	return func(_ int, w http.ResponseWriter, _ *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(c, text)
		c.Close()
	}
}

// endless answers with a body that has no end.
func endless(code int) reply {
	return func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		for part := make([]byte, 4096); ; {
			if _, err := w.Write(part); err != nil {
				return
			}
		}
	}
}

// first answers the first request in one way, all others in another.
func first(one, others reply) reply {
	return func(n int, w http.ResponseWriter, q *http.Request) {
		if n == 1 {
			one(n, w, q)
			return
		}
		others(n, w, q)
	}
}

// backend is a site's backend: it verifies what it is sent before it answers.
type backend struct {
	*httptest.Server
	t      testing.TB
	at     func() time.Time // the time of signatures
	count  atomic.Int64
	bodies chan string // of all requests, as they come; what does not fit is not kept
}

func newBackend(t testing.TB, now func() time.Time, answer reply) *backend {
	b := &backend{t: t, at: now, bodies: make(chan string, 10000)}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { b.serve(w, q, answer) }))
	t.Cleanup(b.Close)
	return b
}

func (b *backend) serve(w http.ResponseWriter, q *http.Request, answer reply) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		b.t.Error(err)
	}
	n := int(b.count.Add(1))
	if err := Verify(secret, q.Header.Get(SignatureHeader), body, b.at(), 0); err != nil {
		b.t.Errorf("request %d: %v", n, err)
	}
	if q.Method != "POST" || q.Header.Get("Content-Type") != "application/json" || q.Header.Get("User-Agent") != "encke" {
		b.t.Errorf("request %d: %s %v", n, q.Method, q.Header)
	}
	select {
	case b.bodies <- string(body):
	default:
	}
	answer(n, w, q)
}

// batch returns the next batch that comes.
func (b *backend) batch() (x Batch) {
	b.t.Helper()
	if err := json.Unmarshal([]byte(get(b.t, "a batch", b.bodies)), &x); err != nil {
		b.t.Fatal(err)
	}
	return x
}

// short writes a batch as "number: n kind name, …".
func (x Batch) short() string {
	var parts []string
	for _, e := range x.Events {
		parts = append(parts, fmt.Sprintf("%d %s %s", e.N, e.Kind, e.User+e.Channel))
	}
	return fmt.Sprintf("%d: %s", x.Number, strings.Join(parts, ", "))
}

func (b *backend) want(batch string) {
	b.t.Helper()
	if got := b.batch().short(); got != batch {
		b.t.Fatalf("got  %s\nwant %s", got, batch)
	}
}

// rig is a Sender with a backend, a clock that stands still and waits that last until they are told to end.
type rig struct {
	*Sender
	*backend
	clock
	journal
	waits  chan time.Duration
	resume chan struct{}
}

func newRig(t testing.TB, answer reply, change func(*Config)) *rig {
	r := &rig{waits: make(chan time.Duration), resume: make(chan struct{})}
	r.backend = newBackend(t, r.clock.now, answer)
	r.Sender = r.sender(change)
	return r
}

// sender returns another Sender of the rig, which is closed at the end of the test.
func (r *rig) sender(change func(*Config)) *Sender {
	r.t.Helper()
	c := Config{URL: r.URL + "/hook?key=hidden", Secrets: secrets, Epoch: "e1", Timeout: time.Hour, Now: r.clock.now, Wait: r.wait, Log: r.log}
	if change != nil {
		change(&c)
	}
	s, err := New(c)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.Close(ctx)
		r.sums(s)
	})
	return s
}

// sums holds the counts against each other.
func (r *rig) sums(s *Sender) {
	r.t.Helper()
	c := s.Counts()
	if c.Added != c.Sent+c.Superseded+c.DroppedFull+c.DroppedAge+c.DroppedClosed+uint64(c.Waiting) {
		r.t.Errorf("counts do not add up: %+v", c)
	}
}

func (r *rig) wait(ctx context.Context, d time.Duration) error {
	select {
	case r.waits <- d:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-r.resume:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// pause returns how long the Sender waits after the attempt under way; proceed ends that.
func (r *rig) pause() time.Duration {
	r.t.Helper()
	return get(r.t, "a wait", r.waits)
}

func (r *rig) proceed() {
	r.t.Helper()
	select {
	case r.resume <- struct{}{}:
	case <-within(r.t):
		r.t.Fatal("nothing waits")
	}
}

// finish closes a Sender that has all the time it wants, and wants nothing to be left.
func (r *rig) finish() SenderCounts {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if n := r.Sender.Close(ctx); n != 0 {
		r.t.Errorf("%d were not sent", n)
	}
	return r.Counts()
}
