package longpoll

import (
	"bytes"

	"encke/codes"
)

// emptyLines is how many empty lines before a request line are overlooked (RFC 9112 section 2.2).
const emptyLines = 4

// skipEmpty returns the length of the empty lines at the start of b.
func skipEmpty(b []byte) int {
	n := 0
	for n < 2*emptyLines && n+1 < len(b) && b[n] == '\r' && b[n+1] == '\n' {
		n += 2
	}
	return n
}

// scanHead looks for the empty line that ends the head, from where it stopped before. A line must end with CR LF: what
// takes a bare LF for an end (RFC 9112 section 2.2 allows it) may see other requests than a proxy in front.
func (p *Progress) scanHead(b []byte, limit int) (complete bool, code codes.Code, detail string) {
	for {
		i := bytes.IndexByte(b[p.seen:], '\n')
		if i < 0 {
			p.seen = int32(len(b))
			return false, p.tooLong(b, len(b), limit), ""
		}
		end := int(p.seen) + i // of the line, at LF
		if end == 0 || b[end-1] != '\r' {
			return false, codes.BadRequest, "a line ends with LF alone"
		}
		empty := end-1 == int(p.line)
		p.seen, p.line = int32(end+1), int32(end+1)
		switch {
		case end+1 > limit:
			return false, p.tooLong(b, end+1, limit), ""
		case !empty:
		case end+1 <= 2*emptyLines && skipEmpty(b[:end+1]) == end+1: // before the request line
		default:
			p.head = int32(end + 1)
			return true, codes.None, ""
		}
	}
}

// tooLong says which limit n bytes of head break, if any.
func (p *Progress) tooLong(b []byte, n, limit int) codes.Code {
	if n <= limit {
		return codes.None
	}
	if first := bytes.IndexByte(b[skipEmpty(b):limit], '\n'); first < 0 {
		return codes.URITooLong
	}
	return codes.HeaderTooLarge
}

// headFacts is what the head says about the request's form.
type headFacts struct {
	http11  bool
	hosts   int
	lengths int
	length  int64
	coded   bool // Transfer-Encoding is there
	expects bool
}

// readHead checks the head strictly and learns how long the body is.
func (p *Progress) readHead(head []byte, lim Limits) (codes.Code, string) {
	lines := head[skipEmpty(head) : len(head)-2]
	line, rest, _ := bytes.Cut(lines, []byte("\r\n"))
	var f headFacts
	if code, detail := f.requestLine(line); code != codes.None {
		return code, detail
	}
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		if code, detail := f.headerLine(line); code != codes.None {
			return code, detail
		}
	}
	switch {
	case f.http11 && f.hosts != 1 || f.hosts > 1:
		return codes.BadRequest, "Host must stand exactly once" // RFC 9112 section 3.2
	case f.coded && f.lengths > 0 || f.lengths > 1:
		return codes.LengthConflict, "" // RFC 9112 section 6.3
	case f.coded && !f.http11:
		return codes.BadRequest, "HTTP/1.0 has no transfer codings" // RFC 9112 section 6.1
	case f.length > int64(lim.Body):
		return codes.BodyTooLarge, ""
	}
	p.size = f.length
	if f.coded {
		p.flags |= isChunked
	}
	if f.expects && f.http11 {
		p.flags |= wantsContinue
	}
	return codes.None, ""
}

// requestLine reads METHOD SP target SP HTTP/x.y (RFC 9112 section 3).
func (f *headFacts) requestLine(line []byte) (codes.Code, string) {
	method, rest, _ := bytes.Cut(line, []byte(" "))
	target, version, ok := bytes.Cut(rest, []byte(" "))
	if !ok || !isToken(method) || len(target) == 0 {
		return codes.BadRequest, "the request line is not METHOD target HTTP/1.1"
	}
	for _, c := range target {
		if c <= ' ' || c >= 0x7f {
			return codes.BadRequest, "the request target has a byte that must be percent-encoded"
		}
	}
	if len(version) != len("HTTP/1.1") || string(version[:5]) != "HTTP/" || !digit(version[5]) || version[6] != '.' || !digit(version[7]) {
		return codes.BadRequest, "the request line does not end with HTTP/1.1"
	}
	if version[5] != '1' || version[7] > '1' {
		return codes.UnsupportedVersion, ""
	}
	f.http11 = version[7] == '1'
	return codes.None, ""
}

// headerLine checks one line (RFC 9112 section 5) and takes note of what decides the form of the request.
func (f *headFacts) headerLine(line []byte) (codes.Code, string) {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || !isToken(name) { // a space before the colon and a folded line fail here too
		return codes.BadRequest, "a header is not name: value"
	}
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return codes.BadRequest, "a header has a control character"
		}
	}
	value = bytes.Trim(value, " \t")
	switch {
	case equalFold(name, "host"):
		f.hosts++
	case equalFold(name, "content-length"):
		f.lengths++
		return f.contentLength(value)
	case equalFold(name, "transfer-encoding"):
		if f.coded || !equalFold(value, "chunked") {
			return codes.UnsupportedCoding, ""
		}
		f.coded = true
	case equalFold(name, "expect"):
		if !equalFold(value, "100-continue") {
			return codes.ExpectationFailed, ""
		}
		f.expects = true
	}
	return codes.None, ""
}

func (f *headFacts) contentLength(value []byte) (codes.Code, string) {
	if len(value) == 0 {
		return codes.BadRequest, "Content-Length is not a number"
	}
	for _, c := range value {
		if !digit(c) {
			return codes.BadRequest, "Content-Length is not a number"
		}
		if f.length = f.length*10 + int64(c-'0'); f.length > 1<<40 {
			return codes.BodyTooLarge, ""
		}
	}
	return codes.None, ""
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// isToken says whether b is a token (RFC 9110 section 5.6.2).
func isToken(b []byte) bool {
	for _, c := range b {
		if !tokenBytes[c] {
			return false
		}
	}
	return len(b) > 0
}

var tokenBytes = func() (t [256]bool) {
	for _, c := range "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" {
		t[c] = true
	}
	return t
}()
