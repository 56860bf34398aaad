package channel

import (
	"math"
	"sync"
	"sync/atomic"
)

// ledger lists the kept publications of a shard's channels of one kind in the order in which they were published, so that the
// oldest is at hand when memory runs out. A publication leaves it the moment it leaves its channel's history: nothing
// in it is stale, and it needs no memory of its own. The publications of one channel stand in it in offset order,
// since they enter under the channel's lock; so the oldest in the ledger is also the oldest in its channel.
type ledger struct {
	when *atomic.Int64 // immutable: the Time of the oldest, never when there is none; written under mu, read without

	// guarded by mu
	mu             sync.Mutex
	oldest, newest *Publication
}

// never is later than any publication.
const never = math.MaxInt64

func (l *ledger) push(p *Publication, home *Channel) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.home, p.older = home, l.newest
	if l.newest == nil {
		l.oldest = p
		l.when.Store(p.Time)
	} else {
		l.newest.newer = p
	}
	l.newest = p
}

// remove takes p out and cuts its links: a loop that still holds p must not keep its neighbours in memory.
func (l *ledger) remove(p *Publication) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.newer == nil {
		l.newest = p.older
	} else {
		p.newer.older = p.older
	}
	if p.older != nil {
		p.older.newer = p.newer
	} else {
		l.oldest = p.newer
		if l.oldest == nil {
			l.when.Store(never)
		} else {
			l.when.Store(l.oldest.Time)
		}
	}
	p.home, p.older, p.newer = nil, nil, nil
}

// channelOfOldest returns the channel that has the oldest publication, nil when there is none.
func (l *ledger) channelOfOldest() *Channel {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.oldest == nil {
		return nil
	}
	return l.oldest.home
}
