package edge

import (
	"bytes"
	"container/heap"
	"fmt"
	"strconv"
	"time"

	"encke/channel"
	"encke/codes"
	"encke/longpoll"
	"encke/netloop"
	"encke/token"
)

// identities are who the clients of a loop are, by the tokens that they came with. All of it is owned by the loop.
type identities struct {
	of        map[netloop.ID]identity     // connections that came with a token
	verified  [2]map[string]*token.Claims // tokens seen lately: what is in neither generation is verified anew
	verdicts  map[netloop.Handle]verdict  // of tokens that were verified outside of the loop
	ends      expiries                    // when connections' tokens are over
	queue     []queued                    // tokens that wait for the pool, from queueHead on
	queueHead int
}

// identity is who a connection is.
type identity struct {
	*token.Claims
	ends int64 // of its only entry in ends that counts, Unix time in milliseconds; 0: none
}

// verdict is what became of a token.
type verdict struct {
	claims *token.Claims
	code   codes.Code
}

// rememberedTokens is how many tokens a generation holds: after a storm of reconnects each costs one look-up.
const rememberedTokens = 8192

func newIdentities() identities {
	return identities{of: map[netloop.ID]identity{}, verified: [2]map[string]*token.Claims{{}, {}}, verdicts: map[netloop.Handle]verdict{}}
}

// remember keeps a token that is right until others have come.
func (x *identities) remember(text string, c *token.Claims) {
	if len(x.verified[0]) >= rememberedTokens {
		x.verified[0], x.verified[1] = map[string]*token.Claims{}, x.verified[0]
	}
	x.verified[0][text] = c
}

// known returns what a token says that was verified lately.
func (x *identities) known(text []byte, now time.Time) *token.Claims {
	c := x.verified[0][string(text)]
	if c == nil {
		if c = x.verified[1][string(text)]; c != nil {
			x.remember(string(text), c)
		}
	}
	if c == nil || !now.Before(c.Expires.Time) {
		return nil
	}
	return c
}

// tokenProtocol is how a token stands in a list of WebSocket subprotocols: browsers can set no header.
var tokenProtocol = []byte("encke.token.")

// presented returns the token that came with a request, empty when none did.
func presented(q *request) []byte {
	const bearer = "Bearer "
	if a := q.Header.Peek("Authorization"); len(a) > len(bearer) && bytes.EqualFold(a[:len(bearer)], []byte(bearer)) {
		return bytes.TrimSpace(a[len(bearer):])
	}
	for list := headerList(&q.Header, "Sec-WebSocket-Protocol"); len(list) > 0; {
		var item []byte
		item, list, _ = bytes.Cut(list, []byte(","))
		if text, is := bytes.CutPrefix(bytes.TrimSpace(item), tokenProtocol); is {
			return text
		}
	}
	text, _ := arg(q.query, "token")
	text, _ = unescape(text, true)
	return text
}

// identify finds out who makes a request: r.claims, nil for a client without a token. It says false when the request has been
// refused, or will be shown again once its token has been verified.
func (r *reactor) identify(q *request) bool {
	if !r.recognise(q) {
		return false
	}
	if r.claims == nil {
		return true
	}
	if !r.server.revoked.empty() && r.server.revoked.has(r.claims, r.now/1000) {
		r.server.logRefusal(r.address(q.c), codes.TokenRevoked, fmt.Errorf("user %s", r.claims.Subject))
		r.fail(q, codes.New(codes.TokenRevoked, ""))
		return false
	}
	if r.server.users.many(r.claims.Subject, r.server.config.MaxPerUser) {
		r.failWith(q, codes.New(codes.UserLimit, ""), longpoll.ErrorOptions{Retry: retryAfter})
		return false
	}
	return true
}

// recognise finds out who makes a request, as identify does, whatever the user holds already.
func (r *reactor) recognise(q *request) bool {
	r.claims = nil
	text := presented(q)
	if len(text) == 0 {
		return true
	}
	if r.claims = r.identities.known(text, time.UnixMilli(r.now)); r.claims != nil {
		return true
	}
	h := r.loop.Handle(q.c)
	v, there := r.identities.verdicts[h]
	delete(r.identities.verdicts, h)
	if !there {
		if r.server.tokens.Dear(text) {
			r.verifyElsewhere(q, string(text))
			return false
		}
		v = r.verify(q.c, text)
	}
	if v.code != codes.None {
		r.fail(q, codes.New(v.code, ""))
		return false
	}
	r.claims = v.claims
	return true
}

// verify verifies a token here and now.
func (r *reactor) verify(c netloop.ID, text []byte) verdict {
	claims, code, why := r.server.tokens.Verify(text)
	if code != codes.None {
		r.server.logRefusal(r.address(c), code, why)
		return verdict{code: code}
	}
	r.identities.remember(string(text), claims)
	return verdict{claims, codes.None}
}

// verified is a token that was verified outside of the loop.
type verified struct {
	text    string
	claims  *token.Claims
	code    codes.Code
	why     error
	command []byte // id of the command that brought it; nil for a request
	isReply bool
}

// submit has a token verified by the pool whose signature is dear to check, after those that came before. There are at most as
// many as connections, and each of them waits.
func (r *reactor) submit(c netloop.ID, v *verified) {
	r.identities.queue = append(r.identities.queue, queued{r.loop.Handle(c), v})
	r.submitQueued()
}

// queued is a token that waits for the pool.
type queued struct {
	h netloop.Handle
	v *verified
}

// submitQueued gives the pool what it takes. It is called again when a verdict comes, and at every tick.
func (r *reactor) submitQueued() {
	x := &r.identities
	for x.queueHead < len(x.queue) {
		q := x.queue[x.queueHead]
		err := r.server.verifiers.Submit(func() {
			q.v.claims, q.v.code, q.v.why = r.server.tokens.Verify([]byte(q.v.text))
			r.loop.Post(netloop.Mail{To: q.h, Kind: mailVerified, Val: q.v})
		})
		if err != nil {
			return // full
		}
		x.queue[x.queueHead] = queued{}
		x.queueHead++
	}
	x.queue, x.queueHead = x.queue[:0], 0
}

// verifyElsewhere puts a request off until its token has been verified.
func (r *reactor) verifyElsewhere(q *request, text string) {
	r.submit(q.c, &verified{text: text})
	q.cl.flags |= isStalled
	r.loop.StopTimer(q.c)
	r.loop.Pause(q.c)
}

// judged takes the pool's verdict.
func (r *reactor) judged(m netloop.Mail) {
	r.submitQueued()
	c, ok := r.loop.Resolve(m.To)
	if !ok {
		return
	}
	v := m.Val.(*verified)
	cl := r.clients.at(c)
	if v.code == codes.None {
		r.identities.remember(v.text, v.claims)
	} else {
		r.server.logRefusal(r.address(c), v.code, v.why)
	}
	if v.isReply {
		r.refreshed(c, cl, v.command, verdict{v.claims, v.code})
		return
	}
	r.identities.verdicts[m.To] = verdict{v.claims, v.code}
	cl.flags &^= isStalled
	r.loop.Resume(c)
}

// becomeUser notes who a connection is. With ends it is ended when the token is over: a poll is not, its next one is asked again.
func (r *reactor) becomeUser(c netloop.ID, claims *token.Claims, ends bool) {
	if claims == nil {
		return
	}
	x := r.identities.of[c]
	if x.Claims == nil {
		r.server.users.join(claims.Subject, r.loop.Handle(c), r.now)
	}
	x.Claims = claims
	if at := claims.Expires.UnixMilli(); ends && (x.ends == 0 || at < x.ends) { // where it is later, expire finds out
		x.ends = at
		heap.Push(&r.identities.ends, expiry{at, r.loop.Handle(c)})
	}
	r.identities.of[c] = x
	if len(r.identities.ends) > 2*len(r.identities.of)+spareExpiries {
		r.tidyExpiries()
	}
}

// spareExpiries is how many ends of connections that have gone are kept at least before they are cleared away.
const spareExpiries = 256

// tidyExpiries clears away the ends of connections that have gone: tokens may hold for much longer than those.
func (r *reactor) tidyExpiries() {
	kept := r.identities.ends[:0]
	for _, e := range r.identities.ends {
		if c, ok := r.loop.Resolve(e.h); ok && r.identities.of[c].ends == e.at {
			kept = append(kept, e)
		}
	}
	r.identities.ends = kept
	heap.Init(&r.identities.ends)
}

// forgetUser forgets who a connection was.
func (r *reactor) forgetUser(c netloop.ID) {
	if x := r.identities.of[c]; x.Claims != nil {
		r.server.users.leave(x.Subject, r.loop.Handle(c), r.now)
		delete(r.identities.of, c)
	}
	if len(r.identities.verdicts) > 0 {
		delete(r.identities.verdicts, r.loop.Handle(c))
	}
}

// expire ends connections whose tokens are over.
func (r *reactor) expire() {
	for heapOf := &r.identities.ends; len(*heapOf) > 0 && (*heapOf)[0].at <= r.now; {
		e := heap.Pop(heapOf).(expiry)
		c, ok := r.loop.Resolve(e.h)
		x := r.identities.of[c]
		if !ok || x.ends != e.at {
			continue
		}
		if at := x.Expires.UnixMilli(); at > r.now { // it was refreshed
			x.ends = at
			r.identities.of[c] = x
			heap.Push(heapOf, expiry{at, e.h})
			continue
		}
		r.end(c, r.clients.at(c), codes.TokenExpired)
	}
}

// expiry is when a connection's token is over.
type expiry struct {
	at int64 // Unix time in milliseconds
	h  netloop.Handle
}

// expiries is a heap, the next one first. What has gone or has a newer token is found out when its time comes, or tidied.
type expiries []expiry

func (x expiries) Len() int           { return len(x) }
func (x expiries) Less(i, j int) bool { return x[i].at < x[j].at }
func (x expiries) Swap(i, j int)      { x[i], x[j] = x[j], x[i] }
func (x *expiries) Push(e any)        { *x = append(*x, e.(expiry)) }
func (x *expiries) Pop() any {
	last := (*x)[len(*x)-1]
	*x = (*x)[:len(*x)-1]
	return last
}

// commandRefresh gives a connection another token: its first, or one that lasts longer.
func (r *reactor) commandRefresh(c netloop.ID, cl *client, cmd *command) {
	text := cmd.Refresh.Token
	switch {
	case r.identities.known([]byte(text), time.UnixMilli(r.now)) != nil:
		r.refreshed(c, cl, cmd.ID, verdict{r.identities.known([]byte(text), time.UnixMilli(r.now)), codes.None})
	case !r.server.tokens.Dear([]byte(text)):
		r.refreshed(c, cl, cmd.ID, r.verify(c, []byte(text)))
	default:
		r.submit(c, &verified{text: text, command: cmd.ID, isReply: true})
	}
}

// refreshed takes the verdict on a connection's new token. What the new one does not allow any more is unsubscribed.
func (r *reactor) refreshed(c netloop.ID, cl *client, id []byte, v verdict) {
	was := r.identities.of[c].Claims
	switch {
	case v.code != codes.None:
		r.replyError(c, cl, id, codes.New(v.code, ""))
		return
	case !r.server.revoked.empty() && r.server.revoked.has(v.claims, r.now/1000):
		r.replyError(c, cl, id, codes.New(codes.TokenRevoked, ""))
		return
	case was != nil && was.Subject != v.claims.Subject:
		r.replyError(c, cl, id, codes.New(codes.Forbidden, "a connection stays with its user"))
		return
	case was == nil && r.server.users.many(v.claims.Subject, r.server.config.MaxPerUser):
		r.replyError(c, cl, id, codes.New(codes.UserLimit, ""))
		return
	}
	r.becomeUser(c, v.claims, true)
	r.claims = v.claims
	r.reply(c, cl, id, func(b []byte) []byte {
		b = append(b, `"refreshed":{"user":"`...)
		b = append(b, v.claims.Subject...)
		b = append(b, `","expires":`...)
		return append(strconv.AppendInt(b, v.claims.Expires.Unix(), 10), '}')
	})
	own := []byte(token.UserChannel(v.claims.Subject))
	if was == nil && r.subscribed(c, cl, own) == nil && !r.subscribe(c, cl, nil, own, channel.From{}) {
		return
	}
	for _, x := range append([]uint32(nil), r.channels(c, cl)...) {
		if e := r.entries[x]; r.checkReadable([]byte(e.name)) != nil {
			r.removeChannel(c, cl, e)
			r.leave(c, e)
			r.reply(c, cl, nil, func(b []byte) []byte {
				b = append(b, `"unsubscribed":{"channel":"`...)
				return append(append(b, e.name...), `","code":"forbidden"}`...)
			})
		}
	}
}
