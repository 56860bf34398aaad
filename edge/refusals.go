package edge

import (
	"net/netip"
	"sync"
	"time"

	"encke/codes"
)

// refusals keeps the log from being flooded by who is refused.
type refusals struct {
	mu     sync.Mutex
	pace   bucket // guarded by mu
	unsaid int    // guarded by mu
}

// refusalRate is how many refusals a second are logged; how many were not is said with the next one.
const refusalRate = 10

// logRefusal logs who was refused and why. It is called with nothing secret.
func (s *Server) logRefusal(from netip.Addr, code codes.Code, why error) {
	x := &s.refusals
	x.mu.Lock()
	_, say := x.pace.take(refusalRate, time.Now())
	unsaid := x.unsaid
	if say {
		x.unsaid = 0
	} else {
		x.unsaid++
	}
	x.mu.Unlock()
	switch {
	case !say:
	case unsaid > 0:
		s.config.Log("%s: %s: %v (and %d others that were not logged)", from, code, why, unsaid)
	default:
		s.config.Log("%s: %s: %v", from, code, why)
	}
}
