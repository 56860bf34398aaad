package edge

import (
	"container/heap"

	"encke/codes"
	"encke/netloop"
)

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

// expect notes when a connection is to end.
func (r *reactor) expect(c netloop.ID, at int64) {
	heap.Push(&r.identities.ends, expiry{at, r.loop.Handle(c)})
	if len(r.identities.ends) > 2*r.identities.number+spareExpiries {
		r.tidyExpiries()
	}
}

// spareExpiries is how many ends of connections that have gone are kept at least before they are cleared away.
const spareExpiries = 256

// tidyExpiries clears away the ends of connections that have gone: tokens may hold for much longer than those.
func (r *reactor) tidyExpiries() {
	kept := r.identities.ends[:0]
	for _, e := range r.identities.ends {
		if c, ok := r.loop.Resolve(e.h); ok && r.identities.of(c).ends == e.at {
			kept = append(kept, e)
		}
	}
	r.identities.ends = kept
	heap.Init(&r.identities.ends)
}

// expire ends connections whose tokens are over.
func (r *reactor) expire() {
	for heapOf := &r.identities.ends; len(*heapOf) > 0 && (*heapOf)[0].at <= r.now; {
		e := heap.Pop(heapOf).(expiry)
		c, ok := r.loop.Resolve(e.h)
		if !ok {
			continue
		}
		x := r.identities.of(c)
		switch {
		case x.ends != e.at:
		case x.claims.Expires > r.now: // it was refreshed
			x.ends = x.claims.Expires
			r.expect(c, x.ends)
		default:
			r.end(c, r.clients.at(c), codes.TokenExpired)
		}
	}
}
