package edge

import (
	"time"

	"bytes"
	"strconv"

	"encke/codes"
	"encke/longpoll"
	"encke/netloop"

	"github.com/valyala/fasthttp"
)

// request is one HTTP request while it is served; its slices are valid until serving ends.
type request struct {
	*fasthttp.Request
	c      netloop.ID
	cl     *client
	path   []byte // raw, without query
	query  []byte
	keep   bool // the connection stays open after the answer
	keep10 bool // and an HTTP/1.0 client has to be told
	head   bool
}

// dataHTTP takes whole requests from b, one after the other, as long as the answers go out.
func (r *reactor) dataHTTP(c netloop.ID, cl *client, b []byte) int {
	taken := 0
	if cl.flags&awaitsProxy != 0 {
		n, goOn := r.takeProxy(c, cl, b)
		if !goOn {
			return n
		}
		taken = n
	}
	for len(b) > taken {
		if cl.flags&(isBusy|isStalled) != 0 || r.loop.Waiting(c) > 0 {
			if len(b)-taken > r.server.config.MaxHeader {
				r.loop.Pause(c)
			}
			return taken // pipelined: waits until the answer is out
		}
		n, more := r.next(c, cl, b[taken:])
		taken += n
		if !more {
			return taken
		}
		switch {
		case cl.transport.websocket():
			return taken + r.dataWS(c, cl, b[taken:])
		case cl.transport != overHTTP && cl.transport != overPoll:
			return len(b)
		case cl.transport == overPoll:
			return taken
		}
	}
	return taken
}

// next takes and serves one request. more is false when there is none yet, or the connection is ending or has to wait.
func (r *reactor) next(c netloop.ID, cl *client, b []byte) (n int, more bool) {
	var fresh longpoll.Progress
	p := &fresh
	if cl.flags&isPartial != 0 {
		p = r.progress[c]
	}
	limits := longpoll.Limits{Header: r.server.config.MaxHeader, Body: r.server.config.MaxMessage}
	if cl.flags&onBackend != 0 {
		limits.Body = r.server.config.MaxBody
	}
	for {
		req, n, _, status, code, detail := r.http.Next(b, p, limits)
		switch status {
		case longpoll.NeedMore:
			r.incomplete(c, cl, p, len(b))
			return n, false
		case longpoll.Continue:
			r.loop.Send(c, longpoll.ContinueResponse)
			continue
		case longpoll.Bad:
			r.refuse(c, cl, codes.New(code, detail))
			return len(b), false
		}
		r.complete(c, cl)
		open := r.serve(c, cl, req)
		if cl.flags&isStalled != 0 {
			return 0, false // shown again, whole, when the loops have caught up
		}
		if len(r.waits) > 0 {
			delete(r.waits, r.loop.Handle(c))
		}
		r.forgetAnswer(c)
		return n, open
	}
}

// incomplete remembers how far a request has come, of which size bytes are there, and how long the rest may take.
func (r *reactor) incomplete(c netloop.ID, cl *client, p *longpoll.Progress, size int) {
	if cl.flags&onBackend == 0 && size > smallInput && r.server.inputSpent() {
		r.refuse(c, cl, codes.New(codes.Overloaded, "its memory for requests is spent"))
		return
	}
	first := cl.flags&isPartial == 0
	if first {
		kept := *p
		r.progress[c] = &kept
		cl.flags |= isPartial
		p = &kept
	}
	switch { // a timer that runs already is not prolonged: a byte now and then buys no time
	case p.HeadDone() && cl.beat != inBody:
		cl.beat = inBody
		r.loop.SetTimer(c, timerBody, r.server.config.BodyTimeout)
	case !p.HeadDone() && first:
		r.loop.SetTimer(c, timerHeader, r.server.config.HeaderTimeout)
	}
}

// inBody in client.beat says that the body timer runs; between requests beat is 0.
const inBody = 1

// complete ends what incomplete began.
func (r *reactor) complete(c netloop.ID, cl *client) {
	if cl.flags&isPartial != 0 {
		delete(r.progress, c)
		cl.flags &^= isPartial
	}
	cl.beat = 0
	r.loop.SetTimer(c, timerIdle, r.server.config.IdleTimeout)
}

// serve answers a request, or begins to. It says whether the next one may follow.
func (r *reactor) serve(c netloop.ID, cl *client, req *fasthttp.Request) bool {
	r.now = time.Now().UnixMilli()
	q := request{Request: req, c: c, cl: cl, head: req.Header.IsHead()}
	q.keep = longpoll.KeepAlive(&req.Header) && !r.draining
	q.keep10 = q.keep && !req.Header.IsHTTP11()
	q.path, q.query = splitTarget(req.Header.RequestURI())
	r.server.figures.requests.Add(1)
	h := r.loop.Handle(c)
	if cl.flags&onBackend != 0 {
		r.serveBackend(&q)
	} else {
		r.servePublic(&q)
	}
	if _, open := r.loop.Resolve(h); !open {
		return false
	}
	if cl.transport == overHTTP && cl.flags&(isBusy|isStalled) == 0 && !q.keep {
		r.loop.Finish(c, netloop.ReasonPeer)
		return false
	}
	return true
}

// splitTarget splits a request target into path and query; the absolute form (RFC 9112 section 3.2.2) loses scheme and host.
func splitTarget(target []byte) (path, query []byte) {
	if len(target) > 0 && target[0] != '/' {
		if i := bytes.Index(target, []byte("://")); i > 0 {
			target = target[i+3:]
			if i = bytes.IndexAny(target, "/?"); i < 0 {
				return []byte("/"), nil
			}
			target = target[i:]
		}
	}
	path, query, _ = bytes.Cut(target, []byte("?"))
	if len(path) == 0 {
		path = []byte("/")
	}
	return path, query
}

func (r *reactor) servePublic(q *request) {
	var serve func(*request)
	switch string(q.path) {
	case "/ws":
		serve = r.serveWS
	case "/sse":
		serve = r.serveSSE
	case "/stream":
		serve = r.serveStream
	case "/poll":
		serve = r.servePoll
	case "/ping":
		serve = r.servePing
	case "/presence":
		serve = r.servePresence
	case "/echo":
		if r.server.config.Echo {
			serve = r.serveEcho
		}
	case "/encke.js":
		if r.server.script != nil {
			serve = r.serveScript
		}
	case "/":
		if r.server.config.Page != nil {
			serve = r.servePage
		}
	}
	switch {
	case string(q.path) == "/ack":
		r.servePosted(q, r.serveAck)
	case serve == nil:
		r.fail(q, codes.New(codes.NotFound, ""))
	case q.Header.IsOptions():
		r.answer(q, longpoll.Response{Status: 204, Extra: preflight})
	case !q.Header.IsGet() && !q.head:
		r.failAllow(q, "GET, HEAD, OPTIONS")
	case string(q.path) == "/encke.js" || r.originAllowed(q): // the script is for the pages of anybody
		serve(q)
	}
}

// servePosted serves a path of the public listener that takes POST.
func (r *reactor) servePosted(q *request, serve func(*request)) {
	if q.Header.IsOptions() {
		r.answer(q, longpoll.Response{Status: 204, Extra: postPreflight})
	} else if !q.Header.IsPost() {
		r.failAllow(q, "POST, OPTIONS")
	} else if r.originAllowed(q) {
		serve(q)
	}
}

// postPreflight is what OPTIONS says there.
var postPreflight = append([]byte("Allow: POST, OPTIONS\r\n"), bytes.ReplaceAll(longpoll.CORSPreflight, []byte("GET, HEAD"), []byte("POST"))...)

// preflight is what OPTIONS says besides.
var preflight = append([]byte("Allow: GET, HEAD, OPTIONS\r\n"), longpoll.CORSPreflight...)

// servePing answers the ping of a client whose transport has none.
func (r *reactor) servePing(q *request) {
	r.body = append(r.appendPong(append(r.body[:0], '{')), '}')
	r.answerJSON(q, 200, r.body)
}

func (r *reactor) appendPong(dst []byte) []byte {
	dst = append(dst, `"pong":{"time":`...)
	return append(strconv.AppendInt(dst, r.now, 10), '}')
}

func (r *reactor) servePage(q *request) {
	r.answer(q, longpoll.Response{Status: 200, Type: "text/html; charset=utf-8", Body: r.server.config.Page})
}

// answer sends a response in the way the request asks for.
func (r *reactor) answer(q *request, res longpoll.Response) {
	res.Close, res.KeepAlive10, res.Head = !q.keep, q.keep10, q.head
	r.scratch = res.Append(r.scratch[:0], r.clock(q.cl))
	r.loop.Send(q.c, r.scratch)
}

// answerJSON sends a JSON body.
func (r *reactor) answerJSON(q *request, status int, body []byte) {
	r.answer(q, longpoll.Response{Status: status, Type: "application/json", Body: body})
}

// fail answers with an error; the connection goes on.
func (r *reactor) fail(q *request, err *codes.Error) { r.failWith(q, err, longpoll.ErrorOptions{}) }

func (r *reactor) failAllow(q *request, allow string) {
	r.failWith(q, codes.New(codes.MethodNotAllowed, ""), longpoll.ErrorOptions{Allow: allow})
}

func (r *reactor) failWith(q *request, err *codes.Error, o longpoll.ErrorOptions) {
	r.server.figures.refused[err.Code].Add(1)
	r.noteRefusal(q.c, err)
	o.Close, o.Head, o.KeepAlive10 = !q.keep, q.head, q.keep10
	if err.Code.Status() == 503 {
		o.Retry = retryAfter
	}
	r.scratch = longpoll.AppendError(r.scratch[:0], r.clock(q.cl), err, o)
	r.loop.Send(q.c, r.scratch)
}

// retryAfter is the advice, in seconds, to those refused because there is too much to do.
const retryAfter = 2

// refuse answers with an error outside of any request that could be understood, and ends the connection.
func (r *reactor) refuse(c netloop.ID, cl *client, err *codes.Error) {
	after := 0
	if err.Code.Status() == 503 {
		after = retryAfter
	}
	r.refuseFor(c, cl, err, after)
}

// refuseFor does so with the advice to try again after some seconds; 0: no advice.
func (r *reactor) refuseFor(c netloop.ID, cl *client, err *codes.Error, after int) {
	r.server.figures.refused[err.Code].Add(1)
	r.scratch = longpoll.AppendError(r.scratch[:0], r.clock(cl), err, longpoll.ErrorOptions{Close: true, Retry: after})
	r.loop.Send(c, r.scratch)
	r.loop.Finish(c, reasonOf(err.Code))
}
