package edge

import (
	"encke/codes"
	"encke/netloop"
)

// burst is how many seconds' worth of commands a client may give at once.
const burst = 10

// pace is what a client may still ask for: so many commands at a time. One that is full is the same as none.
type pace struct {
	tokens float64
	at     int64 // Unix time in milliseconds
}

// paced takes note of a command and says whether it is to be carried out. One that comes too often is answered with an
// error; a client that goes on regardless, for another burst, is ended.
func (r *reactor) paced(c netloop.ID, cl *client) bool {
	rate := r.server.config.CommandRate
	if rate <= 0 {
		return true
	}
	most := max(rate*burst, 1)
	switch tokens := r.take(c, rate, most); {
	case tokens >= 0:
		return true
	case tokens < -most:
		r.closeWS(c, cl, codes.TooManyCommands.Close(), codes.TooManyCommands)
	default:
		r.replyError(c, cl, nil, codes.New(codes.TooManyCommands, ""))
	}
	return false
}

// take takes what a client does from what it may do, and returns what is left.
func (r *reactor) take(c netloop.ID, rate, most float64) float64 {
	p, known := r.paces[c]
	if !known {
		p = pace{most, r.now}
	}
	p.tokens = min(p.tokens+float64(max(r.now-p.at, 0))/1000*rate, most) - 1
	p.at = r.now
	r.paces[c] = p
	return p.tokens
}

// mayPass says whether a poll that leaves nothing behind may make its user present in one more channel: who names others all the
// time would fill memory with members in their grace.
func (r *reactor) mayPass(c netloop.ID) bool {
	rate := r.server.config.CommandRate
	if rate <= 0 {
		return true
	}
	most := max(rate*burst, 1)
	if p, known := r.paces[c]; known && p.tokens < 0 && r.now-p.at < 1000 {
		return false
	}
	return r.take(c, rate, most) >= 0
}

// forgetPaces lets go of some that are full again. A map is ranged over from a place of its own choosing, so that all have
// their turn.
func (r *reactor) forgetPaces() {
	n := 0
	for c, p := range r.paces {
		if float64(r.now-p.at)/1000*r.server.config.CommandRate+p.tokens >= max(r.server.config.CommandRate*burst, 1) {
			delete(r.paces, c)
		}
		if n++; n == 100 {
			return
		}
	}
}
