package edge_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"encke/wsframe"

	"github.com/gobwas/ws"
)

// wire is any JSON object that the server sends: a publication, a gap, a reply.
type wire struct {
	Channel      string
	Offset       uint64
	Position     string
	Event        string
	Time         int64
	Type         string
	Encoding     string
	Data         json.RawMessage
	Gap          bool
	Reason       string
	ID           json.RawMessage
	Subscribed   *struct{ Channel, Position string }
	Unsubscribed *struct{ Channel string }
	User         string
	Published    *struct {
		Offset      uint64
		Subscribers int
	}
	Refreshed *struct {
		User    string
		Expires int64
	}
	Mail  uint64
	Ack   *struct{ Acknowledged int }
	Error *struct {
		Code, Message, Channel string
		Offset                 int
	}
	Publications []wire
}

func parseWire(t testing.TB, text []byte) (w wire) {
	t.Helper()
	if err := json.Unmarshal(text, &w); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return w
}

// peer is a raw HTTP client: what is sent is what is written.
type peer struct {
	net.Conn
	t testing.TB
	r *bufio.Reader
}

func newPeer(t testing.TB, addr string) *peer {
	t.Helper()
	c := connect(t, addr)
	return &peer{c, t, bufio.NewReader(c)}
}

func (p *peer) write(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p, text); err != nil {
		p.t.Fatal(err)
	}
}

// get sends a GET with further header lines.
func (p *peer) get(target string, lines ...string) {
	p.t.Helper()
	p.write("GET " + target + " HTTP/1.1\r\nHost: localhost\r\n" + strings.Join(append(lines, ""), "\r\n") + "\r\n")
}

// head reads a response's head.
func (p *peer) head(method string) *http.Response {
	p.t.Helper()
	res, err := http.ReadResponse(p.r, &http.Request{Method: method})
	if err != nil {
		p.t.Fatal(err)
	}
	return res
}

// answer reads a response and its body.
func (p *peer) answer() (*http.Response, string) {
	p.t.Helper()
	res := p.head("GET")
	body, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return res, string(body)
}

// want reads a response, demands the status, and returns the body.
func (p *peer) want(status int) string {
	p.t.Helper()
	res, body := p.answer()
	if res.StatusCode != status {
		p.t.Fatalf("got %s %s, want %d", res.Status, body, status)
	}
	return body
}

// ended demands that the server closes the connection and says nothing more.
func (p *peer) ended() {
	p.t.Helper()
	if rest, err := io.ReadAll(p.r); err != nil || len(rest) > 0 {
		p.t.Fatalf("got %q %v, want the end", rest, err)
	}
}

// ask sends one request to the backend on a connection of its own.
func (r *rig) ask(t testing.TB, method, target, body string, lines ...string) (*http.Response, string) {
	t.Helper()
	p := newPeer(t, r.backend)
	defer p.Close()
	if body != "" {
		lines = append(lines, fmt.Sprintf("Content-Length: %d", len(body)))
	}
	p.write(method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n" + strings.Join(append(lines, "Connection: close", ""), "\r\n") + "\r\n" + body)
	res := p.head(method)
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.Header.Get("Content-Type") == "application/json" { // which ends with one here
		return res, strings.TrimSuffix(string(text), "\n")
	}
	return res, string(text)
}

// push publishes and returns the answer.
func (r *rig) push(t testing.TB, channel, body string, lines ...string) wire {
	t.Helper()
	res, text := r.ask(t, "POST", "/channels/"+channel, body, lines...)
	if res.StatusCode != 201 && res.StatusCode != 202 {
		t.Fatalf("push to %s: %s %s", channel, res.Status, text)
	}
	return parseWire(t, []byte(text))
}

// subscribers waits until a channel has that many.
func (r *rig) subscribers(t testing.TB, channel string, n int) {
	t.Helper()
	waitFor(t, fmt.Sprintf("%d subscribers of %s", n, channel), func() bool {
		_, text := r.ask(t, "GET", "/channels/"+channel, "")
		var state struct{ Subscribers int }
		_ = json.Unmarshal([]byte(text), &state)
		return state.Subscribers == n
	})
}

// wsPeer is a WebSocket client that understands compressed frames.
type wsPeer struct {
	*peer
	res     *http.Response
	deflate bool
	decoder *wsframe.Decoder
	partial *wsframe.Partial
	tail    []byte
	frames  []wsMessage
}

type wsMessage struct {
	op   ws.OpCode
	data string
}

func (p *wsPeer) Message(op ws.OpCode, b []byte) bool {
	p.frames = append(p.frames, wsMessage{op, string(b)})
	return true
}

func (p *wsPeer) Control(op ws.OpCode, b []byte) bool { return p.Message(op, b) }

func newWS(t testing.TB, addr, target string, lines ...string) *wsPeer {
	t.Helper()
	p := newPeer(t, addr)
	p.write("GET " + target + handshake + strings.Join(append(lines, ""), "\r\n") + "\r\n")
	res := p.head("GET")
	if res.StatusCode != 101 || res.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		body, _ := io.ReadAll(res.Body)
		t.Fatalf("handshake: %v %s", res, body)
	}
	deflate := strings.HasPrefix(res.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate")
	return &wsPeer{peer: p, res: res, deflate: deflate, decoder: wsframe.NewClientDecoder()}
}

// frame returns the next message or control frame; ok is false at the end of the connection.
func (p *wsPeer) frame() (m wsMessage, ok bool) {
	p.t.Helper()
	for len(p.frames) == 0 {
		b := make([]byte, 32<<10)
		n, err := p.r.Read(b)
		if err != nil {
			return m, false
		}
		p.tail = append(p.tail, b[:n]...)
		n, next, code := p.decoder.Decode(p.partial, p.deflate, wsframe.Limits{Message: 1 << 30}, p.tail, p)
		if code != 0 {
			p.t.Fatalf("the server sent a frame that is wrong: %v", code)
		}
		p.partial, p.tail = next, append([]byte(nil), p.tail[n:]...)
	}
	m, p.frames = p.frames[0], p.frames[1:]
	return m, true
}

// text demands a text frame with an object.
func (p *wsPeer) text() wire {
	p.t.Helper()
	m, ok := p.frame()
	if !ok || m.op != ws.OpText {
		p.t.Fatalf("got %v %q %v, want text", m.op, m.data, ok)
	}
	return parseWire(p.t, []byte(m.data))
}

func (p *wsPeer) send(op ws.OpCode, payload string) {
	p.t.Helper()
	p.write(string(wsframe.AppendMasked(nil, op, []byte(payload), [4]byte{7, 1, 8, 2}, true)))
}

// command sends a command and returns the reply.
func (p *wsPeer) command(text string) wire {
	p.t.Helper()
	p.send(ws.OpText, text)
	return p.text()
}

// closed reads on until the close frame, demands its code and name, and then the end of the connection.
func (p *wsPeer) closed(code int, name string) {
	p.t.Helper()
	for {
		m, ok := p.frame()
		if !ok {
			p.t.Fatalf("the connection ended without a close frame, want %d", code)
		}
		if m.op != ws.OpClose {
			continue
		}
		if len(m.data) < 2 || int(m.data[0])<<8|int(m.data[1]) != code || name != closeName(m.data[2:]) {
			p.t.Fatalf("close frame %q, want %d %q", m.data, code, name)
		}
		if m, ok := p.frame(); ok {
			p.t.Fatalf("%v after the close frame", m)
		}
		return
	}
}

// closeName is a close frame's reason without the advice when to come back.
func closeName(reason string) string {
	name, _, _ := strings.Cut(reason, " retry=")
	return name
}

// block is one of an event stream.
type block struct{ id, event, data, comment string }

// events reads an event stream as the WHATWG standard says.
type events struct {
	t testing.TB
	r *bufio.Reader
}

func (e events) next() (b block) {
	e.t.Helper()
	for {
		line, err := e.r.ReadString('\n')
		if err != nil {
			e.t.Fatalf("%v after %+v", err, b)
		}
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			return b
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "":
			b.comment += ":"
		case "id":
			b.id = value
		case "event":
			b.event = value
		case "data":
			b.data += value
		default:
			e.t.Fatalf("the line %q", line)
		}
	}
}

// publication returns the next block with data.
func (e events) publication() (block, wire) {
	e.t.Helper()
	for {
		if b := e.next(); b.data != "" && b.event != "resumed" {
			return b, parseWire(e.t, []byte(b.data))
		}
	}
}

// lines reads a stream of JSON lines.
type lines struct {
	t testing.TB
	r *bufio.Reader
}

func (l lines) next() wire {
	l.t.Helper()
	for {
		line, err := l.r.ReadBytes('\n')
		if err != nil {
			l.t.Fatal(err)
		}
		if len(bytes.TrimSpace(line)) > 0 {
			return parseWire(l.t, line)
		}
	}
}

// openStream opens /sse or /stream and returns the response with its body.
func openStream(t testing.TB, addr, target string, extra ...string) (*peer, *http.Response, *bufio.Reader) {
	t.Helper()
	p := newPeer(t, addr)
	p.get(target, extra...)
	res := p.head("GET")
	if res.StatusCode != 200 {
		t.Fatalf("%s: %s", target, res.Status)
	}
	return p, res, bufio.NewReader(res.Body)
}
