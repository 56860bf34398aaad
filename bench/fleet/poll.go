package fleet

import (
	"fmt"
	"strconv"
	"time"

	"encke/bench/wire"
)

// poll is a client of long polls, or of polls at an interval. Encke's answers name a position to go on from; a server
// that answers with the payload alone is asked on by date and Etag, as nchan and browsers' caches do it.
type poll struct{}

func (p poll) ask(l *loop, i uint32, c *client) {
	k := &l.kinds[c.group]
	b := append(l.scratch[:0], "GET "...)
	b = l.appendPath(b, c)
	if k.JSON {
		b = p.appendWait(l, b, c)
	}
	b = append(b, " HTTP/1.1\r\nHost: localhost\r\n"...)
	if !k.JSON && c.marks&placed != 0 {
		b = time.Unix(int64(c.offset), 0).UTC().AppendFormat(append(b, "If-Modified-Since: "...), wire.HTTPTime)
		b = strconv.AppendUint(append(b, "\r\nIf-None-Match: "...), uint64(c.tag), 10)
		b = append(b, "\r\n"...)
	}
	b = append(wire.AppendBearer(b, k.token(c)), "\r\n"...)
	l.scratch = b
	l.net.Send(c.id(), b)
	if c.state == asking && !k.JSON { // there is no sign of a poll that waits
		l.connected(i, c)
	}
}

// appendWait appends the parameters of the next poll: the first one only asks where the channel is.
func (poll) appendWait(l *loop, b []byte, c *client) []byte {
	wait := "&wait=0"
	if c.marks&placed != 0 {
		b = l.appendSince(b, c)
		if l.kinds[c.group].Transport == "longpoll" {
			wait = "&wait=55s"
		}
	}
	return append(b, wait...)
}

func (p poll) data(l *loop, i uint32, c *client, b []byte) int {
	r, ok, err := wire.ParseResponse(b)
	if err == nil && ok && r.Status != 200 && r.Status != 304 {
		err = fmt.Errorf("a poll was answered %q %.200s", r.StatusLine(), r.Body)
	}
	if err != nil {
		l.fault(i, c, err)
		return len(b)
	}
	if !ok {
		return 0
	}
	l.figures.requests++
	if r.Status == 200 {
		p.answer(l, i, c, r)
	}
	if c.state == asking && !l.connected(i, c) {
		return len(b)
	}
	if k := &l.kinds[c.group]; k.Transport == "longpoll" {
		p.ask(l, i, c)
	} else {
		p.rest(l, c, k.Interval)
	}
	return r.Size
}

func (poll) answer(l *loop, i uint32, c *client, r wire.Response) {
	l.text(i, c, r.Body, l.now())
	if l.kinds[c.group].JSON {
		return
	}
	tag, _ := wire.Digits(trimQuotes(r.Header("Etag")))
	c.offset, c.tag = wire.ParseHTTPTime(r.Header("Last-Modified")), uint32(tag)
	c.marks |= placed
}

func trimQuotes(b []byte) []byte {
	if len(b) > 1 && b[0] == '"' {
		return b[1 : len(b)-1]
	}
	return b
}

// rest waits for the next poll. The first wait is any part of the interval, so that clients do not ask in step.
func (poll) rest(l *loop, c *client, interval time.Duration) {
	if c.marks&resting == 0 {
		c.marks |= resting
		interval = time.Duration(l.random.Float64() * float64(interval))
	}
	l.net.SetTimer(c.id(), timerTransport, interval)
}

func (p poll) timeout(l *loop, i uint32, c *client) { p.ask(l, i, c) }
