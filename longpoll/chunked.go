package longpoll

import (
	"bytes"

	"encke/codes"
)

// chunkPhase is where the scanner of a chunked body (RFC 9112 section 7.1) is:
//
//	sizeLine ─▶ data ─▶ dataEnd ─▶ sizeLine …        (chunk of size > 0)
//	sizeLine ─▶ trailers ─▶ complete                 (last chunk)
type chunkPhase uint8

const (
	phaseSize chunkPhase = iota
	phaseData
	phaseDataEnd
	phaseTrailers
)

// maxSizeLine bounds a chunk's size with its extensions, which are overlooked.
const maxSizeLine = 256

// maxSizeDigits is enough for any size that a limit allows.
const maxSizeDigits = 8

// scanChunks goes on with the scan and returns the length of the whole request, 0 while a part of it is missing. It only
// finds the end; joining the chunks is fasthttp's.
func (p *Progress) scanChunks(b []byte, lim Limits) (int, codes.Code) {
	body := b[p.head:]
	// Chunks of a byte or two may not cost many times their weight: framing is bounded too.
	if len(body) > 16*lim.Body+lim.Header+maxSizeLine {
		return 0, codes.BodyTooLarge
	}
	for {
		rest := body[p.at:]
		switch p.phase {
		case phaseData:
			if int64(len(rest)) < p.size {
				return 0, codes.None
			}
			p.at += int32(p.size)
			p.phase = phaseDataEnd
		case phaseDataEnd:
			if len(rest) < 2 {
				return 0, chunkIf(len(rest) == 0 || rest[0] == '\r')
			}
			if rest[0] != '\r' || rest[1] != '\n' {
				return 0, codes.BadChunk
			}
			p.at += 2
			p.phase = phaseSize
		default:
			n, code := p.chunkLine(rest, lim)
			if n == 0 || code != codes.None {
				return 0, code
			}
			p.at += int32(n)
			if p.phase == phaseTrailers && n == 2 && p.size < 0 {
				return int(p.head) + int(p.at), codes.None
			}
			if p.phase == phaseTrailers {
				p.size = -1 // the size line of the last chunk is behind
			}
		}
	}
}

func chunkIf(ok bool) codes.Code {
	if ok {
		return codes.None
	}
	return codes.BadChunk
}

// chunkLine takes a size line or a trailer line; n is its length with CR LF, 0 while its end is missing.
func (p *Progress) chunkLine(rest []byte, lim Limits) (n int, code codes.Code) {
	most := maxSizeLine
	if p.phase == phaseTrailers {
		most = lim.Header
	}
	end := bytes.IndexByte(rest[:min(len(rest), most)], '\n')
	if end < 0 {
		if len(rest) >= most {
			return 0, codes.BadChunk
		}
		return 0, p.lineStart(rest)
	}
	if end == 0 || rest[end-1] != '\r' {
		return 0, codes.BadChunk
	}
	line := rest[:end-1]
	if p.phase == phaseSize {
		return end + 1, p.chunkSize(line, lim)
	}
	if p.total += int32(end + 1); int(p.total) > lim.Header {
		return 0, codes.HeaderTooLarge
	}
	if len(line) > 0 {
		var ignored headFacts
		if code, _ := ignored.headerLine(line); code != codes.None {
			return 0, codes.BadChunk
		}
	}
	return end + 1, codes.None
}

// lineStart refuses early what can no more become a size line.
func (p *Progress) lineStart(rest []byte) codes.Code {
	if p.phase == phaseSize && len(rest) > 0 && hexValue(rest[0]) < 0 {
		return codes.BadChunk
	}
	return codes.None
}

// chunkSize reads a size line: hexadecimal digits, then perhaps extensions.
func (p *Progress) chunkSize(line []byte, lim Limits) codes.Code {
	size, digits := int64(0), 0
	for digits < len(line) && hexValue(line[digits]) >= 0 {
		size = size<<4 | int64(hexValue(line[digits]))
		if digits++; digits > maxSizeDigits {
			return codes.BodyTooLarge
		}
	}
	if digits == 0 || digits < len(line) && line[digits] != ';' {
		return codes.BadChunk
	}
	for _, c := range line[digits:] {
		if c < ' ' && c != '\t' || c == 0x7f {
			return codes.BadChunk
		}
	}
	if size == 0 {
		p.phase, p.total, p.size = phaseTrailers, 0, 0
		return codes.None
	}
	if int64(p.total)+size > int64(lim.Body) {
		return codes.BodyTooLarge
	}
	p.total += int32(size)
	p.size, p.phase = size, phaseData
	return codes.None
}

func hexValue(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
