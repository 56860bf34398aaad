package edge

import (
	"slices"
	"strconv"
	"time"

	"encke/channel"
	"encke/codes"
	"encke/longpoll"
	"encke/netloop"
)

// servePoll answers a poll at once when there is something, and otherwise parks it. A parked poll is a subscriber like any
// other; it keeps flags and a timer in its slots, its request is forgotten.
func (r *reactor) servePoll(q *request) {
	if !r.identify(q) {
		return
	}
	wait, err := parseWait(q)
	var has lettered
	if err == nil {
		has, err = parseMail(q)
	}
	if err == nil {
		err = r.parseChannels(q, 1)
	}
	if err == nil {
		err = r.acknowledge(q)
	}
	switch {
	case err != nil:
		r.fail(q, err)
	case !r.hooked(q, "poll"):
	case r.room() == 0:
		r.fail(q, codes.New(codes.Overloaded, "its memory for answers is spent"))
	case wait == 0 || q.head || r.draining:
		r.pollNow(q, has)
	default:
		r.park(q, has, wait)
	}
}

// pollNow answers with what is there, without subscribing; has are the letters that the client has got.
func (r *reactor) pollNow(q *request, has lettered) {
	here := r.claims != nil && !q.head // a HEAD makes nobody online, nor present
	if here {
		r.server.users.touch(r.claims.Subject, r.now)
	}
	body := r.beginPoll()
	r.offsets = r.offsets[:0]
	room := r.room()
	for i, name := range r.names {
		if here {
			r.passing(q.c, name)
		}
		joined, err := r.server.store.Read(name, r.froms[i], pollPiece(body, room), r.now, r.replay[:0])
		if err != nil {
			r.fail(q, err)
			return
		}
		r.replay = joined.Replay
		var next uint64
		body, next = r.appendPollItems(body, string(name), &joined)
		r.offsets = append(r.offsets, next)
	}
	if !q.head { // which gives nobody anything
		body = r.greet(body, has)
	}
	r.body = r.endPoll(body, r.offsets)
	r.answerJSON(q, 200, r.body)
}

// pollLimit is the number of publications of a channel that one poll brings. The rest comes with the next poll, from the
// position answered.
const pollLimit = 1000

// pollPiece is what may still be added to a poll's answer of one channel, room being what it may have in all.
func pollPiece(body []byte, room int) channel.Limit {
	if left := room - len(body); left > 0 {
		return channel.Limit{Publications: pollLimit, Bytes: left}
	}
	return channel.Limit{Publications: -1}
}

// appendPollItems appends a gap mark and publications to an open array and returns the channel's next position.
func (r *reactor) appendPollItems(dst []byte, name string, joined *channel.Joined) ([]byte, uint64) {
	if joined.Gap != "" {
		r.server.figures.gaps.Add(1)
		dst = r.appendGap(comma(dst), name, joined)
	}
	r.missing = r.missing || joined.Missing()
	for _, p := range joined.Replay {
		dst = append(comma(dst), p.Wire...)
	}
	r.countReplay(joined.Replay)
	return dst, joined.Next
}

// beginPoll begins an answer in r.body, in which nothing is missing and no letter is so far.
func (r *reactor) beginPoll() []byte {
	r.missing, r.mailed = false, 0
	return append(r.body[:0], `{"publications":[`...)
}

func comma(dst []byte) []byte {
	if dst[len(dst)-1] != '[' {
		dst = append(dst, ',')
	}
	return dst
}

func (r *reactor) endPoll(dst []byte, offsets []uint64) []byte {
	dst = append(dst, `],"position":"`...)
	dst = channel.AppendPositions(dst, r.server.store.Epoch(), offsets)
	return r.closePoll(dst)
}

// closePoll ends an answer behind its position: it says whether nothing is missing, where there are letters the number of the last, and
// at a shutdown when to come back, in milliseconds.
func (r *reactor) closePoll(dst []byte) []byte {
	dst = append(dst, `","recovered":`...)
	dst = strconv.AppendBool(dst, !r.missing)
	if r.mailed > 0 {
		dst = append(dst, `,"mail":`...)
		dst = strconv.AppendUint(dst, r.mailed, 10)
	}
	if r.draining {
		dst = append(dst, `,"retry":`...)
		dst = strconv.AppendInt(dst, r.comeback(), 10)
	}
	return append(dst, '}')
}

// park subscribes and waits, unless something has been missed already.
func (r *reactor) park(q *request, has lettered, wait time.Duration) {
	c, cl := q.c, q.cl
	r.become(cl, overPoll)
	r.becomeUser(c, r.claims, false)
	cl.flags &^= keepsAlive | isHTTP10
	if q.keep {
		cl.flags |= keepsAlive
	}
	if q.keep10 {
		cl.flags |= isHTTP10
	}
	body := r.beginPoll()
	empty, room := len(body), r.room()
	r.begins = r.begins[:0]
	for i, name := range r.names {
		joined, _ := r.joinNth(c, cl, i, pollPiece(body, room))
		var next uint64
		body, next = r.appendPollItems(body, string(name), &joined)
		r.begins = append(r.begins, next)
	}
	if has.told && r.claims != nil {
		r.letters[c] = has
	}
	body = r.greet(body, has)
	r.body = body
	if len(body) == empty {
		r.loop.SetTimer(c, timerPoll, wait)
		return
	}
	r.body = r.endPoll(body, r.begins)
	r.unpark(c, cl, r.body)
}

// answerPoll answers a parked poll with a walk's publications.
func (r *reactor) answerPoll(c netloop.ID, cl *client, e *entry, w *walk) {
	if cl.flags&(isMany|isLatent|isHTTP10|keepsAlive) == keepsAlive && !r.draining && cl.transport == overPoll {
		if w.bufs[formPoll] == nil { // the same for every poll of this channel alone
			body := r.appendWalk(r.beginPoll(), w)
			r.body = r.endPoll(body, []uint64{w.pubs[len(w.pubs)-1].Offset})
			res := longpoll.Response{Status: 200, Type: "application/json", Body: r.body}
			w.bufs[formPoll] = res.Append(nil, r.clock(cl))
		}
		r.release(c, cl)
		r.loop.Share(c, w.bufs[formPoll])
		r.loop.Resume(c)
		return
	}
	r.offsets = r.positions(r.offsets[:0], c, cl)
	r.offsets[slices.Index(r.channels(c, cl), e.index)] = w.pubs[len(w.pubs)-1].Offset
	r.body = r.endPoll(r.appendWalk(r.beginPoll(), w), r.offsets)
	r.unpark(c, cl, r.body)
}

func (r *reactor) appendWalk(dst []byte, w *walk) []byte {
	for _, p := range w.pubs {
		dst = append(comma(dst), p.Wire...)
	}
	return dst
}

// answerEmpty answers a parked poll for which nothing came.
func (r *reactor) answerEmpty(c netloop.ID, cl *client) {
	body := append(r.beginPoll(), `],"position":"`...)
	r.body = r.closePoll(r.appendPosition(body, c, cl))
	r.unpark(c, cl, r.body)
}

// release ends a poll's subscriptions; the connection is between requests again.
func (r *reactor) release(c netloop.ID, cl *client) {
	r.leaveAll(c, cl)
	r.pollOver(c)
	r.forgetUser(c)
	r.become(cl, overHTTP)
	r.loop.SetTimer(c, timerIdle, r.server.config.IdleTimeout)
}

// unpark sends the answer of a poll.
func (r *reactor) unpark(c netloop.ID, cl *client, body []byte) {
	keep := cl.flags&keepsAlive != 0 && !r.draining
	res := longpoll.Response{Status: 200, Type: "application/json", Body: body,
		Close: !keep, KeepAlive10: keep && cl.flags&isHTTP10 != 0}
	r.release(c, cl)
	r.scratch = res.Append(r.scratch[:0], r.clock(cl))
	r.loop.Send(c, r.scratch)
	switch {
	case !keep && r.draining:
		r.loop.Finish(c, reasonOf(codes.GoingAway))
	case !keep:
		r.loop.Finish(c, netloop.ReasonPeer)
	default:
		r.loop.Resume(c)
	}
}
