package edge

import (
	"encoding/json"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"encke/codes"
	"encke/longpoll"
	"encke/netloop"
	"encke/token"
)

// revoked are tokens that are not taken any more though their time is not over: those of a user that were made before some
// moment, and single ones by their jti. Any loop may ask.
type revoked struct {
	mu    sync.RWMutex
	users map[string]revocation // guarded by mu
	ids   map[string]revocation // guarded by mu
	n     atomic.Int64          // of both, as of the last change
}

// revocation is remembered until the last of the tokens that it means is over.
type revocation struct {
	at    int64 // Unix time in seconds: tokens made at it or before are not taken
	until int64 // Unix time in seconds
}

const (
	// maxRevoked is how many revocations are remembered.
	maxRevoked = 100_000
	// maxTokenID is the longest jti that can be revoked, in bytes.
	maxTokenID = 256
	// revokedFor is for how many seconds one is, unless it says for how long.
	revokedFor = 24 * 60 * 60
)

// has says whether a token is revoked. One that does not say when it was made (0) counts as made before.
func (x *revoked) has(c *token.Claims, now int64) bool {
	if x.n.Load() == 0 { // the usual case
		return false
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	if r, there := x.users[c.Subject]; there && now < r.until && c.IssuedAt <= r.at {
		return true
	}
	r, there := x.ids[c.ID()]
	return there && c.ID() != "" && now < r.until
}

// add revokes; it says false when no more can be remembered.
func (x *revoked) add(user, id string, r revocation) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.users)+len(x.ids) >= maxRevoked {
		return false
	}
	if x.users == nil {
		x.users, x.ids = map[string]revocation{}, map[string]revocation{}
	}
	if user != "" {
		x.users[user] = r
	} else {
		x.ids[id] = r
	}
	x.n.Store(int64(len(x.users) + len(x.ids)))
	return true
}

// sweep forgets what is over. Loop 0 calls it once a second.
func (x *revoked) sweep(now int64) {
	if x.n.Load() == 0 {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, m := range []map[string]revocation{x.users, x.ids} {
		for key, r := range m {
			if now >= r.until {
				delete(m, key)
			}
		}
	}
	x.n.Store(int64(len(x.users) + len(x.ids)))
}

// serveRevoke takes POST /tokens/revoke: {"user":"42"} or {"id":"…"}, and "for", how long the tokens meant could still hold.
func (r *reactor) serveRevoke(q *request) {
	var ask struct {
		User string `json:"user"`
		ID   string `json:"id"`
		For  string `json:"for"`
	}
	if err := json.Unmarshal(q.Body(), &ask); err != nil {
		r.fail(q, jsonError(err, codes.BadMessage))
		return
	}
	holds := time.Duration(revokedFor) * time.Second
	if ask.For != "" {
		d, err := parseTime([]byte(ask.For))
		if err != nil || d < time.Second {
			r.fail(q, codes.New(codes.BadMessage, "for is a time of at least a second"))
			return
		}
		holds = d
	}
	switch {
	case (ask.User == "") == (ask.ID == ""):
		r.fail(q, codes.New(codes.BadMessage, "user or id is revoked, and one of them"))
		return
	case len(ask.ID) > maxTokenID:
		r.fail(q, codes.New(codes.BadMessage, "no token has an id of more than "+strconv.Itoa(maxTokenID)+" bytes"))
		return
	case ask.User != "" && !token.CheckUser(ask.User):
		r.fail(q, codes.New(codes.BadUser, quoted([]byte(ask.User))))
		return
	}
	now := r.now / 1000
	if !r.server.revoked.add(ask.User, ask.ID, revocation{now, now + int64(holds/time.Second)}) {
		r.fail(q, codes.New(codes.Overloaded, "no more than "+strconv.Itoa(maxRevoked)+" revocations are remembered"))
		return
	}
	for _, l := range r.server.engine.Loops() {
		l.Post(netloop.Mail{Kind: mailRevoked})
	}
	r.answer(q, longpoll.Response{Status: 204})
}

// endRevoked ends this loop's connections whose tokens have been revoked.
func (r *reactor) endRevoked() {
	r.loop.Each(func(c netloop.ID) {
		if x := r.identities.of(c); x.claims != nil && r.server.revoked.has(x.claims, r.now/1000) {
			r.endAsked(netloop.Mail{To: r.loop.Handle(c), N: uint64(codes.TokenRevoked)})
		}
	})
}
