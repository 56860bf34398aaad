package mailbox

import "sync/atomic"

// idsPerMillisecond is how many ids a millisecond has of its own.
const idsPerMillisecond = 1024

// serial gives out the ids of letters. They rise strictly over the whole process, also while the clock stands or goes
// back. They are larger than those of every earlier process whose clock was not ahead of this one's, provided that it did
// not take more than 1024 ids per millisecond from its start to its end. Ids are below 2^53, so that JavaScript reads them
// exactly, until 26 September 2248.
type serial struct{ last atomic.Uint64 }

// next returns the next id at now, Unix time in milliseconds.
func (s *serial) next(now int64) uint64 {
	for {
		last := s.last.Load()
		id := max(last+1, uint64(max(now, 0))*idsPerMillisecond)
		if s.last.CompareAndSwap(last, id) {
			return id
		}
	}
}
