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

// adviseStream tells a stream's client when to come back: the reconnection time of an event stream (WHATWG HTML,
// "Server-sent events"), or a line of its own.
func (r *reactor) adviseStream(c netloop.ID, cl *client) {
	out, start := r.chunk(r.scratch[:0], cl)
	if cl.transport == overSSE {
		out = append(out, "retry: "...)
		out = strconv.AppendInt(out, r.comeback(), 10)
		out = append(out, "\n\n"...)
	} else {
		out = append(out, `{"closing":"going_away","retry":`...)
		out = strconv.AppendInt(out, r.comeback(), 10)
		out = append(out, "}\n"...)
	}
	r.sendChunk(c, cl, out, start)
}

// tellStream tells a stream's client why it ends.
func (r *reactor) tellStream(c netloop.ID, cl *client, code codes.Code) {
	out, start := r.chunk(r.scratch[:0], cl)
	if cl.transport == overSSE {
		out = append(out, "event: closing\ndata: "...)
	}
	out = append(append(append(out, `{"closing":"`...), code.String()...), "\"}\n"...)
	if cl.transport == overSSE {
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
