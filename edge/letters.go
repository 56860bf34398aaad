package edge

import (
	"bytes"
	"math"
	"slices"
	"strconv"

	"encke/channel"
	"encke/codes"
	"encke/longpoll"
	"encke/mailbox"
	"encke/netloop"
	"encke/token"
	"encke/wsframe"

	"github.com/gobwas/ws"
)

// A letter is a message to a user that is kept until the user's page has acknowledged it, however long that is away. It is no
// publication: it has a number of its own and no place in a stream. Every connection of the user is given each letter once, and a
// new connection all that are not acknowledged.

// keeping is when a message to a user becomes a letter.
type keeping uint8

const (
	keepNot    keeping = iota
	keepAway           // when the user has no connection
	keepAlways         // in any case
)

func parseKeeping(text []byte) (keeping, *codes.Error) {
	switch string(text) {
	case "", "off":
		return keepNot, nil
	case "away":
		return keepAway, nil
	case "always":
		return keepAlways, nil
	}
	return 0, codes.New(codes.BadMailbox, quoted(text))
}

// newMailboxes returns boxes within the bounds that are set.
func newMailboxes(c *Config) *mailbox.Boxes {
	return mailbox.New(mailbox.Config{Length: c.MailboxLength, Bytes: c.MailboxBytes, Age: c.MailboxAge.Milliseconds(), Memory: c.MailboxMemory,
		IDAge: c.IDAge.Milliseconds(), IDMemory: max(c.IDMemory/4, 1<<20)})
}

// sent is what became of a push: a place in a channel, or a letter.
type sent struct {
	channel.Result
	letter uint64 // 0: none
}

// append appends what the publisher is answered.
func (x *sent) append(dst, name []byte, epoch channel.Epoch) []byte {
	if x.letter == 0 {
		return appendResult(dst, name, epoch, x.Result)
	}
	dst = append(append(dst, `{"channel":"`...), name...)
	dst = append(dst, `","mail":`...)
	dst = strconv.AppendUint(dst, x.letter, 10)
	dst = append(dst, `,"subscribers":`...)
	return append(strconv.AppendInt(dst, int64(x.Subscribers), 10), '}')
}

// send publishes a message of the backend's, or keeps it as a letter.
func (r *reactor) send(name []byte, m *channel.Message, keep keeping) (sent, *codes.Error) {
	user, own := token.ChannelUser(string(name))
	switch {
	case keep == keepNot:
	case !own || !token.CheckUser(user):
		return sent{}, codes.New(codes.BadMailbox, "only messages to users are kept there")
	case m.Expect != nil:
		return sent{}, codes.New(codes.BadMailbox, "a letter has no position to expect")
	case keep == keepAlways || r.becomesLetter(user, name, m):
		return r.mail(user, m)
	}
	res, err := r.publish(name, m)
	return sent{Result: res}, err
}

// becomesLetter says whether a message that is to be kept for a user who is away is kept. One that is pushed again stays what it
// was, though the user has come or gone meanwhile.
func (r *reactor) becomesLetter(user string, name []byte, m *channel.Message) bool {
	if len(m.ID) > 0 {
		switch s := r.server; {
		case s.mailboxes.Knows(user, m.ID, r.now):
			return true
		case s.store.Knows(name, m.ID, r.now):
			return false
		}
	}
	// Raw connections are given neither letters nor what is published to the user.
	return r.server.users.state(user, r.now).Connections == 0 || r.server.store.Subscribers(name) == 0
}

// mail puts a letter into a user's box and tells the loops that have its connections.
func (r *reactor) mail(user string, m *channel.Message) (sent, *codes.Error) {
	s, name := r.server, token.UserChannel(user)
	if err := s.fits([]byte(name), m); err != nil {
		return sent{}, err
	}
	l, err := s.store.NewLetter(name, m, r.now)
	if err != nil {
		return sent{}, err
	}
	put, repeated, err := s.mailboxes.Put(user, m.ID, s.store.Digest(m), l.Ends(), l.Wire, r.now)
	if err != nil {
		return sent{}, placed(err, []byte(name))
	}
	out := sent{letter: put.ID}
	out.Repeated = repeated
	for _, h := range s.users.connections(user) { // of which one may have come since it was asked about
		out.Subscribers++
		s.engine.Loops()[h.Loop()].Post(netloop.Mail{To: h, Kind: mailLetter})
	}
	return out, nil
}

// lettered is how far a connection has been given its user's letters.
type lettered struct {
	upTo uint64 // number of the last
	more bool   // there may be others, for when its output has gone
	told bool   // a poll whose client has said so itself
}

// givesLetters says whether letters can be given to a connection as it is now.
func (r *reactor) givesLetters(c netloop.ID, cl *client) bool {
	t := cl.transport
	return r.identities.of(c).claims != nil && (t == overWS || t == overSSE || t == overStream || t == overPoll) && !r.loop.Finishing(c)
}

// giveLetters gives a connection the letters that it has not been given. What it does not take at once waits in its box, not here.
func (r *reactor) giveLetters(c netloop.ID, cl *client) {
	if !r.givesLetters(c, cl) {
		return
	}
	user, room := r.identities.of(c).claims.Subject, r.room()
	x := r.letters[c]
	switch {
	case r.loop.Waiting(c) > 0: // Drained comes back to it
		x.more = true
		r.letters[c] = x
		return
	case room == 0: // the next tick looks again
		r.starved[c] = struct{}{}
		return
	case cl.transport == overPoll:
		r.pollLetters(c, cl, user, x)
		return
	}
	all, more := r.server.mailboxes.After(user, x.upTo, room, r.now, nil)
	if len(all) == 0 {
		if x.more {
			r.letters[c] = lettered{upTo: x.upTo}
		}
		return
	}
	r.letters[c] = lettered{upTo: all[len(all)-1].ID, more: more}
	r.sendLetters(c, cl, all)
	if more && r.loop.Waiting(c) == 0 {
		r.loop.Post(netloop.Mail{To: r.loop.Handle(c), Kind: mailLetter})
	}
}

// feedStarved gives letters to connections for which there was no memory. The loop calls it at every tick.
func (r *reactor) feedStarved() {
	for c := range r.starved {
		if r.room() == 0 {
			return
		}
		delete(r.starved, c)
		r.giveLetters(c, r.clients.at(c))
	}
}

// sendLetters sends letters in the transport's form: like publications, but without any effect on a client's position. They go out
// in one piece, as a replay does, and like that do not count against --max-pending: nothing more is given before they have been
// taken.
func (r *reactor) sendLetters(c netloop.ID, cl *client, all []*mailbox.Letter) {
	r.server.figures.letters.Add(uint64(len(all)))
	out, start := r.scratch[:0], 0
	if cl.transport != overWS {
		out, start = r.chunk(out, cl)
	}
	for _, l := range all {
		switch {
		case cl.transport == overSSE:
			out = append(append(append(out, "data: "...), l.Wire...), "\n\n"...)
		case cl.transport == overStream:
			out = append(append(out, l.Wire...), '\n')
		case cl.flags&isDeflate != 0 && wsframe.FitsWindow(len(l.Wire), cl.bits):
			out = wsframe.AppendDeflated(out, ws.OpText, l.Wire)
		default:
			out = appendText(out, l.Wire)
		}
	}
	if cl.transport != overWS {
		r.sendChunk(c, cl, out, start)
		return
	}
	r.scratch = out
	r.loop.Send(c, out)
}

// pollLetters answers a parked poll with its user's letters, if there are any that it, or without mail= any poll, has not been given.
func (r *reactor) pollLetters(c netloop.ID, cl *client, user string, x lettered) {
	body := r.beginPoll()
	empty := len(body)
	if body = r.appendLetters(body, user, x, math.MaxInt64); len(body) == empty { // it is a part of the visit that it began in
		return
	}
	r.body = append(body, `],"position":"`...)
	r.body = r.closePoll(r.appendPosition(r.body, c, cl))
	r.unpark(c, cl, r.body)
}

// appendLetters appends the letters that are to be given to a poll of the user: those after the one that its client has, where it has
// said so, and otherwise those of the visit. A visit to the mailbox ends when nobody has polled without saying so for grace
// milliseconds.
func (r *reactor) appendLetters(body []byte, user string, x lettered, grace int64) []byte {
	var all []*mailbox.Letter
	if room := max(r.room()-len(body), 0); x.told {
		all, _ = r.server.mailboxes.After(user, x.upTo, room, r.now, nil)
	} else {
		all, _ = r.server.mailboxes.Poll(user, room, grace, r.now, nil)
	}
	for _, l := range all {
		body = append(comma(body), l.Wire...)
		r.mailed = l.ID
	}
	r.server.figures.letters.Add(uint64(len(all)))
	return body
}

// greet appends the letters that a poll finds.
func (r *reactor) greet(body []byte, x lettered) []byte {
	if r.claims == nil {
		return body
	}
	return r.appendLetters(body, r.claims.Subject, x, r.server.config.UserGrace.Milliseconds())
}

// pollOver notes that a poll that was parked is over.
func (r *reactor) pollOver(c netloop.ID) {
	x, told := r.identities.of(c), len(r.letters) > 0 && r.letters[c].told
	delete(r.letters, c)
	if x.claims != nil && !told {
		r.server.mailboxes.Polled(x.claims.Subject, r.now)
	}
}

// parseMail reads which letters the client of a poll has got: mail=17, all up to that one. It is no harm without a token.
func parseMail(q *request) (lettered, *codes.Error) {
	text, given := arg(q.query, "mail")
	if !given {
		return lettered{}, nil
	}
	n, err := strconv.ParseUint(string(text), 10, 64)
	if err != nil {
		return lettered{}, codes.New(codes.BadMail, quoted(text))
	}
	return lettered{upTo: n, told: true}, nil
}

// acknowledge takes what a request of a user acknowledges: ack=17, all letters up to that one.
func (r *reactor) acknowledge(q *request) *codes.Error {
	text, given := arg(q.query, "ack")
	if !given {
		return nil
	}
	n, err := strconv.ParseUint(string(text), 10, 64)
	if err != nil || r.claims == nil {
		return codes.New(codes.BadAck, quoted(text))
	}
	if !q.head {
		r.server.mailboxes.Ack(r.claims.Subject, n, r.now)
	}
	return nil
}

// serveAck takes POST /ack?mail=17 or ?only=17,19 of a client whose transport has no commands.
func (r *reactor) serveAck(q *request) {
	if !r.identifyHolder(q) {
		return
	}
	if r.claims == nil {
		r.fail(q, codes.New(codes.Forbidden, "clients without a token have no letters"))
		return
	}
	upTo, single := arg(q.query, "mail")
	only, several := arg(q.query, "only")
	ids, ok := parseNumbers(only)
	n, err := strconv.ParseUint(string(upTo), 10, 64)
	if single == several || several && !ok || single && err != nil {
		r.fail(q, codes.New(codes.BadAck, ""))
		return
	}
	r.answerJSON(q, 200, r.appendAcked(r.body[:0], n, ids))
}

// parseNumbers reads a list of numbers; commas may be escaped.
func parseNumbers(list []byte) (all []uint64, ok bool) {
	if list, ok = unescape(list, true); !ok {
		return nil, false
	}
	for _, text := range bytes.Split(list, []byte(",")) {
		n, err := strconv.ParseUint(string(text), 10, 64)
		if err != nil {
			return nil, false
		}
		all = append(all, n)
	}
	return all, true
}

// appendAcked acknowledges letters of the user of r.claims, those named or all up to one, and appends how many that were.
func (r *reactor) appendAcked(dst []byte, upTo uint64, only []uint64) []byte {
	var n int
	if len(only) > 0 {
		slices.Sort(only)
		n = r.server.mailboxes.AckOnly(r.claims.Subject, only, r.now)
	} else {
		n = r.server.mailboxes.Ack(r.claims.Subject, upTo, r.now)
	}
	return append(strconv.AppendInt(append(dst, `{"acknowledged":`...), int64(n), 10), '}')
}

// commandAck acknowledges letters.
func (r *reactor) commandAck(c netloop.ID, cl *client, cmd *command) {
	a := cmd.Ack
	if r.claims == nil || (a.Mail == 0) == (len(a.Only) == 0) {
		r.replyError(c, cl, cmd.ID, codes.New(codes.BadAck, ""))
		return
	}
	r.reply(c, cl, cmd.ID, func(b []byte) []byte { return r.appendAcked(append(b, `"ack":`...), a.Mail, a.Only) })
}

// maxLetters is how many letters one answer lists.
const maxLetters = 1000

// serveMailbox serves /users/{id}/mailbox of the backend: GET lists letters, DELETE deletes all, or those of ?only=17,19.
func (r *reactor) serveMailbox(q *request, user string) {
	if string(q.Header.Method()) == "DELETE" {
		r.deleteLetters(q, user)
		return
	}
	after, limit := uint64(0), 100
	if text, given := arg(q.query, "after"); given {
		n, err := strconv.ParseUint(string(text), 10, 64)
		if err != nil {
			r.fail(q, codes.New(codes.BadAck, quoted(text)))
			return
		}
		after = n
	}
	if text, given := arg(q.query, "limit"); given {
		n, err := strconv.Atoi(string(text))
		if err != nil || n < 1 || n > maxLetters {
			r.fail(q, codes.New(codes.BadLimit, quoted(text)))
			return
		}
		limit = n
	}
	all, total, more := r.server.mailboxes.List(user, after, limit, r.now, nil)
	b := append(append(r.body[:0], `{"user":"`...), user...)
	b = strconv.AppendInt(append(b, `","total":`...), int64(total), 10)
	b = strconv.AppendBool(append(b, `,"more":`...), more)
	b = append(b, `,"letters":[`...)
	for _, l := range all {
		b = append(comma(b), l.Wire...)
	}
	r.body = append(b, "]}"...)
	r.answerJSON(q, 200, r.body)
}

func (r *reactor) deleteLetters(q *request, user string) {
	var n int
	if only, given := arg(q.query, "only"); given {
		ids, ok := parseNumbers(only)
		if !ok {
			r.fail(q, codes.New(codes.BadAck, quoted(only)))
			return
		}
		slices.Sort(ids)
		n = r.server.mailboxes.Delete(user, ids, r.now)
	} else {
		n = r.server.mailboxes.DeleteAll(user, r.now)
	}
	r.answer(q, longpoll.Response{Status: 200, Type: "application/json", Body: []byte(`{"deleted":` + strconv.Itoa(n) + `}`)})
}
