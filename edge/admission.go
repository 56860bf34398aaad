package edge

import (
	"math"
	"net/netip"
	"sync"
	"time"

	"encke/codes"
	"encke/netloop"
)

// admission decides which new connections of the public listener are served: by the rate at which they come, in all and
// from one address, and by the number that an address holds. All of it is off unless a limit is set. Any loop may call.
type admission struct {
	// immutable
	rate, perAddress float64 // connections a second; 0: any
	holds            int     // connections of an address; 0: any

	mu     sync.Mutex
	all    bucket                     // guarded by mu
	origin map[netip.Addr]*originator // guarded by mu
	swept  time.Time                  // guarded by mu: when those that are of no interest were last taken out
}

// originator is an address with connections, or with some not long ago.
type originator struct {
	open int
	pace bucket
}

// bucket holds tokens, one for each connection: as many as a second brings, and at least one.
type bucket struct {
	tokens float64
	filled time.Time
}

// take takes a token. Where there is none it says after how long there will be.
func (b *bucket) take(rate float64, now time.Time) (wait time.Duration, ok bool) {
	most := max(rate, 1)
	if b.filled.IsZero() {
		b.tokens = most
	} else {
		b.tokens = min(b.tokens+now.Sub(b.filled).Seconds()*rate, most)
	}
	b.filled = now
	if b.tokens < 1 {
		return time.Duration((1 - b.tokens) / rate * float64(time.Second)), false
	}
	b.tokens--
	return 0, true
}

func newAdmission(c *Config) *admission {
	return &admission{rate: c.ConnectionRate, perAddress: c.ConnectionRatePerAddress, holds: c.MaxPerAddress,
		origin: map[netip.Addr]*originator{}}
}

// active says whether there is any limit, byAddress whether one is of addresses.
func (a *admission) active() bool    { return a.rate > 0 || a.byAddress() }
func (a *admission) byAddress() bool { return a.perAddress > 0 || a.holds > 0 }

// network is what counts as one address: an IPv4 address, or the 64 bits of IPv6 that one customer has (RFC 6177).
func network(a netip.Addr) netip.Addr {
	if a = a.Unmap(); a.Is6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// admit takes a connection in, or says why not and after how long to come again.
func (a *admission) admit(from netip.Addr, now time.Time) (code codes.Code, wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var o *originator
	if a.byAddress() {
		a.sweep(now)
		if o = a.origin[from]; o == nil {
			o = &originator{}
			a.origin[from] = o
		}
		if a.holds > 0 && o.open >= a.holds {
			return codes.AddressLimit, retryAfter * time.Second
		}
		if a.perAddress > 0 {
			if wait, ok := o.pace.take(a.perAddress, now); !ok {
				return codes.RateLimited, wait
			}
		}
	}
	if a.rate > 0 {
		if wait, ok := a.all.take(a.rate, now); !ok {
			return codes.RateLimited, wait
		}
	}
	if o != nil {
		o.open++
	}
	return codes.None, 0
}

// leave takes note that a connection that was admitted has gone.
func (a *admission) leave(from netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if o := a.origin[from]; o != nil {
		o.open--
	}
}

// sweep forgets addresses without a connection whose bucket is full again: those of more than the longest time that a
// bucket takes to fill. It looks at all of them at most every ten seconds.
func (a *admission) sweep(now time.Time) {
	if now.Sub(a.swept) < 10*time.Second {
		return
	}
	a.swept = now
	fill := time.Second
	if a.perAddress > 0 && a.perAddress < 1 {
		fill = time.Duration(float64(time.Second) / a.perAddress)
	}
	for from, o := range a.origin {
		if o.open == 0 && now.Sub(o.pace.filled) > fill {
			delete(a.origin, from)
		}
	}
}

// admitted asks for a new connection of the public listener. Where it is refused it has been told so.
func (r *reactor) admitted(c netloop.ID, cl *client) bool {
	a := r.server.admission
	if !a.active() {
		return true
	}
	from := network(r.address(c))
	code, wait := a.admit(from, time.Now())
	if code == codes.None {
		if a.byAddress() {
			r.origins[c] = from
		}
		return true
	}
	r.refuseFor(c, cl, codes.New(code, ""), int(math.Ceil(wait.Seconds())))
	return false
}

// forgetOrigin takes note that a connection has gone.
func (r *reactor) forgetOrigin(c netloop.ID) {
	if len(r.origins) == 0 {
		return
	}
	if from, ok := r.origins[c]; ok {
		delete(r.origins, c)
		r.server.admission.leave(from)
	}
}
