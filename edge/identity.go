package edge

import (
	"bytes"
	"crypto/sha256"

	"encke/codes"
	"encke/longpoll"
	"encke/netloop"
	"encke/token"
)

// identities are who the clients of a loop are, by the tokens that they came with. All of it is owned by the loop.
type identities struct {
	chunks   []*[identityChunk]identity     // by connection; nil where none came with a token
	verified [2]map[tokenHash]*token.Claims // by hash, tokens of this minute and of the last
	verdicts map[netloop.Handle]verdict     // of tokens that were verified outside of the loop
	ends     expiries                       // when connections' tokens are over
	queue    queue[queued]                  // tokens that wait for the pool
	number   int                            // connections that came with a token
	aged     int64                          // when verified was last aged, Unix time in milliseconds
}

// identity is who a connection is; the zero value is one without a token.
type identity struct {
	claims *token.Claims
	user   *user
	ends   int64 // of its only entry in ends that counts, Unix time in milliseconds; 0: none
}

// tokenHash stands for a token: half of its SHA-256, of which stranger can make two alike or one that fits another.
type tokenHash [sha256.Size / 2]byte

func hashToken(text []byte) tokenHash {
	sum := sha256.Sum256(text)
	return tokenHash(sum[:])
}

// verdict is what became of a token.
type verdict struct {
	claims *token.Claims
	code   codes.Code
}

func newIdentities() identities {
	return identities{verified: [2]map[tokenHash]*token.Claims{{}, {}}, verdicts: map[netloop.Handle]verdict{}}
}

// of returns who a connection is; what it points to is not to be changed.
func (x *identities) of(c netloop.ID) *identity {
	if i := int(c / identityChunk); i < len(x.chunks) && x.chunks[i] != nil {
		return &x.chunks[i][c%identityChunk]
	}
	return &stranger
}

var stranger identity

// identityChunk is smaller than clientChunk: these have pointers, and the collector looks at all of a chunk.
const identityChunk = 512

// place returns where it is kept who a connection is.
func (x *identities) place(c netloop.ID) *identity {
	i := int(c / identityChunk)
	for i >= len(x.chunks) {
		x.chunks = append(x.chunks, nil)
	}
	if x.chunks[i] == nil {
		x.chunks[i] = new([identityChunk]identity)
	}
	return &x.chunks[i][c%identityChunk]
}

const (
	// rememberedTokens is how many tokens are remembered at most: after a storm of reconnects each costs one look-up.
	rememberedTokens = 16384
	// rememberedFor is for how many milliseconds they are, and at most twice as long: a key that is taken out of a key set must not
	// be good for longer.
	rememberedFor = 60_000
)

// remember keeps what a token says that is right.
func (x *identities) remember(text []byte, c *token.Claims) {
	if len(x.verified[0])+len(x.verified[1]) < rememberedTokens {
		x.verified[0][hashToken(text)] = c
	}
}

// age forgets the tokens of the minute before the last.
func (x *identities) age(now int64) {
	if now-x.aged < rememberedFor {
		return
	}
	x.aged = now
	if len(x.verified[0])+len(x.verified[1]) > 0 {
		x.verified = [2]map[tokenHash]*token.Claims{{}, x.verified[0]}
	}
}

// known returns what a token says that was verified lately.
func (x *identities) known(text []byte, now int64) *token.Claims {
	hash := hashToken(text)
	c := x.verified[0][hash]
	if c == nil {
		c = x.verified[1][hash]
	}
	if c == nil || now >= c.Expires {
		return nil
	}
	return c
}

// tokenProtocol is how a token stands in a list of WebSocket subprotocols: browsers can set no header.
var tokenProtocol = []byte("encke.token.")

// bearer returns what stands behind "Bearer" in Authorization (RFC 6750 section 2.1), empty when nothing does.
func bearer(q *request) []byte {
	const scheme = "Bearer "
	a := q.Header.Peek("Authorization")
	if len(a) <= len(scheme) || !bytes.EqualFold(a[:len(scheme)], []byte(scheme)) {
		return nil
	}
	return bytes.TrimSpace(a[len(scheme):])
}

// presented returns the token that came with a request, empty when none did.
func presented(q *request) []byte {
	if text := bearer(q); len(text) > 0 {
		return text
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
	if !r.identifyHolder(q) {
		return false
	}
	if r.claims != nil && r.server.users.many(r.claims.Subject, r.server.config.MaxPerUser) {
		r.failWith(q, codes.New(codes.UserLimit, ""), longpoll.ErrorOptions{Retry: retryAfter})
		return false
	}
	return true
}

// identifyHolder is identify for what is no connection of the user: it may hold as many as there may be already.
func (r *reactor) identifyHolder(q *request) bool {
	if !r.recognise(q) {
		return false
	}
	if r.claims != nil && r.server.revoked.has(r.claims, r.now/1000) {
		r.fail(q, codes.New(codes.TokenRevoked, ""))
		return false
	}
	return true
}

// recognise finds out whose token a request brings, which may have been revoked.
func (r *reactor) recognise(q *request) bool {
	r.claims = nil
	text := presented(q)
	if len(text) == 0 {
		return true
	}
	if r.claims = r.identities.known(text, r.now); r.claims != nil {
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

// becomeUser notes who a connection is. With ends it is ended when the token is over: a poll is not, its next one is asked again.
func (r *reactor) becomeUser(c netloop.ID, claims *token.Claims, ends bool) {
	if claims == nil {
		return
	}
	x := r.identities.place(c)
	if x.claims == nil {
		x.user = r.server.users.join(claims.Subject, r.loop.Handle(c), r.now)
		r.identities.number++
	}
	x.claims = claims
	if ends && (x.ends == 0 || claims.Expires < x.ends) { // where it is later, expire finds out
		x.ends = claims.Expires
		r.expect(c, x.ends)
	}
}

// subject is the user of r.claims, "" without a token.
func (r *reactor) subject() string {
	if r.claims == nil {
		return ""
	}
	return r.claims.Subject
}

// forgetUser forgets who a connection was.
func (r *reactor) forgetUser(c netloop.ID) {
	if x := r.identities.of(c); x.claims != nil {
		r.server.users.leave(x.claims.Subject, r.loop.Handle(c), r.now)
		*x = identity{}
		r.identities.number--
	}
	if len(r.identities.verdicts) > 0 {
		delete(r.identities.verdicts, r.loop.Handle(c))
	}
}
