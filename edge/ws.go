package edge

import (
	"time"

	"encke/codes"
	"encke/longpoll"
	"encke/netloop"
	"encke/wsframe"

	"github.com/gobwas/ws"
)

// The subprotocols, the default first.
var subprotocols = []string{"encke.json", "encke.raw"}

// serveWS upgrades to a WebSocket that is subscribed to the channels named.
func (r *reactor) serveWS(q *request) {
	if !r.identify(q) {
		return
	}
	if err := r.parseChannels(q, 0); err != nil {
		r.fail(q, err)
		return
	}
	if !r.hooked(q, "ws") {
		return
	}
	if err := r.acknowledge(q); err != nil {
		r.fail(q, err)
		return
	}
	hs, ok := r.upgrade(q, wsframe.Options{Protocols: subprotocols, Deflate: true})
	if !ok {
		return
	}
	t := overWS
	if hs.Protocol == 1 {
		t = overRaw
	}
	r.switched(q, t, hs)
	r.becomeUser(q.c, r.claims, true)
	for i, name := range r.names {
		if !r.subscribe(q.c, q.cl, nil, name, r.froms[i], r.isOwn(i)) {
			return
		}
	}
	r.giveLetters(q.c, q.cl)
}

// serveEcho upgrades to a WebSocket that says back what it hears.
func (r *reactor) serveEcho(q *request) {
	if hs, ok := r.upgrade(q, wsframe.Options{Protocols: []string{""}, Deflate: true}); ok {
		r.switched(q, overEcho, hs)
	}
}

// upgrade checks the handshake (RFC 6455 section 4.2) and sends its answer.
func (r *reactor) upgrade(q *request, o wsframe.Options) (wsframe.Handshake, bool) {
	h := &q.Header
	out, hs, code := wsframe.Accept(r.scratch[:0], wsframe.Request{
		Method: h.Method(), HTTP11: h.IsHTTP11(), Host: h.Host(),
		Upgrade: h.Peek("Upgrade"), Connection: headerList(h, "Connection"),
		Key: headerList(h, "Sec-WebSocket-Key"), Version: headerList(h, "Sec-WebSocket-Version"),
		Protocols: headerList(h, "Sec-WebSocket-Protocol"), Extensions: headerList(h, "Sec-WebSocket-Extensions"),
	}, o, nil)
	if code != codes.None {
		r.failWith(q, codes.New(code, ""), longpoll.ErrorOptions{})
		return hs, false
	}
	r.scratch = out
	r.loop.Send(q.c, out)
	return hs, true
}

func (r *reactor) switched(q *request, t transport, hs wsframe.Handshake) {
	r.become(q.cl, t)
	r.loop.StopTimer(q.c)
	q.cl.bits = hs.ServerBits
	q.cl.beat = 0
	if hs.Deflate {
		q.cl.flags |= isDeflate
	}
}

// frameSink is what the decoder calls; its fields are set for the connection whose bytes are being decoded.
type frameSink struct {
	r  *reactor
	c  netloop.ID
	cl *client
	h  netloop.Handle
}

// dataWS takes frames.
func (r *reactor) dataWS(c netloop.ID, cl *client, b []byte) int {
	if len(b) == 0 {
		return 0
	}
	h := r.loop.Handle(c)
	r.sink = frameSink{r, c, cl, h}
	p := r.partial[c]
	if p != nil { // from here on it is the decoder's, which may find that the connection has to end
		delete(r.partial, c)
		r.server.figures.partial.Add(int64(-p.Size()))
	}
	n, next, code := r.frames.Decode(p, cl.flags&isDeflate != 0, wsframe.Limits{Message: r.server.config.MaxMessage}, b, &r.sink)
	if _, open := r.loop.Resolve(h); !open {
		r.frames.Release(next)
		return len(b)
	}
	switch {
	case next != nil && p == nil:
		r.loop.SetTimer(c, timerBody, r.server.config.BodyTimeout) // not prolonged by a byte now and then
	case next == nil && p != nil && !r.loop.Finishing(c):
		r.loop.StopTimer(c)
	}
	if next != nil {
		r.partial[c] = next
		r.server.figures.partial.Add(int64(next.Size()))
		if code == codes.None && next.Size() > smallInput && r.server.inputSpent() {
			code = codes.Overloaded
		}
	}
	if code != codes.None {
		r.closeWS(c, cl, code.Close(), code)
		return len(b)
	}
	return n
}

// Control implements wsframe.Sink (RFC 6455 section 5.5).
func (s *frameSink) Control(op ws.OpCode, payload []byte) bool {
	switch op {
	case ws.OpPing:
		s.r.sendFrame(s.c, s.cl, ws.OpPong, payload, false)
	case ws.OpClose:
		status, code := wsframe.CloseReply(payload)
		switch {
		case code != codes.Normal:
			s.r.closeWS(s.c, s.cl, code.Close(), code)
		default:
			s.r.scratch = wsframe.AppendClose(s.r.scratch[:0], status, "")
			s.r.loop.Send(s.c, s.r.scratch)
			s.r.loop.Finish(s.c, netloop.ReasonPeer)
		}
		return false
	}
	return true
}

// Message implements wsframe.Sink.
func (s *frameSink) Message(op ws.OpCode, payload []byte) bool {
	r := s.r
	switch s.cl.transport {
	case overEcho:
		r.sendFrame(s.c, s.cl, op, payload, s.cl.flags&isDeflate != 0)
	case overRaw:
		if len(payload) > 0 {
			r.closeWS(s.c, s.cl, codes.Forbidden.Close(), codes.Forbidden)
		}
	default:
		r.server.figures.commands.Add(1)
		switch {
		case !r.paced(s.c, s.cl):
		case op == ws.OpBinary:
			r.replyError(s.c, s.cl, nil, codes.New(codes.BadCommand, "a binary frame"))
		default:
			r.command(s.c, s.cl, payload)
		}
	}
	_, open := r.loop.Resolve(s.h)
	return open && s.cl.transport.websocket()
}

// sendFrame sends one message or control frame. A client that does not read what it asked for is a slow consumer too.
func (r *reactor) sendFrame(c netloop.ID, cl *client, op ws.OpCode, payload []byte, deflate bool) {
	if deflate && wsframe.FitsWindow(len(payload), cl.bits) {
		r.scratch = wsframe.AppendDeflated(r.scratch[:0], op, payload)
	} else {
		r.scratch = wsframe.AppendFrame(r.scratch[:0], op, payload)
	}
	if r.loop.Send(c, r.scratch) == netloop.SentLater && r.loop.Waiting(c) > r.maxPending()+len(r.scratch) {
		r.end(c, cl, codes.SlowConsumer)
	}
}

func appendText(dst, payload []byte) []byte { return wsframe.AppendFrame(dst, ws.OpText, payload) }

// closeWS begins the closing handshake and ends the connection in order.
func (r *reactor) closeWS(c netloop.ID, cl *client, status int, code codes.Code) {
	r.scratch = wsframe.AppendClose(r.scratch[:0], status, r.reason(code))
	r.loop.Send(c, r.scratch)
	r.loop.Finish(c, reasonOf(code))
}

// silentWS pings a client that has said nothing for a ping interval, and gives it up after another one.
func (r *reactor) silentWS(c netloop.ID, cl *client, silence time.Duration) {
	switch every := r.server.config.PingInterval; {
	case r.loop.Waiting(c) > 0: // a ping would have to wait too; --write-timeout says whether the client still reads
		cl.flags &^= isPinged
	case cl.flags&isPinged == 0:
		cl.flags |= isPinged
		r.sendFrame(c, cl, ws.OpPing, nil, false)
	case silence >= 2*every:
		r.end(c, cl, codes.PingTimeout)
	}
}
