package longpoll

import (
	"bytes"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"encke/codes"
)

// CORSPreflight are the raw header lines that an answer to OPTIONS has besides those of every answer.
var CORSPreflight = []byte("Access-Control-Allow-Methods: GET, HEAD, OPTIONS\r\n" +
	"Access-Control-Allow-Headers: Last-Event-ID, Authorization, Cache-Control, Content-Type\r\n" +
	"Access-Control-Max-Age: 86400\r\n")

// everyAnswer are the header lines of every answer, but for Date.
const (
	everyAnswer  = "Server: encke\r\nAccess-Control-Allow-Origin: *\r\nCache-Control: no-store\r\n"
	everyPrivate = "Server: encke\r\nCache-Control: no-store\r\n"
)

// Clock caches the header lines that every answer has: they change once a second, with Date. Until the first Set they
// have no Date (RFC 9110 6.6.1: a server without a clock sends none). A Clock belongs to one loop.
type Clock struct {
	// Private is for a listener that is not for pages: no Access-Control-Allow-Origin (takes effect at Set), and JSON ends with a
	// newline.
	Private bool
	lines   []byte
}

// Set sets the time, in Unix seconds. The owner calls it at most once a second.
func (c *Clock) Set(unix int64) {
	c.lines = append(c.lines[:0], everyAnswer...)
	if c.Private {
		c.lines = append(c.lines[:0], everyPrivate...)
	}
	c.lines = append(c.lines, "Date: "...)
	c.lines = time.Unix(unix, 0).UTC().AppendFormat(c.lines, "Mon, 02 Jan 2006 15:04:05 GMT")
	c.lines = append(c.lines, "\r\n"...)
}

// appendHead appends a status line and the lines of every answer.
func (c *Clock) appendHead(dst []byte, status int) []byte {
	dst = appendStatusLine(dst, status)
	if len(c.lines) == 0 {
		return append(dst, everyAnswer...)
	}
	return append(dst, c.lines...)
}

func appendStatusLine(dst []byte, status int) []byte {
	if status == fasthttp.StatusOK {
		return append(dst, "HTTP/1.1 200 OK\r\n"...)
	}
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(dst, fasthttp.StatusMessage(status)...)
	return append(dst, "\r\n"...)
}

// Response is a whole answer. It is written by hand: fasthttp's ResponseHeader.AppendBytes takes longer (see
// response_timing_test.go), replaces what is in dst, and keeps a goroutine for its Date.
type Response struct {
	Status      int
	Type        string // Content-Type, "" for none
	Body        []byte
	Extra       []byte // raw header lines, each with its CRLF
	Cache       string // Cache-Control; "": no-store
	Close       bool   // Connection: close; otherwise the connection stays
	KeepAlive10 bool   // an HTTP/1.0 client asked for keep-alive and is told that it gets it, unless Close
	Head        bool   // the answer to HEAD: the Content-Length of Body, but no body
}

// Append appends the whole response to dst.
func (r *Response) Append(dst []byte, c *Clock) []byte {
	start := len(dst)
	dst = c.appendHead(dst, r.Status)
	if r.Cache != "" {
		dst = append(dst[:start], bytes.Replace(dst[start:], []byte("no-store"), []byte(r.Cache), 1)...)
	}
	dst = append(dst, r.Extra...)
	dst = appendConnection(dst, r.Close, r.KeepAlive10)
	return c.appendBody(dst, r.Status, r.Type, r.Body, r.Head)
}

func appendConnection(dst []byte, closes, keep10 bool) []byte {
	switch {
	case closes:
		return append(dst, "Connection: close\r\n"...)
	case keep10:
		return append(dst, "Connection: keep-alive\r\n"...)
	}
	return dst
}

const typeJSON = "application/json"

// appendBody appends the lines about the body, the end of the head, and the body. JSON for a private listener ends with a newline:
// people read it in a terminal.
func (c *Clock) appendBody(dst []byte, status int, typ string, body []byte, head bool) []byte {
	dst = appendType(dst, typ)
	if status == fasthttp.StatusNoContent || status == fasthttp.StatusNotModified { // RFC 9110 8.6, 15.4.5
		return append(dst, "\r\n"...)
	}
	dst = append(dst, "Content-Length: "...)
	newline := 0
	if c.Private && typ == typeJSON && !bytes.HasSuffix(body, []byte("\n")) {
		newline = 1
	}
	dst = strconv.AppendInt(dst, int64(len(body)+newline), 10)
	dst = append(dst, "\r\n\r\n"...)
	if head {
		return dst
	}
	return append(append(dst, body...), "\n"[:newline]...)
}

func appendType(dst []byte, typ string) []byte {
	if typ == "" {
		return dst
	}
	dst = append(dst, "Content-Type: "...)
	dst = append(dst, typ...)
	return append(dst, "\r\n"...)
}

// AppendStreamHead appends the head of an endless answer with that Content-Type. chunked is for HTTP/1.1: what follows
// is chunks. Otherwise the body follows as it is and ends with the connection. extra are raw header lines.
func AppendStreamHead(dst []byte, c *Clock, typ string, chunked bool, extra []byte) []byte {
	dst = c.appendHead(dst, fasthttp.StatusOK)
	dst = append(dst, extra...)
	dst = appendType(dst, typ)
	if chunked {
		return append(dst, "Transfer-Encoding: chunked\r\n\r\n"...)
	}
	return append(dst, "Connection: close\r\n\r\n"...)
}

// ErrorOptions are the particulars of an error answer.
type ErrorOptions struct {
	Close, Head, KeepAlive10 bool   // as in Response
	Retry                    int    // Retry-After in seconds, 0 for none
	Allow                    string // Allow, "" for none; a 405 must have it (RFC 9110 15.5.6)
}

// AppendError appends the error answer of PROTOCOL.md. A code that is never an HTTP answer is told as a 500.
func AppendError(dst []byte, c *Clock, e *codes.Error, o ErrorOptions) []byte {
	status := e.Code.Status()
	if status == 0 {
		status = fasthttp.StatusInternalServerError
	}
	dst = c.appendHead(dst, status)
	if o.Retry > 0 {
		dst = append(dst, "Retry-After: "...)
		dst = strconv.AppendInt(dst, int64(o.Retry), 10)
		dst = append(dst, "\r\n"...)
		if !c.Private { // pages of other hosts may read it (Fetch, "CORS-safelisted response-header name")
			dst = append(dst, "Access-Control-Expose-Headers: Retry-After\r\n"...)
		}
	}
	if o.Allow != "" {
		dst = append(dst, "Allow: "...)
		dst = append(dst, o.Allow...)
		dst = append(dst, "\r\n"...)
	}
	if e.Code == codes.UpgradeRequired {
		// RFC 6455 4.4, and RFC 9110 7.8: who sends Upgrade names it in Connection.
		dst = append(dst, "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"...)
	}
	dst = appendConnection(dst, o.Close, o.KeepAlive10)
	body := append(e.AppendJSON([]byte(`{"error":`)), '}')
	return c.appendBody(dst, status, typeJSON, body, o.Head)
}
