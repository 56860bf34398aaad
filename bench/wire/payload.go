package wire

import (
	"hash/crc32"
	"strconv"
)

// A payload is printable text without anything that JSON escapes:
//
//	publisher (2 hex) sequence (8 hex) scheduled time, Unix ns (16 hex) checksum (8 hex) filling
//
// The checksum is a CRC-32 of all but itself, exclusive or the number of the stream that the message is for: one that was
// sent to another stream's client is as wrong as one with a bit changed.
const (
	atSequence = 2
	atTime     = 10
	atSum      = 26
	atFilling  = 34
	// MinSize is the smallest payload.
	MinSize = atFilling
)

// Mark is what a payload says.
type Mark struct {
	Publisher uint8
	Sequence  uint32
	Time      int64 // when it was scheduled, Unix ns
	Stream    uint32
}

// AppendPayload appends a payload of size bytes, at least MinSize.
func AppendPayload(dst []byte, m Mark, size int) []byte {
	start := len(dst)
	dst = appendHex(dst, uint64(m.Publisher), 2)
	dst = appendHex(dst, uint64(m.Sequence), 8)
	dst = appendHex(dst, uint64(m.Time), 16)
	dst = append(dst, "--------"...)
	for i := atFilling; i < size; i++ {
		dst = append(dst, 'a'+byte(uint32(i)+m.Sequence)%26)
	}
	b := dst[start:]
	appendHex(b[:atSum], uint64(sum(b)^m.Stream), 8)
	return dst
}

// ParsePayload reads and checks a payload of a stream; ok is false when a single bit of it is wrong, or the stream.
func ParsePayload(b []byte, size int, stream uint32) (m Mark, ok bool) {
	if len(b) != size || size < MinSize {
		return m, false
	}
	p, ok1 := parseHex(b[:atSequence])
	s, ok2 := parseHex(b[atSequence:atTime])
	t, ok3 := parseHex(b[atTime:atSum])
	c, ok4 := parseHex(b[atSum:atFilling])
	if !ok1 || !ok2 || !ok3 || !ok4 || uint32(c) != sum(b)^stream {
		return m, false
	}
	return Mark{uint8(p), uint32(s), int64(t), stream}, true
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

// nibbles are the values of hexadecimal digits; 0xff: none.
var nibbles = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i := range 16 {
		t["0123456789abcdef"[i]] = byte(i)
	}
	return t
}()

func parseHex(b []byte) (v uint64, ok bool) {
	bad := byte(0)
	for _, c := range b {
		n := nibbles[c]
		bad |= n
		v = v<<4 | uint64(n&15)
	}
	return v, bad < 16
}

// Digits reads the number that b begins with.
func Digits(b []byte) (uint64, bool) {
	n := 0
	for n < len(b) && b[n] >= '0' && b[n] <= '9' {
		n++
	}
	v, err := strconv.ParseUint(string(b[:n]), 10, 64)
	return v, err == nil
}
