package bench

import "bytes"

// response is an HTTP response; body is valid only when length was given.
type response struct {
	status int
	head   []byte
	body   []byte
	size   int // of all of it; 0 while it is not complete
}

// parseHead reads a response's head; ok is false while it is not complete.
func parseHead(b []byte) (r response, ok bool) {
	n := bytes.Index(b, []byte("\r\n\r\n"))
	if n < 0 {
		return r, false
	}
	r.head, r.size = b[:n+2], n+4
	if len(b) >= 12 && bytes.HasPrefix(b, []byte("HTTP/1.")) {
		v, _ := digits(b[9:12])
		r.status = int(v)
	}
	return r, true
}

// parseResponse reads a response with Content-Length; ok is false while it is not complete.
func parseResponse(b []byte) (r response, ok bool) {
	r, ok = parseHead(b)
	if !ok {
		return r, false
	}
	length := 0
	for line := range bytes.Lines(r.head) {
		const name = "content-length:"
		if len(line) > len(name) && bytes.EqualFold(line[:len(name)], []byte(name)) {
			v, _ := digits(bytes.TrimLeft(line[len(name):], " "))
			length = int(v)
		}
	}
	if len(b) < r.size+length {
		return r, false
	}
	r.body = b[r.size : r.size+length]
	r.size += length
	return r, true
}
