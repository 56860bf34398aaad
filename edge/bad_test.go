package edge_test

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"encke/edge"

	"github.com/gobwas/ws"
)

// TestMoreBadHTTP is the small print behind TestBadHTTPIsRefusedAndHarmsNobody.
func TestMoreBadHTTP(t *testing.T) {
	r := newRig(t, func(c *edge.Config) { c.MaxBody, c.MaxMessage, c.MaxHeader = 4000, 1000, 1024 })
	i := newInnocent(t, r)
	get := func(target string) string { return "GET " + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n" }
	chunks := func(body string) string {
		return "POST /channels/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + body
	}
	lines := func(head string) string {
		return "POST /channels/a HTTP/1.1\r\nHost: localhost\r\n" + head + "\r\n\r\nx"
	}
	for _, c := range []struct {
		request string // to the backend when it is a POST
		status  int
		code    string
	}{
		{"GET  / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "bad_request"},
		{"GET / HTTP/1.1 \r\nHost: localhost\r\n\r\n", 400, "bad_request"},
		{"G\x00T / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "bad_request"},
		{"GET /\x01 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "bad_request"},
		{"GET / HTTP/1.1\r\nHost: localhost\r\nHost: y\r\n\r\n", 400, "bad_request"},
		{"GET / HTTP/1.1\r\nHost: localhost\r\n: v\r\n\r\n", 400, "bad_request"},
		{"GET / HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n", 400, "bad_request"},
		{"GET / HTTP/1.1\r\nHost: localhost\r\nA: \x00\r\n\r\n", 400, "bad_request"},
		{"GET / HTTP/1.1\rHost: localhost\r\r", 400, "bad_request"},
		{"GET / HTTP/1.9\r\nHost: localhost\r\n\r\n", 505, "unsupported_version"},
		{"GET / HTTP/x\r\nHost: localhost\r\n\r\n", 400, "bad_request"},
		{lines("Content-Length: -1"), 400, "bad_request"},
		{lines("Content-Length: +1"), 400, "bad_request"},
		{lines("Content-Length: 1, 1"), 400, "length_conflict"},
		{lines("Content-Length: 1\r\nContent-Length: 1"), 400, "length_conflict"},
		{lines("Content-Length: 99999999999999999999999"), 413, "body_too_large"},
		{lines("Transfer-Encoding: chunked, chunked"), 501, "unsupported_coding"},
		{lines("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), 501, "unsupported_coding"},
		{lines("Transfer-Encoding: xchunked"), 501, "unsupported_coding"},
		{chunks("\r\n"), 400, "bad_chunk"},
		{chunks("-1\r\n"), 400, "bad_chunk"},
		{chunks("0x1\r\n"), 400, "bad_chunk"},
		{chunks("1\nx\n0\n\n"), 400, "bad_chunk"},
		{chunks("1\r\nxx"), 400, "bad_chunk"},
		{chunks("fffffffffffffffff\r\n"), 413, "body_too_large"},
		{chunks("1;" + strings.Repeat("e", 999)), 400, "bad_chunk"},
		{chunks("0\r\nbad trailer\r\n\r\n"), 400, "bad_chunk"},
		{chunks("0\r\n\r\n"), 400, "empty_message"},
		{get("/poll?channels="), 400, "no_channel"},
		{get("/poll?channels=a,,b"), 400, "bad_channel"},
		{get("/poll?channels=" + strings.Repeat("n", 129)), 400, "bad_channel"},
		{get("/poll?channels=%C3%BC"), 400, "bad_channel"},
		{get("/poll?channels=a%00"), 400, "bad_channel"},
		{get("/poll?channels=a,%61"), 400, "duplicate_channel"},
		{get("/poll?channels=a%2Ca"), 400, "duplicate_channel"},
		{get("/ws?channels=a,a"), 400, "duplicate_channel"},
		{get("/poll?channels=a&since=k."), 400, "bad_since"},
		{get("/poll?channels=a&since=k.-1"), 400, "bad_since"},
		{get("/poll?channels=a&since=k.01"), 400, "bad_since"},
		{get("/poll?channels=a&since=K.1"), 400, "bad_since"},
		{get("/poll?channels=a&since=7"), 400, "bad_since"},
		{get("/poll?channels=a&since=k.1,2"), 400, "bad_since"},
		{get("/poll?channels=a&since=k.99999999999999999999"), 400, "bad_since"},
		{get("/poll?channels=a&since=%zz"), 400, "bad_since"},
		{get("/poll?channels=a&wait="), 400, "bad_wait"},
		{get("/poll?channels=a&wait=-1"), 400, "bad_wait"},
		{get("/poll?channels=a&wait=60.1s"), 400, "bad_wait"},
		{get("/poll?channels=a&wait=1e9"), 400, "bad_wait"},
		{get("/poll?channels=a&wait=9999999999999999999h"), 400, "bad_wait"},
		{strings.Replace(get("/ws"), "GET", "POST", 1), 404, "not_found"}, // of the backend
		{"GET /ws" + strings.Replace(handshake, "1.1", "1.0", 1) + "\r\n", 400, "bad_handshake"},
		{"GET /ws" + strings.Replace(handshake, "websocket", "h2c", 1) + "\r\n", 400, "bad_handshake"},
		{"GET /ws" + strings.Replace(handshake, ": Upgrade", ": keep-alive", 1) + "\r\n", 400, "bad_handshake"},
		{"GET /ws" + handshake + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", 400, "bad_handshake"},
		{"GET /ws" + handshake + "Sec-WebSocket-Extensions: ;;\r\n\r\n", 400, "bad_handshake"},
		{"GET /ws" + handshake + "Sec-WebSocket-Protocol: a b\r\n\r\n", 400, "bad_handshake"},
		{"POST /channels/%00 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx", 400, "bad_channel"},
		{"POST /channels/a HTTP/1.1\r\nHost: localhost\r\nEncke-Event: " + strings.Repeat("e", 257) + "\r\nContent-Length: 1\r\n\r\nx", 400, "bad_message"},
		{"POST /channels/a?event=%0A HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx", 400, "bad_message"},
		{"POST /channels/a HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n\"\xff\"", 400, "bad_json"},
	} {
		name := c.request[:min(len(c.request), 60)]
		addr := r.public
		if strings.HasPrefix(c.request, "POST") {
			addr = r.backend
		}
		p := newPeer(t, addr)
		p.write(c.request)
		res, body := p.answer()
		w := parseWire(t, []byte(body))
		if w.Error == nil || res.StatusCode != c.status || w.Error.Code != c.code {
			t.Errorf("%q: got %d %s, want %d %s", name, res.StatusCode, body, c.status, c.code)
		}
		if res.Header.Get("Access-Control-Allow-Origin") != "*" && addr == r.public {
			t.Errorf("%q: headers %v", name, res.Header)
		}
		if res.Close { // then it does, whatever else was sent
			p.ended()
		}
		p.Close()
	}
	i.fine(t)
}

func TestEveryCloseCode(t *testing.T) {
	r := newRig(t, nil)
	i := newInnocent(t, r)
	for _, c := range []struct{ from, to, code int }{
		{0, 999, 1002}, {1000, 1003, 0}, {1004, 1006, 1002}, {1007, 1014, 0}, {1015, 2999, 1002}, {3000, 4999, 0}, {5000, 65535, 1002},
	} {
		for _, sent := range []int{c.from, (c.from + c.to) / 2, c.to} {
			want := c.code
			if want == 0 {
				want = sent // repeated
			}
			s := openWS(t, r.public, "/ws?channels=a", "")
			s.send(ws.OpClose, string(binary.BigEndian.AppendUint16(nil, uint16(sent)))+"bye")
			if got := s.closeCode(); got != want {
				t.Errorf("%d was answered with %d, want %d", sent, got, want)
			}
			s.Close()
		}
	}
	i.fine(t)
}

// TestAByteAtATime: how bytes are split changes nothing.
func TestAByteAtATime(t *testing.T) {
	r := newRig(t, nil)
	drip := func(p *peer, text string) {
		for k := range len(text) {
			p.write(text[k : k+1])
		}
	}
	p := newPeer(t, r.public)
	drip(p, "GET /ws?channels=a"+handshake+"\r\n"+fragments(`{"id":1,`, `"ping":{}}`)+masked(ws.OpText, "grüße \xff"))
	if res := p.head("GET"); res.StatusCode != 101 {
		t.Fatal(res.Status)
	}
	s := &socket{p.Conn, p.r}
	for _, want := range []string{"subscribed", "now", "pong"} {
		if f, err := s.next(); err != nil || !strings.Contains(string(f.Payload), want) {
			t.Fatalf("got %q %v, want %s", f.Payload, err, want)
		}
	}
	if got := s.closeCode(); got != 1007 {
		t.Errorf("closed with %d", got)
	}
	b := newPeer(t, r.backend)
	for _, framing := range []string{"Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n0003\r\nllo\r\n0\r\nA: b\r\n\r\n"} {
		drip(b, "\r\nPOST /channels/drip HTTP/1.1\r\nHost: localhost\r\n"+framing)
		b.want(202)
	}
	q := newPeer(t, r.public)
	drip(q, "GET /poll?channels=drip&since=0&wait=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if w := parseWire(t, []byte(q.want(200))); len(w.Publications) != 2 || string(w.Publications[1].Data) != `"hello"` {
		t.Errorf("got %+v", w)
	}
}

// TestPipelinedRequestsAreAnsweredInOrder sends many at once, good and bad, and reads late.
func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	r := newRig(t, nil)
	p := newPeer(t, r.backend)
	const n = 3000
	var b strings.Builder
	for k := range n {
		switch k % 4 {
		case 0:
			b.WriteString("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		case 1:
			fmt.Fprintf(&b, "POST /channels/p HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n%04d", k)
		case 2:
			b.WriteString("GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")
		case 3:
			b.WriteString("GET /channels/p/history?limit=100 HTTP/1.1\r\nHost: localhost\r\n\r\n")
		}
	}
	go func() { _, _ = p.Write([]byte(b.String())) }()
	for k := range n {
		res, body := p.answer()
		want := []int{200, 202, 404, 200}[k%4]
		if res.StatusCode != want || k%4 == 3 && !strings.Contains(body, fmt.Sprintf(`"data":"%04d"}]`, k-2)) && k < 400 {
			t.Fatalf("answer %d: %s %.200s", k, res.Status, body)
		}
	}
}

// TestErrorsOfCommandsKeepTheConnection, and a bad id is not repeated.
func TestErrorsOfCommandsKeepTheConnection(t *testing.T) {
	r := newRig(t, func(c *edge.Config) { c.MaxMessage = 1000 })
	p := newWS(t, r.public, "/ws")
	for _, c := range []struct {
		command, code string
		offset        int
	}{
		{"", "bad_json", 0}, {"null", "bad_command", 0}, {"[]", "bad_command", 0}, {`"x"`, "bad_command", 0}, {"{}", "bad_command", 0},
		{`{"subscribe":{}}`, "bad_channel", 0}, {`{"subscribe":{"channel":"$x","since":"0,0"}}`, "bad_since", 0},
		{`{"subscribe":{"channel":"a,b"}}`, "bad_channel", 0}, {`{"unsubscribe":{"channel":"a"}}`, "not_subscribed", 0},
		{`{"id":true,"ping":{}}`, "bad_command", 0}, {`{"id":"` + strings.Repeat("x", 100) + `","ping":{}}`, "bad_command", 0},
		{`{"id":1} {`, "bad_json", 10}, {`{"ping":}`, "bad_json", 9}, {"\x00", "bad_json", 1}, {strings.Repeat("[", 900), "bad_json", 900},
		{`{"publish":{"channel":"a","data":1}}`, "forbidden", 0}, {`{"ping":{},"publish":{}}`, "bad_command", 0},
	} {
		w := p.command(c.command)
		if w.Error == nil || w.Error.Code != c.code || c.offset > 0 && w.Error.Offset != c.offset || w.Error.Message == "" {
			t.Errorf("%q: got %+v, want %s at %d", c.command, w.Error, c.code, c.offset)
		}
	}
	if w := p.command(`{"id":-1.5e3,"ping":{}}`); string(w.ID) != "-1.5e3" || w.Error != nil {
		t.Errorf("got %+v", w)
	}
	if st := r.Stats(); st.Refused["forbidden"] != 1 || st.Messages.Commands < 10 {
		t.Errorf("refused %v", st.Refused)
	}
}

// TestClientsOfHTTPGetNoBodyWithHead looks at errors: a body would be taken for the next answer.
func TestClientsOfHTTPGetNoBodyWithHead(t *testing.T) {
	r := newRig(t, nil)
	p := newPeer(t, r.public)
	for _, target := range []string{"/nothing", "/poll", "/poll?channels=a&wait=x"} {
		p.write("HEAD " + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if res := p.head(http.MethodHead); res.StatusCode < 400 || res.ContentLength <= 0 {
			t.Errorf("%s: %s", target, res.Status)
		}
	}
	p.get("/nothing")
	p.want(404)
}
