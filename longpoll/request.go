package longpoll

import (
	"bufio"
	"bytes"
	"math"

	"github.com/valyala/fasthttp"

	"encke/codes"
)

// Limits bound one request, in bytes.
type Limits struct {
	Header int // request line and headers; also the trailer of a chunked body
	Body   int // the body, decoded: for a chunked one the sum of its chunks, see maxFraming for what comes on top
}

// What may be kept from one request to the next. An Assembler belongs to a loop, not to a connection, so these are
// paid a few times per process.
const (
	keepReader = 16 << 10 // a larger reader is made for one head and dropped
	keepHead   = 64 << 10 // after a larger head the Request is replaced
	keepBody   = 64 << 10 // a larger buffer of decoded chunks is dropped
)

// Bounds on Limits that keep sums of them within an int and heads within a uint32; nobody configures so much.
const (
	maxHeader = 1 << 30
	maxBody   = math.MaxInt >> 8
)

// ContinueResponse is what a client waits for that was answered Continue by [Assembler.Next].
var ContinueResponse = []byte("HTTP/1.1 100 Continue\r\n\r\n")

// Status is what Next found.
type Status uint8

// The results of Next.
const (
	NeedMore Status = iota // the request is incomplete; call again when more has arrived
	Continue               // the client waits for a 100: send ContinueResponse, then call again
	Ready                  // here is a request
	Bad                    // refuse it with the code, then close
)

// Progress is what is known of a request of which a part has arrived. The zero value is "nothing". It holds no
// pointers; the caller keeps it beside the pending bytes and passes both again when there are more.
type Progress struct {
	off   int       // bytes that need not be looked at again
	body  int       // Content-Length, or the sum of the chunks so far
	left  int       // chunked: what is left of this chunk; in the trailer: where it begins
	head  uint32    // where the head ends, with the empty lines before it; 0 while it is incomplete
	line  uint16    // chunked: digits of this chunk's size, then bytes of its extension
	skip  uint8     // bytes of empty lines before the request line
	state bodyState // meaningless while head is 0
}

// HeadDone says that the head is complete and the body is awaited: the caller picks the time-out by it.
func (p *Progress) HeadDone() bool { return p.head != 0 }

// Assembler finds requests. One serves all connections of a loop; it is not safe for concurrent use.
type Assembler struct {
	src  bytes.Reader  // over the block that fasthttp is to parse
	br   *bufio.Reader // over src; holds a whole head at once, as fasthttp wants it
	req  *fasthttp.Request
	used bool // req was handed out

	looked int // bytes looked at, counted once for each pass over them: tests check that it stays linear
}

// NewAssembler returns an Assembler.
func NewAssembler() *Assembler {
	a := &Assembler{req: new(fasthttp.Request)}
	a.br = bufio.NewReaderSize(&a.src, keepReader)
	return a
}

// Next looks for one request at the start of b. p is its progress: pass the same p with the same bytes plus more. The
// cost is linear in the request's length however it is split.
//
//   - NeedMore: come back when more has arrived; want is the length of b needed, 0 when that is not known.
//   - Continue: the client sent Expect: 100-continue and no byte of a body: send ContinueResponse, call again. This
//     comes at most once for a request.
//   - Ready: req is valid until the next call of Next on this Assembler, and refers to b, which must not change for as
//     long. n bytes of b belong to it. *p is reset.
//   - Bad: refuse with code and detail, then close. req is nil.
func (a *Assembler) Next(b []byte, p *Progress, lim Limits) (
	req *fasthttp.Request, n int, want int, status Status, code codes.Code, detail string,
) {
	a.letGo()
	lim.Header, lim.Body = min(lim.Header, maxHeader), min(lim.Body, maxBody)
	fresh := !p.HeadDone()
	expect := false
	if fresh {
		if expect, code, detail = a.takeHead(b, p, lim); code != codes.None {
			return nil, 0, 0, Bad, code, detail
		}
		if !p.HeadDone() {
			return nil, 0, 0, NeedMore, codes.None, ""
		}
	}
	n, code, detail = a.takeBody(b, p, lim)
	if code != codes.None {
		return nil, 0, 0, Bad, code, detail
	}
	if n == 0 {
		if p.state == sized {
			want = int(p.head) + p.body
		}
		// A client that has begun to send its body does not wait (RFC 9110 10.1.1).
		if expect && len(b) == int(p.head) {
			return nil, 0, want, Continue, codes.None, ""
		}
		return nil, 0, want, NeedMore, codes.None, ""
	}
	if !fresh { // another connection's request may have been in a.req since
		if _, code, detail = a.parse(b[p.skip:p.head], lim); code != codes.None {
			return nil, 0, 0, Bad, code, detail
		}
	}
	if !a.fill(b[p.head:n], p, lim) {
		return nil, 0, 0, Bad, codes.BadChunk, "the parsers disagree about the body"
	}
	a.used = true
	*p = Progress{}
	return a.req, n, 0, Ready, codes.None, ""
}

// letGo drops what the last request referred to and what it made grow beyond reason.
func (a *Assembler) letGo() {
	if !a.used {
		return
	}
	a.used = false
	a.req.ReleaseBody(keepBody) // the bytes of a connection too
	if len(a.req.Header.RawHeaders()) > keepHead {
		a.req = new(fasthttp.Request)
	}
}

// takeHead goes on with an incomplete head. When this completes it, p.head is set, the head is parsed and the body's
// form is in p; expect says that a 100 Continue is wanted.
func (a *Assembler) takeHead(b []byte, p *Progress, lim Limits) (expect bool, code codes.Code, detail string) {
	if wait, ok := p.skipEmptyLines(b); !ok {
		return false, codes.BadRequest, badLine
	} else if wait {
		return false, codes.None, ""
	}
	start := int(p.skip)
	window := b[:min(len(b), start+max(lim.Header, 0))]
	a.looked += len(window) - p.off
	end, off, ok := blockEnd(window, start, p.off)
	switch {
	case !ok:
		return false, codes.BadRequest, badLine
	case end == 0 && len(window)-start >= lim.Header:
		if bytes.IndexByte(window[start:], '\n') < 0 {
			return false, codes.URITooLong, ""
		}
		return false, codes.HeaderTooLarge, ""
	case end == 0:
		p.off = off
		return false, codes.None, ""
	}
	h, code, detail := a.parse(b[start:end], lim)
	if code != codes.None {
		return false, code, detail
	}
	p.head, p.off = uint32(end), end
	p.state, p.body = sized, h.length
	if h.chunked {
		p.state = chunkSize
	}
	return h.expect, codes.None, ""
}

// skipEmptyLines skips up to four of them before the request line (RFC 9112 2.2: "SHOULD ignore at least one empty
// line"). wait says that only half of one is there.
func (p *Progress) skipEmptyLines(b []byte) (wait, ok bool) {
	for p.off == int(p.skip) {
		rest := b[p.off:]
		switch {
		case len(rest) == 0:
			return true, true
		case rest[0] != '\r':
			return false, true
		case len(rest) == 1:
			return true, true
		case rest[1] != '\n' || p.skip == 8:
			return false, false
		}
		p.skip += 2
		p.off += 2
	}
	return false, true
}

// parse checks a whole head and has fasthttp parse it into a.req.
func (a *Assembler) parse(block []byte, lim Limits) (h head, code codes.Code, detail string) {
	a.looked += len(block)
	if h, code, detail = parseHead(block, lim); code != codes.None {
		return h, code, detail
	}
	a.req.Reset() // the usual header options: names are normalised, special headers are known
	a.src.Reset(block)
	br := a.br
	if len(block) > br.Size() {
		br = bufio.NewReaderSize(&a.src, len(block))
	} else {
		br.Reset(&a.src)
	}
	if err := a.req.Header.Read(br); err != nil {
		return h, codes.BadRequest, "the request target or a header is malformed"
	}
	length := a.req.Header.ContentLength()
	if br.Buffered() != 0 || a.src.Len() != 0 || length != h.declared() {
		return h, codes.BadRequest, "the parsers disagree about the head"
	}
	if length == -2 && !a.req.Header.IsGet() && !a.req.Header.IsHead() {
		a.req.Header.SetContentLength(0) // as fasthttp.Request.ContinueReadBody does
	}
	// fasthttp knows only a "close" that is alone in its line and in the last Connection line; and while it knows of it,
	// it shows no other option, but a handshake needs its "upgrade".
	switch {
	case h.closes && h.upgrades:
		a.req.Header.Set(fasthttp.HeaderConnection, "upgrade, close")
	case h.closes:
		a.req.Header.SetConnectionClose()
	}
	return h, codes.None, ""
}

// takeBody returns the length of the whole request once all of it is there, else 0.
func (a *Assembler) takeBody(b []byte, p *Progress, lim Limits) (n int, code codes.Code, detail string) {
	if p.state == sized {
		if len(b) < int(p.head)+p.body {
			return 0, codes.None, ""
		}
		return int(p.head) + p.body, codes.None, ""
	}
	off := p.off
	end, code, detail := p.chunks(b, lim)
	a.looked += max(p.off, end) - off
	return end, code, detail
}

// fill gives a.req its body: raw is everything after the head. ok is false when fasthttp does not read the chunks as
// chunks did.
//
// The trailer is dropped. fasthttp would merge it into the header, where nobody expects fields that came after the
// body (RFC 9110 6.5.1: a recipient "MUST NOT merge" what it does not know to be safe).
func (a *Assembler) fill(raw []byte, p *Progress, lim Limits) (ok bool) {
	if p.state == sized {
		if p.body > 0 {
			a.req.SetBodyRaw(raw[:p.body:p.body])
		}
		return true
	}
	a.src.Reset(raw)
	a.br.Reset(&a.src)
	if err := a.req.ReadBody(a.br, -1, lim.Body); err != nil {
		return false
	}
	trailer := int(p.head) + len(raw) - p.left
	return a.br.Buffered()+a.src.Len() == trailer && len(a.req.Body()) == p.body
}
