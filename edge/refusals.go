package edge

import (
	"cmp"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"encke/codes"
	"encke/netloop"
)

// refusals keeps the log from being flooded by who is refused: for each code apart, so that many of one kind hide no other.
type refusals struct {
	mu     sync.Mutex
	byCode map[codes.Code]*refusal // guarded by mu
}

type refusal struct {
	pace   bucket
	unsaid int
}

// refusalRate is how many refusals a second are logged for each code; how many were not is said with the next one.
const refusalRate = 10

// noteRefusal logs a client that was refused something that it has no right to. The backend's keys say for themselves why.
func (r *reactor) noteRefusal(c netloop.ID, err *codes.Error) {
	if err.Code != codes.Forbidden && err.Code != codes.TokenRevoked || r.clients.at(c).flags&onBackend != 0 {
		return
	}
	who := "without a token"
	if r.claims != nil {
		who = "user " + r.claims.Subject
	}
	r.server.logRefusal(r.address(c), err.Code, fmt.Errorf("%s: %s", who, cmp.Or(err.Detail, err.Code.Text())))
}

// logRefusal logs who was refused and why. It is called with nothing secret.
func (s *Server) logRefusal(from netip.Addr, code codes.Code, why error) {
	s.refusals.mu.Lock()
	x := s.refusals.byCode[code]
	if x == nil {
		x = new(refusal)
		s.refusals.byCode[code] = x
	}
	_, say := x.pace.take(refusalRate, time.Now())
	unsaid := x.unsaid
	if say {
		x.unsaid = 0
	} else {
		x.unsaid++
	}
	s.refusals.mu.Unlock()
	switch {
	case !say:
	case unsaid > 0:
		s.config.Log("%s: %s: %v (and %d others that were not logged)", from, code, why, unsaid)
	default:
		s.config.Log("%s: %s: %v", from, code, why)
	}
}
