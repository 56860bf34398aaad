package edge

import (
	"math/rand/v2"
	"strconv"
	"time"

	"encke/codes"
	"encke/netloop"
)

// When everybody has to go at once, everybody comes back at once, unless each is told its own time: at a shutdown each
// client is advised, in its transport's way, to come back after a random part of a window.

// returnRate is how many comebacks a second the window allows for, where --return-within does not say how long it is:
// a fifth of what four cores shake hands with (BENCHMARKS.md).
const returnRate = 5000

// returnWindow is how long comebacks are to be spread over.
func (s *Server) returnWindow() time.Duration {
	if s.config.ReturnWithin > 0 {
		return s.config.ReturnWithin
	}
	return max(time.Second, time.Duration(s.engine.Open())*time.Second/returnRate)
}

// comeback draws when a client is to come back: milliseconds, from 1 to the window.
func (r *reactor) comeback() int64 {
	return 1 + rand.Int64N(max(r.server.returnWithin.Load(), 1))
}

// tellStream tells a stream's client why it ends, and at a shutdown when to come back: by an event, with the reconnection time of an
// event stream (WHATWG HTML, "Server-sent events"), or by a line of its own.
func (r *reactor) tellStream(c netloop.ID, cl *client, code codes.Code) {
	sse, retry := cl.transport == overSSE, int64(0)
	out, start := r.chunk(r.scratch[:0], cl)
	if sse {
		out = append(out, "event: closing\ndata: "...)
	}
	out = append(append(append(out, `{"closing":"`...), code.String()...), '"')
	if code == codes.GoingAway {
		retry = r.comeback()
		out = strconv.AppendInt(append(out, `,"retry":`...), retry, 10)
	}
	out = append(out, "}\n"...)
	if sse && retry > 0 {
		out = append(strconv.AppendInt(append(out, "retry: "...), retry, 10), '\n')
	}
	if sse {
		out = append(out, '\n')
	}
	r.sendChunk(c, cl, out, start)
}

// reason is a close frame's: the code's name, and for a client that is to come back when that is to be.
func (r *reactor) reason(code codes.Code) string {
	if code != codes.GoingAway {
		return code.String()
	}
	return code.String() + " retry=" + strconv.FormatInt(r.comeback(), 10)
}
