package edge_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"encke/edge"
	"encke/wsframe"

	"github.com/gobwas/ws"
)

// rig is a server on free ports of its own.
type rig struct {
	*edge.Server
	public, backend string
}

func newRig(t testing.TB, change func(*edge.Config)) *rig {
	t.Helper()
	return newRigOf(t, change, edge.New)
}

func newRigOf(t testing.TB, change func(*edge.Config), make func(edge.Config) (*edge.Server, error)) *rig {
	t.Helper()
	c := edge.Defaults()
	c.Listen, c.Backend, c.Loops, c.Anonymous = "127.0.0.1:0", "127.0.0.1:0", 3, []string{"*"}
	c.Echo = true
	if change != nil {
		change(&c)
	}
	s, err := make(c)
	if err != nil {
		t.Fatal(err)
	}
	public, backend, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = s.Stop(ctx)
	})
	return &rig{s, public.String(), backend.String()}
}

// leavesNothing stops the server, whose clients have gone, and demands that its loops hold nothing any more.
func (r *rig) leavesNothing(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := r.Stop(ctx); err != nil {
		t.Error(err)
	}
	if left := r.Tables(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func connect(t testing.TB, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

const handshake = " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// socket is a WebSocket client on bytes.
type socket struct {
	net.Conn
	r *bufio.Reader
}

func openWS(t testing.TB, addr, path, extra string) *socket {
	t.Helper()
	c := connect(t, addr)
	_, _ = io.WriteString(c, "GET "+path+handshake+extra+"\r\n")
	s := &socket{c, bufio.NewReader(c)}
	res, err := http.ReadResponse(s.r, nil)
	if err != nil || res.StatusCode != 101 {
		t.Fatalf("handshake: %v %v", res, err)
	}
	return s
}

func (s *socket) send(op ws.OpCode, payload string) {
	_, _ = s.Write(wsframe.AppendMasked(nil, op, []byte(payload), [4]byte{1, 2, 3, 4}, true))
}

// next returns the next frame that is no ping.
func (s *socket) next() (ws.Frame, error) {
	for {
		f, err := ws.ReadFrame(s.r)
		if err != nil || f.Header.OpCode != ws.OpPing {
			return f, err
		}
	}
}

// closeCode reads on until the close frame and returns its code, 0 when there was none.
func (s *socket) closeCode() int {
	for {
		f, err := s.next()
		switch {
		case err != nil:
			return 0
		case f.Header.OpCode == ws.OpClose && len(f.Payload) >= 2:
			return int(binary.BigEndian.Uint16(f.Payload))
		}
	}
}

// innocent is a subscriber that must not notice what others do.
type innocent struct {
	*socket
	rig *rig
	n   int
}

func newInnocent(t testing.TB, r *rig) *innocent {
	i := &innocent{openWS(t, r.public, "/ws?channels=innocent", ""), r, 0}
	if f, err := i.next(); err != nil || !bytes.Contains(f.Payload, []byte("subscribed")) {
		t.Fatal(f, err)
	}
	return i
}

// fine pushes a message and demands it.
func (i *innocent) fine(t testing.TB) {
	t.Helper()
	i.n++
	text := fmt.Sprintf("still here %d", i.n)
	res, err := http.Post("http://"+i.rig.backend+"/channels/innocent", "text/plain", strings.NewReader(text))
	if err != nil || res.StatusCode != 201 {
		t.Fatalf("push: %v %v", res, err)
	}
	res.Body.Close()
	if f, err := i.next(); err != nil || !bytes.Contains(f.Payload, []byte(text)) {
		t.Fatalf("the innocent got %q, %v", f.Payload, err)
	}
}

func TestBadHTTPIsRefusedAndHarmsNobody(t *testing.T) {
	r := newRig(t, func(c *edge.Config) {
		c.MaxBody, c.MaxMessage, c.MaxHeader, c.MaxChannels = 4000, 1000, 1024, 3
	})
	i := newInnocent(t, r)
	long := strings.Repeat("x", 2000)
	get := func(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n" }
	post := func(path, head, body string) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n%s\r\n%s", path, len(body), head, body)
	}
	const public, backend, jsonType = false, true, "Content-Type: application/json\r\n"
	upgrade := func(change ...string) string {
		return "GET /ws" + strings.NewReplacer(change...).Replace(handshake) + "\r\n"
	}
	for _, c := range []struct {
		name      string
		toBackend bool
		request   string
		status    int
		code      string
	}{
		{"garbage", public, "\x16\x03\x01\x02\r\n\r\n", 400, "bad_request"},
		{"no version", public, "GET /\r\n\r\n", 400, "bad_request"},
		{"HTTP/2.0", public, "GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", 505, "unsupported_version"},
		{"bare LF", public, "GET /poll HTTP/1.1\nHost: localhost\n\n", 400, "bad_request"},
		{"folded header", public, "GET / HTTP/1.1\r\nHost: localhost\r\nA: b\r\n c\r\n\r\n", 400, "bad_request"},
		{"space before colon", public, "GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400, "bad_request"},
		{"no Host", public, "GET / HTTP/1.1\r\n\r\n", 400, "bad_request"},
		{"request line too long", public, "GET /" + long, 414, "uri_too_long"},
		{"headers too long", public, "GET / HTTP/1.1\r\nHost: localhost\r\nA: " + long, 431, "header_too_large"},
		{"body too long", backend, "POST /channels/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4001\r\n\r\n", 413, "body_too_large"},
		{"both lengths", backend, "POST /channels/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "length_conflict"},
		{"unknown coding", backend, "POST /channels/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n", 501, "unsupported_coding"},
		{"bad chunk", backend, "POST /channels/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400, "bad_chunk"},
		{"chunks too long", backend, "POST /channels/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n", 413, "body_too_large"},
		{"other expectation", backend, "POST /channels/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nExpect: miracles\r\n\r\nx", 417, "expectation_failed"},
		{"unknown path", public, get("/nothing"), 404, "not_found"},
		{"backend paths are not public", public, get("/stats"), 404, "not_found"},
		{"unknown method", public, "BREW /poll HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, "method_not_allowed"},
		{"no push by the public", public, post("/channels/a", "", "x"), 404, "not_found"},
		{"no channel", public, get("/poll"), 400, "no_channel"},
		{"bad channel", public, get("/sse?channels=a%20b"), 400, "bad_channel"},
		{"bad escape", public, get("/sse?channels=a%2"), 400, "bad_channel"},
		{"channel twice", public, get("/sse?channels=a,a"), 400, "duplicate_channel"},
		{"too many channels", public, get("/sse?channels=a,b,c,d"), 400, "too_many_channels"},
		{"bad since", public, get("/sse?channels=a&since=yesterday"), 400, "bad_since"},
		{"one since for two", public, get("/sse?channels=a,b&since=k.1"), 400, "bad_since"},
		{"bad Last-Event-ID", public, "GET /sse?channels=a HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: ?\r\n\r\n", 400, "bad_since"},
		{"bad wait", public, get("/poll?channels=a&wait=soon"), 400, "bad_wait"},
		{"wait too long", public, get("/poll?channels=a&wait=61"), 400, "bad_wait"},
		{"handshake without key", public, upgrade("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""), 400, "bad_handshake"},
		{"handshake with a short key", public, upgrade("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="), 400, "bad_handshake"},
		{"version 12", public, upgrade("Version: 13", "Version: 12"), 426, "upgrade_required"},
		{"no upgrade", public, get("/ws?channels=a"), 400, "bad_handshake"},
		{"empty message", backend, post("/channels/a", "", ""), 400, "empty_message"},
		{"message too long", backend, post("/channels/a", "", long), 413, "message_too_large"},
		{"push to a bad channel", backend, post("/channels/a%2Fb", "", "x"), 400, "bad_channel"},
		{"push to the server's", backend, post("/channels/$stats", "", "x"), 403, "reserved_channel"},
		{"JSON that is none", backend, post("/channels/a", jsonType, `{"a":}`), 400, "bad_json"},
		{"publish that is none", backend, post("/publish", jsonType, `{"channel":"a","data":nope}`), 400, "bad_json"},
		{"publish without data", backend, post("/publish", jsonType, `{"channel":"a"}`), 400, "bad_message"},
		{"publish of XML", backend, post("/publish", "Content-Type: text/xml\r\n", "<a/>"), 415, "unsupported_type"},
		{"publish of nothing", backend, post("/publish", jsonType, ""), 400, "empty_message"},
		{"unknown channel", backend, get("/channels/never"), 404, "unknown_channel"},
		{"bad limit", backend, get("/channels/innocent/history?limit=0"), 400, "bad_limit"},
		{"a page of another site", backend, "POST /channels/a HTTP/1.1\r\nHost: 127.0.0.1:8081\r\nOrigin: http://evil.example\r\nContent-Length: 1\r\n\r\nx", 403, "forbidden"},
		{"wrong method", backend, "PATCH /channels/a HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, "method_not_allowed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := r.public
			if c.toBackend {
				addr = r.backend
			}
			conn := connect(t, addr)
			_, _ = io.WriteString(conn, c.request)
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			var body struct {
				Error struct {
					Code, Message string
					Offset        int
				}
			}
			if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
				t.Fatal(err)
			}
			if res.StatusCode != c.status || body.Error.Code != c.code || body.Error.Message == "" {
				t.Errorf("got %d %+v, want %d %s", res.StatusCode, body.Error, c.status, c.code)
			}
			if c.code == "bad_json" && body.Error.Offset == 0 {
				t.Error("no offset")
			}
			if c.status == 426 && res.Header.Get("Sec-WebSocket-Version") != "13" || c.status == 405 && res.Header.Get("Allow") == "" {
				t.Errorf("headers: %v", res.Header)
			}
			i.fine(t)
		})
	}
}

// bomb is a deflated message of n zero bytes.
func bomb(n int) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 9)
	_, _ = w.Write(make([]byte, n))
	_ = w.Flush()
	return bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 0xff, 0xff})
}

func masked(op ws.OpCode, payload string) string {
	return string(wsframe.AppendMasked(nil, op, []byte(payload), [4]byte{9, 8, 7, 6}, true))
}

func TestBadFramesCloseWithTheirCode(t *testing.T) {
	r := newRig(t, func(c *edge.Config) { c.MaxMessage = 1000 })
	i := newInnocent(t, r)
	flip := func(s string, at int, bits byte) string { b := []byte(s); b[at] ^= bits; return string(b) }
	const deflate = "Sec-WebSocket-Extensions: permessage-deflate\r\n"
	for _, c := range []struct {
		name, extra, frames string
		code                int
	}{
		{"unmasked", "", "\x81\x02hi", 1002},
		{"reserved bit", "", flip(masked(ws.OpText, "hi"), 0, 0x40), 1002},
		{"reserved bit 2", deflate, flip(masked(ws.OpText, "hi"), 0, 0x20), 1002},
		{"bad opcode", "", flip(masked(ws.OpText, "hi"), 0, 0x02), 1002},
		{"fragmented ping", "", flip(masked(ws.OpPing, "hi"), 0, 0x80), 1002},
		{"long ping", "", masked(ws.OpPing, strings.Repeat("x", 126)), 1002},
		{"continuation of nothing", "", masked(ws.OpContinuation, "hi"), 1002},
		{"message too big", "", masked(ws.OpText, strings.Repeat("x", 1001)), 1009},
		{"only the header of one", "", masked(ws.OpText, strings.Repeat("x", 1<<20))[:14], 1009},
		{"invalid UTF-8", "", masked(ws.OpText, "a\xffb"), 1007},
		{"invalid UTF-8 in an unfinished frame", "", masked(ws.OpText, "a\xff"+strings.Repeat("b", 500))[:20], 1007},
		{"close code 1005", "", masked(ws.OpClose, "\x03\xed"), 1002},
		{"close of one byte", "", masked(ws.OpClose, "\x03"), 1002},
		{"close with bad text", "", masked(ws.OpClose, "\x03\xe8\xff"), 1007},
		{"zip bomb", deflate, flip(masked(ws.OpBinary, string(bomb(400_000))), 0, 0x40), 1009},
		{"not deflated", deflate, flip(masked(ws.OpText, "\xff\xff\xff\xff"), 0, 0x40), 1007},
		{"orderly", "", masked(ws.OpClose, "\x03\xe8bye"), 1000},
	} {
		for _, path := range []string{"/echo", "/ws?channels=a"} {
			t.Run(c.name+" "+path, func(t *testing.T) {
				s := openWS(t, r.public, path, c.extra)
				_, _ = io.WriteString(s, c.frames)
				if got := s.closeCode(); got != c.code {
					t.Errorf("closed with %d, want %d", got, c.code)
				}
				i.fine(t)
			})
		}
	}
}

func TestCommandsAndTheirErrors(t *testing.T) {
	r := newRig(t, func(c *edge.Config) { c.MaxChannels = 2; c.Anonymous = []string{"pub*"} })
	s := openWS(t, r.public, "/ws", "")
	for _, c := range []struct{ command, want string }{
		{`{"id":1,"ping":{}}`, `"id":1,"pong":{"time":`},
		{`{"id":"a","subscribe":{"channel":"pub1"}}`, `"id":"a","subscribed":{"channel":"pub1","position":"`},
		{`{"subscribe":{"channel":"pub1"}}`, `{"error":{"code":"already_subscribed"`},
		{`{"subscribe":{"channel":"private"}}`, `"code":"forbidden"`},
		{`{"subscribe":{"channel":"no such name"}}`, `"code":"bad_channel"`},
		{`{"subscribe":{"channel":"pub2","since":"?"}}`, `"code":"bad_since"`},
		{`{"subscribe":{"channel":"pub2","since":"old.7"}}`, `"recovered":false`},
		{``, `"gap":true,"reason":"epoch"`}, // what follows the reply above
		{`{"subscribe":{"channel":"pub3"}}`, `"code":"too_many_channels"`},
		{`{"id":9,"unsubscribe":{"channel":"pub3"}}`, `"id":9,"error":{"code":"not_subscribed"`},
		{`{"id":9,"unsubscribe":{"channel":"pub1"}}`, `"id":9,"unsubscribed":{"channel":"pub1"}`},
		{`{"publish":{"channel":"pub1","data":1}}`, `"code":"forbidden"`},
		{`{"id":1}`, `"code":"bad_command"`},
		{`{"id":[1],"ping":{}}`, `"code":"bad_command"`},
		{`{"ping":{},"subscribe":{"channel":"pub1"}}`, `"code":"bad_command"`},
		{`{"subscribe":7}`, `"code":"bad_command"`},
		{`{"ping":`, `"code":"bad_json"`},
	} {
		if c.command != "" {
			s.send(ws.OpText, c.command)
		}
		f, err := s.next()
		if err != nil || !strings.Contains(string(f.Payload), c.want) {
			t.Fatalf("%s: got %q %v, want %s", c.command, f.Payload, err, c.want)
		}
	}
	s.send(ws.OpBinary, "x")
	if f, err := s.next(); err != nil || !strings.Contains(string(f.Payload), "bad_command") {
		t.Errorf("binary: %q %v", f.Payload, err)
	}
}

// TestSlowSendersAreTimedOut holds many requests and frames unfinished, a byte now and then.
func TestSlowSendersAreTimedOut(t *testing.T) {
	r := newRig(t, func(c *edge.Config) { c.HeaderTimeout, c.BodyTimeout = time.Second, time.Second })
	i := newInnocent(t, r)
	const n = 1500
	var slow []net.Conn
	for k := range n {
		c := connect(t, r.public)
		if k%3 == 0 {
			c = connect(t, r.backend)
			_, _ = io.WriteString(c, "POST /channels/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx")
		} else {
			_, _ = io.WriteString(c, "GET /poll?channels=a HTTP/1.1\r\nHost:")
		}
		slow = append(slow, c)
	}
	i.fine(t)
	for range 3 { // bytes that buy no time
		for _, c := range slow {
			_, _ = io.WriteString(c, "y")
		}
		i.fine(t)
	}
	timeouts := 0
	for _, c := range slow {
		if res, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil && res.StatusCode == 408 {
			timeouts++
		}
	}
	if timeouts != n {
		t.Errorf("%d of %d were told 408", timeouts, n)
	}
	i.fine(t)
}

func TestAClientThatNeverReadsIsEnded(t *testing.T) {
	r := newRig(t, func(c *edge.Config) { c.MaxPending, c.HistoryLength, c.WriteTimeout = 200_000, 5, 2*time.Second })
	stuck := openWS(t, r.public, "/ws?channels=innocent", "")
	i := newInnocent(t, r)
	big := strings.Repeat("x", 60_000)
	for end := time.Now().Add(20 * time.Second); r.Stats().Ended["slow_consumer"] == 0; {
		if time.Now().After(end) {
			t.Fatal("never ended")
		}
		res, err := http.Post("http://"+r.backend+"/channels/innocent", "text/plain", strings.NewReader(big))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if f, err := i.next(); err != nil || len(f.Payload) < len(big) {
			t.Fatalf("the innocent got %d bytes, %v", len(f.Payload), err)
		}
	}
	i.fine(t)
	if n := r.Stats().Bytes.Waiting; n != 0 {
		t.Errorf("%d bytes still wait", n)
	}
	if got := stuck.closeCode(); got != 0 && got != 4002 { // 0: it did not read for the linger time either
		t.Errorf("closed with %d, want 4002", got)
	}
}

func TestConnectionsBeyondTheLimitAreTold(t *testing.T) {
	r := newRig(t, func(c *edge.Config) { c.MaxConnections = 20 })
	var held []*socket
	for range 20 {
		held = append(held, openWS(t, r.public, "/ws?channels=a", ""))
	}
	c := connect(t, r.public)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
		t.Fatalf("%v %v", res, err)
	}
	for _, s := range held {
		s.Close()
	}
	waitFor(t, "room", func() bool { return r.Stats().Connections["total"] < 5 })
	openWS(t, r.public, "/ws?channels=a", "")
}

// TestOwedAnswersOutliveFIN sends a request and FIN in one go: the answer comes, and then the end; a poll is answered at once, as
// its client may have gone altogether.
func TestOwedAnswersOutliveFIN(t *testing.T) {
	r := newRig(t, nil)
	for name, request := range map[string]string{
		"parked poll": "GET /poll?channels=fin&wait=30 HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"pipelined":   "GET /poll?channels=b&wait=0 HTTP/1.1\r\nHost: localhost\r\n\r\nGET /poll?channels=fin&wait=30 HTTP/1.1\r\nHost: localhost\r\n\r\n",
	} {
		c := connect(t, r.public).(*net.TCPConn)
		_, _ = io.WriteString(c, request)
		_ = c.CloseWrite()
		all, err := io.ReadAll(c) // to the end, which must come by itself
		if n := strings.Count(request, "GET"); err != nil || bytes.Count(all, []byte("200 OK")) != n || bytes.Count(all, []byte(`"position":"`)) != n {
			t.Errorf("%s: %q %v", name, all, err)
		}
	}
	for range 50 { // closed without a word: nobody is taken for a subscriber
		c := connect(t, r.public)
		_, _ = io.WriteString(c, "GET /poll?channels=fin&wait=60 HTTP/1.1\r\nHost: localhost\r\n\r\n")
		c.Close()
	}
	waitFor(t, "all to have gone", func() bool { return r.Stats().Connections["total"] == 0 })
}

func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestShutdownTellsEverybody(t *testing.T) {
	r := newRig(t, nil)
	s := openWS(t, r.public, "/ws?channels=a", "")
	sse, poll := connect(t, r.public), connect(t, r.public)
	_, _ = io.WriteString(sse, "GET /sse?channels=a HTTP/1.1\r\nHost: localhost\r\n\r\n")
	_, _ = io.WriteString(poll, "GET /poll?channels=a&wait=30 HTTP/1.1\r\nHost: localhost\r\n\r\n")
	waitFor(t, "all there", func() bool { st := r.Stats(); return st.Channels.Subscriptions == 3 })
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		done <- r.Stop(ctx)
	}()
	if got := s.closeCode(); got != 1001 {
		t.Errorf("ws closed with %d", got)
	}
	s.Close()
	for name, c := range map[string]net.Conn{"sse": sse, "poll": poll} {
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(name, err)
		}
		body, err := io.ReadAll(res.Body) // an error where the last chunk is missing
		if err != nil || name == "poll" && !bytes.Contains(body, []byte(`"position":"`)) {
			t.Errorf("%s: %q %v", name, body, err)
		}
		c.Close()
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestChurnLeavesNothingBehind lets thousands come, half-speak and go while messages are pushed.
func TestChurnLeavesNothingBehind(t *testing.T) {
	r := newRig(t, nil)
	newInnocent(t, r).Close()
	waitFor(t, "quiet", func() bool { return r.Stats().Connections["total"] == 0 })
	runtime.GC()
	goroutines, heap := runtime.NumGoroutine(), r.Stats().Memory.Heap
	starts := []string{
		"GET /ws?channels=a,b" + handshake + "\r\n", "GET /ws?channels=a" + handshake + "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n" + masked(ws.OpText, "{}")[:5],
		"GET /sse?channels=a,b,c&since=0,0,0 HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET /stream?channels=b HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"GET /poll?channels=a,c HTTP/1.1\r\nHost: localhost\r\n\r\nGET /poll?channels=a HTTP/1.1\r\n", "GET /poll?channels=a&wait=0 HT", "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc", "",
		"GET /ws?channels=c" + handshake + "Sec-WebSocket-Protocol: encke.raw\r\n\r\n" + masked(ws.OpText, strings.Repeat("x", 5000))[:100],
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for k := 0; ; k++ {
			select {
			case <-stop:
				return
			default:
			}
			if res, err := http.Post("http://"+r.backend+"/channels/"+string(rune('a'+k%3)), "text/plain", strings.NewReader("x")); err == nil {
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
			}
		}
	}()
	workers := make(chan struct{}, 8)
	for w := range 8 {
		go func() {
			defer func() { workers <- struct{}{} }()
			for k := range 400 {
				c, err := net.Dial("tcp", r.public)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.WriteString(c, starts[(k+w)%len(starts)])
				if k%4 == 0 {
					_ = c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
					_, _ = c.Read(make([]byte, 4096))
				}
				if k%5 == 0 {
					_ = c.(*net.TCPConn).SetLinger(0)
				}
				c.Close()
			}
		}()
	}
	for range 8 {
		<-workers
	}
	close(stop)
	<-done
	http.DefaultClient.CloseIdleConnections()
	waitFor(t, "no connections", func() bool {
		if st := r.Stats(); st.Connections["poll"] > 0 { // a FIN does not cancel a parked poll, but an answer ends it
			for _, name := range []string{"a", "b", "c"} {
				r.ask(t, "POST", "/channels/"+name, "x")
			}
			time.Sleep(20 * time.Millisecond)
		}
		return r.Stats().Connections["total"] == 0
	})
	st := r.Stats()
	for name, n := range st.Connections {
		if n != 0 {
			t.Errorf("%d %s connections are left", n, name)
		}
	}
	if st.Channels.Subscriptions != 0 || st.Bytes.Waiting != 0 || st.Messages.Inconsistent != 0 {
		t.Errorf("left: %+v %+v %+v", st.Channels, st.Bytes, st.Messages)
	}
	waitFor(t, "empty backlogs", func() bool {
		for _, l := range r.Stats().Loops {
			if l.Backlog != 0 {
				return false
			}
		}
		return true
	})
	waitFor(t, "no goroutine more", func() bool { return runtime.NumGoroutine() <= goroutines })
	runtime.GC()
	if now := r.Stats().Memory.Heap; now > heap+8<<20 {
		t.Errorf("the heap grew from %d to %d bytes", heap, now)
	}
}
