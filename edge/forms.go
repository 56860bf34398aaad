package edge

import (
	"slices"
	"strconv"

	"encke/channel"
	"encke/netloop"
	"encke/wsframe"

	"github.com/gobwas/ws"
)

// form is how a batch of publications looks on the wire. One buffer a form and walk serves every subscriber of a loop.
type form uint8

const (
	formWS      form = iota // text frames of the wire object
	formWSFlate             // the same under permessage-deflate
	formRaw                 // frames of the payload
	formRawFlate
	formSSE // event-stream blocks
	formSSEChunked
	formLines // JSON lines
	formLinesChunked
	formPoll // a whole HTTP answer, for a keep-alive HTTP/1.1 connection with one channel
	numForms
)

// Slots of channel.Forms: compressing is dear, so it is done once for all loops; the other forms are copies.
const (
	cachedWSFlate = iota
	cachedRawFlate
)

func formOf(cl *client) form {
	var f form
	var other clientFlags
	switch cl.transport {
	case overWS:
		f, other = formWS, isDeflate
	case overRaw:
		f, other = formRaw, isDeflate
	case overSSE:
		f, other = formSSE, isChunked
	case overStream:
		f, other = formLines, isChunked
	default:
		panic("BUG: a subscriber over " + transportNames[cl.transport])
	}
	if cl.flags&other != 0 {
		f++
	}
	return f
}

// fullWindow is the largest LZ77 window, which a client allows unless it says otherwise.
const fullWindow = 15

// form returns the batch in that form. It is made new for a client with a small window, otherwise shared and immutable.
func (w *walk) form(f form, bits uint8) []byte {
	if (f == formWSFlate || f == formRawFlate) && bits < fullWindow {
		return appendForm(nil, f, bits, w.pubs)
	}
	if w.bufs[f] == nil {
		w.bufs[f] = appendForm(make([]byte, 0, sizeHint(w.pubs)), f, bits, w.pubs)
	}
	return w.bufs[f]
}

func sizeHint(pubs []*channel.Publication) int {
	n := 0
	for _, p := range pubs {
		n += len(p.Wire) + 16
	}
	return n + 64
}

// appendForm appends publications in a form; not for formPoll. Gaps between them have a form in those of WebSocket and lines
// only.
func appendForm(dst []byte, f form, bits uint8, pubs []*channel.Publication) []byte {
	chunked := f == formSSEChunked || f == formLinesChunked
	start := len(dst)
	if chunked {
		dst = append(dst, chunkRoom...)
	}
	for _, p := range pubs {
		switch f {
		case formWS:
			dst = wsframe.AppendFrame(dst, ws.OpText, p.Wire)
		case formWSFlate:
			dst = appendDeflated(dst, p, cachedWSFlate, ws.OpText, p.Wire, bits)
		case formRaw:
			dst = wsframe.AppendFrame(dst, rawOp(p), p.Data)
		case formRawFlate:
			dst = appendDeflated(dst, p, cachedRawFlate, rawOp(p), p.Data, bits)
		case formSSE, formSSEChunked:
			dst = append(dst, "id: "...)
			dst = append(dst, positionOf(p)...)
			dst = appendSSEData(dst, p.Wire)
		case formLines, formLinesChunked:
			dst = append(dst, p.Wire...)
			dst = append(dst, '\n')
		}
	}
	if chunked {
		dst = closeChunk(dst, start)
	}
	return dst
}

func rawOp(p *channel.Publication) ws.OpCode {
	if p.Kind == channel.KindBinary {
		return ws.OpBinary
	}
	return ws.OpText
}

func appendDeflated(dst []byte, p *channel.Publication, slot int, op ws.OpCode, payload []byte, bits uint8) []byte {
	if !wsframe.FitsWindow(len(payload), bits) {
		return wsframe.AppendFrame(dst, op, payload) // RFC 7692 section 6: any message may go uncompressed
	}
	frame := p.Forms.Load(slot)
	if frame == nil {
		frame = p.Forms.Store(slot, wsframe.AppendDeflated(nil, op, payload))
	}
	return append(dst, frame...)
}

// positionOf cuts the publication's position out of its wire object.
func positionOf(p *channel.Publication) []byte {
	const mark = `"position":"`
	begin := len(`{"channel":"`) + len(p.Channel) + len(`","offset":`) + digits(p.Offset) + len(`,`) + len(mark)
	end := begin
	for p.Wire[end] != '"' {
		end++
	}
	return p.Wire[begin:end]
}

func digits(n uint64) int {
	d := 1
	for ; n >= 10; n /= 10 {
		d++
	}
	return d
}

// appendSSEData ends a block whose id line has no end yet.
func appendSSEData(dst, wire []byte) []byte {
	dst = append(dst, "\ndata: "...)
	dst = append(dst, wire...)
	return append(dst, "\n\n"...)
}

// chunkRoom is left for a chunk's size, which is known only at its end; leading zeros are allowed (RFC 9112 section 7.1).
const chunkRoom = "00000000\r\n"

// closeChunk writes the size of the chunk that began at start and ends it.
func closeChunk(dst []byte, start int) []byte {
	n := len(dst) - start - len(chunkRoom)
	const hex = "0123456789abcdef"
	for i := 7; i >= 0; i-- {
		dst[start+i] = hex[n&15]
		n >>= 4
	}
	return append(dst, "\r\n"...)
}

// appendSSEMany appends a channel's publications for an SSE connection with several channels: its ids are its own.
func (r *reactor) appendSSEMany(dst []byte, c netloop.ID, cl *client, e *entry, pubs []*channel.Publication) []byte {
	start := len(dst)
	if cl.flags&isChunked != 0 {
		dst = append(dst, chunkRoom...)
	}
	r.offsets = r.positions(r.offsets[:0], c, cl)
	nth := slices.Index(r.channels(c, cl), e.index)
	for _, p := range pubs {
		r.offsets[nth] = p.Offset
		dst = append(dst, "id: "...)
		dst = channel.AppendPositions(dst, r.server.store.Epoch(), r.offsets)
		dst = appendSSEData(dst, p.Wire)
	}
	if cl.flags&isChunked != 0 {
		dst = closeChunk(dst, start)
	}
	return dst
}

// appendGap appends the object that tells what is missing before a replay.
func (r *reactor) appendGap(dst []byte, name string, joined *channel.Joined) []byte {
	return channel.AppendGap(dst, name, r.epoch, joined.Gap, joined.Begin)
}

// appendResult appends what a publisher is answered.
func appendResult(dst []byte, name []byte, epoch channel.Epoch, res channel.Result) []byte {
	dst = append(dst, `{"channel":"`...)
	dst = append(dst, name...)
	dst = append(dst, `","offset":`...)
	dst = strconv.AppendUint(dst, res.Offset, 10)
	dst = append(dst, `,"position":"`...)
	dst = channel.AppendPosition(dst, epoch, res.Offset)
	dst = append(dst, `","subscribers":`...)
	dst = strconv.AppendInt(dst, int64(res.Subscribers), 10)
	return append(dst, '}')
}
