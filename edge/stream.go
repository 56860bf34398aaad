package edge

import (
	"strconv"

	"encke/channel"
	"encke/longpoll"
	"encke/netloop"
)

// serveSSE begins an event stream (WHATWG HTML, "Server-sent events").
func (r *reactor) serveSSE(q *request) {
	r.serveEndless(q, overSSE, "text/event-stream", []byte("X-Accel-Buffering: no\r\n"))
}

// serveStream begins a stream of JSON lines.
func (r *reactor) serveStream(q *request) {
	r.serveEndless(q, overStream, "application/x-ndjson", []byte("X-Accel-Buffering: no\r\nX-Content-Type-Options: nosniff\r\n"))
}

func (r *reactor) serveEndless(q *request, t transport, typ string, extra []byte) {
	if !r.identify(q) {
		return
	}
	if err := r.parseChannels(q, 1); err != nil {
		r.fail(q, err)
		return
	}
	if !r.hooked(q, transportNames[t]) {
		return
	}
	if err := r.acknowledge(q); err != nil {
		r.fail(q, err)
		return
	}
	if !r.beginEndless(q, t, typ, extra) {
		return
	}
	r.becomeUser(q.c, r.claims, true)
	r.joinAll(q.c, q.cl)
	r.giveLetters(q.c, q.cl)
}

// beginEndless sends the head of an endless answer. It says false where that is all, as HEAD asked for.
func (r *reactor) beginEndless(q *request, t transport, typ string, extra []byte) bool {
	chunked := q.Header.IsHTTP11()
	r.scratch = longpoll.AppendStreamHead(r.scratch[:0], r.clock(q.cl), typ, chunked, extra)
	r.loop.Send(q.c, r.scratch)
	if q.head {
		q.keep = false // there is no telling how long the body would be
		return false
	}
	r.become(q.cl, t)
	r.loop.StopTimer(q.c)
	q.cl.beat = r.seconds
	if chunked {
		q.cl.flags |= isChunked
	}
	return true
}

// owed is what a connection has missed of one of its channels.
type owed struct {
	nth    int // which of its channels
	e      *entry
	joined channel.Joined
}

// joinAll subscribes a stream to r.names from r.froms, tells it where it begins, and gives it what it has missed. Ids speak
// of all channels, so all are joined before the first is replayed, and r.begins follows what has been given.
func (r *reactor) joinAll(c netloop.ID, cl *client) {
	r.begins, r.later = r.begins[:0], r.later[:0]
	r.missing = false
	used, resumes := 0, false
	for i := range r.names {
		limit := r.piece(cl, len(r.names), used)
		joined, e := r.joinNth(c, cl, i, limit)
		r.begins = append(r.begins, joined.Begin)
		r.missing = r.missing || joined.Missing()
		resumes = resumes || r.froms[i].Kind != channel.FromNow
		for _, p := range joined.Replay {
			used += len(p.Wire) + limit.Each
		}
		if len(joined.Replay) > 0 || joined.Gap != "" {
			if len(r.names) > 1 { // the next join uses the slice again
				joined.Replay = append([]*channel.Publication(nil), joined.Replay...)
			}
			r.later = append(r.later, owed{i, e, joined})
		}
	}
	out, start := r.chunk(r.scratch[:0], cl)
	// Ids speak of all channels as if their gaps were known, so all gaps are told before the first id: a client that is cut
	// off between must not come back with a position behind a gap that it has not heard of.
	for i := range r.later {
		out = r.appendGapMark(out, cl, &r.later[i])
	}
	r.sendChunk(c, cl, r.appendBeginning(out, cl, resumes), start)
	for i := range r.later {
		if len(r.later[i].joined.Replay) == 0 {
			continue
		}
		out, start = r.chunk(r.scratch[:0], cl)
		r.sendChunk(c, cl, r.appendMissed(out, cl, &r.later[i]), start)
	}
	clear(r.later)
}

// chunk leaves room for a chunk's size where the stream is chunked; start is where the chunk begins.
func (r *reactor) chunk(dst []byte, cl *client) (out []byte, start int) {
	start = len(dst)
	if cl.flags&isChunked != 0 {
		dst = append(dst, chunkRoom...)
	}
	return dst, start
}

// sendChunk sends what chunk has begun. It must not be empty: that would be the last chunk.
func (r *reactor) sendChunk(c netloop.ID, cl *client, out []byte, start int) netloop.Sent {
	if cl.flags&isChunked != 0 {
		out = closeChunk(out, start)
	}
	r.scratch = out
	return r.loop.Send(c, out)
}

// appendBeginning tells from which position the stream goes on, so that a client that is cut off before the first publication
// resumes there, and to one that resumes whether nothing is missing. It is also a first sign of life, which makes proxies
// pass the head on.
func (r *reactor) appendBeginning(dst []byte, cl *client, resumes bool) []byte {
	epoch := r.server.store.Epoch()
	if cl.transport == overSSE {
		if resumes {
			dst = append(dst, "event: resumed\ndata: {\"recovered\":"...)
			dst = append(strconv.AppendBool(dst, !r.missing), "}\n"...)
		} else {
			dst = append(dst, ":\n"...)
		}
		dst = append(dst, "id: "...)
		return append(channel.AppendPositions(dst, epoch, r.begins), "\n\n"...)
	}
	dst = append(dst, `{"position":"`...)
	dst = append(channel.AppendPositions(dst, epoch, r.begins), '"')
	if resumes {
		dst = strconv.AppendBool(append(dst, `,"recovered":`...), !r.missing)
	}
	return append(dst, "}\n"...)
}

// appendGapMark appends the gap mark of a channel, if there is a gap.
func (r *reactor) appendGapMark(dst []byte, cl *client, o *owed) []byte {
	if o.joined.Gap == "" {
		return dst
	}
	r.server.figures.gaps.Add(1)
	r.body = r.appendGap(r.body[:0], o.e.name, &o.joined)
	if cl.transport != overSSE {
		return append(append(dst, r.body...), '\n')
	}
	return appendSSEGap(dst, r.body)
}

// appendSSEGap appends a gap as an event of its own type, without an id.
func appendSSEGap(dst, gap []byte) []byte {
	return append(append(append(dst, "event: gap\ndata: "...), gap...), "\n\n"...)
}

// appendMissed appends the publications that a stream has missed of one channel.
func (r *reactor) appendMissed(dst []byte, cl *client, o *owed) []byte {
	epoch := r.server.store.Epoch()
	for _, p := range o.joined.Replay {
		if cl.transport == overSSE {
			r.begins[o.nth] = p.Offset
			if p.Kind == channel.KindGap {
				dst = appendSSEGap(dst, p.Wire)
				continue
			}
			dst = append(dst, "id: "...)
			dst = channel.AppendPositions(dst, epoch, r.begins)
			dst = appendSSEData(dst, p.Wire)
			continue
		}
		dst = append(append(dst, p.Wire...), '\n')
	}
	r.countReplay(o.joined.Replay)
	return dst
}

func (r *reactor) countReplay(replay []*channel.Publication) {
	n := len(replay)
	for _, p := range replay {
		if p.Kind == channel.KindGap {
			r.server.figures.gaps.Add(1)
			n--
		}
	}
	r.server.figures.delivered(r.loop.Index(), n)
	r.server.figures.replayed.Add(uint64(n))
}

// heartbeat sends a stream a sign of life when the last one is a ping interval ago.
func (r *reactor) heartbeat(c netloop.ID, cl *client) {
	if every := uint32(r.server.config.PingInterval.Seconds()); r.seconds-cl.beat < every {
		return
	}
	cl.beat = r.seconds
	beat := beats[cl.transport == overSSE][cl.flags&isChunked != 0]
	if r.loop.Send(c, beat) == netloop.SentLater {
		r.checkPending(c, cl)
	}
}

// beats are the signs of life: a comment for SSE, an empty line for a stream of lines; each plain and as a chunk.
var beats = map[bool]map[bool][]byte{
	true:  {false: []byte(":\n\n"), true: []byte("3\r\n:\n\n\r\n")},
	false: {false: []byte("\n"), true: []byte("1\r\n\n\r\n")},
}
