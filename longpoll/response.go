package longpoll

import (
	"net/http"
	"strconv"
	"time"

	"encke/codes"
)

// Response is an answer with a body of known length. Every answer says Date, Server, Cache-Control: no-store and
// Access-Control-Allow-Origin: * besides.
type Response struct {
	Status      int
	Type        string // Content-Type, "" for none
	Body        []byte
	Extra       []byte // header lines "A: b\r\n"
	Close       bool   // the connection ends
	KeepAlive10 bool   // tell an HTTP/1.0 client that it does not
	Head        bool   // the answer to HEAD: headers as for GET, no body
}

// Clock holds the header lines that every answer begins with, the date among them.
type Clock struct{ lines []byte }

// Set sets the date, in seconds of Unix time; once a second is enough.
func (c *Clock) Set(unix int64) {
	c.lines = append(c.lines[:0], "Server: encke\r\nDate: "...)
	c.lines = time.Unix(unix, 0).UTC().AppendFormat(c.lines, http.TimeFormat)
	c.lines = append(c.lines, "\r\nCache-Control: no-store\r\nAccess-Control-Allow-Origin: *\r\n"...)
}

// appendStatus appends the status line.
func appendStatus(dst []byte, status int) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(dst, http.StatusText(status)...)
	return append(dst, "\r\n"...)
}

// Append appends the whole response to dst.
func (r *Response) Append(dst []byte, c *Clock) []byte {
	dst = append(appendStatus(dst, r.Status), c.lines...)
	if r.Type != "" {
		dst = append(dst, "Content-Type: "...)
		dst = append(dst, r.Type...)
		dst = append(dst, "\r\n"...)
	}
	bodiless := r.Status == http.StatusNoContent || r.Status == http.StatusNotModified // RFC 9110 section 8.6
	if !bodiless {
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, int64(len(r.Body)), 10)
		dst = append(dst, "\r\n"...)
	}
	switch {
	case r.Close:
		dst = append(dst, "Connection: close\r\n"...)
	case r.KeepAlive10:
		dst = append(dst, "Connection: keep-alive\r\n"...)
	}
	dst = append(append(dst, r.Extra...), "\r\n"...)
	if r.Head || bodiless {
		return dst
	}
	return append(dst, r.Body...)
}

// AppendStreamHead appends the head of an endless answer: chunked, or for HTTP/1.0 until the connection ends.
func AppendStreamHead(dst []byte, c *Clock, typ string, chunked bool, extra []byte) []byte {
	dst = append(appendStatus(dst, http.StatusOK), c.lines...)
	dst = append(append(dst, "Content-Type: "...), typ...)
	if chunked {
		dst = append(dst, "\r\nTransfer-Encoding: chunked\r\n"...)
	} else {
		dst = append(dst, "\r\nConnection: close\r\n"...)
	}
	return append(append(dst, extra...), "\r\n"...)
}

// ErrorOptions say how an error is answered.
type ErrorOptions struct {
	Close, Head, KeepAlive10 bool
	Retry                    int    // Retry-After in seconds, 0 for none
	Allow                    string // methods, for MethodNotAllowed
}

// AppendError appends an error answer in the form of PROTOCOL.md.
func AppendError(dst []byte, c *Clock, e *codes.Error, o ErrorOptions) []byte {
	var extra []byte
	if o.Retry > 0 {
		extra = append(strconv.AppendInt(append(extra, "Retry-After: "...), int64(o.Retry), 10), "\r\n"...)
	}
	if o.Allow != "" {
		extra = append(append(append(extra, "Allow: "...), o.Allow...), "\r\n"...)
	}
	if e.Code == codes.UpgradeRequired { // RFC 6455 section 4.4, RFC 9110 section 15.5.22
		extra = append(extra, "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n"...)
		if !o.Close && !o.KeepAlive10 {
			extra = append(extra, "Connection: upgrade\r\n"...)
		}
	}
	body := append(e.AppendJSON([]byte(`{"error":`)), '}')
	r := Response{Status: e.Code.Status(), Type: "application/json", Body: body, Extra: extra,
		Close: o.Close, KeepAlive10: o.KeepAlive10, Head: o.Head}
	return r.Append(dst, c)
}

// CORSPreflight are the header lines with which browsers are told what they may send (Fetch standard).
var CORSPreflight = []byte("Access-Control-Allow-Methods: GET, HEAD, OPTIONS\r\n" +
	"Access-Control-Allow-Headers: Last-Event-ID, Authorization, Cache-Control, Content-Type\r\n" +
	"Access-Control-Max-Age: 86400\r\n")
