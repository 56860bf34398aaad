package bench

import (
	"hash/crc32"
	"strconv"
)

// A payload is printable text without anything that JSON escapes:
//
//	publisher (2 hex) sequence (8 hex) scheduled time, Unix ns (16 hex) CRC-32 of all but itself (8 hex) filling
const (
	atSequence = 2
	atTime     = 10
	atSum      = 26
	atFilling  = 34
	// MinSize is the smallest payload.
	MinSize = atFilling
)

// mark is what a payload says.
type mark struct {
	publisher uint8
	sequence  uint32
	time      int64 // when it was scheduled, Unix ns
}

// appendPayload appends a payload of that size.
func appendPayload(dst []byte, m mark, size int) []byte {
	start := len(dst)
	dst = appendHex(dst, uint64(m.publisher), 2)
	dst = appendHex(dst, uint64(m.sequence), 8)
	dst = appendHex(dst, uint64(m.time), 16)
	dst = append(dst, "--------"...)
	for i := atFilling; i < size; i++ {
		dst = append(dst, 'a'+byte(uint32(i)+m.sequence)%26)
	}
	b := dst[start:]
	appendHex(b[:atSum], uint64(sum(b)), 8)
	return dst
}

// parsePayload reads and checks a payload; ok is false when a single bit of it is wrong.
func parsePayload(b []byte, size int) (m mark, ok bool) {
	if len(b) != size || size < MinSize {
		return m, false
	}
	p, ok1 := parseHex(b[:atSequence])
	s, ok2 := parseHex(b[atSequence:atTime])
	t, ok3 := parseHex(b[atTime:atSum])
	c, ok4 := parseHex(b[atSum:atFilling])
	if !ok1 || !ok2 || !ok3 || !ok4 || uint32(c) != sum(b) {
		return m, false
	}
	return mark{uint8(p), uint32(s), int64(t)}, true
}

func sum(b []byte) uint32 {
	return crc32.Update(crc32.ChecksumIEEE(b[:atSum]), crc32.IEEETable, b[atFilling:])
}

func appendHex(dst []byte, v uint64, digits int) []byte {
	for i := digits - 1; i >= 0; i-- {
		dst = append(dst, "0123456789abcdef"[v>>(4*i)&15])
	}
	return dst
}

func parseHex(b []byte) (v uint64, ok bool) {
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			v = v<<4 | uint64(c-'0')
		case c >= 'a' && c <= 'f':
			v = v<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return v, true
}

// digits reads the number that b begins with.
func digits(b []byte) (uint64, bool) {
	n := 0
	for n < len(b) && b[n] >= '0' && b[n] <= '9' {
		n++
	}
	v, err := strconv.ParseUint(string(b[:n]), 10, 64)
	return v, err == nil
}
