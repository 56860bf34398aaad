package edge_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"encke/edge"

	"github.com/gobwas/ws"
)

func TestWebSocketJSON(t *testing.T) {
	r := newRig(t, nil)
	p := newWS(t, r.public, "/ws?channels=a,b")
	if got := p.res.Header.Get("Sec-WebSocket-Protocol"); got != "" {
		t.Errorf("names the subprotocol %q that nobody asked for", got)
	}
	for _, name := range []string{"a", "b"} { // in order, without id
		if w := p.text(); w.Subscribed == nil || w.Subscribed.Channel != name || w.ID != nil || !strings.HasSuffix(w.Subscribed.Position, ".0") {
			t.Fatalf("got %+v, want subscribed to %s", w, name)
		}
	}
	before := time.Now().UnixMilli()
	res := r.push(t, "b", `{"home": 2}`, "Content-Type: application/json", "Encke-Event: score")
	w := p.text()
	if w.Channel != "b" || w.Offset != 1 || w.Position != res.Position || w.Event != "score" || string(w.Data) != `{"home": 2}` || w.Type != "" {
		t.Errorf("got %+v", w)
	}
	if w.Time < before-1000 || w.Time > time.Now().UnixMilli()+1000 {
		t.Errorf("time %d is not now, %d", w.Time, before)
	}
	p.send(ws.OpPing, "are you there")
	if m, _ := p.frame(); m.op != ws.OpPong || m.data != "are you there" {
		t.Errorf("got %v", m)
	}
	p.send(ws.OpClose, "\x0f\xa1reason")
	if m, _ := p.frame(); m.op != ws.OpClose || m.data != "\x0f\xa1" {
		t.Errorf("close answered with %v %q", m.op, m.data)
	}
	p.ended()
}

func TestWebSocketNamesTheSubprotocolThatItSpeaks(t *testing.T) {
	r := newRig(t, nil)
	for asked, want := range map[string]string{"": "", "encke.json": "encke.json", "encke.raw": "encke.raw",
		"chat, encke.raw, encke.json": "encke.raw", "chat": ""} {
		var extra []string
		if asked != "" {
			extra = []string{"Sec-WebSocket-Protocol: " + asked}
		}
		if got := newWS(t, r.public, "/ws", extra...).res.Header.Get("Sec-WebSocket-Protocol"); got != want {
			t.Errorf("asked for %q: answered %q, want %q", asked, got, want)
		}
	}
}

func TestWebSocketRaw(t *testing.T) {
	r := newRig(t, func(c *edge.Config) { c.HistoryLength = 3 })
	first := r.push(t, "a", "kept")
	const raw = "Sec-WebSocket-Protocol: encke.raw"
	p := newWS(t, r.public, "/ws?channels=a&since=0", raw)
	r.push(t, "a", "plain text")
	r.push(t, "a", `{"a":1}`, "Content-Type: application/json")
	r.push(t, "a", "\x00\xff", "Content-Type: application/octet-stream")
	for _, want := range []wsMessage{{ws.OpText, "kept"}, {ws.OpText, "plain text"}, {ws.OpText, `{"a":1}`}, {ws.OpBinary, "\x00\xff"}} {
		if m, _ := p.frame(); m != want {
			t.Errorf("got %v, want %v", m, want)
		}
	}
	p.send(ws.OpText, "") // allowed
	p.send(ws.OpText, "not allowed")
	p.closed(1008, "forbidden")

	gap := newWS(t, r.public, "/ws?channels=a&since="+first.Position, raw) // still there: 3 are kept
	if m, _ := gap.frame(); m.data != "plain text" {
		t.Errorf("got %q", m.data)
	}
	r.push(t, "a", "x")
	newWS(t, r.public, "/ws?channels=a&since="+first.Position, raw).closed(4004, "gap")
}

func TestDeflate(t *testing.T) {
	r := newRig(t, nil)
	long := strings.Repeat("a long text that is worth compressing; ", 100)
	for _, offer := range []string{"permessage-deflate", "permessage-deflate; client_max_window_bits", "permessage-deflate; server_max_window_bits=9"} {
		for _, sub := range []string{"encke.json", "encke.raw"} {
			t.Run(offer+" "+sub, func(t *testing.T) {
				p := newWS(t, r.public, "/ws?channels=d", "Sec-WebSocket-Extensions: "+offer, "Sec-WebSocket-Protocol: "+sub)
				if !p.deflate {
					t.Fatal("not agreed")
				}
				if sub == "encke.json" && p.text().Subscribed == nil {
					t.Fatal("no subscribed")
				}
				for _, text := range []string{long, "short", long + long} {
					r.push(t, "d", text)
					m, _ := p.frame()
					if sub == "encke.json" {
						var s string
						_ = json.Unmarshal(parseWire(t, []byte(m.data)).Data, &s)
						m.data = s
					}
					if m.data != text {
						t.Fatalf("got %d bytes, want %d", len(m.data), len(text))
					}
				}
				p.Close()
			})
		}
	}
	r = newRig(t, nil)
	p := newWS(t, r.public, "/echo", "Sec-WebSocket-Extensions: permessage-deflate")
	p.send(ws.OpText, long)
	if m, _ := p.frame(); m.data != long {
		t.Errorf("the echo is %q", m.data)
	}
	if n := r.Stats().Bytes.Out; n > 1000 {
		t.Errorf("the echo took %d bytes on the wire", n)
	}
}

func TestEcho(t *testing.T) {
	r := newRig(t, func(c *edge.Config) { c.MaxMessage = 1 << 20 })
	p := newWS(t, r.public, "/echo")
	for _, m := range []wsMessage{{ws.OpText, ""}, {ws.OpText, "grüß dich"}, {ws.OpBinary, "\x00\xff"}, {ws.OpText, strings.Repeat("x", 1<<20)}} {
		p.send(m.op, m.data)
		if got, _ := p.frame(); got != m {
			t.Errorf("got %v and %d bytes, want %d", got.op, len(got.data), len(m.data))
		}
	}
	p.write(fragments("in ", "three ", "parts")) // with a ping between them
	if m, _ := p.frame(); m.op != ws.OpPong || m.data != "now" {
		t.Errorf("got %v", m)
	}
	if m, _ := p.frame(); m != (wsMessage{ws.OpText, "in three parts"}) {
		t.Errorf("got %v", m)
	}
	off := newRig(t, func(c *edge.Config) { c.Echo = false })
	q := newPeer(t, off.public)
	q.get("/echo")
	q.want(404)
}

// fragments is a text message in parts, with a ping before the last.
func fragments(parts ...string) string {
	var b strings.Builder
	for i, part := range parts {
		frame := []byte(masked(ws.OpContinuation, part))
		if i == 0 {
			frame[0] |= byte(ws.OpText)
		}
		if i < len(parts)-1 {
			frame[0] &^= 0x80
		} else {
			b.WriteString(masked(ws.OpPing, "now"))
		}
		b.Write(frame)
	}
	return b.String()
}

func TestSSE(t *testing.T) {
	r := newRig(t, nil)
	r.push(t, "b", "before")
	p, res, body := openStream(t, r.public, "/sse?channels=a,b&since=,0")
	if got := res.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("Content-Type %q", got)
	}
	everyHeader(t, res)
	e := events{t, body}
	begin := e.next()
	if begin.event != "resumed" || begin.data != `{"recovered":true}` || !strings.HasSuffix(begin.id, ".0,"+epochOf(begin.id)+".0") {
		t.Errorf("begins with %+v", begin)
	}
	b, w := e.publication()
	if w.Channel != "b" || string(w.Data) != `"before"` || !strings.HasSuffix(b.id, ".0,1") {
		t.Errorf("got %+v %+v", b, w)
	}
	r.push(t, "a", "one")
	b, w = e.publication()
	if w.Channel != "a" || b.event != "" || !strings.HasSuffix(b.id, ".1,1") {
		t.Errorf("got %+v %+v", b, w)
	}
	p.Close()

	r.push(t, "b", "missed")
	_, _, body = openStream(t, r.public, "/sse?channels=a,b&since=0,0", "Last-Event-ID: "+b.id) // wins over since
	e = events{t, body}
	if b, w = e.publication(); w.Channel != "b" || w.Offset != 2 || !strings.HasSuffix(b.id, ".1,2") {
		t.Errorf("resumed with %+v %+v", b, w)
	}

	_, _, body = openStream(t, r.public, "/sse?channels=a&since=other.7")
	e = events{t, body}
	if b, w = e.publication(); b.event != "gap" || !w.Gap || w.Reason != "epoch" {
		t.Errorf("got %+v %+v, want a gap", b, w)
	}
	if b = e.next(); b.event != "resumed" || b.data != `{"recovered":false}` {
		t.Errorf("after the gap came %+v", b)
	}
	if _, w = e.publication(); w.Offset != 1 {
		t.Errorf("after the gap came %+v", w)
	}
}

func epochOf(position string) string { s, _, _ := strings.Cut(position, "."); return s }

// everyHeader checks what PROTOCOL.md promises of every answer.
func everyHeader(t testing.TB, res *http.Response) {
	t.Helper()
	if res.Header.Get("Access-Control-Allow-Origin") != "*" || res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Date") == "" {
		t.Errorf("%s: headers %v", res.Status, res.Header)
	}
}

func TestStream(t *testing.T) {
	r := newRig(t, nil)
	_, res, body := openStream(t, r.public, "/stream?channels=a")
	if got := res.Header.Get("Content-Type"); got != "application/x-ndjson" || len(res.TransferEncoding) != 1 {
		t.Errorf("Content-Type %q, Transfer-Encoding %v", got, res.TransferEncoding)
	}
	everyHeader(t, res)
	l := lines{t, body}
	if w := l.next(); !strings.HasSuffix(w.Position, ".0") || w.Channel != "" {
		t.Errorf("begins with %+v", w)
	}
	r.push(t, "a", "\xff\xfe")
	w := l.next()
	if w.Offset != 1 || w.Encoding != "base64" || string(w.Data) != `"//4="` {
		t.Errorf("got %+v", w)
	}
	r.push(t, "a", "text", "Content-Type: text/markdown")
	if w = l.next(); w.Type != "text/markdown" || string(w.Data) != `"text"` {
		t.Errorf("got %+v", w)
	}
	_, _, body = openStream(t, r.public, "/stream?channels=a&since="+epochOf(w.Position)+".99")
	if w := (lines{t, body}).next(); !w.Gap || w.Reason != "unknown" {
		t.Errorf("got %+v, want a gap", w)
	}
}

func TestStreamsToHTTP10AreNotChunked(t *testing.T) {
	r := newRig(t, nil)
	for _, path := range []string{"/sse", "/stream"} {
		p := newPeer(t, r.public)
		p.write("GET " + path + "?channels=old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
		res := p.head("GET")
		if len(res.TransferEncoding) > 0 || !res.Close {
			t.Errorf("%s: %v %v", path, res.TransferEncoding, res.Header)
		}
		r.push(t, "old", "hello")
		var got strings.Builder
		for b := make([]byte, 500); !strings.Contains(got.String(), `"hello"}`); {
			n, err := res.Body.Read(b)
			if err != nil {
				t.Fatal(err)
			}
			got.Write(b[:n])
		}
		p.Close()
	}
}

func TestHeartbeats(t *testing.T) {
	r := newRig(t, func(c *edge.Config) { c.PingInterval = time.Second })
	sse, _, sseBody := openStream(t, r.public, "/sse?channels=a")
	_, _, streamBody := openStream(t, r.public, "/stream?channels=a")
	idle, ok := newWS(t, r.public, "/ws"), newWS(t, r.public, "/ws")
	if m, _ := ok.frame(); m.op != ws.OpPing {
		t.Errorf("got %v, want a ping", m)
	}
	ok.send(ws.OpPong, "")
	if m, _ := idle.frame(); m.op != ws.OpPing {
		t.Errorf("got %v, want a ping", m)
	}
	idle.closed(4001, "ping_timeout")
	ok.send(ws.OpText, `{"id":1,"ping":{}}`)
	for {
		m, there := ok.frame()
		if !there {
			t.Fatal("the one that answered was closed too")
		}
		if m.op == ws.OpText {
			break
		}
	}
	e := events{t, sseBody}
	e.next() // the beginning
	for range 2 {
		if b := e.next(); b.comment == "" || b.data != "" {
			t.Errorf("got %+v, want a comment", b)
		}
	}
	_, _ = streamBody.ReadString('\n')
	if line, err := streamBody.ReadString('\n'); line != "\n" {
		t.Errorf("got %q %v, want an empty line", line, err)
	}
	sse.Close()
}

func TestPoll(t *testing.T) {
	r := newRig(t, nil)
	p := newPeer(t, r.public)
	poll := func(query string) wire {
		t.Helper()
		p.get("/poll?" + query)
		res, body := p.answer()
		if res.StatusCode != 200 || res.Header.Get("Content-Type") != "application/json" || res.Close {
			t.Fatalf("%s: %s %v", query, res.Status, res.Header)
		}
		everyHeader(t, res)
		return parseWire(t, []byte(body))
	}
	w := poll("channels=a,b&wait=0")
	if len(w.Publications) != 0 || !strings.Contains(w.Position, ".0,") {
		t.Fatalf("got %+v", w)
	}
	r.push(t, "a", "1")
	r.push(t, "b", "2")
	r.push(t, "b", "3")
	since := w.Position
	for _, wait := range []string{"0", "10", "10s", "100ms"} { // at once, since there is something
		begin := time.Now()
		w = poll("channels=a,b&since=" + since + "&wait=" + wait)
		if len(w.Publications) != 3 || !strings.HasSuffix(w.Position, ".1,2") {
			t.Fatalf("wait=%s: got %+v", wait, w)
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("wait=%s took %v", wait, took)
		}
	}
	if w2 := poll("channels=a,b&since=" + w.Position + "&wait=200ms"); len(w2.Publications) != 0 || w2.Position != w.Position {
		t.Errorf("nothing came: %+v", w2)
	}
	p.get("/poll?channels=a,b&since=" + w.Position) // the default wait
	r.subscribers(t, "a", 1)
	r.push(t, "a", "4")
	w = parseWire(t, []byte(p.want(200)))
	if len(w.Publications) != 1 || w.Publications[0].Offset != 2 || !strings.HasSuffix(w.Position, ".2,2") {
		t.Errorf("got %+v", w)
	}
	r.subscribers(t, "a", 0)

	w = poll("channels=a&since=old.3&wait=20") // a gap is an answer
	if len(w.Publications) != 3 || !w.Publications[0].Gap || w.Publications[0].Reason != "epoch" || w.Publications[2].Offset != 2 {
		t.Errorf("got %+v", w)
	}
}

func TestPollsBetweenWhichNothingIsMissed(t *testing.T) {
	r := newRig(t, nil)
	p := newPeer(t, r.public)
	position, next := "", uint64(1)
	for i := range 60 {
		p.get(fmt.Sprintf("/poll?channels=a&since=%s&wait=%d", position, i%3*10))
		if i%3 > 0 && position != "" && i%2 == 0 {
			r.push(t, "a", "while it waits or before")
		}
		if i%3 > 0 && i%2 == 1 {
			r.push(t, "a", "x")
		}
		w := parseWire(t, []byte(p.want(200)))
		if i == 0 {
			next = 1
		}
		for _, pub := range w.Publications {
			if pub.Offset != next {
				t.Fatalf("poll %d: got %d, want %d", i, pub.Offset, next)
			}
			next++
		}
		position = w.Position
	}
	if next < 20 {
		t.Errorf("only up to %d", next)
	}
}

func TestPipelinedRequestWaitsWhileAPollIsParked(t *testing.T) {
	r := newRig(t, nil)
	p := newPeer(t, r.public)
	const second = "GET /poll?channels=b&wait=0 HTTP/1.1\r\nHost: localhost\r\n\r\nGET /nothing HTTP/1.1\r\nHost: localhost\r\n"
	p.write("GET /poll?channels=a HTTP/1.1\r\nHost: localhost\r\n\r\n" + second)
	r.subscribers(t, "a", 1)
	r.push(t, "a", "first")
	if body := p.want(200); !strings.Contains(body, "first") {
		t.Errorf("got %s", body)
	}
	if body := p.want(200); !strings.Contains(body, `"publications":[]`) {
		t.Errorf("got %s", body)
	}
	p.write("\r\n") // the end of the third
	p.want(404)
}

func TestPollFromHTTP10(t *testing.T) {
	r := newRig(t, nil)
	p := newPeer(t, r.public)
	p.write("GET /poll?channels=a&wait=0 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
	if res, _ := p.answer(); res.Header.Get("Connection") != "keep-alive" {
		t.Errorf("headers %v", res.Header)
	}
	p.write("GET /poll?channels=a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
	r.subscribers(t, "a", 1)
	r.push(t, "a", "x")
	if res, body := p.answer(); res.Header.Get("Connection") != "keep-alive" || !strings.Contains(body, `"x"`) {
		t.Errorf("%v %s", res.Header, body)
	}
	p.write("GET /poll?channels=a HTTP/1.0\r\n\r\n")
	r.subscribers(t, "a", 1)
	r.push(t, "a", "y")
	if body := p.want(200); !strings.Contains(body, `"y"`) {
		t.Errorf("got %s", body)
	}
	p.ended()
}

func TestHeadAndOptions(t *testing.T) {
	r := newRig(t, func(c *edge.Config) { c.Page = []byte("<p>page") })
	p := newPeer(t, r.public)
	for _, path := range []string{"/", "/poll?channels=a", "/nothing"} {
		p.write("HEAD " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n")
		res := p.head("HEAD")
		want := 200
		if path == "/nothing" {
			want = 404
		}
		if res.StatusCode != want || res.ContentLength <= 0 {
			t.Errorf("HEAD %s: %s, length %d", path, res.Status, res.ContentLength)
		}
	}
	for _, path := range []string{"/", "/ws", "/sse", "/stream?channels=a", "/poll", "/echo"} {
		p.write("OPTIONS " + path + " HTTP/1.1\r\nHost: localhost\r\nOrigin: https://example.com\r\nAccess-Control-Request-Headers: last-event-id\r\n\r\n")
		res, body := p.answer()
		if res.StatusCode != 204 || body != "" || res.Header.Get("Allow") != "GET, HEAD, OPTIONS" ||
			!strings.Contains(res.Header.Get("Access-Control-Allow-Headers"), "Last-Event-ID") ||
			!strings.Contains(res.Header.Get("Access-Control-Allow-Methods"), "GET") {
			t.Errorf("OPTIONS %s: %s %v", path, res.Status, res.Header)
		}
		everyHeader(t, res)
	}
	for _, path := range []string{"/sse?channels=a", "/stream?channels=a"} {
		q := newPeer(t, r.public)
		q.write("HEAD " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if res := q.head("HEAD"); res.StatusCode != 200 {
			t.Errorf("HEAD %s: %s", path, res.Status)
		}
		q.ended()
	}
	p.get("/")
	if body := p.want(200); body != "<p>page" {
		t.Errorf("the page is %q", body)
	}
	p.write("DELETE /poll HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if res, _ := p.answer(); res.StatusCode != 405 || res.Header.Get("Allow") != "GET, HEAD, OPTIONS" {
		t.Errorf("%s %v", res.Status, res.Header)
	}
}

func TestIPv6(t *testing.T) {
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skip(err)
	} else {
		l.Close()
	}
	r := newRig(t, func(c *edge.Config) { c.Listen, c.Backend = "[::1]:0", "[::1]:0" })
	p := newWS(t, r.public, "/ws?channels=six")
	p.text()
	r.push(t, "six", "over IPv6")
	if w := p.text(); string(w.Data) != `"over IPv6"` {
		t.Errorf("got %+v", w)
	}
}

func TestStatsChannel(t *testing.T) {
	r := newRig(t, nil)
	_, _, body := openStream(t, r.public, "/stream?channels=$stats&since=0")
	newWS(t, r.public, "/ws?channels=a")
	l := lines{t, body}
	for {
		w := l.next()
		var n struct{ Online, WS, SSE, Stream, Poll int }
		_ = json.Unmarshal(w.Data, &n)
		if n.WS == 1 && n.Stream == 1 && n.Online == 2 {
			return
		}
	}
}

func TestReadyzWhileShuttingDown(t *testing.T) {
	r := newRig(t, nil)
	stuck := newWS(t, r.public, "/ws?channels=a") // does not answer its close frame for a while, so that the server lingers
	p := newPeer(t, r.backend)
	p.get("/readyz")
	p.want(200)
	p.write("GET /readyz HTTP/1.1\r\nHost: localhost\r\n") // not whole when the end begins
	waitFor(t, "the half request", func() bool { return r.Stats().Connections["http"] == 1 && r.Stats().Connections["ws"] == 1 })
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		done <- r.Stop(ctx)
	}()
	stuck.closed(1001, "going_away")
	if c, err := net.Dial("tcp", r.backend); err == nil { // refused is fine too
		_, _ = io.WriteString(c, "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		if b, _ := io.ReadAll(c); len(b) > 0 && !strings.HasPrefix(string(b), "HTTP/1.1 503") {
			t.Errorf("got %q", b)
		}
		c.Close()
	}
	_, _ = io.WriteString(p, "\r\n")
	b, _ := io.ReadAll(p.r)
	if len(b) > 0 && !strings.HasPrefix(string(b), "HTTP/1.1 503") {
		t.Errorf("got %q", b)
	}
	p.Close()
	stuck.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
