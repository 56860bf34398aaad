package fleet

import (
	"bytes"
	"fmt"

	"encke/bench/wire"
)

var crlf = []byte("\r\n")

// lines is a client of SSE or of a stream: a response that never ends, of lines.
type lines struct{}

func (lines) ask(l *loop, i uint32, c *client) {
	b := append(l.scratch[:0], "GET "...)
	b = l.appendPath(b, c)
	if c.marks&placed != 0 {
		b = l.appendSince(b, c)
		c.marks &^= placed
	}
	b = append(b, " HTTP/1.1\r\nHost: localhost\r\n"...)
	if l.kinds[c.group].Transport == "sse" {
		b = append(b, "Accept: text/event-stream\r\n"...)
	}
	b = append(wire.AppendBearer(b, l.kinds[c.group].token(c)), "\r\n"...)
	l.scratch = b
	l.net.Send(c.id(), b)
}

func (s lines) data(l *loop, i uint32, c *client, b []byte) (taken int) {
	if c.state == asking {
		r, ok := wire.ParseHead(b)
		if !ok {
			return 0
		}
		if r.Status != 200 {
			l.fault(i, c, fmt.Errorf("a subscriber was answered %q", r.StatusLine()))
			return len(b)
		}
		if bytes.EqualFold(r.Header("Transfer-Encoding"), []byte("chunked")) {
			c.marks |= chunked
		}
		if !l.connected(i, c) {
			return len(b)
		}
		taken = r.Size
	}
	now := l.now()
	if c.marks&chunked == 0 {
		return taken + l.lines(i, c, b[taken:], false, now)
	}
	return taken + s.chunks(l, i, c, b[taken:], now)
}

// chunks reads lines out of chunks. A line may go on in the next chunk.
func (lines) chunks(l *loop, i uint32, c *client, b []byte, now int64) (taken int) {
	for c.state == here {
		if c.chunk == 0 {
			if bytes.HasPrefix(b[taken:], crlf) {
				taken += len(crlf) // the end of the chunk before: left behind, it would keep a buffer for each client
			}
			size, n, err := wire.ParseChunkSize(b[taken:])
			if err != nil || n > 0 && size == 0 {
				if err == nil {
					err = errClosed // the last chunk
				}
				l.fault(i, c, err)
				return len(b)
			}
			if n == 0 {
				return taken
			}
			taken += n
			c.chunk = size
		}
		part := b[taken:min(taken+int(c.chunk), len(b))]
		n := l.lines(i, c, part, len(part) == int(c.chunk), now)
		taken += n
		c.chunk -= uint32(n)
		if n < len(part) || len(part) == 0 {
			return taken
		}
	}
	return len(b)
}

// lines takes whole lines. Where a chunk ends in a line, that is taken too and kept until the rest of it comes.
func (l *loop) lines(i uint32, c *client, b []byte, chunkEnds bool, now int64) (taken int) {
	for taken < len(b) {
		n := bytes.IndexByte(b[taken:], '\n')
		if n < 0 {
			if !chunkEnds {
				return taken
			}
			if l.broken == nil {
				l.broken = map[uint32][]byte{}
			}
			l.broken[i] = append(l.broken[i], b[taken:]...)
			return len(b)
		}
		line := b[taken : taken+n]
		taken += n + 1
		if len(l.broken) > 0 {
			if begun, ok := l.broken[i]; ok {
				line = append(begun, line...)
				delete(l.broken, i)
			}
		}
		l.line(i, c, bytes.TrimSuffix(line, []byte("\r")), now)
	}
	return taken
}

// line takes a line of a stream, or of an event: of its fields only those that the harness needs.
func (l *loop) line(i uint32, c *client, line []byte, now int64) {
	if len(line) == 0 {
		return
	}
	if l.kinds[c.group].Transport == "stream" {
		l.text(i, c, line, now)
		return
	}
	field, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(field) {
	case "data":
		l.text(i, c, value, now)
	case "id": // where it begins; later ones repeat what the publications say
		if c.marks&placed != 0 || !l.kinds[c.group].JSON {
			return
		}
		if epoch, offset, ok := wire.ParsePosition(value); ok {
			l.place(c, epoch, offset)
		}
	}
}

func (lines) timeout(*loop, uint32, *client) {}
