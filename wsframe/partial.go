package wsframe

import (
	"github.com/gobwas/ws"

	"encke/codes"
)

// Partial is a message of which a part has arrived. It belongs to a connection, together with the undecoded tail of its
// bytes, and to the Decoder that returned it: only that one may continue or release it.
//
//	nil ──first frame──▶ within a frame (left > 0) ◀──▶ between frames (left = 0) ──last byte──▶ nil
type Partial struct {
	// Of the message.
	op         ws.OpCode
	compressed bool
	text       utf8State // of uncompressed text
	buf        []byte    // unmasked payload so far, from Decoder.spare

	// Of the frame.
	fin  bool
	mask [4]byte
	pos  int // bytes of the frame that came, modulo 4
	left int // bytes of the frame that are to come

	released bool
}

// Size returns the bytes of memory that the message takes; 0 for nil.
func (p *Partial) Size() int {
	if p == nil {
		return 0
	}
	return cap(p.buf)
}

// keepPartials bounds the spare Partials of a Decoder (about 100 KB).
const keepPartials = 1024

// begin returns the message with the header's frame begun; p is nil for a first frame.
func (d *Decoder) begin(p *Partial, h ws.Header) *Partial {
	if p == nil {
		p = d.newPartial()
		p.op, p.compressed = h.OpCode, h.Rsv1()
	}
	p.fin, p.mask, p.pos, p.left = h.Fin, h.Mask, 0, int(h.Length)
	return p
}

// continueFrame moves payload of the current frame from b into the message. It returns false for text that is not UTF-8.
func (d *Decoder) continueFrame(p *Partial, b []byte) bool {
	if d.mask {
		ws.Cipher(b, p.mask, p.pos)
		p.pos = (p.pos + len(b)) % 4
	}
	p.left -= len(b)
	if p.op == ws.OpText && !p.compressed && !p.text.push(b) {
		return false
	}
	if len(b) > 0 {
		p.buf = d.spare.append(p.buf, b)
	}
	return true
}

// finish hands the message, whose last byte has come, to the sink and releases it.
func (d *Decoder) finish(p *Partial, lim Limits, s Sink) (goOn bool, code codes.Code) {
	switch {
	case p.compressed:
		p.buf = d.spare.grow(p.buf, len(inflateTail))
		p.buf = append(p.buf, inflateTail...)
		goOn, code = d.inflated(p.op, p.buf, lim, s)
	case !p.text.done(): // 8.1: a character must not be cut off by the message's end
		code = codes.InvalidUTF8
	default:
		goOn = s.Message(p.op, p.buf)
	}
	d.Release(p)
	return goOn, code
}

// newPartial returns a Partial, zero.
func (d *Decoder) newPartial() *Partial {
	last := len(d.partials) - 1
	if last < 0 {
		return new(Partial)
	}
	p := d.partials[last]
	d.partials[last] = nil
	d.partials = d.partials[:last]
	p.released = false
	return p
}

// Release gives back the Partial of a connection that ended; nil is fine. It must not be called with a Partial that
// was passed to a Decode that has not returned.
func (d *Decoder) Release(p *Partial) {
	if p == nil {
		return
	}
	if p.released {
		panic("BUG: Partial released twice")
	}
	d.spare.put(p.buf)
	*p = Partial{released: true}
	if len(d.partials) < keepPartials {
		d.partials = append(d.partials, p)
	}
}
