package wsframe

import (
	"encoding/binary"

	"github.com/gobwas/ws"
)

const (
	masked   = true
	unmasked = false
)

// parseHeader reads and checks a frame's header (RFC 6455 section 5.2). mask says whether the frame must be masked,
// fragmented whether a message is open, deflate whether permessage-deflate was negotiated. size is 0 when the header is
// not complete; ok is false when it broke the protocol, which shows from the first two bytes but for the length.
func parseHeader(b []byte, mask, fragmented, deflate bool) (h ws.Header, size int, ok bool) {
	if len(b) < 2 {
		return h, 0, true
	}
	h.Fin = b[0]&bitFin != 0
	h.Rsv = b[0] >> 4 & 7
	h.OpCode = ws.OpCode(b[0] & 0x0f)
	h.Masked = b[1]&bitMask != 0
	short := b[1] &^ bitMask
	if h.Masked != mask || !legal(h, short, fragmented, deflate) { // 5.1: clients mask, servers do not
		return h, 0, false
	}
	size = 2
	switch short {
	case 126:
		size = 4
	case 127:
		size = 10
	}
	if mask {
		size += 4
	}
	if len(b) < size {
		return h, 0, true
	}
	// 5.2: the minimal number of bytes must be used for the length, and its top bit must be 0.
	ok = true
	switch short {
	case 126:
		h.Length = int64(binary.BigEndian.Uint16(b[2:]))
		ok = h.Length >= 126
	case 127:
		h.Length = int64(binary.BigEndian.Uint64(b[2:]))
		ok = h.Length > 0xffff
	default:
		h.Length = int64(short)
	}
	if mask {
		copy(h.Mask[:], b[size-4:])
	}
	return h, size, ok
}

// legal checks what the first two bytes of a frame tell; short is the 7-bit length.
func legal(h ws.Header, short byte, fragmented, deflate bool) bool {
	if h.OpCode.IsControl() {
		// 5.5: control frames are short and not fragmented. RFC 7692 section 6.1: and never compressed.
		return !h.OpCode.IsReserved() && h.Fin && short <= maxControl && h.Rsv == 0
	}
	if h.OpCode == ws.OpContinuation { // 5.4: only within a message; RFC 7692 section 6.1: without RSV1
		return fragmented && h.Rsv == 0
	}
	// 5.4: a message does not begin within another.
	if fragmented || h.OpCode.IsReserved() {
		return false
	}
	// 5.2: reserved bits are 0 unless an extension gave them a meaning.
	return h.Rsv == 0 || deflate && h.Rsv == ws.Rsv(true, false, false)
}
