package mailbox

import (
	"slices"
	"unsafe"
)

// box is what one user has. It exists while there are letters in it. All of it is guarded by the mutex of its shard.
type box struct {
	user    string
	place   int // in shard.all
	letters ring
	bytes   int64 // of Wire of all letters
	next    int64 // no letter is over before that

	// what is known of polls
	given  uint64 // the id up to which letters were given during this visit
	polled int64  // when the last poll was
}

// boxCost is what a box takes besides its letters and its user's name: itself, its part of the shard's row and its part of
// the shard's map, of which each may be half empty.
const boxCost = int64(unsafe.Sizeof(box{})) + 16 + 64

// cost is how many bytes the box takes in memory without its letters.
func (b *box) cost() int64 { return boxCost + int64(len(b.user)) }

// find returns the user's box after what is over has been dropped from it, nil when there is none. The caller holds mu.
func (sh *shard) find(user string, now int64) *box {
	b := sh.byUser[user]
	if b == nil || !sh.expire(b, now) {
		return b
	}
	return sh.settle(b)
}

// take drops the letter in place i and leaves a gap there.
func (sh *shard) take(b *box, i int, why reason) {
	l := b.letters.take(i)
	sh.ledger.remove(l)
	sh.gone[why]++
	sh.letters--
	b.bytes -= int64(len(l.Wire))
	sh.boxes.bytes.Add(-l.cost())
}

// takeOldest drops the n oldest letters.
func (sh *shard) takeOldest(b *box, n int, why reason) {
	for i := range n {
		sh.take(b, i, why)
	}
	b.letters.shift(n)
}

// takeThese drops the letters with these ids, in whatever order, and returns how many there were.
func (sh *shard) takeThese(b *box, ids []uint64, why reason) int {
	places := make([]int, 0, len(ids))
	for _, id := range ids {
		if i := b.letters.find(id); i >= 0 {
			places = append(places, i)
		}
	}
	if len(places) == 0 {
		return 0
	}
	slices.Sort(places)
	places = slices.Compact(places)
	for _, i := range places {
		sh.take(b, i, why)
	}
	b.letters.squeeze(places[0])
	return len(places)
}

// expire drops what is over at now, and tells whether that was anything.
func (sh *shard) expire(b *box, now int64) bool {
	if now < b.next {
		return false
	}
	b.next = never
	first := -1
	for i := range b.letters.n {
		l := b.letters.at(i)
		if !l.over(now) {
			b.next = min(b.next, l.ends)
			continue
		}
		if first < 0 {
			first = i
		}
		sh.take(b, i, byAge)
	}
	if first >= 0 {
		b.letters.squeeze(first)
	}
	return first >= 0
}

// settle gives back what memory the box needs no more. It returns nil when the box is gone, with its last letter.
func (sh *shard) settle(b *box) *box {
	if b.letters.n == 0 {
		sh.remove(b)
		return nil
	}
	b.letters.fit()
	return b
}
