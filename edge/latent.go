package edge

import (
	"encke/channel"
	"encke/netloop"
	"encke/token"
)

// Every connection with a token follows its user's own channel, and most of these channels are silent most of the time. As long as
// nothing is kept of one and nobody else follows it, there is no channel: the user's record in users knows where it would go on
// and which connections follow it; those are latent. When something is published, or somebody comes with another position, the
// store makes the channel and the connections become subscribers of it; when all is over the loop that has them turns them latent
// again.
//
//	follow ──▶ latent ◀── retire: nothing is kept, all was given, one loop has all subscribers
//	             │                     ▲
//	             └── Wake, then woken ─┴─ a subscriber as of any channel
//
// Wake and Sleep are called under the lock of a shard of the store, and take the lock of a user's shard: never the other way round.

// woken tells a loop that the channel which some of its connections follow has been made.
type woken struct {
	channel *channel.Channel
	user    string
	head    uint64 // where it goes on: up to here the connections have been given everything
}

// Wake implements channel.Latent.
func (u *users) Wake(ch *channel.Channel, floor uint64) (head uint64, subscribers []uint32) {
	id, own := token.ChannelUser(ch.Name())
	if !own {
		return floor, nil
	}
	s := u.lock(id)
	defer s.mu.Unlock()
	x := s.enter(id)
	if !x.known {
		x.head.Store(floor)
	}
	x.channel, x.known = ch, true
	head = x.head.Load()
	x.here.all(func(h *netloop.Handle) {
		if *h&marked == 0 {
			return
		}
		*h &^= marked
		u.following.Add(-1)
		for len(subscribers) <= h.Loop() {
			subscribers = append(subscribers, 0)
		}
		subscribers[h.Loop()]++
	})
	for loop, n := range subscribers {
		if n > 0 {
			u.wake(loop, &woken{ch, id, head})
		}
	}
	return head, subscribers
}

// Sleep implements channel.Latent.
func (u *users) Sleep(name string, head uint64, followers []uint64) {
	id, own := token.ChannelUser(name)
	if !own {
		return
	}
	s := u.lock(id)
	defer s.mu.Unlock()
	x := s.by[id]
	x.channel = nil
	x.head.Store(head)
	for _, h := range followers {
		*x.here.find(netloop.Handle(h)) |= marked
		u.following.Add(1)
	}
	if u.past(u.now.Load(), x.seen) {
		s.forget(id, x)
	}
}

// Latent implements channel.Latent.
func (u *users) Latent(name string, floor uint64) (head uint64, subscribers int) {
	id, own := token.ChannelUser(name)
	if !own {
		return floor, 0
	}
	s := u.lock(id)
	defer s.mu.Unlock()
	x := s.by[id]
	if x == nil {
		return floor, 0
	}
	x.here.all(func(h *netloop.Handle) {
		if *h&marked != 0 {
			subscribers++
		}
	})
	if x.known {
		floor = x.head.Load()
	}
	return floor, subscribers
}

// follow notes that a connection of a user follows its channel, from where that would go on, unless the channel is there.
// floor is where a channel of which nothing is known begins, as of a moment at which the user was here already.
func (u *users) follow(id string, h netloop.Handle, floor uint64) (head uint64, latent bool) {
	s := u.lock(id)
	defer s.mu.Unlock()
	x := s.by[id]
	if x.channel != nil {
		return 0, false
	}
	if !x.known {
		x.head.Store(floor)
		x.known = true
	}
	*x.here.find(h) |= marked
	u.following.Add(1)
	return x.head.Load(), true
}

// unfollow takes that back. It says false when the channel has been made meanwhile, which counts the connection among its
// subscribers.
func (u *users) unfollow(id string, h netloop.Handle) bool {
	s := u.lock(id)
	defer s.mu.Unlock()
	at := s.by[id].here.find(h)
	if *at&marked == 0 {
		return false
	}
	*at &^= marked
	u.following.Add(-1)
	return true
}

// followers returns the connections of a user whose channel is ch; none when it is not any more.
func (u *users) followers(id string, ch *channel.Channel) (all []netloop.Handle) {
	s := u.lock(id)
	defer s.mu.Unlock()
	if x := s.by[id]; x != nil && x.channel == ch {
		x.here.all(func(h *netloop.Handle) { all = append(all, *h&^marked) })
	}
	return all
}

// joinOwn subscribes c to its user's own channel, as the last of its channels, as join does; where nothing has happened since from
// there is no entry.
func (r *reactor) joinOwn(c netloop.ID, cl *client, name []byte, from channel.From, limit channel.Limit) (channel.Joined, *entry) {
	x := r.identities.of(c)
	floor := r.server.store.Where(name)
	if from.Kind == channel.FromNow || from.Kind == channel.FromPosition && from.Epoch == r.server.store.Epoch() && from.Offset == floor {
		if head, ok := r.server.users.follow(x.claims.Subject, r.loop.Handle(c), floor); ok {
			cl.flags |= isLatent
			if from.Kind == channel.FromNow || head == floor {
				return channel.Joined{Head: head, Begin: head, Next: head, Recovered: from.Kind == channel.FromPosition}, nil
			}
			r.leaveOwn(c, cl) // it came and went in this moment
		}
	}
	return r.join(c, cl, name, from, limit)
}

// isOwn says whether the ith of r.names is the own channel of the user, and the last.
func (r *reactor) isOwn(i int) bool {
	return r.claims != nil && i == len(r.names)-1 && r.claims.Owns(r.names[i])
}

// joinNth subscribes c to the ith of r.names, from the ith of r.froms.
func (r *reactor) joinNth(c netloop.ID, cl *client, i int, limit channel.Limit) (channel.Joined, *entry) {
	if r.isOwn(i) {
		return r.joinOwn(c, cl, r.names[i], r.froms[i], limit)
	}
	return r.join(c, cl, r.names[i], r.froms[i], limit)
}

// leaveOwn is what ends the following of a latent connection.
func (r *reactor) leaveOwn(c netloop.ID, cl *client) {
	cl.flags &^= isLatent
	user := r.identities.of(c).claims.Subject
	if !r.server.users.unfollow(user, r.loop.Handle(c)) {
		r.server.store.UnsubscribeFrom([]byte(token.UserChannel(user)), r.loop.Index())
	}
}

// followsLatently says whether a connection is latent and that channel is its user's.
func (r *reactor) followsLatently(c netloop.ID, cl *client, name []byte) bool {
	return cl.flags&isLatent != 0 && r.identities.of(c).claims.Owns(name)
}

// woken makes those of this loop's connections subscribers that have followed a channel before it was made. It comes before any
// publication of the channel.
func (r *reactor) woken(w *woken) {
	for _, h := range r.server.users.followers(w.user, w.channel) {
		if h.Loop() != r.loop.Index() {
			continue
		}
		c, ok := r.loop.Resolve(h)
		if !ok || r.clients.at(c).flags&isLatent == 0 {
			continue
		}
		cl := r.clients.at(c)
		cl.flags &^= isLatent
		e := r.enter(w.channel, w.head)
		if e.subs.Len()+len(e.walks)+len(e.pending) == 0 { // made by one who comes right now; what was published before that comes next
			e.tail = w.head
		}
		if e.tail-uint64(len(e.pending)) == w.head {
			e.subs.Add(uint32(c))
		} else { // others have joined already, and have been given more
			r.addLag(c, cl, e, lag{given: w.head})
			r.chase(c)
		}
		r.addChannel(c, cl, e)
	}
}

// retire turns the subscribers of a user's own channel latent, when all of them are here and nothing is kept or under way.
func (r *reactor) retire(e *entry) {
	id, own := token.ChannelUser(e.name)
	if !own || e.active || e.lagging > 0 || len(e.walks)+len(e.pending) > 0 || e.subs.Len() == 0 {
		return
	}
	if !r.server.store.MayRetire(e.channel, r.loop.Index(), e.tail, e.subs.Len()) {
		return
	}
	var followers []uint64
	for x, ok := e.subs.Next(0); ok; x, ok = e.subs.Next(x + 1) {
		c := netloop.ID(x)
		if !r.mayBeLatent(c, r.clients.at(c), e, id) {
			return
		}
		followers = append(followers, uint64(r.loop.Handle(c)))
	}
	if !r.server.store.Retire(e.channel, r.loop.Index(), e.tail, followers) {
		return
	}
	for _, h := range followers {
		c := netloop.Handle(h).ID()
		cl := r.clients.at(c)
		r.removeChannel(c, cl, e)
		cl.flags |= isLatent
	}
	r.forget(e)
}

// mayBeLatent says whether a subscriber's position would still be right if its channel were latent: the user's own, and the last.
func (r *reactor) mayBeLatent(c netloop.ID, cl *client, e *entry, user string) bool {
	x := r.identities.of(c)
	if x.claims == nil || x.claims.Subject != user {
		return false
	}
	all := r.channels(c, cl)
	return cl.transport.websocket() || all[len(all)-1] == e.index
}

// positions appends the offsets up to which c has been given its channels, in their order, to dst.
func (r *reactor) positions(dst []uint64, c netloop.ID, cl *client) []uint64 {
	for _, x := range r.channels(c, cl) {
		dst = append(dst, r.position(c, cl, r.entries[x]))
	}
	if cl.flags&isLatent != 0 {
		dst = append(dst, r.identities.of(c).user.head.Load())
	}
	return dst
}
