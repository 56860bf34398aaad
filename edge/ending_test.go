package edge_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"encke/edge"
)

// halfClose sends FIN and goes on reading, as `printf … | nc` does.
func (p *peer) halfClose() {
	p.t.Helper()
	if err := p.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		p.t.Fatal(err)
	}
}

// TestAnswersThatAreOwedEndTheConnectionOfWhoHasSentFIN: after FIN there is no next request, so the connection ends with the
// answer and not with the idle time-out.
func TestAnswersThatAreOwedEndTheConnectionOfWhoHasSentFIN(t *testing.T) {
	for _, c := range []struct {
		name, request string
		backend       bool
		answers       int
	}{
		{"a parked poll", "GET /poll?channels=a&wait=20 HTTP/1.1\r\nHost: localhost\r\n\r\n", false, 1},
		{"a poll that runs out", "GET /poll?channels=b&wait=300ms HTTP/1.1\r\nHost: localhost\r\n\r\n", false, 1},
		{"a poll of two channels", "GET /poll?channels=a,b&wait=20 HTTP/1.1\r\nHost: localhost\r\n\r\n", false, 1},
		{"a poll with another behind it", "GET /poll?channels=a&wait=20 HTTP/1.1\r\nHost: localhost\r\n\r\nGET /poll?channels=b&wait=0 HTTP/1.1\r\nHost: localhost\r\n\r\n", false, 2},
		{"figures", "GET /stats HTTP/1.1\r\nHost: localhost\r\n\r\n", true, 1},
		{"what is answered at once", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", true, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, func(c *edge.Config) { c.IdleTimeout = 10 * time.Minute })
			addr := r.public
			if c.backend {
				addr = r.backend
			}
			p := newPeer(t, addr)
			p.write(c.request)
			p.halfClose()
			for range c.answers {
				p.want(200)
			}
			_ = p.SetReadDeadline(time.Now().Add(3 * time.Second))
			p.ended()
		})
	}
}

// fill pushes n messages of size bytes.
func (r *rig) fill(t testing.TB, channel string, n, size int) {
	t.Helper()
	line := fmt.Sprintf("{\"channel\":%q,\"data\":%q}\n", channel, strings.Repeat("x", size))
	if res, text := r.ask(t, "POST", "/publish", strings.Repeat(line, n), "Content-Type: application/x-ndjson"); res.StatusCode != 200 || strings.Contains(text, "error") {
		t.Fatal(res.Status, text)
	}
}

// TestALongAnswerIsGivenWholeToASlowReader: the linger time begins when all has been sent.
func TestALongAnswerIsGivenWholeToASlowReader(t *testing.T) {
	r := newRig(t, func(c *edge.Config) { c.MaxMessage = 8 << 20 })
	r.fill(t, "a", 1, 6_000_000)
	p := newPeer(t, r.backend)
	_ = p.Conn.(*net.TCPConn).SetReadBuffer(64 << 10)
	p.write("GET /channels/a/history HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	res := p.head("GET")
	begin, got := time.Now(), int64(0)
	for time.Since(begin) < 3500*time.Millisecond { // slower than the linger time of 2 s
		n, err := io.CopyN(io.Discard, res.Body, 64<<10)
		if got += n; err != nil {
			t.Fatalf("cut off after %d of %d bytes: %v", got, res.ContentLength, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	n, err := io.Copy(io.Discard, res.Body)
	if got += n; err != nil || got != res.ContentLength {
		t.Errorf("got %d of %d bytes: %v", got, res.ContentLength, err)
	}
}

// TestAnAnswerUnderWayIsGivenWholeAtShutdown: only streams are cut where nothing else is left.
func TestAnAnswerUnderWayIsGivenWholeAtShutdown(t *testing.T) {
	r := newRig(t, func(c *edge.Config) { c.MaxMessage = 8 << 20 })
	r.fill(t, "a", 1, 6_000_000)
	p := newPeer(t, r.backend)
	_ = p.Conn.(*net.TCPConn).SetReadBuffer(64 << 10)
	p.get("/channels/a/history")
	res := p.head("GET")
	waitFor(t, "output to wait", func() bool { return r.Stats().Bytes.Waiting > 0 })
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		done <- r.Stop(ctx)
	}()
	waitFor(t, "the listener to close", func() bool {
		c, err := net.Dial("tcp", r.backend)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	if n, err := io.Copy(io.Discard, res.Body); err != nil || n != res.ContentLength {
		t.Errorf("got %d of %d bytes: %v", n, res.ContentLength, err)
	}
	p.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestReplayIsBoundedByMaxPending: whoever asks for history again and again and does not read has little of it waiting, and has
// lost nothing when it reads.
func TestReplayIsBoundedByMaxPending(t *testing.T) {
	const history = 1 << 20 // bytes of each channel, and MaxPending
	var names []string
	for i := range 20 {
		names = append(names, fmt.Sprint("long", i))
	}
	all := "?channels=" + strings.Join(names, ",") + "&since=0" + strings.Repeat(",0", len(names)-1)
	var commands strings.Builder
	for range 100 {
		commands.WriteString(masked(1, `{"subscribe":{"channel":"long0","since":"0"}}`))
		commands.WriteString(masked(1, `{"unsubscribe":{"channel":"long0"}}`))
	}
	commands.WriteString(masked(1, `{"subscribe":{"channel":"long0","since":"0"}}`))
	for _, c := range []struct{ name, target, more string }{
		{"commands", "/ws", commands.String()},
		{"ws", "/ws" + all, ""},
		{"sse", "/sse" + all, ""},
		{"stream", "/stream" + all, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, func(c *edge.Config) { c.MaxPending = history })
			for _, name := range names {
				r.fill(t, name, 20, history/20)
			}
			p := newPeer(t, r.public)
			_ = p.Conn.(*net.TCPConn).SetReadBuffer(64 << 10)
			if strings.HasPrefix(c.target, "/ws") {
				p.write("GET " + c.target + handshake + "\r\n" + c.more)
			} else {
				p.get(c.target)
			}
			waitFor(t, "output to wait", func() bool { return r.Stats().Bytes.Waiting > 0 })
			r.fill(t, "long0", 1, 10) // in mid-replay
			most := int64(0)
			for range 20 {
				most = max(most, r.Stats().Bytes.Waiting)
				time.Sleep(10 * time.Millisecond)
			}
			if most > 2*(256<<10) {
				t.Errorf("%d bytes waited for one client", most)
			}
			want := []string{"long0"}
			if c.more == "" {
				want = names
			}
			last := map[string]string{}
			all := func() bool { // says whether the last ones have come
				_ = p.SetReadDeadline(time.Now().Add(10 * time.Second))
				line, err := p.r.ReadString('}')
				if err != nil {
					t.Fatalf("%v, last %v", err, last)
				}
				if m := placeOf.FindStringSubmatch(line); m != nil {
					last[m[1]] = m[2]
				}
				for _, name := range want {
					if last[name] != map[bool]string{true: "21", false: "20"}[name == "long0"] {
						return false
					}
				}
				return true
			}
			for !all() {
			}
			if st := r.Stats(); st.Ended["slow_consumer"] != 0 || st.Messages.Inconsistent != 0 {
				t.Errorf("ended %v, inconsistent %d", st.Ended, st.Messages.Inconsistent)
			}
		})
	}
}

var placeOf = regexp.MustCompile(`"channel":"(\w+)","offset":(\d+)`)
