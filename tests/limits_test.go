package tests

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// stats asks the server for a number, by a path of keys.
func (s *server) stats(t *testing.T, keys ...string) float64 {
	t.Helper()
	r, err := http.Get(s.backend + "stats")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var v any
	if err := json.NewDecoder(r.Body).Decode(&v); err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		v = v.(map[string]any)[k]
	}
	n, _ := v.(float64)
	return n
}

// poller long-polls one channel over one connection and says when each message came.
type poller struct {
	conn  net.Conn
	r     *bufio.Reader
	since string
}

func newPoller(t *testing.T, s *server) *poller {
	c, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(s.site, "http://"), "/"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(90 * time.Second))
	return &poller{c, bufio.NewReader(c), "0"}
}

// gets pushes a message and demands that the poll brings it.
func (p *poller) gets(t *testing.T, s *server, text string) {
	t.Helper()
	r, err := http.Post(s.backend+"channels/innocent", "text/plain", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	fmt.Fprintf(p.conn, "GET /poll?channels=innocent&since=%s HTTP/1.1\r\nHost: localhost\r\n\r\n", p.since)
	res, err := http.ReadResponse(p.r, nil)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Publications []struct{ Data string }
		Position     string
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || len(answer.Publications) != 1 || answer.Publications[0].Data != text {
		t.Fatalf("got %+v, %v, want %q", answer, err, text)
	}
	p.since = answer.Position
}

// TestTenThousandHalfSentRequests holds ten thousand connections that say a byte now and then.
func TestTenThousandHalfSentRequests(t *testing.T) {
	const n = 10000                          // each is a descriptor here and one in the server
	s := start(t, "--header-timeout", "20s") // long enough for a slow machine to get through the bytes below
	p := newPoller(t, s)
	p.gets(t, s, "before")
	addr := strings.TrimSuffix(strings.TrimPrefix(s.site, "http://"), "/")
	conns := make([]net.Conn, 0, n)
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for range n {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
		_, _ = io.WriteString(c, "GET /poll?chan")
	}
	for k := range 3 {
		for _, c := range conns {
			_, _ = c.Write([]byte("x"))
		}
		p.gets(t, s, fmt.Sprint("during ", k))
	}
	told := 0
	for _, c := range conns {
		_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
		if res, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil && res.StatusCode == 408 {
			told++
		}
		c.Close()
	}
	if told != n {
		t.Errorf("%d of %d were told 408", told, n)
	}
	p.gets(t, s, "after")
	if got := s.stats(t, "ended", "request_timeout"); int(got) != n {
		t.Errorf("%v counted as request_timeout, want %d", got, n)
	}
	s.end(t)
}

// TestOutOfDescriptors lets the server run out: accepting stops without spinning, and goes on when there are some again.
func TestOutOfDescriptors(t *testing.T) {
	s := start(t, "--max-connections", "1000", "--header-timeout", "2s")
	if out, err := exec.Command("prlimit", "--pid", fmt.Sprint(s.cmd.Process.Pid), "--nofile=80:80").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	p := newPoller(t, s)
	p.gets(t, s, "before")
	addr := strings.TrimSuffix(strings.TrimPrefix(s.site, "http://"), "/")
	var conns []net.Conn
	for range 150 { // the kernel's queue takes those that the server cannot
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	halts := func() (sum float64) {
		r, err := http.Get(s.backend + "metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		text, _ := io.ReadAll(r.Body)
		_, rest, _ := strings.Cut(string(text), "\nencke_accept_halts_total ")
		_, _ = fmt.Sscan(rest, &sum)
		return sum
	}
	for end := time.Now().Add(10 * time.Second); halts() == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("accepting never stopped")
		}
	}
	before, began := halts(), time.Now()
	time.Sleep(time.Second)
	// three loops, two listeners each, a try a tick of 100 ms
	if n, most := halts()-before, 12*6*time.Since(began).Seconds(); n > most {
		t.Errorf("%v tries within %v: it spins", n, time.Since(began))
	}
	p.gets(t, s, "during")
	for _, c := range conns {
		c.Close()
	}
	q := newPoller(t, s)
	q.since = p.since
	q.gets(t, s, "after, over a new connection")
	s.end(t)
}
