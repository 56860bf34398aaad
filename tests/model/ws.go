package model

import (
	"bytes"
	"compress/flate"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// socket is a WebSocket; encke.raw where the link's transport says so.
type socket struct {
	*link
	deflate bool // negotiated
	deaf    bool // answers no pings
	asked   []ask
	waiting []ask              // channels of the URL that were not confirmed yet
	pending map[string]command // by id
	planned map[string]bool    // subscribed, when everything pending has been carried out
	id      int
	calm    int      // messages until the next commands
	pings   []string // sent, not answered
	allowed map[int]bool
	part    []byte // of a message in several frames
	partOp  ws.OpCode
	flated  bool // that message is compressed
}

// command is one that was sent and not answered.
type command struct {
	verb    string
	channel string
	ask     ask
	refused string // the error that it has earned
	ack     *acking
	visit   *visit // that it ends
}

// overWS lives through one WebSocket.
func (l *link) overWS() error {
	s := &socket{link: l, pending: map[string]command{}, planned: map[string]bool{}, allowed: map[int]bool{}}
	s.deaf = l.heads == nil && l.rng.IntN(20) == 0
	channels := l.some()
	switch {
	case l.transport == "raw":
		channels = l.forRaw(channels)
	case l.rng.IntN(3) == 0 && !l.staying: // the rest, or all, by commands
		channels = l.withOwn(channels[:l.rng.IntN(len(channels)+1)])
	}
	asks, err := l.asks(channels)
	if err != nil {
		return err
	}
	if err := s.handshake(asks); err != nil {
		return err
	}
	for _, a := range asks {
		s.planned[a.channel] = true
	}
	if s.asked = asks; l.transport == "raw" {
		err = l.joinAll(asks)
	} else {
		s.waiting = asks
	}
	return either(err, s.talk())
}

// talk goes on until the client has had enough, and ends in order or not.
func (s *socket) talk() error {
	if s.heads != nil {
		if err := s.subscribeRest(); err != nil {
			return err
		}
	}
	for !s.enough() {
		s.muse()
		if s.staying && !s.await(s.r) {
			return s.dismissed()
		}
		if err := s.say(); err != nil {
			return err
		}
		if err := s.hear(); err != nil {
			return err
		}
	}
	if s.rng.IntN(3) > 0 {
		return nil
	}
	s.allowed[1000] = true
	s.journal.note("closes in order")
	s.leavingAll()
	if err := s.send(ws.OpClose, ws.NewCloseFrameBody(ws.StatusNormalClosure, "")); err != nil {
		return err
	}
	for {
		if err := s.hear(); err != nil {
			return err
		}
	}
}

// handshake upgrades (RFC 6455 section 4.1).
func (s *socket) handshake(asks []ask) error {
	var nonce [16]byte
	for i := range nonce {
		nonce[i] = byte(s.rng.Uint32())
	}
	key := base64.StdEncoding.EncodeToString(nonce[:])
	header, token := s.credentials()
	target := "/ws"
	if len(asks) > 0 {
		target = s.target(target, asks, "")
	}
	if token != "" && s.rng.IntN(2) == 0 {
		target, token = target+token, ""
	}
	request := "GET " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + "\r\n" + header
	request += s.protocols(token)
	if s.rng.Float64() < s.run.scenario.Deflate {
		request += "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover"
		if s.rng.IntN(2) == 0 {
			request += fmt.Sprintf("; server_max_window_bits=%d", 8+s.rng.IntN(8))
		}
		request += "\r\n"
	}
	s.askingAll(asks)
	if err := s.write([]byte(request + "\r\n")); err != nil {
		return err
	}
	res, err := readAnswer(s.r)
	if err != nil {
		return err
	}
	if err := s.status(res.StatusCode, 101, res.Body); err != nil {
		return err
	}
	return either(s.served(), s.upgraded(res, key))
}

// protocols lists the subprotocol, and the token where that is brought as one.
func (s *socket) protocols(token string) string {
	var list []string
	if token != "" {
		list = append(list, "encke.token."+s.user.token)
	}
	switch {
	case s.transport == "raw":
		list = append(list, "encke.raw")
	case token != "" || s.rng.IntN(4) == 0:
		list = append(list, "encke.json")
	default:
		return ""
	}
	s.rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return "Sec-WebSocket-Protocol: " + strings.Join(list, ", ") + "\r\n"
}

func (s *socket) upgraded(res *http.Response, key string) error {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	if got := res.Header.Get("Sec-WebSocket-Accept"); got != base64.StdEncoding.EncodeToString(sum[:]) {
		return fmt.Errorf("Sec-WebSocket-Accept: %q for key %q", got, key)
	}
	if got := res.Header.Get("Sec-WebSocket-Protocol"); (got == "encke.raw") != (s.transport == "raw") {
		return fmt.Errorf("Sec-WebSocket-Protocol: %q for %s", got, s.transport)
	}
	extensions := res.Header.Get("Sec-WebSocket-Extensions")
	if s.deflate = extensions != ""; s.deflate && !strings.Contains(extensions, "server_no_context_takeover") {
		return fmt.Errorf("Sec-WebSocket-Extensions: %q", extensions)
	}
	return nil
}

// send sends one masked frame (RFC 6455 section 5.3).
func (s *socket) send(op ws.OpCode, payload []byte) error {
	f := ws.MaskFrameInPlaceWith(ws.NewFrame(op, true, bytes.Clone(payload)), [4]byte{byte(s.id), 2, 3, 4})
	b, err := ws.CompileFrame(f)
	if err != nil {
		return err
	}
	return s.write(b)
}

// hear takes one frame and checks what it says.
func (s *socket) hear() error {
	f, err := ws.ReadHeader(s.r)
	if err != nil {
		return err
	}
	if f.Masked || f.Length > 1<<20 || f.Rsv1() && !s.deflate || f.Rsv2() || f.Rsv3() {
		return fmt.Errorf("a frame that must not be: %+v", f)
	}
	payload := make([]byte, f.Length)
	if _, err := io.ReadFull(s.r, payload); err != nil {
		return err
	}
	switch f.OpCode {
	case ws.OpClose:
		return s.closed(payload)
	case ws.OpPing:
		if s.deaf {
			return nil
		}
		return s.send(ws.OpPong, payload)
	case ws.OpPong:
		return s.pong(string(payload))
	}
	return s.data(f, payload)
}

// data puts fragments together (RFC 6455 section 5.4) and decompresses (RFC 7692 section 7.2.2).
func (s *socket) data(f ws.Header, payload []byte) error {
	if (f.OpCode == ws.OpContinuation) != (s.partOp != 0) {
		return fmt.Errorf("a fragment out of place: %+v", f)
	}
	if f.OpCode != ws.OpContinuation {
		s.partOp, s.flated = f.OpCode, f.Rsv1()
	}
	if s.part = append(s.part, payload...); !f.Fin {
		return nil
	}
	op, message := s.partOp, s.part
	s.part, s.partOp = nil, 0
	if s.flated {
		var err error
		r := flate.NewReader(io.MultiReader(bytes.NewReader(message), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff")))
		if message, err = io.ReadAll(r); err != nil {
			return fmt.Errorf("cannot decompress: %v", err) // not wrapped: no cut does this
		}
	}
	if op == ws.OpText && !utf8.Valid(message) {
		return fmt.Errorf("text that is not UTF-8: %.200q", message)
	}
	if s.transport == "raw" {
		return s.s.TakeRaw(message, op == ws.OpBinary)
	}
	if op != ws.OpText {
		return fmt.Errorf("a binary frame: %.200q", message)
	}
	return s.text(message)
}

// text takes an object: a publication, a gap, a reply.
func (s *socket) text(message []byte) error {
	if s.s.quick(message) {
		return nil
	}
	var o object
	if err := json.Unmarshal(message, &o); err != nil {
		return fmt.Errorf("%.200q: %w", message, err)
	}
	switch {
	case o.Channel != "":
		return s.s.TakeObject(&o)
	case o.ID == nil && o.Subscribed != nil:
		if len(s.waiting) == 0 || s.waiting[0].channel != o.Subscribed.Channel {
			return fmt.Errorf("not expected: %.200q", message)
		}
		a := s.waiting[0]
		s.waiting = s.waiting[1:]
		return s.subscribed(a, &o)
	case o.ID != nil:
		return s.reply(&o, message)
	}
	return fmt.Errorf("not expected: %.200q", message)
}

// subscribed checks that a subscription has begun, and where.
func (s *socket) subscribed(a ask, o *object) error {
	err := s.s.Subscribed(a, o.Subscribed.Position, o.Subscribed.Recovered)
	s.confirmed(a.channel)
	return err
}

// closed checks with which code the server ends the connection.
func (s *socket) closed(payload []byte) error {
	code, reason := ws.ParseCloseFrameData(payload)
	s.run.tally.Add(fmt.Sprintf("closed/%d", code), 1)
	s.journal.note("closed with %d %q", code, reason)
	switch {
	case s.allowed[int(code)]:
		return io.EOF
	case code == 4004 && s.transport == "raw":
		return either(s.s.GapOfRaw(s.asked, s.run.scenario.Lags), io.EOF)
	case code == 1001, code == 1012, code == 1013, code >= 4000 && code < 4100:
		return io.EOF
	}
	return fmt.Errorf("closed with %d %q", code, reason)
}

func (s *socket) pong(payload string) error {
	for i, sent := range s.pings {
		if sent == payload { // RFC 6455 section 5.5.3: earlier ones may go unanswered
			s.pings = s.pings[i+1:]
			return nil
		}
	}
	return fmt.Errorf("a pong for no ping: %q", payload)
}
