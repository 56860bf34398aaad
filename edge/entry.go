package edge

import (
	"encke/bitset"
	"encke/channel"
	"encke/netloop"
	"encke/presence"
)

// entry is a channel as its loop sees it: who is subscribed here, and what has not reached all of them yet. All of it is
// owned by the reactor.
//
// Every publication goes through three places, in order: the mailbox, pending, and a walk. A walk is the fan-out of a
// batch; its snapshot of the subscribers loses each as it is served. So at any moment a subscriber has been given
// exactly what precedes the first walk that still has it, or, when none has, everything before pending. Nothing is noted
// for a single subscriber, which is why an idle one costs next to nothing.
type entry struct {
	channel *channel.Channel
	name    string
	index   uint32
	active  bool // in reactor.active
	slow    channel.Slow
	lagging int               // subscribers that are not in subs (lag.go)
	members *presence.Channel // nil: it is not kept who is here
	subs    bitset.Set
	tail    uint64                 // offset of the newest publication seen: the last of pending, or of the last walk
	pending []*channel.Publication // not in a walk yet
	walks   []*walk                // oldest first
}

// walk is the fan-out of a batch of publications to those who were subscribed when it was made. It may take several turns.
type walk struct {
	before uint64 // offset before the first of pubs
	pubs   []*channel.Publication
	left   bitset.Set // who has not been served yet
	except bool       // somebody is not to be given all of pubs
	cursor uint32
	bytes  int64            // what it counts for in the loop's backlog
	bufs   [numForms][]byte // the batch in each wire form, once somebody has needed it
}

// position returns the offset up to which c has been given the channel's publications.
func (e *entry) position(c netloop.ID) uint64 {
	for _, w := range e.walks {
		if w.left.Has(uint32(c)) {
			return w.before
		}
	}
	return e.tail - uint64(len(e.pending))
}

// enter returns the loop's entry of a channel; a new one knows publications up to head.
func (r *reactor) enter(ch *channel.Channel, head uint64) *entry {
	if e := r.byChannel[ch.ID()]; e != nil {
		return e
	}
	e := &entry{channel: ch, name: ch.Name(), slow: ch.Slow(), tail: head}
	e.members = r.server.presence.Open(e.name, r.server.presenceMode([]byte(e.name)))
	if n := len(r.freeEntries); n > 0 {
		e.index = r.freeEntries[n-1]
		r.freeEntries = r.freeEntries[:n-1]
		r.entries[e.index] = e
	} else {
		e.index = uint32(len(r.entries))
		r.entries = append(r.entries, e)
	}
	r.byChannel[ch.ID()] = e
	return e
}

// forget drops an entry without subscribers.
func (r *reactor) forget(e *entry) {
	for _, p := range e.pending {
		r.settle(publicationCost(p))
	}
	for _, w := range e.walks {
		r.settle(w.bytes)
	}
	e.pending, e.walks = nil, nil
	e.members.Close()
	delete(r.byChannel, e.channel.ID())
	r.entries[e.index] = nil
	r.freeEntries = append(r.freeEntries, e.index)
}

// join subscribes c. On return everything up to joined.Next is the caller's to give (joined.Replay, valid until the next
// join). What follows comes by walks, or with joined.More from history first.
func (r *reactor) join(c netloop.ID, cl *client, name []byte, from channel.From, limit channel.Limit) (channel.Joined, *entry) {
	joined, err := r.server.store.Subscribe(name, r.loop.Index(), from, limit, r.now, r.replay[:0])
	if err != nil {
		panic("BUG: " + err.Error()) // names have been checked
	}
	r.replay = joined.Replay
	e := r.enter(joined.Channel, joined.Head)
	if joined.More {
		r.addLag(c, cl, e, lag{given: joined.Next})
		r.chase(c)
	} else {
		r.goLive(c, cl, e, joined.Head)
	}
	r.addChannel(c, cl, e)
	if cl.flags&onBackend == 0 {
		r.present(c, e)
	}
	return joined, e
}

// leave unsubscribes c. atOnce says that it is not to be waited for its coming back.
func (r *reactor) leave(c netloop.ID, e *entry, atOnce bool) {
	cl := r.clients.at(c)
	if cl.flags&onBackend == 0 {
		r.absent(c, e, atOnce)
	}
	if !r.dropLag(c, cl, e) {
		e.subs.Remove(uint32(c))
		for _, w := range e.walks {
			w.left.Remove(uint32(c))
		}
	}
	r.server.store.Unsubscribe(e.channel, r.loop.Index(), r.now)
	if e.subs.Len()+e.lagging == 0 {
		r.forget(e)
	}
}

// channels returns the entries of c in the order in which it named them; valid until the next call.
func (r *reactor) channels(c netloop.ID, cl *client) []uint32 {
	if cl.flags&isMany != 0 {
		return r.many[c]
	}
	if cl.entry != 0 {
		r.one[0] = cl.entry - 1
		return r.one[:]
	}
	return nil
}

func (r *reactor) addChannel(c netloop.ID, cl *client, e *entry) {
	switch {
	case cl.flags&isMany != 0:
		r.many[c] = append(r.many[c], e.index)
	case cl.entry != 0:
		r.many[c] = []uint32{cl.entry - 1, e.index}
		cl.flags |= isMany
		cl.entry = 0
	default:
		cl.entry = e.index + 1
	}
}

func (r *reactor) removeChannel(c netloop.ID, cl *client, e *entry) {
	if cl.flags&isMany == 0 {
		cl.entry = 0
		return
	}
	list := r.many[c]
	for i, x := range list {
		if x == e.index {
			list = append(list[:i], list[i+1:]...)
			break
		}
	}
	if len(list) > 1 {
		r.many[c] = list
		return
	}
	delete(r.many, c)
	cl.flags &^= isMany
	cl.entry = list[0] + 1
}

// leaveAll unsubscribes c from everything.
func (r *reactor) leaveAll(c netloop.ID, cl *client) {
	if cl.flags&isLatent != 0 {
		r.leaveOwn(c, cl)
	}
	for _, x := range r.channels(c, cl) {
		r.leave(c, r.entries[x], false)
	}
	if cl.flags&isMany != 0 {
		delete(r.many, c)
		cl.flags &^= isMany
	}
	cl.entry = 0
}

// subscribed returns c's entry of a channel by name, nil when it has none.
func (r *reactor) subscribed(c netloop.ID, cl *client, name []byte) *entry {
	for _, x := range r.channels(c, cl) {
		if e := r.entries[x]; e.name == string(name) {
			return e
		}
	}
	return nil
}

// appendPosition appends c's position over all its channels.
func (r *reactor) appendPosition(dst []byte, c netloop.ID, cl *client) []byte {
	r.offsets = r.positions(r.offsets[:0], c, cl)
	return channel.AppendPositions(dst, r.server.store.Epoch(), r.offsets)
}
