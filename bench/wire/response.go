package wire

import (
	"bytes"
	"errors"
	"time"
)

// Response is an HTTP response.
type Response struct {
	Status int
	Head   []byte // status line and headers
	Body   []byte // of ParseResponse
	Size   int    // bytes of all of it
}

// ErrNoLength means a response with a body whose length is not given.
var ErrNoLength = errors.New("the response has no Content-Length")

// ParseHead reads a response's head; ok is false while it is not complete. Size is the head's.
func ParseHead(b []byte) (r Response, ok bool) {
	n := bytes.Index(b, []byte("\r\n\r\n"))
	if n < 0 {
		return r, false
	}
	r.Head, r.Size = b[:n+2], n+4
	if len(b) >= 12 && bytes.HasPrefix(b, []byte("HTTP/1.")) {
		v, _ := Digits(b[9:12])
		r.Status = int(v)
	}
	return r, true
}

// ParseResponse reads a response with Content-Length; ok is false while it is not complete.
func ParseResponse(b []byte) (r Response, ok bool, err error) {
	r, ok = ParseHead(b)
	if !ok {
		return r, false, nil
	}
	value := r.Header("Content-Length")
	if value == nil && r.Status != 204 && r.Status != 304 {
		return r, false, ErrNoLength
	}
	length, _ := Digits(value)
	if uint64(len(b)-r.Size) < length {
		return r, false, nil
	}
	r.Body = b[r.Size : r.Size+int(length)]
	r.Size += int(length)
	return r, true, nil
}

// Header returns a header's value, nil where there is none.
func (r Response) Header(name string) []byte {
	for line := range bytes.Lines(r.Head) {
		if len(line) > len(name) && line[len(name)] == ':' && bytes.EqualFold(line[:len(name)], []byte(name)) {
			return bytes.TrimSpace(line[len(name)+1:])
		}
	}
	return nil
}

// StatusLine returns the first line.
func (r Response) StatusLine() string {
	line, _, _ := bytes.Cut(r.Head, []byte("\r\n"))
	return string(line)
}

// HTTPTime is the form of a date in a header (RFC 9110 section 5.6.7).
const HTTPTime = "Mon, 02 Jan 2006 15:04:05 GMT"

// ParseHTTPTime reads a date in seconds; 0 where it is none.
func ParseHTTPTime(b []byte) uint64 {
	t, err := time.Parse(HTTPTime, string(b))
	if err != nil || t.Unix() < 0 {
		return 0
	}
	return uint64(t.Unix())
}
