package edge

import (
	"slices"

	"encke/channel"
	"encke/netloop"
)

// A subscription is either live or lagging. A live one is in its entry's subs, and walks serve it. A lagging one is fed
// from the channel's history, one piece after the other as its reader takes them, and no walk knows of it; when history has
// no more it is live again. So a long replay, and a reader that falls behind in a channel whose policy allows it, cost no
// more memory than one piece.
//
//	        subscribe: all was given                  a walk finds the reader too slow,
//	       ┌─────────────────────────▶ live ─────────────────┐ or the loop has lost something
//	 join ─┤                            ▲                     ▼
//	       └─ there is more ─▶ lagging ─┴── history ends ── lagging

// lag is a lagging subscription.
type lag struct {
	entry  uint32
	newest bool   // what is between the position and the newest publication is skipped
	given  uint64 // offset up to which it has been given the channel
}

const (
	// replayPiece is how many bytes of publications are given from history at once.
	replayPiece = 256 << 10
	// turnBytes is how many are given before the loop looks at its descriptors again; each connection counts for a KiB more.
	turnBytes = 1 << 20
)

// piece is the limit of what is given from history at once to a connection of some channels; none when used bytes of it are
// spent.
func (r *reactor) piece(cl *client, channels, used int) channel.Limit {
	each := 16
	if cl.transport == overSSE {
		each += 12 * channels // its ids
	}
	if left := r.room() - used; left > 0 {
		return channel.Limit{Bytes: left, Each: each}
	}
	return channel.Limit{Publications: -1}
}

// fallBehind makes a live subscription lag. The caller sees to it that catchUp is called: Drained does when output waits.
func (r *reactor) fallBehind(c netloop.ID, cl *client, e *entry, l lag) {
	e.subs.Remove(uint32(c))
	for _, w := range e.walks {
		w.left.Remove(uint32(c))
	}
	r.addLag(c, cl, e, l)
}

func (r *reactor) addLag(c netloop.ID, cl *client, e *entry, l lag) {
	l.entry = e.index
	e.lagging++
	cl.flags |= isLagging
	r.lags[c] = append(r.lags[c], l)
}

// dropLag ends the lagging of a subscription; it says false when it was live.
func (r *reactor) dropLag(c netloop.ID, cl *client, e *entry) bool {
	if cl.flags&isLagging == 0 {
		return false
	}
	list := r.lags[c]
	for i := range list {
		if list[i].entry != e.index {
			continue
		}
		e.lagging--
		if len(list) == 1 {
			delete(r.lags, c)
			cl.flags &^= isLagging
		} else {
			r.lags[c] = append(list[:i], list[i+1:]...)
		}
		return true
	}
	return false
}

// position returns the offset up to which c has been given one of its channels.
func (r *reactor) position(c netloop.ID, cl *client, e *entry) uint64 {
	if cl.flags&isLagging != 0 {
		for _, l := range r.lags[c] {
			if l.entry == e.index {
				return l.given
			}
		}
	}
	return e.position(c)
}

// chase has a connection's lagging subscriptions looked at in this turn.
func (r *reactor) chase(c netloop.ID) { r.chased.push(r.loop.Handle(c)) }

// catchUpAll gives lagging subscriptions a piece each, and says whether some were left for the next turn.
func (r *reactor) catchUpAll() (more bool) {
	if r.chased.len() > 0 && r.room() == 0 {
		return false // the next tick looks again
	}
	n := r.chased.len() // what catchUp adds is for the next turn
	for left := turnBytes; n > 0 && left > 0; n-- {
		left -= 1 << 10
		if c, ok := r.loop.Resolve(r.chased.pop()); ok {
			left -= r.catchUp(c, r.clients.at(c))
		}
	}
	return r.chased.len() > 0
}

// catchUp gives the first lagging subscription of a connection its next piece. With output waiting it does nothing: Drained
// comes back to it. It returns how many bytes that was.
func (r *reactor) catchUp(c netloop.ID, cl *client) (given int) {
	if cl.flags&isLagging == 0 || r.loop.Waiting(c) > 0 || r.loop.Finishing(c) {
		return 0
	}
	l := r.lags[c][0]
	e := r.entries[l.entry]
	limit := r.piece(cl, len(r.channels(c, cl)), 0)
	limit.Newest = l.newest
	joined := r.server.store.Resume(e.channel, l.given, limit, r.now, r.replay[:0])
	r.replay = joined.Replay
	r.dropLag(c, cl, e)
	if joined.More {
		r.addLag(c, cl, e, lag{given: joined.Next}) // behind the connection's others
	} else {
		r.goLive(c, cl, e, joined.Head)
	}
	h := r.loop.Handle(c)
	r.giveMissed(c, cl, e, l.given, &joined)
	if _, open := r.loop.Resolve(h); open && cl.flags&isLagging != 0 {
		r.chase(c)
	}
	for _, p := range joined.Replay {
		given += len(p.Wire)
	}
	return given
}

// goLive has walks serve a subscriber that has been given everything up to head.
func (r *reactor) goLive(c netloop.ID, cl *client, e *entry, head uint64) {
	r.fetch()
	if e.tail < head {
		r.mend(e, head)
	}
	if e.tail-uint64(len(e.pending)) > head { // what follows head was lost: it was mended for the others
		r.addLag(c, cl, e, lag{given: head})
		r.chase(c)
		return
	}
	// What precedes head is handed to those who were here before.
	n := 0
	for n < len(e.pending) && e.pending[n].Offset <= head {
		n++
	}
	r.seal(e, n)
	e.subs.Add(uint32(c))
}

// fetch takes all publications out of the mailbox that have been posted until now.
func (r *reactor) fetch() {
	r.loop.Deliver()
}

// giveMissed gives what a lagging subscription has missed since an offset.
func (r *reactor) giveMissed(c netloop.ID, cl *client, e *entry, since uint64, joined *channel.Joined) {
	r.countSkipped(e, since, joined)
	if joined.Gap == "" && len(joined.Replay) == 0 {
		return
	}
	switch {
	case cl.transport == overPoll:
		body, _ := r.appendPollItems(r.beginPoll(), e.name, joined)
		r.body = append(body, `],"position":"`...)
		r.body = r.closePoll(r.appendPosition(r.body, c, cl))
		r.unpark(c, cl, r.body)
	case cl.transport.websocket():
		r.replayWS(c, cl, e, joined)
	default:
		r.replayStream(c, cl, e, joined)
	}
}

// countSkipped counts publications that a slow reader was not given.
func (r *reactor) countSkipped(e *entry, since uint64, joined *channel.Joined) {
	n := joined.Begin - since
	at := joined.Begin
	for _, p := range joined.Replay {
		if p.Kind == channel.KindGap {
			n += p.Offset - at
		}
		at = p.Offset
	}
	r.server.figures.skipped[e.slow].Add(n)
}

// replayStream gives an event stream or a stream of lines what it has missed of one channel.
func (r *reactor) replayStream(c netloop.ID, cl *client, e *entry, joined *channel.Joined) {
	r.begins = r.positions(r.begins[:0], c, cl)
	o := owed{nth: slices.Index(r.channels(c, cl), e.index), e: e, joined: *joined}
	out, start := r.chunk(r.scratch[:0], cl)
	out = r.appendMissed(r.appendGapMark(out, cl, &o), cl, &o)
	r.sendChunk(c, cl, out, start)
}

// tooSlow says whether a subscriber is to lag rather than to be given more.
func (r *reactor) tooSlow(c netloop.ID, cl *client, slow channel.Slow) bool {
	if cl.transport == overPoll {
		return false
	}
	waiting := r.loop.Waiting(c)
	return slow == channel.SlowLatest && waiting > 0 || waiting > r.maxPending()/2
}

// checkEach is how many entries are held against their channels in each tick.
const checkEach = 32

// checkEntries holds some entries against their channels: what was published before now must have reached this loop.
func (r *reactor) checkEntries() {
	for range min(checkEach, len(r.entries)) {
		r.checked++
		if r.checked >= len(r.entries) {
			r.checked = 0
		}
		e := r.entries[r.checked]
		if e == nil {
			continue
		}
		head := r.server.store.Head(e.channel)
		if e.tail < head {
			r.fetch()
		}
		if e.tail < head {
			r.mend(e, head)
		}
		r.retire(e)
	}
}

// mend is what a loop does that has not been given all publications up to tail, which must not happen: all subscribers go on
// from history, from where each of them is, and are told what history has no more.
func (r *reactor) mend(e *entry, tail uint64) {
	r.server.figures.inconsistent.Add(1)
	r.server.config.Log("BUG: loop %d has channel %s up to %d, it is at %d; its subscribers go on from history",
		r.loop.Index(), e.name, e.tail, tail)
	for x, ok := e.subs.Next(0); ok; x, ok = e.subs.Next(x + 1) {
		c := netloop.ID(x)
		r.fallBehind(c, r.clients.at(c), e, lag{given: e.position(c)})
		r.chase(c)
	}
	for _, p := range e.pending {
		r.settle(publicationCost(p))
	}
	e.pending, e.tail = nil, tail
}
