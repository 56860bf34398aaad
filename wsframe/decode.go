package wsframe

import (
	"unicode/utf8"

	"github.com/gobwas/ws"

	"encke/codes"
)

// Limits bounds what a peer may send.
type Limits struct {
	Message int // longest message, bytes after decompression; above it FrameTooBig
}

// Sink takes what was decoded. A payload is valid until the method returns, and must not be written to after. The methods
// must not call the Decoder that calls them.
type Sink interface {
	// Message is called with each whole data message, OpText (valid UTF-8) or OpBinary, inflated. false stops decoding.
	Message(op ws.OpCode, payload []byte) bool
	// Control is called with each OpPing, OpPong or OpClose frame, also between the fragments of a message; its payload has
	// at most 125 bytes. false stops decoding.
	Control(op ws.OpCode, payload []byte) bool
}

// Decoder decodes the frames of many connections, one after the other. It holds buffers and a decompressor, no state of
// a connection. One goroutine at a time may use it.
type Decoder struct {
	mask     bool // frames must be masked, or must not be
	spare    buffers
	partials []*Partial
	inflater inflater
}

// NewDecoder returns a Decoder for a server: what clients send is masked (RFC 6455 section 5.1).
func NewDecoder() *Decoder { return &Decoder{mask: masked} }

// NewClientDecoder returns a Decoder for a client: what servers send is not masked.
func NewClientDecoder() *Decoder { return &Decoder{mask: unmasked} }

// Decode takes frames from b, which it unmasks in place, and hands whole messages and control frames to s. p is what
// the connection's last call returned, nil at first; it belongs to Decode until that returns next. deflate says whether
// permessage-deflate was negotiated.
//
// The first n bytes of b are consumed: everything but an incomplete header or control frame at its end (fewer than 140
// bytes), which must come again in front of what is read next. Payload of a message that is not whole in b is copied
// into next, so the cost is linear however the bytes are split, and only what arrived is buffered. When s stopped it, n
// is the end of the frame it stopped at, and decoding may go on from there.
//
// A code other than None is the reason to close with: ProtocolError, FrameTooBig (from the frame's header, before its
// payload came), InvalidUTF8 (from the first byte that cannot be; also for bad compressed data). next is nil then, and
// the connection must not be decoded any further.
func (d *Decoder) Decode(p *Partial, deflate bool, lim Limits, b []byte, s Sink) (n int, next *Partial, code codes.Code) {
	goOn := true
	for goOn && code == codes.None {
		if p == nil || p.left == 0 { // between frames
			h, size, ok := parseHeader(b[n:], d.mask, p != nil, deflate)
			if !ok {
				code = codes.ProtocolError
				break
			}
			if size == 0 {
				break
			}
			there := b[n+size:]
			whole := h.Length <= int64(len(there))
			if h.OpCode.IsControl() {
				if !whole {
					break
				}
				n += size + int(h.Length)
				goOn = s.Control(h.OpCode, d.unmask(h, there))
				continue
			}
			if tooBig(p, h, lim) {
				code = codes.FrameTooBig
				break
			}
			if n += size; p == nil && h.Fin && whole {
				n += int(h.Length)
				goOn, code = d.message(h, d.unmask(h, there), lim, s)
				continue
			}
			p = d.begin(p, h)
		}

		piece := b[n:min(len(b), n+min(p.left, len(b)))]
		n += len(piece)
		switch {
		case !d.continueFrame(p, piece):
			code = codes.InvalidUTF8
		case p.left > 0: // all of b is taken
			return n, p, codes.None
		case p.fin:
			goOn, code = d.finish(p, lim, s)
			p = nil
		}
	}
	if code != codes.None {
		d.Release(p)
		p = nil
	}
	return n, p, code
}

// tooBig says whether the frame makes the message longer than it may be.
func tooBig(p *Partial, h ws.Header, lim Limits) bool {
	limit, have, compressed := lim.Message, 0, h.Rsv1()
	if p != nil {
		have, compressed = len(p.buf), p.compressed
	}
	if compressed {
		limit = deflatedLimit(limit)
	}
	return h.Length > int64(limit-have)
}

// unmask returns the frame's payload, which b begins with.
func (d *Decoder) unmask(h ws.Header, b []byte) []byte {
	b = b[:h.Length:h.Length]
	if d.mask {
		ws.Cipher(b, h.Mask, 0)
	}
	return b
}

// message hands a message of one frame to the sink, without copying it unless it is compressed.
func (d *Decoder) message(h ws.Header, payload []byte, lim Limits, s Sink) (goOn bool, code codes.Code) {
	if h.Rsv1() {
		src := d.spare.append(d.spare.take(len(payload)+len(inflateTail)), payload)
		src = append(src, inflateTail...)
		goOn, code = d.inflated(h.OpCode, src, lim, s)
		d.spare.put(src)
		return goOn, code
	}
	if h.OpCode == ws.OpText && !utf8.Valid(payload) { // 8.1
		return false, codes.InvalidUTF8
	}
	return s.Message(h.OpCode, payload), codes.None
}

// inflated hands the message compressed in src, which ends in inflateTail, to the sink.
func (d *Decoder) inflated(op ws.OpCode, src []byte, lim Limits, s Sink) (goOn bool, code codes.Code) {
	out, code := d.inflater.inflate(&d.spare, src, lim.Message)
	switch {
	case code != codes.None:
	case op == ws.OpText && !utf8.Valid(out): // 8.1
		code = codes.InvalidUTF8
	default:
		goOn = s.Message(op, out)
	}
	d.spare.put(out)
	return goOn, code
}
