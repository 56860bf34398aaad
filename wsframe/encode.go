package wsframe

import (
	"encoding/binary"

	"github.com/gobwas/ws"
)

// The bits of the first two bytes of a frame (RFC 6455 section 5.2).
const (
	bitFin  = 0x80
	bitRsv1 = 0x40
	bitMask = 0x80
)

// AppendHeader appends the header of a server's unfragmented frame with a payload of that length. rsv1 marks it as
// compressed (RFC 7692 section 6).
func AppendHeader(dst []byte, op ws.OpCode, length int, rsv1 bool) []byte {
	first := bitFin | byte(op)
	if rsv1 {
		first |= bitRsv1
	}
	return appendHeader(dst, first, 0, length)
}

// appendHeader appends the first byte and the length in as few bytes as it needs (RFC 6455 section 5.2).
func appendHeader(dst []byte, first, mask byte, length int) []byte {
	switch {
	case length < 126:
		return append(dst, first, mask|byte(length))
	case length <= 0xffff:
		return append(dst, first, mask|126, byte(length>>8), byte(length))
	}
	return binary.BigEndian.AppendUint64(append(dst, first, mask|127), uint64(length))
}

// AppendFrame appends a server's unfragmented frame. It does not check that a control frame's payload is at most 125
// bytes.
func AppendFrame(dst []byte, op ws.OpCode, payload []byte) []byte {
	return append(AppendHeader(dst, op, len(payload), false), payload...)
}

// AppendMasked appends a client's frame (RFC 6455 section 5.3). payload is left as it is.
func AppendMasked(dst []byte, op ws.OpCode, payload []byte, key [4]byte, fin bool) []byte {
	first := byte(op)
	if fin {
		first |= bitFin
	}
	return appendMasked(dst, first, payload, key)
}

// appendMasked is AppendMasked with the whole first byte given.
func appendMasked(dst []byte, first byte, payload []byte, key [4]byte) []byte {
	dst = appendHeader(dst, first, bitMask, len(payload))
	dst = append(dst, key[:]...)
	start := len(dst)
	dst = append(dst, payload...)
	ws.Cipher(dst[start:], key, 0)
	return dst
}
