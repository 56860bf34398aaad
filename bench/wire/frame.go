package wire

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/gobwas/ws"
)

const maxFrame = 16 << 20

// ParseFrame reads a WebSocket server's frame, unmasked and whole (RFC 6455 section 5.2); size is 0 while it is not
// complete. Fragments and extensions are errors, since nobody asked for them.
func ParseFrame(b []byte) (op ws.OpCode, payload []byte, size int, err error) {
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
	if length < 0 || length > maxFrame {
		return 0, nil, 0, errors.New("the server sent a frame longer than 16 MiB")
	}
	if len(b) < head+length {
		return 0, nil, 0, nil
	}
	return op, b[head : head+length], head + length, nil
}

// AppendUpgrade appends the request of a WebSocket client (RFC 6455 section 4.1). The key is always the same: the harness
// measures servers, it does not hide from proxies. An empty token is none.
func AppendUpgrade(b []byte, path, subprotocol string, token []byte) []byte {
	b = append(b, "GET "...)
	b = append(b, path...)
	b = append(b, " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"...)
	if subprotocol != "" {
		b = append(b, "Sec-WebSocket-Protocol: "...)
		b = append(b, subprotocol...)
		b = append(b, "\r\n"...)
	}
	return append(AppendBearer(b, token), "\r\n"...)
}

// AppendBearer appends the header line of a request that brings a token (RFC 6750 section 2.1), nothing for an empty one.
func AppendBearer(b, token []byte) []byte {
	if len(token) == 0 {
		return b
	}
	return append(append(append(b, "Authorization: Bearer "...), token...), "\r\n"...)
}

// UpgradeAccept is the Sec-WebSocket-Accept that answers AppendUpgrade's key (RFC 6455 section 1.3).
const UpgradeAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
