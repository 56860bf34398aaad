package mailbox

import (
	"math"
	"sync/atomic"
)

// ledger lists the letters of a shard in id order, so that the oldest is at hand when memory runs out. A letter leaves it
// the moment it leaves its box: nothing in it is stale, and it needs no memory of its own. It is guarded by the mutex of
// its shard.
type ledger struct {
	first          *atomic.Uint64 // immutable: the id of the oldest, none when there is none; read without the mutex
	oldest, newest *Letter
}

// none is above every id.
const none = math.MaxUint64

// push appends l, whose id is above all others in the ledger.
func (x *ledger) push(l *Letter, home *box) {
	l.home, l.older = home, x.newest
	if x.newest == nil {
		x.oldest = l
		x.first.Store(l.ID)
	} else {
		x.newest.newer = l
	}
	x.newest = l
}

// remove takes l out and cuts its links: a reader that still holds l must not keep its neighbours in memory.
func (x *ledger) remove(l *Letter) {
	if l.newer == nil {
		x.newest = l.older
	} else {
		l.newer.older = l.older
	}
	if l.older != nil {
		l.older.newer = l.newer
	} else if x.oldest = l.newer; x.oldest == nil {
		x.first.Store(none)
	} else {
		x.first.Store(x.oldest.ID)
	}
	l.home, l.older, l.newer = nil, nil, nil
}

// firsts has an id of each shard, side by side since all are read at once.
type firsts [numShards]atomic.Uint64

// lowest returns the shard with the lowest id, -1 when none has any.
func (f *firsts) lowest() int {
	best, lowest := -1, uint64(none)
	for i := range f {
		if id := f[i].Load(); id < lowest {
			best, lowest = i, id
		}
	}
	return best
}
