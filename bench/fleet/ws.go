package fleet

import (
	"encoding/binary"
	"fmt"
	"strconv"

	"encke/bench/wire"
	"encke/wsframe"

	"github.com/gobwas/ws"
)

// socket is a WebSocket client.
type socket struct{}

func (socket) ask(l *loop, i uint32, c *client) {
	k := &l.kinds[c.group]
	path := l.appendPath(l.scratch[:0], c)
	if c.marks&placed != 0 {
		path = l.appendSince(path, c)
		c.marks &^= placed
	}
	n := len(path)
	b := wire.AppendUpgrade(path, string(path), k.Subprotocol, k.token(c))
	l.scratch = b
	l.net.Send(c.id(), b[n:])
}

func (s socket) data(l *loop, i uint32, c *client, b []byte) (taken int) {
	if c.state == asking {
		r, ok := wire.ParseHead(b)
		if !ok {
			return 0
		}
		if r.Status != 101 || string(r.Header("Sec-WebSocket-Accept")) != wire.UpgradeAccept {
			l.fault(i, c, fmt.Errorf("the WebSocket handshake was answered %q", r.StatusLine()))
			return len(b)
		}
		if !l.connected(i, c) {
			return len(b)
		}
		taken = r.Size
	}
	now := l.now()
	for {
		op, payload, size, err := wire.ParseFrame(b[taken:])
		if err != nil {
			l.fault(i, c, err)
			return len(b)
		}
		if size == 0 {
			return taken
		}
		taken += size
		if op == ws.OpText || op == ws.OpBinary {
			l.text(i, c, payload, now)
		} else if !s.control(l, i, c, op, payload) {
			return len(b)
		}
	}
}

// control answers pings; it is false when the connection is over.
func (socket) control(l *loop, i uint32, c *client, op ws.OpCode, payload []byte) bool {
	switch op {
	case ws.OpPing:
		l.net.Send(c.id(), wsframe.AppendMasked(nil, ws.OpPong, payload, [4]byte{1, 2, 3, 4}, true))
	case ws.OpClose:
		code := 0
		if len(payload) >= 2 {
			code = int(binary.BigEndian.Uint16(payload))
			payload = payload[2:]
		}
		l.fault(i, c, fmt.Errorf("the server closed a client's connection: %d %s", code, payload))
		return false
	}
	return true
}

func (socket) timeout(*loop, uint32, *client) {}

// wander subscribes the client to another channel, or unsubscribes it.
func (l *loop) wander(c *client) {
	k := &l.kinds[c.group]
	if k.Transport != "ws" || !k.JSON {
		return
	}
	verb := "subscribe"
	if c.marks&elsewhere != 0 {
		verb = "unsubscribe"
	}
	c.marks ^= elsewhere
	b := append(l.scratch[:0], `{"`+verb+`":{"channel":"elsewhere-`...)
	b = strconv.AppendUint(b, uint64(c.number%100), 10)
	b = append(b, `"}}`...)
	n := len(b)
	b = wsframe.AppendMasked(b, ws.OpText, b, [4]byte{5, 6, 7, 8}, true)
	l.scratch = b
	l.net.Send(c.id(), b[n:])
}
