package longpoll

import (
	"bytes"

	"github.com/valyala/fasthttp"

	"encke/codes"
)

const badLine = "a line must end in CRLF and hold no other CR, LF or NUL"

// head is what a request's head says about its framing and its connection.
type head struct {
	http10   bool
	host     bool // Host was there
	sized    bool // Content-Length was there
	coded    bool // Transfer-Encoding was there
	chunked  bool // and was chunked
	expect   bool // Expect: 100-continue
	expects  bool // Expect of something else
	closes   bool // Connection: close
	upgrades bool // Connection: upgrade
	length   int  // Content-Length; saturated at maxBody+1
}

// declared is the length as fasthttp tells it.
func (h *head) declared() int {
	switch {
	case h.chunked:
		return -1
	case h.sized:
		return h.length
	}
	return -2
}

// blockEnd looks for the end of the lines that begin at start: the place after the first empty one, 0 when it is not
// there yet. Looking begins at off; next is where to go on. ok is false for a bare CR or LF or a NUL (RFC 9112 2.2).
//
// A CR that may be half of a CRLF is left to be looked at again, so that it is always seen together with its LF.
func blockEnd(b []byte, start, off int) (end, next int, ok bool) {
	for {
		lf := bytes.IndexByte(b[off:], '\n')
		if lf < 0 {
			part := b[off:]
			cr := bytes.IndexByte(part, '\r')
			if cr >= 0 && cr != len(part)-1 || bytes.IndexByte(part, 0) >= 0 {
				return 0, 0, false
			}
			if cr >= 0 {
				return 0, len(b) - 1, true
			}
			return 0, len(b), true
		}
		part := b[off : off+lf]
		if lf == 0 || bytes.IndexByte(part, '\r') != lf-1 || bytes.IndexByte(part, 0) >= 0 {
			return 0, 0, false
		}
		cr := off + lf - 1
		off += lf + 1
		if cr == start || b[cr-1] == '\n' {
			return off, off, true
		}
	}
}

// cutLine splits b after its first line, which is returned without its CRLF. blockEnd has seen that there is one.
func cutLine(b []byte) (line, rest []byte) {
	lf := bytes.IndexByte(b, '\n')
	return b[:lf-1], b[lf+1:]
}

// parseHead checks a whole head, with its last, empty line.
func parseHead(block []byte, lim Limits) (h head, code codes.Code, detail string) {
	line, rest := cutLine(block)
	if code, detail = h.requestLine(line); code != codes.None {
		return h, code, detail
	}
	for line, rest = cutLine(rest); len(line) > 0; line, rest = cutLine(rest) {
		name, value, why := field(line)
		if why != "" {
			return h, codes.BadRequest, why
		}
		if code, detail = h.note(name, value); code != codes.None {
			return h, code, detail
		}
	}
	code, detail = h.check(lim)
	return h, code, detail
}

// requestLine checks METHOD SP target SP HTTP/1.x (RFC 9112 3). fasthttp checks the target's form.
func (h *head) requestLine(line []byte) (codes.Code, string) {
	method := bytes.IndexByte(line, ' ')
	version := bytes.LastIndexByte(line, ' ')
	if method <= 0 || method == version {
		return codes.BadRequest, "a request line is method, target and version"
	}
	for _, c := range line[:method] {
		if !isToken[c] {
			return codes.BadRequest, "the method is not a token"
		}
	}
	target := line[method+1 : version]
	for _, c := range target {
		if c <= ' ' || c == 0x7f {
			return codes.BadRequest, "the target holds a space or control character"
		}
	}
	if len(target) == 0 {
		return codes.BadRequest, "there is no target"
	}
	v := line[version+1:]
	if len(v) != 8 || string(v[:5]) != "HTTP/" || !isDigit(v[5]) || v[6] != '.' || !isDigit(v[7]) {
		return codes.BadRequest, "the version is malformed"
	}
	switch string(v) {
	case "HTTP/1.1":
	case "HTTP/1.0":
		h.http10 = true
	default:
		return codes.UnsupportedVersion, ""
	}
	return codes.None, ""
}

// field checks one header line: a token, at once a colon, and a value without control characters (RFC 9112 5.1). why
// says what is wrong, else it is empty.
func field(line []byte) (name, value []byte, why string) {
	if line[0] == ' ' || line[0] == '\t' { // RFC 9112 5.2
		return nil, nil, "a header line is folded"
	}
	colon := bytes.IndexByte(line, ':')
	if colon < 0 {
		return nil, nil, "a header line has no colon"
	}
	name, value = line[:colon], trim(line[colon+1:])
	if len(name) == 0 {
		return nil, nil, "a header has no name"
	}
	for _, c := range name {
		if !isToken[c] {
			return nil, nil, "a header name is not a token"
		}
	}
	for _, c := range value {
		if !isValue[c] {
			return nil, nil, "a header value holds a control character"
		}
	}
	return name, value, ""
}

// note takes notice of the fields that frame a request or rule its connection.
func (h *head) note(name, value []byte) (codes.Code, string) {
	switch {
	case fold(name, "host"):
		return h.noteHost(value)
	case fold(name, "content-length"):
		return h.noteLength(value)
	case fold(name, "transfer-encoding"):
		// Coding names ignore case; a second line makes a list, which is more than chunked.
		h.chunked = !h.coded && fold(value, "chunked")
		h.coded = true
	case fold(name, "expect"):
		if fold(value, "100-continue") {
			h.expect = true
		} else {
			h.expects = true
		}
	case fold(name, "connection"):
		for len(value) > 0 {
			var option []byte
			option, value = cutOption(value)
			h.closes = h.closes || fold(option, "close")
			h.upgrades = h.upgrades || fold(option, "upgrade")
		}
	}
	return codes.None, ""
}

// noteHost refuses a second Host and one that is none (RFC 9112 3.2).
func (h *head) noteHost(value []byte) (codes.Code, string) {
	if h.host {
		return codes.BadRequest, "Host stands twice"
	}
	h.host = true
	for _, c := range value {
		if !isHost[c] {
			return codes.BadRequest, "Host is malformed"
		}
	}
	if len(value) == 0 && !h.http10 { // RFC 9110 4.2.1: an http URI has a host
		return codes.BadRequest, "Host is empty"
	}
	return codes.None, ""
}

// noteLength takes digits only, once (RFC 9112 6.3).
func (h *head) noteLength(value []byte) (codes.Code, string) {
	if h.sized || bytes.IndexByte(value, ',') >= 0 {
		return codes.LengthConflict, ""
	}
	h.sized = true
	for _, c := range value {
		if !isDigit(c) {
			return codes.BadRequest, "Content-Length is not a number"
		}
		h.length = min(h.length*10+int(c-'0'), maxBody+1)
	}
	if len(value) == 0 {
		return codes.BadRequest, "Content-Length is empty"
	}
	return codes.None, ""
}

// check looks at what only the whole head can tell.
func (h *head) check(lim Limits) (codes.Code, string) {
	switch {
	case !h.host && !h.http10:
		return codes.BadRequest, "Host is missing"
	case h.coded && h.http10: // RFC 9112 6.1
		return codes.BadRequest, "Transfer-Encoding in HTTP/1.0"
	case h.coded && h.sized:
		return codes.LengthConflict, ""
	case h.coded && !h.chunked:
		return codes.UnsupportedCoding, ""
	case h.expects:
		return codes.ExpectationFailed, ""
	case h.length > lim.Body:
		return codes.BodyTooLarge, ""
	}
	if h.http10 { // RFC 9110 10.1.1: "MUST ignore that expectation"
		h.expect = false
	}
	return codes.None, ""
}

// KeepAlive says whether the connection stays open after this request (RFC 9112 9.3).
func KeepAlive(h *fasthttp.RequestHeader) bool {
	if h.ConnectionClose() {
		return false
	}
	keep := h.IsHTTP11()
	for _, value := range h.PeekAll(fasthttp.HeaderConnection) {
		for len(value) > 0 {
			var option []byte
			option, value = cutOption(value)
			if fold(option, "close") {
				return false
			}
			keep = keep || fold(option, "keep-alive")
		}
	}
	return keep
}

// cutOption splits a comma-separated list after its first item.
func cutOption(list []byte) (option, rest []byte) {
	option, rest, _ = bytes.Cut(list, comma)
	return trim(option), rest
}

var comma = []byte{','}

// fold compares b with lower, which is in lower case, ignoring the case of ASCII letters.
func fold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// trim takes the optional white space of RFC 9110 5.6.3 off both ends.
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

const alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

var (
	isToken = bytesOf(alphanumeric + "!#$%&'*+-.^_`|~")     // tchar, RFC 9110 5.6.2
	isHost  = bytesOf(alphanumeric + "!$%&'()*+,-.:;=[]_~") // uri-host and port, RFC 3986 3.2.2
	isValue = valueBytes()
)

func bytesOf(set string) (table [256]bool) {
	for i := range len(set) {
		table[set[i]] = true
	}
	return table
}

// valueBytes are visible characters, obs-text, SP and HTAB (RFC 9110 5.5).
func valueBytes() (table [256]bool) {
	for c := range table {
		table[c] = c >= ' ' && c != 0x7f || c == '\t'
	}
	return table
}
