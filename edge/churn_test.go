package edge_test

import (
	"fmt"
	"io"
	"math/rand"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"encke/edge"

	"github.com/gobwas/ws"
)

// TestNoSideTableKeepsWhatHasGone leaves connections at every point of their life, cut off at random bytes, with pushes that
// have to wait among them, and then looks into the tables that the figures do not show.
func TestNoSideTableKeepsWhatHasGone(t *testing.T) {
	seed := wanderSeed(t)
	r := newRig(t, func(c *edge.Config) {
		c.MaxBacklog, c.HistoryLength, c.PublishTimeout = 400, 5, time.Second // so that pushes stall
		c.MaxPerAddress = 1 << 20                                             // so that addresses are counted
	})
	line := `{"channels":["a","b"],"data":"` + strings.Repeat("x", 100) + "\"}\n"
	batch := strings.Repeat(line, 300)
	deflate := "Sec-WebSocket-Extensions: permessage-deflate\r\n"
	get := func(target string) string { return "GET " + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n" }
	scripts := []struct {
		backend bool
		text    string
	}{
		{false, "GET /ws?channels=a,b,c&since=0,,0" + handshake + deflate + "\r\n" + fragments("some", "text") + masked(ws.OpText, `{"subscribe":{"channel":"d"}}`)},
		{false, "GET /ws" + handshake + "\r\n" + masked(ws.OpText, `{"subscribe":{"channel":"a","since":"0"}}`) + masked(ws.OpText, `{"unsubscribe":{"channel":"a"}}`)},
		{false, "GET /ws?channels=a" + handshake + "Sec-WebSocket-Protocol: encke.raw\r\n\r\n" + masked(ws.OpText, strings.Repeat("x", 3000))},
		{false, "GET /echo" + handshake + "\r\n" + strings.Repeat(masked(ws.OpText, strings.Repeat("x", 3000)), 20)},
		{false, get("/sse?channels=a,b,c&since=0,0,0")}, {false, get("/stream?channels=a&since=0")},
		{false, get("/poll?channels=a,b&wait=1") + get("/poll?channels=a&wait=0") + get("/poll?channels=c&wait=1")},
		{true, "POST /publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nContent-Length: " + fmt.Sprint(len(batch)) + "\r\n\r\n" + batch},
		{true, "POST /publish HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(line), line)},
		{true, "POST /channels/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello" + get("/stats") + get("/metrics") + get("/healthz")},
		{true, get("/channels/a/history?limit=1000") + get("/channels/b")},
	}
	var all sync.WaitGroup
	for k := range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			rng := rand.New(rand.NewSource(seed + int64(k)))
			for range 120 {
				s := scripts[rng.Intn(len(scripts))]
				addr := r.public
				if s.backend {
					addr = r.backend
				}
				c, err := net.Dial("tcp", addr)
				if err != nil {
					t.Error(err)
					return
				}
				_ = c.SetDeadline(time.Now().Add(time.Duration(1+rng.Intn(100)) * time.Millisecond))
				text := s.text
				if rng.Intn(2) == 0 {
					text = text[:rng.Intn(len(text))]
				}
				_, _ = io.WriteString(c, text)
				switch rng.Intn(4) {
				case 0:
					_ = c.(*net.TCPConn).SetLinger(0)
				case 1:
					_, _ = io.CopyN(io.Discard, c, int64(rng.Intn(5000)))
				case 2:
					_ = c.(*net.TCPConn).CloseWrite()
					_, _ = io.Copy(io.Discard, c)
				}
				c.Close()
			}
		}()
	}
	all.Wait()
	waitFor(t, "no connection", func() bool { return r.Stats().Connections["total"] == 0 })
	st := r.Stats()
	for name, n := range st.Connections {
		if n != 0 {
			t.Errorf("%d %s connections are left", n, name)
		}
	}
	if st.Channels.Subscriptions != 0 || st.Messages.Inconsistent != 0 {
		t.Errorf("left: %+v %+v", st.Channels, st.Messages)
	}
	if st.Messages.Stalls == 0 {
		t.Error("no push had to wait: this shows little")
	}
	r.leavesNothing(t)
}
