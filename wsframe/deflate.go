package wsframe

import (
	"sync"

	"github.com/gobwas/ws"
	"github.com/klauspost/compress/flate"
)

const (
	// deflateLevel: a publication is compressed once and sent many times, and level 5 is the first that gains (15 %
	// smaller than 1 to 4 from a few KB on); above 6 the time doubles for nothing. See BenchmarkDeflateLevel.
	deflateLevel = 5

	// flushMark ends a flush (RFC 7692 section 7.2.1); it is cut off and put back by the other side.
	flushMark = "\x00\x00\xff\xff"

	// emptyDeflated is a compressed message of no bytes (RFC 7692 section 7.2.3.6).
	emptyDeflated = 0x00

	// keepDeflated is the largest output buffer that goes back to the pool.
	keepDeflated = 1 << 20
)

// deflater is a compressor and what it wrote.
type deflater struct {
	w   *flate.Writer
	out []byte
}

// Write takes compressed bytes from the writer.
func (d *deflater) Write(b []byte) (int, error) {
	d.out = append(d.out, b...)
	return len(b), nil
}

// deflaters is shared by all goroutines: a compressor has about 1 MB, too much for each loop.
var deflaters = sync.Pool{New: func() any {
	d := new(deflater)
	w, err := flate.NewWriter(d, deflateLevel)
	if err != nil { // only for a level that does not exist
		panic("BUG: " + err.Error())
	}
	d.w = w
	return d
}}

// AppendDeflated appends a message compressed without context as one frame of a server (RFC 7692 section 7.2.1).
// References reach back at most len(payload) bytes and 32 KiB: a client that allows only a smaller window may get it
// when FitsWindow says so, and AppendFrame otherwise. Any goroutine may call it.
func AppendDeflated(dst []byte, op ws.OpCode, payload []byte) []byte {
	if len(payload) == 0 {
		return append(AppendHeader(dst, op, 1, true), emptyDeflated)
	}
	d := deflaters.Get().(*deflater)
	dst = d.append(dst, op, payload)
	if cap(d.out) > keepDeflated {
		d.out = nil
	}
	deflaters.Put(d)
	return dst
}

// append compresses the payload and appends the frame.
func (d *deflater) append(dst []byte, op ws.OpCode, payload []byte) []byte {
	d.out = d.out[:0]
	d.w.Reset(d)
	if _, err := d.w.Write(payload); err != nil {
		panic("BUG: " + err.Error()) // deflater.Write returns none
	}
	if err := d.w.Flush(); err != nil {
		panic("BUG: " + err.Error())
	}
	n := len(d.out) - len(flushMark)
	if n < 0 || string(d.out[n:]) != flushMark {
		panic("BUG: a flush did not end in 00 00 ff ff")
	}
	return append(AppendHeader(dst, op, n, true), d.out[:n]...)
}

// FitsWindow says whether a compressed message of length bytes (before compression) can be read with a window of that
// many bits (RFC 7692 section 7.1.2): no reference reaches further back than the message is long.
func FitsWindow(length int, bits uint8) bool {
	return bits >= fullBits || length <= 1<<bits
}
