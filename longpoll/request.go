package longpoll

import (
	"bufio"
	"bytes"

	"encke/codes"

	"github.com/valyala/fasthttp"
)

// Limits bound a request, in bytes.
type Limits struct {
	Header int // request line and headers
	Body   int // after chunks are joined
}

// Progress is what is known of a request of which a part has arrived. The zero value is nothing. The caller keeps it beside
// the bytes.
type Progress struct {
	seen  int32 // bytes of the head looked at
	line  int32 // where the line begins that is not complete
	head  int32 // length of the head, 0 until it is complete
	flags progressFlags
	phase chunkPhase
	size  int64 // Content-Length; chunked: bytes left of the chunk
	total int32 // chunked: bytes of body so far
	at    int32 // chunked: how far the scanner has come, behind the head
}

type progressFlags uint8

const (
	isChunked progressFlags = 1 << iota
	wantsContinue
	saidContinue
)

// HeadDone says whether the head is complete and the body is awaited.
func (p *Progress) HeadDone() bool { return p.head > 0 }

// Status is the outcome of Next.
type Status uint8

// The outcomes of Next.
const (
	NeedMore Status = iota // come back with more bytes
	Continue               // send ContinueResponse, then call again
	Ready                  // a request
	Bad                    // refuse with the code, and close
)

// ContinueResponse is what a client waits for that sent Expect: 100-continue (RFC 9110 section 10.1.1).
var ContinueResponse = []byte("HTTP/1.1 100 Continue\r\n\r\n")

// Assembler makes requests of bytes. There is one a loop; it is not safe for concurrent use.
type Assembler struct {
	source  bytes.Reader
	reader  *bufio.Reader
	request fasthttp.Request
}

// usualBlock is the size up to which the reader's buffer is kept.
const usualBlock = 16 << 10

// NewAssembler returns an Assembler.
func NewAssembler() *Assembler {
	return &Assembler{reader: bufio.NewReaderSize(nil, usualBlock)}
}

// Next looks for a request at the start of b, which holds the bytes of the calls before with the same p, and more.
//
//	NeedMore: want is the length needed in all when that is known, otherwise 0.
//	Ready:    req is valid until the next call, and while b is; n bytes of b were its; p is zero again.
//	Bad:      code and detail say why.
func (a *Assembler) Next(b []byte, p *Progress, lim Limits) (req *fasthttp.Request, n, want int, status Status, code codes.Code, detail string) {
	if p.head == 0 {
		complete, code, detail := p.scanHead(b, lim.Header)
		if code != codes.None {
			return nil, 0, 0, Bad, code, detail
		}
		if !complete {
			return nil, 0, 0, NeedMore, codes.None, ""
		}
		if code, detail := p.readHead(b[:p.head], lim); code != codes.None {
			return nil, 0, 0, Bad, code, detail
		}
	}
	n, code = p.bodyEnd(b, lim)
	switch {
	case code != codes.None:
		return nil, 0, 0, Bad, code, ""
	case n == 0 && p.flags&(wantsContinue|saidContinue) == wantsContinue && len(b) == int(p.head):
		p.flags |= saidContinue
		return nil, 0, 0, Continue, codes.None, ""
	case n == 0:
		if p.flags&isChunked == 0 {
			want = int(p.head) + int(p.size)
		}
		return nil, 0, want, NeedMore, codes.None, ""
	}
	if code, detail := a.parse(b[:n], p, lim); code != codes.None {
		return nil, 0, 0, Bad, code, detail
	}
	*p = Progress{}
	return &a.request, n, 0, Ready, codes.None, ""
}

// bodyEnd returns the length of the whole request, 0 while a part of it is missing.
func (p *Progress) bodyEnd(b []byte, lim Limits) (int, codes.Code) {
	if p.flags&isChunked != 0 {
		return p.scanChunks(b, lim)
	}
	if n := int(p.head) + int(p.size); n <= len(b) {
		return n, codes.None
	}
	return 0, codes.None
}

// parse lets fasthttp read the block, all of it and nothing else.
func (a *Assembler) parse(block []byte, p *Progress, lim Limits) (codes.Code, string) {
	head := block[skipEmpty(block):p.head]
	if len(head) > a.reader.Size() {
		a.reader = bufio.NewReaderSize(nil, 2*len(head))
	} else if a.reader.Size() > usualBlock && len(head) < usualBlock {
		a.reader = bufio.NewReaderSize(nil, usualBlock)
	}
	chunked := p.flags&isChunked != 0
	if chunked {
		a.source.Reset(block[skipEmpty(block):])
	} else {
		a.source.Reset(head)
	}
	a.reader.Reset(&a.source)
	a.request.Reset()
	if err := a.request.Header.Read(a.reader); err != nil {
		return codes.BadRequest, "the head cannot be parsed"
	}
	if chunked {
		if err := a.request.ContinueReadBody(a.reader, lim.Body, false); err != nil {
			return codes.BadChunk, "the body cannot be parsed"
		}
	}
	if a.reader.Buffered() != 0 || a.source.Len() != 0 {
		return codes.BadRequest, "the end of the request is ambiguous"
	}
	if !chunked {
		a.request.SetBodyRaw(block[p.head:])
	}
	return codes.None, ""
}

// KeepAlive says whether the connection stays open after this request (RFC 9112 section 9.3).
func KeepAlive(h *fasthttp.RequestHeader) bool {
	if h.ConnectionClose() {
		return false
	}
	value := h.Peek("Connection")
	if h.IsHTTP11() {
		return !hasToken(value, "close")
	}
	return hasToken(value, "keep-alive")
}

// hasToken says whether a comma-separated list has a token, in any case.
func hasToken(list []byte, token string) bool {
	for len(list) > 0 {
		var item []byte
		item, list, _ = bytes.Cut(list, []byte(","))
		if equalFold(bytes.Trim(item, " \t"), token) {
			return true
		}
	}
	return false
}

// equalFold compares with a lower-case ASCII string.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
