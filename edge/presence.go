package edge

import (
	"strconv"

	"encke/channel"
	"encke/codes"
	"encke/longpoll"
	"encke/netloop"
	"encke/presence"
	"encke/token"
)

// Who is in a channel is told in another one beside it, $presence:{channel}: joins and leaves are publications there, so that every
// transport, history and resume serve them too. A list of who is here says as of which position it is.

const presencePrefix = "$presence:"

// maxWatched is the longest name of a channel whose presence is kept.
const maxWatched = 128 - len(presencePrefix)

// leastEvent is how large an event may be however small --max-message-size is: one that does not fit would be refused for ever, and hold
// up all behind it. The longest user with the longest info has room in it.
const leastEvent = 2 << 10

// newPresence returns the book of who is where, which tells of changes in the companion channels.
func newPresence(s *Server) *presence.Book {
	return presence.New(presence.Config{
		Grace: s.config.UserGrace.Milliseconds(), MaxEvent: min(32<<10, max(leastEvent, s.config.MaxMessage)),
		Publish: func(name string, event []byte, now int64) bool {
			m := channel.Message{Event: "presence", Data: event, JSON: true, Own: true}
			_, err := s.store.Publish([]byte(presencePrefix+name), &m, now)
			return err == nil
		},
		Head: func(name string) uint64 { return s.store.Where([]byte(presencePrefix + name)) },
	})
}

// presenceMode returns what is kept of who is in a channel: nothing of users' own channels and of the server's.
func (s *Server) presenceMode(name []byte) presence.Mode {
	if _, own := token.ChannelUser(string(name)); own || channel.Reserved(name) || len(name) > maxWatched {
		return presence.Off
	}
	return s.policy(name).presence
}

// present notes that a connection has subscribed to a channel; absent that it does not any more.
func (r *reactor) present(c netloop.ID, e *entry) {
	if e.members == nil {
		return
	}
	if x := r.identities.of(c); x.claims != nil {
		e.members.Enter(x.claims.Subject, x.claims.Info())
	} else {
		e.members.Enter("", nil)
	}
}

func (r *reactor) absent(c netloop.ID, e *entry, atOnce bool) {
	if e.members == nil {
		return
	}
	user := ""
	if x := r.identities.of(c); x.claims != nil {
		user = x.claims.Subject
	}
	e.members.Leave(user, r.now, atOnce)
}

// introduce tells who a connection is that was there without a token before.
func (r *reactor) introduce(c netloop.ID, cl *client) {
	for _, x := range r.channels(c, cl) {
		if e := r.entries[x]; e.members != nil {
			e.members.Leave("", r.now, true)
			r.present(c, e)
		}
	}
}

// renew tells where a connection is that its user's token has another info now.
func (r *reactor) renew(c netloop.ID, cl *client) {
	for _, x := range r.channels(c, cl) {
		if e := r.entries[x]; e.members != nil {
			e.members.Inform(r.claims.Subject, r.claims.Info())
		}
	}
}

// passing notes that a user asks for a channel now and then, without a connection that stays: it is present for the grace.
func (r *reactor) passing(c netloop.ID, name []byte) {
	if mode := r.server.presenceMode(name); mode != presence.Off && r.mayPass(c) {
		ch := r.server.presence.Open(string(name), mode)
		ch.Enter(r.claims.Subject, r.claims.Info())
		ch.Leave(r.claims.Subject, r.now, false)
		ch.Close()
	}
}

// appendSnapshot appends who is in a channel, as a JSON object.
func (s *Server) appendSnapshot(dst []byte, name []byte, snap presence.Snapshot) []byte {
	dst = append(dst, `{"channel":"`...)
	dst = append(dst, name...)
	dst = append(dst, `","users":`...)
	dst = strconv.AppendInt(dst, int64(snap.Users), 10)
	dst = append(dst, `,"connections":`...)
	dst = strconv.AppendInt(dst, int64(snap.Connections), 10)
	dst = append(dst, `,"position":"`...)
	dst = channel.AppendPosition(dst, s.store.Epoch(), snap.Offset)
	dst = append(dst, '"')
	if snap.TooMany {
		dst = append(dst, `,"too_many":true`...)
	}
	if snap.Members != nil {
		dst = append(dst, `,"members":[`...)
		for i, m := range snap.Members {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendMember(dst, &m)
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

func appendMember(dst []byte, m *presence.Member) []byte {
	dst = append(dst, `{"user":"`...)
	dst = append(dst, m.User...)
	dst = append(dst, `","connections":`...)
	dst = strconv.AppendInt(dst, int64(m.Connections), 10)
	if len(m.Info) > 0 {
		dst = append(dst, `,"info":`...)
		dst = append(dst, m.Info...)
	}
	return append(dst, '}')
}

// listing is who was in a channel, encoded for all who ask until something changes.
type listing struct {
	offset uint64
	at     int64
	body   []byte
}

// listingAge is for how many milliseconds a listing may be old in what no event tells: infos, and connections of members.
const listingAge = 1000

// listed returns who is in a channel, as clients are told it. It is valid until the next call.
func (r *reactor) listed(name []byte, members bool) []byte {
	mode := r.server.presenceMode(name)
	counts := r.server.presence.Published(string(name), mode, false)
	if !members || mode != presence.Members {
		r.scratch = r.server.appendSnapshot(r.scratch[:0], name, counts)
		return r.scratch
	}
	l, there := r.listings[string(name)]
	if !there || l.offset != counts.Offset || r.now-l.at >= listingAge {
		snap := r.server.presence.Published(string(name), mode, true)
		l = listing{snap.Offset, r.now, r.server.appendSnapshot(nil, name, snap)}
		r.listings[string(name)] = l
	}
	return l.body
}

// forgetListings drops listings that nobody may be given any more.
func (r *reactor) forgetListings() {
	for name, l := range r.listings {
		if r.now-l.at >= listingAge {
			delete(r.listings, name)
		}
	}
}

// commandPresence answers who is in a channel.
func (r *reactor) commandPresence(c netloop.ID, cl *client, cmd *command) {
	name := []byte(cmd.Presence.Channel)
	err := r.checkPresence(name)
	var body []byte
	if err == nil {
		if body = r.listed(name, !cmd.Presence.Counts); !r.roomFor(c, len(body)) {
			err = codes.New(codes.Overloaded, "too much output waits")
		}
	}
	if err != nil {
		r.replyError(c, cl, cmd.ID, err)
		return
	}
	r.reply(c, cl, cmd.ID, func(b []byte) []byte { return append(append(b, `"presence":`...), body...) })
}

// wantsCounts says whether a request asks for the numbers alone: counts=1.
func wantsCounts(q *request) bool {
	text, given := arg(q.query, "counts")
	return given && string(text) != "0"
}

// roomFor says whether a client can be given a list of that size now: nothing else may wait for it, and lists count as output.
func (r *reactor) roomFor(c netloop.ID, size int) bool {
	most := r.server.budget.output
	return r.loop.Waiting(c) == 0 && (most == 0 || r.server.heldOutput()+int64(size) <= most)
}

// servePresence answers GET /presence?channel=… of the public listener.
func (r *reactor) servePresence(q *request) {
	if !r.identifyHolder(q) {
		return
	}
	text, _ := arg(q.query, "channel")
	name, ok := unescape(text, false)
	if !ok {
		r.fail(q, codes.New(codes.BadChannel, quoted(text)))
		return
	}
	if err := r.checkPresence(name); err != nil {
		r.fail(q, err)
		return
	}
	body := r.listed(name, !wantsCounts(q))
	if !r.roomFor(q.c, len(body)) {
		r.fail(q, codes.New(codes.Overloaded, "too much output waits"))
		return
	}
	r.body = append(r.body[:0], body...)
	r.answerJSON(q, 200, r.body)
}

// serveMembers answers GET /channels/{name}/presence of the backend: as of this moment.
func (r *reactor) serveMembers(q *request, name []byte) {
	mode := r.server.presenceMode(name)
	if mode == presence.Off {
		r.fail(q, about(codes.NoPresence, name))
		return
	}
	counts := wantsCounts(q)
	name = append([]byte(nil), name...)
	now := r.now
	r.elsewhere(q, func() longpoll.Response {
		snap := r.server.presence.Snapshot(string(name), mode, now, !counts)
		return longpoll.Response{Status: 200, Type: "application/json", Body: r.server.appendSnapshot(nil, name, snap)}
	})
}
