package edge

import (
	"encke/codes"
	"encke/netloop"
	"encke/token"
)

// verify verifies a token here and now.
func (r *reactor) verify(c netloop.ID, text []byte) verdict {
	claims, code, why := r.server.tokens.Verify(text)
	if code != codes.None {
		r.server.logRefusal(r.address(c), code, why)
		return verdict{code: code}
	}
	r.identities.remember(text, claims)
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
// many as connections: a request waits for it, and a client is given no second refresh before the first is answered.
func (r *reactor) submit(c netloop.ID, v *verified) {
	r.identities.queue.push(queued{r.loop.Handle(c), v})
	r.submitQueued()
}

// queued is a token that waits for the pool.
type queued struct {
	h netloop.Handle
	v *verified
}

// submitQueued gives the pool what it takes. It is called again when a verdict comes, and at every tick.
func (r *reactor) submitQueued() {
	waiting := &r.identities.queue
	for waiting.len() > 0 {
		q := waiting.front()
		err := r.server.verifiers.Submit(func() {
			q.v.claims, q.v.code, q.v.why = r.server.tokens.Verify([]byte(q.v.text))
			r.loop.Post(netloop.Mail{To: q.h, Kind: mailVerified, Val: q.v})
		})
		if err != nil {
			return // full
		}
		waiting.pop()
	}
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
		r.identities.remember([]byte(v.text), v.claims)
	} else {
		r.server.logRefusal(r.address(c), v.code, v.why)
	}
	if v.isReply {
		cl.flags &^= isRefreshing
		r.claims = r.identities.of(c).claims
		r.refreshed(c, cl, v.command, verdict{v.claims, v.code})
		return
	}
	r.identities.verdicts[m.To] = verdict{v.claims, v.code}
	cl.flags &^= isStalled
	r.loop.Resume(c)
}
