package wsframe

import (
	"bytes"
	"io"
	"math"

	"github.com/klauspost/compress/flate"

	"encke/codes"
)

// inflateTail is put after a compressed message: the flush mark that the sender cut off (RFC 7692 section 7.2.2), and an
// empty final block, whose end tells a message that is whole from one that stops within a block.
const inflateTail = flushMark + "\x01\x00\x00\xff\xff"

// inflater is the decompressor of a Decoder, made when the first compressed message arrives (about 40 KB).
type inflater struct {
	src bytes.Reader
	r   io.ReadCloser
}

// deflatedLimit is the longest compressed form of a message of limit bytes that a sensible compressor makes: 9/8, from
// literals of the fixed code, and some blocks' overhead. It bounds what is buffered of a compressed message.
func deflatedLimit(limit int) int {
	if limit > math.MaxInt/2 {
		return math.MaxInt - 64
	}
	return limit + limit/8 + limit/64 + 64
}

// inflate decompresses a message in src, which ends in inflateTail, into a buffer that the caller puts back. The code is
// FrameTooBig as soon as there are more than limit bytes, InvalidUTF8 for data that is not DEFLATE; the buffer is nil
// then.
func (f *inflater) inflate(spare *buffers, src []byte, limit int) ([]byte, codes.Code) {
	// Some clients send no byte at all for an empty message, instead of the 00 of RFC 7692 section 7.2.3.6.
	if len(src) == len(inflateTail) {
		return nil, codes.None
	}
	f.restart(src)
	out := spare.take(min(4*len(src), deflatedLimit(limit)))
	for {
		if len(out) == cap(out) {
			out = spare.grow(out, 1)
		}
		n, err := f.r.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
		if len(out) > limit {
			spare.put(out)
			return nil, codes.FrameTooBig
		}
		switch {
		case err == nil:
		case err == io.EOF && f.src.Len() == 0: // the final block of inflateTail
			return out, codes.None
		case err == io.EOF: // a final block of the client's
			f.resume()
		default:
			spare.put(out)
			return nil, codes.InvalidUTF8
		}
	}
}

// restart begins a message.
func (f *inflater) restart(src []byte) {
	f.src.Reset(src)
	if f.r == nil {
		f.r = flate.NewReader(&f.src)
		return
	}
	f.resume()
}

// resume begins a DEFLATE stream where the reader stands. RFC 7692 section 7.2.1: a block with BFINAL set is padded to
// the byte, and further blocks may follow it. References of these into what was before the final block are not
// supported: RFC 1951 has none, and handing 32 KiB over at each would make a message of tiny final blocks (50 ns each
// now) many times dearer.
func (f *inflater) resume() {
	if err := f.r.(flate.Resetter).Reset(&f.src, nil); err != nil {
		panic("BUG: " + err.Error()) // returns none
	}
}
