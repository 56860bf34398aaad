package edge

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"encke/channel"
	"encke/codes"
	"encke/longpoll"
)

// consoleChannel tells who looks at the console how the server is doing (consolestats.go). It is for the backend listener alone.
const consoleChannel = "$console"

const (
	// consoleLength and consoleAge are what is kept of it, so that a console that is opened again has its charts back.
	consoleLength = 300
	consoleAge    = 300_000 // milliseconds
)

// consoleRule is what the store does with the channel. It is the first rule, so that no other counts.
var consoleRule = channel.Rule{Pattern: consoleChannel,
	Settings: channel.Settings{Length: consoleLength, Age: consoleAge, Slow: channel.SlowDropOldest}}

// consolePolicy says that no client may do anything there. It is the first policy, so that no other counts.
var consolePolicy = policy{pattern: consoleChannel, subscribe: nobody, publish: nobody, seePresence: nobody}

// consolePage is the console's page as GET / of the backend listener answers it. It is immutable.
type consolePage struct {
	plain, packed []byte
	headers       string
}

func newConsolePage(source []byte) *consolePage {
	if len(source) == 0 {
		return nil
	}
	return &consolePage{plain: source, packed: packed(source), headers: "Content-Security-Policy: " + contentPolicy(source) + "\r\n" +
		"X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nReferrer-Policy: no-referrer\r\nCross-Origin-Opener-Policy: same-origin\r\n" +
		"Cross-Origin-Resource-Policy: same-origin\r\nVary: Accept-Encoding\r\n"}
}

// packed compresses by gzip (RFC 1952).
func packed(source []byte) []byte {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		panic("BUG: " + err.Error())
	}
	_, _ = z.Write(source) // a buffer takes all
	_ = z.Close()
	return b.Bytes()
}

// contentPolicy is a Content-Security-Policy (W3C CSP Level 3) by which a page may run the script and the style that stand in it, by
// their hashes, ask its own server, and nothing else: what is shown of messages could not run even if it became markup.
func contentPolicy(page []byte) string {
	return "default-src 'none'; script-src" + hashes(page, "script") + "; style-src" + hashes(page, "style") +
		"; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// hashes are the source expressions of all elements of that name, which have no attributes.
func hashes(page []byte, element string) (list string) {
	for {
		_, rest, there := bytes.Cut(page, []byte("<"+element+">"))
		inside, after, closed := bytes.Cut(rest, []byte("</"+element+">"))
		if !there || !closed {
			if list == "" {
				return " 'none'"
			}
			return list
		}
		sum := sha256.Sum256(inside)
		list += " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
		page = after
	}
}

// serveConsole answers with the page. It needs no key: there is nothing secret in it.
func (r *reactor) serveConsole(q *request) {
	p := r.server.page
	if p == nil {
		r.fail(q, codes.New(codes.NotFound, ""))
		return
	}
	res := longpoll.Response{Status: 200, Type: "text/html; charset=utf-8", Body: p.plain, Extra: []byte(p.headers)}
	if q.Header.HasAcceptEncoding("gzip") {
		res.Body, res.Extra = p.packed, append(res.Extra, "Content-Encoding: gzip\r\n"...)
	}
	r.answer(q, res)
}

// serveWatch begins an event stream for the backend: of any channel, and without a user. What it reads is counted as a subscriber of
// the channel, but neither among the clients nor among who is there, and max-subscribers does not keep it out.
func (r *reactor) serveWatch(q *request) {
	r.claims = nil
	err := r.nameChannels(q)
	if err == nil {
		err = r.checkWatched()
	}
	if err == nil {
		err = r.parseFroms(q, false)
	}
	if err == nil && r.draining {
		err = codes.New(codes.GoingAway, "")
	}
	if err != nil {
		r.fail(q, err)
		return
	}
	if !r.beginEndless(q, overSSE, "text/event-stream", []byte("X-Accel-Buffering: no\r\nX-Content-Type-Options: nosniff\r\n")) {
		return
	}
	r.joinAll(q.c, q.cl)
	for _, name := range r.names {
		if string(name) == consoleChannel {
			r.server.console.wake()
		}
	}
}

// checkWatched says what is wrong with r.names.
func (r *reactor) checkWatched() *codes.Error {
	switch n := len(r.names); {
	case n == 0:
		return codes.New(codes.NoChannel, "")
	case n > r.server.config.MaxChannels:
		return codes.New(codes.TooManyChannels, "")
	}
	for i, name := range r.names {
		if code := channel.CheckName(name); code != codes.None {
			return codes.In(code, string(name), quoted(name))
		}
		for _, before := range r.names[:i] {
			if bytes.Equal(before, name) {
				return about(codes.DuplicateChannel, name)
			}
		}
	}
	return nil
}

// watchScope is what a key must be for to read the channels of GET /sse: figures stand in one of them.
func watchScope(q *request) (need Scope) {
	list, _ := arg(q.query, "channels")
	text, _ := unescape(list, false)
	for _, name := range strings.Split(string(text), ",") {
		need |= readScope(name)
	}
	return need
}

// channelScope is that for GET /channels/{name}…
func channelScope(path string) Scope {
	name, _, _ := strings.Cut(path[len("/channels/"):], "/")
	text, _ := unescape([]byte(name), false)
	return readScope(string(text))
}

func readScope(name string) Scope {
	if name == consoleChannel {
		return ScopeStats
	}
	return ScopeRead
}
