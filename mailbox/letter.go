package mailbox

import (
	"math"
	"unsafe"
)

// Letter is a message in a user's box. It is shared by all who read it: nobody may change it or its Wire, or copy it by
// value. It stays valid after it has left the box.
type Letter struct {
	// immutable
	ID   uint64
	Time int64  // when it was put, Unix time in milliseconds
	Wire []byte // what encode returned; nil where only the id is known any more
	ends int64  // when its time is over, Unix time in milliseconds; never when that does not come

	// guarded by the mutex of the shard it is in; nil when it is in none
	home         *box
	older, newer *Letter
}

// never is later than any letter's end.
const never = math.MaxInt64

// letterCost is what a letter takes besides its Wire: itself, rounded up to the allocator's next size, and its place in the
// ring, twice since a ring may be half empty.
const letterCost = (int64(unsafe.Sizeof(Letter{}))+15)&^15 + 2*int64(unsafe.Sizeof((*Letter)(nil)))

// cost is how many bytes the letter takes in memory.
func (l *Letter) cost() int64 { return letterCost + int64(cap(l.Wire)) }

// over says whether the letter's time is over at now.
func (l *Letter) over(now int64) bool { return now >= l.ends }

// endOf returns when a letter put at now is over: at ends, or when it is as old as age, whichever comes first; 0 is no
// limit for either.
func endOf(now, ends, age int64) int64 {
	end := int64(never)
	if ends != 0 {
		end = ends
	}
	if age > 0 && now < never-age {
		end = min(end, now+age)
	}
	return end
}
