package edge

import (
	"encke/channel"
	"encke/netloop"
)

// turnWrites is how many subscribers are served before the loop looks at its descriptors again.
const turnWrites = 512

// publicationCost is what a publication counts for in a loop's backlog.
func publicationCost(p *channel.Publication) int64 { return int64(len(p.Wire)) + 64 }

// settle takes bytes off the loop's backlog and wakes pushes that wait for it.
func (r *reactor) settle(bytes int64) {
	left := r.loop.Backlog().Add(-bytes)
	if left <= int64(r.server.config.MaxBacklog)/2 && r.server.stalled.Load() != 0 {
		r.server.wakeStalled()
	}
}

// arrived takes a publication from the mailbox.
func (r *reactor) arrived(id uint64, p *channel.Publication) {
	e := r.byChannel[id]
	if e == nil || p.Offset <= e.tail { // the last subscriber has left meanwhile
		r.settle(publicationCost(p))
		return
	}
	if p.Offset != e.tail+1 {
		r.mend(e, p.Offset-1)
	}
	e.tail = p.Offset
	e.pending = append(e.pending, p)
	r.activate(e)
}

func (r *reactor) activate(e *entry) {
	if !e.active {
		e.active = true
		r.active.push(e)
	}
}

// seal turns the first n pending publications into a walk over those who are subscribed now.
func (r *reactor) seal(e *entry, n int) {
	if n == 0 {
		return
	}
	w := &walk{before: e.pending[0].Offset - 1}
	for _, p := range e.pending[:n] {
		w.bytes += publicationCost(p)
		w.except = w.except || p.Except != 0
	}
	if n == len(e.pending) {
		w.pubs, e.pending = e.pending, nil
	} else {
		w.pubs = append(w.pubs, e.pending[:n]...)
		e.pending = append([]*channel.Publication(nil), e.pending[n:]...)
	}
	if e.subs.Len() == 0 {
		r.settle(w.bytes)
		return
	}
	w.left = e.subs.Clone()
	e.walks = append(e.walks, w)
	r.activate(e)
}

// fanOut serves subscribers, at most about turnWrites of them, and says whether some are left.
func (r *reactor) fanOut() (more bool) {
	budget := turnWrites
	for r.active.len() > 0 && budget > 0 {
		e := r.active.front()
		if len(e.walks) == 0 {
			r.seal(e, len(e.pending))
		}
		if len(e.walks) > 0 {
			budget = r.step(e, e.walks[0], budget)
		}
		if budget <= 0 && len(e.walks) > 0 {
			return true
		}
		r.active.pop()
		if len(e.walks)+len(e.pending) > 0 {
			r.active.push(e) // after the others
		} else {
			e.active = false
		}
	}
	return r.active.len() > 0
}

// step serves at most budget subscribers of a walk and returns what is left of the budget.
func (r *reactor) step(e *entry, w *walk, budget int) int {
	served := 0
	for ; budget > 0; budget-- {
		x, ok := w.left.Next(w.cursor)
		if !ok {
			break
		}
		w.cursor = x + 1
		if r.give(netloop.ID(x), e, w) {
			served++
		}
		w.left.Remove(x)
	}
	r.server.figures.delivered(r.loop.Index(), served*len(w.pubs))
	if w.left.Len() == 0 && len(e.walks) > 0 && e.walks[0] == w {
		e.walks[0] = nil
		e.walks = e.walks[1:]
		r.settle(w.bytes)
	}
	return budget
}

// give gives a walk's publications to one subscriber. It says false when that has fallen behind instead.
func (r *reactor) give(c netloop.ID, e *entry, w *walk) bool {
	cl := r.clients.at(c)
	if e.slow != channel.SlowResume && r.tooSlow(c, cl, e.slow) {
		r.fallBehind(c, cl, e, lag{given: w.before, newest: e.slow == channel.SlowLatest})
		return false
	}
	var sent netloop.Sent
	switch {
	case w.except && r.isExcept(c, w):
		sent = r.loop.Send(c, r.withoutOwn(c, cl, w))
	case cl.transport == overPoll:
		r.answerPoll(c, cl, e, w)
		return true
	case cl.transport == overSSE && cl.flags&(isMany|isLatent) != 0:
		r.scratch = r.appendSSEMany(r.scratch[:0], c, cl, e, w.pubs)
		sent = r.loop.Send(c, r.scratch)
	default:
		sent = r.loop.Share(c, w.form(formOf(cl), cl.bits))
	}
	if sent == netloop.SentLater && e.slow == channel.SlowResume {
		r.checkPending(c, cl)
	}
	return true
}

// isExcept says whether a subscriber is not to be given all of a walk: it has published some of it, without echo.
func (r *reactor) isExcept(c netloop.ID, w *walk) bool {
	h := uint64(r.loop.Handle(c))
	for _, p := range w.pubs {
		if p.Except == h {
			return true
		}
	}
	return false
}

// withoutOwn returns a walk's publications without those, empty when there are no others. Who publishes is a WebSocket.
func (r *reactor) withoutOwn(c netloop.ID, cl *client, w *walk) []byte {
	h := uint64(r.loop.Handle(c))
	var others []*channel.Publication
	for _, p := range w.pubs {
		if p.Except != h {
			others = append(others, p)
		}
	}
	r.scratch = appendForm(r.scratch[:0], formOf(cl), cl.bits, others)
	return r.scratch
}
