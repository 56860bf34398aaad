package longpoll

import "encke/codes"

// bodyState is where in a body a request is (RFC 9112 6 and 7.1).
type bodyState uint8

// chunkSize ─► [chunkExt] ─► chunkSizeLF ─► chunkData ─► chunkDataCR ─► chunkDataLF ─► chunkSize …
//
//	└─ size 0 ─► trailer
const (
	sized       bodyState = iota // Content-Length, or no body at all
	chunkSize                    // in the digits
	chunkExt                     // behind a semicolon
	chunkSizeLF                  // behind the CR of the size line
	chunkData
	chunkDataCR
	chunkDataLF
	trailer // p.left is where it begins
)

const (
	// maxDigits of a chunk's size is where fasthttp stops too; leading zeros count.
	maxDigits = 15
	// maxExtension is the most a chunk extension may have, with what stands for a value; they are skipped.
	maxExtension = 256
	// freeFraming may be spent on size lines at once, beyond what maxFraming allows by the body.
	freeFraming = 16 << 10
)

// maxFraming is how many bytes may be neither head, body nor trailer, when body bytes have come: enough for one byte in
// each chunk, but never more than the limit of the body. So a request holds at most 2 × Body and a constant.
func maxFraming(body int, lim Limits) int {
	return freeFraming + min(8*body, max(lim.Body, 0))
}

// chunks goes on with a chunked body. end is where the request ends, 0 while it is incomplete.
func (p *Progress) chunks(b []byte, lim Limits) (end int, code codes.Code, detail string) {
	for p.state != trailer {
		if p.off == len(b) {
			return 0, codes.None, ""
		}
		if p.state == chunkData {
			n := min(p.left, len(b)-p.off)
			p.left -= n
			p.off += n
			if p.left == 0 {
				p.state = chunkDataCR
			}
			continue
		}
		c := b[p.off]
		p.off++
		if code, detail = p.chunkByte(c, lim); code != codes.None {
			return 0, code, detail
		}
	}
	return p.takeTrailer(b, lim)
}

// chunkByte takes one byte of the framing; p.off is behind it.
func (p *Progress) chunkByte(c byte, lim Limits) (codes.Code, string) {
	switch p.state {
	case chunkSize:
		return p.sizeByte(c, lim)
	case chunkExt:
		p.line++
		switch {
		case c == '\r':
			p.state = chunkSizeLF
		case !isValue[c]:
			return codes.BadChunk, "a chunk extension holds a control character"
		case p.line > maxExtension:
			return codes.BadChunk, "a chunk extension is too long"
		}
	case chunkSizeLF:
		if c != '\n' {
			return codes.BadChunk, "a chunk size line does not end in CRLF"
		}
		return p.beginChunk(lim)
	case chunkDataCR:
		if c != '\r' {
			return codes.BadChunk, "a chunk is longer than its size"
		}
		p.state = chunkDataLF
	case chunkDataLF:
		if c != '\n' {
			return codes.BadChunk, "a chunk does not end in CRLF"
		}
		p.state, p.line = chunkSize, 0
	}
	return codes.None, ""
}

// sizeByte takes a byte of the size: hexadecimal digits, nothing before or between them, then CRLF or an extension.
func (p *Progress) sizeByte(c byte, lim Limits) (codes.Code, string) {
	digit := 0
	switch {
	case isDigit(c):
		digit = int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		digit = int(c|0x20-'a') + 10
	case p.line == 0:
		return codes.BadChunk, "a chunk has no size"
	case c == '\r':
		p.state = chunkSizeLF
		return codes.None, ""
	case c == ';':
		p.state, p.line = chunkExt, 0
		return codes.None, ""
	default:
		return codes.BadChunk, "a chunk size is not a hexadecimal number"
	}
	if p.line == maxDigits {
		return codes.BadChunk, "a chunk size has too many digits"
	}
	p.line++
	p.left = p.left<<4 | digit // no overflow: it was at most maxBody
	if p.left > lim.Body-p.body {
		return codes.BodyTooLarge, ""
	}
	return codes.None, ""
}

// beginChunk is called behind a size line: p.left is the size.
func (p *Progress) beginChunk(lim Limits) (codes.Code, string) {
	if p.off-int(p.head)-p.body > maxFraming(p.body, lim) {
		return codes.BadChunk, "there is more chunk framing than body"
	}
	p.body += p.left
	p.state = chunkData
	if p.left == 0 {
		p.state, p.left = trailer, p.off
	}
	return codes.None, ""
}

// takeTrailer goes on with the lines behind the last chunk. They obey the rules of header lines and are then ignored.
func (p *Progress) takeTrailer(b []byte, lim Limits) (end int, code codes.Code, detail string) {
	start := p.left
	limit := max(lim.Header, 2)
	window := b[:min(len(b), start+limit)]
	end, off, ok := blockEnd(window, start, p.off)
	switch {
	case !ok:
		return 0, codes.BadChunk, badLine
	case end == 0 && len(window)-start >= limit:
		return 0, codes.HeaderTooLarge, "the trailer"
	case end == 0:
		p.off = off
		return 0, codes.None, ""
	}
	for line, rest := cutLine(b[start:end]); len(line) > 0; line, rest = cutLine(rest) {
		if _, _, why := field(line); why != "" {
			return 0, codes.BadChunk, why
		}
	}
	return end, codes.None, ""
}
