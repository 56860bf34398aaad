package bench

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"encke/netloop"
	"encke/wsframe"

	"github.com/gobwas/ws"
)

// subscriber is a WebSocket client that verifies what it is sent. Owned by its loop.
type subscriber struct {
	request   []byte // shared
	size      int    // of payloads; 0: messages are only counted
	json      bool   // encke.json: the payload stands in a publication
	connected bool
	verifier  verifier
	offset    uint64 // encke.json: of the last publication
}

// upgrade is the request of a WebSocket client.
func upgrade(path, subprotocol string) []byte {
	b := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n", path)
	if subprotocol != "" {
		b = fmt.Appendf(b, "Sec-WebSocket-Protocol: %s\r\n", subprotocol)
	}
	return append(b, "\r\n"...)
}

func (s *subscriber) opened(w *worker, c netloop.ID) { w.loop.Share(c, s.request) }

func (s *subscriber) closed(w *worker, why netloop.Reason) { w.fleet.fail(ended(why)) }

func (s *subscriber) data(w *worker, c netloop.ID, b []byte) (taken int) {
	if !s.connected {
		r, ok := parseHead(b)
		if !ok {
			return 0
		}
		if r.status != 101 {
			w.fleet.fail(fmt.Errorf("the WebSocket handshake was answered %q", firstLine(r.head)))
			w.loop.Close(c, netloop.ReasonUser)
			return len(b)
		}
		s.connected = true
		w.ready()
		taken = r.size
	}
	now := time.Now().UnixNano()
	for {
		op, payload, size, err := parseFrame(b[taken:])
		if err != nil {
			w.fleet.fail(err)
			w.loop.Close(c, netloop.ReasonUser)
			return len(b)
		}
		if size == 0 {
			return taken
		}
		taken += size
		if op == ws.OpText || op == ws.OpBinary {
			s.message(w, payload, now)
		} else if !s.control(w, c, op, payload) {
			return len(b)
		}
	}
}

// control answers pings; it is false when the connection is over.
func (s *subscriber) control(w *worker, c netloop.ID, op ws.OpCode, payload []byte) bool {
	switch op {
	case ws.OpPing:
		w.loop.Send(c, wsframe.AppendMasked(nil, ws.OpPong, payload, [4]byte{1, 2, 3, 4}, true))
	case ws.OpClose:
		code := 0
		if len(payload) >= 2 {
			code = int(binary.BigEndian.Uint16(payload))
			payload = payload[2:]
		}
		w.fleet.fail(fmt.Errorf("the server closed a subscriber's connection: %d %s", code, payload))
		w.loop.Close(c, netloop.ReasonUser)
		return false
	}
	return true
}

func (s *subscriber) message(w *worker, b []byte, now int64) {
	if s.json {
		var ok bool
		if b, ok = s.publication(b); !ok {
			return
		}
	}
	if n := len(b); n == s.size+2 && b[0] == '"' { // encke.raw of what was pushed as JSON
		b = b[1 : n-1]
	}
	w.delivered.Add(1)
	if s.size == 0 {
		return
	}
	if m, ok := s.verifier.deliver(b, s.size); ok {
		_ = w.latency.RecordValue((now - m.time) / 1000)
	}
}

// publication takes the payload out of a publication and checks that offsets follow each other; ok is false for replies.
func (s *subscriber) publication(b []byte) (payload []byte, ok bool) {
	const offset, data = `"offset":`, `"data":`
	i, j := bytes.Index(b, []byte(offset)), bytes.Index(b, []byte(data))
	if i < 0 || j < i {
		if !bytes.HasPrefix(b, []byte(`{"subscribed"`)) {
			s.verifier.faults.Corrupted++
		}
		return nil, false
	}
	n, _ := digits(b[i+len(offset):])
	if s.offset != 0 && n != s.offset+1 {
		s.verifier.faults.Disordered++
	}
	s.offset = n
	return b[j+len(data) : len(b)-1], true
}

// parseFrame reads a server's frame; size is 0 while it is not complete.
func parseFrame(b []byte) (op ws.OpCode, payload []byte, size int, err error) {
	if len(b) < 2 {
		return 0, nil, 0, nil
	}
	op = ws.OpCode(b[0] & 15)
	if b[0]&0xf0 != 0x80 || b[1]&0x80 != 0 {
		return 0, nil, 0, fmt.Errorf("the server sent a frame that was not asked for: %x", b[:2])
	}
	head, length := 2, int(b[1])
	switch {
	case length == 126 && len(b) >= 4:
		head, length = 4, int(binary.BigEndian.Uint16(b[2:]))
	case length == 127 && len(b) >= 10:
		head, length = 10, int(binary.BigEndian.Uint64(b[2:]))
	case length >= 126:
		return 0, nil, 0, nil
	}
	if length < 0 || length > 1<<24 {
		return 0, nil, 0, errors.New("the server sent a frame longer than 16 MiB")
	}
	if len(b) < head+length {
		return 0, nil, 0, nil
	}
	return op, b[head : head+length], head + length, nil
}

func firstLine(b []byte) string {
	line, _, _ := bytes.Cut(b, []byte("\r\n"))
	return string(line)
}

// listener is a client of a stream or of a long poll: it is connected once the answer has begun or the poll waits.
type listener struct {
	request   []byte // shared
	poll      bool
	connected bool
}

func (l *listener) opened(w *worker, c netloop.ID) {
	w.loop.Share(c, l.request)
	if l.poll { // there is no sign of a poll that waits
		l.connected = true
		w.ready()
	}
}

func (l *listener) closed(w *worker, why netloop.Reason) { w.fleet.fail(ended(why)) }

func (l *listener) data(w *worker, c netloop.ID, b []byte) int {
	if l.connected && !l.poll {
		return len(b)
	}
	r, ok := parseHead(b)
	if ok && l.poll {
		r, ok = parseResponse(b)
	}
	if !ok {
		return 0
	}
	if r.status != 200 {
		w.fleet.fail(fmt.Errorf("a subscriber was answered %q", firstLine(r.head)))
	}
	if l.poll {
		w.delivered.Add(1)
		w.loop.Share(c, l.request)
		return r.size
	}
	l.connected = true
	w.ready()
	return len(b)
}
