package channel

import (
	"math/bits"
	"sync"
)

// Channel is a named stream. It is made and removed by the Store; while a loop is subscribed it stays.
type Channel struct {
	// immutable
	name     string
	id       uint64
	shard    *shard
	settings *Settings
	bucket   uint16 // of the shard's floors
	kind     kind

	// guarded by shard.mu
	place uint32 // in shard.all

	// guarded by mu
	mu     sync.Mutex
	dead   bool // removed from the store: look again
	head   uint64
	kept   *history
	subs   uint32   // of all loops
	loops  uint64   // bitmask of loops with at least one subscriber
	counts []uint32 // subscribers by loop; nil while there is at most one loop, which then has them all
}

// Name returns the channel's name.
func (ch *Channel) Name() string { return ch.name }

// ID returns a number that no other channel of the process ever has, not even a later one of the same name.
func (ch *Channel) ID() uint64 { return ch.id }

// Slow returns what becomes of the channel's subscribers that read more slowly than is published.
func (ch *Channel) Slow() Slow { return ch.settings.Slow }

// join counts one more subscriber of the loop.
func (ch *Channel) join(loop, loops int) {
	bit := uint64(1) << loop
	if ch.counts == nil && ch.loops&^bit != 0 {
		ch.counts = make([]uint32, loops)
		ch.counts[bits.TrailingZeros64(ch.loops)] = ch.subs
	}
	if ch.counts != nil {
		ch.counts[loop]++
	}
	ch.loops |= bit
	ch.subs++
}

// leave counts one subscriber less.
func (ch *Channel) leave(loop int) {
	bit := uint64(1) << loop
	if ch.loops&bit == 0 {
		panic("BUG: a loop leaves a channel in which it has no subscriber")
	}
	ch.subs--
	left := ch.subs
	if ch.counts != nil {
		ch.counts[loop]--
		left = ch.counts[loop]
	}
	if left == 0 {
		ch.loops &^= bit
		if bits.OnesCount64(ch.loops) <= 1 {
			ch.counts = nil
		}
	}
}

// empty tells whether nobody is subscribed and nothing is kept.
func (ch *Channel) empty() bool { return ch.subs == 0 && ch.kept.len() == 0 }

// keep appends p to the history.
func (ch *Channel) keep(p *Publication, limit int) {
	if ch.kept == nil {
		ch.kept = new(history)
	}
	ch.kept.push(p, limit)
	ch.shard.ledgers[ch.kind].push(p, ch)
	ch.shard.kept.Add(1)
	ch.hold(int64(p.cost))
}

// evict takes the oldest publication out of the history, counts why and returns the bytes that this frees.
func (ch *Channel) evict(why reason) int64 {
	p := ch.kept.pop()
	ch.shard.ledgers[ch.kind].remove(p)
	ch.shard.kept.Add(-1)
	ch.shard.evicted[why].Add(1)
	ch.hold(-int64(p.cost))
	return int64(p.cost) + p.Forms.settle()
}

// hold counts bytes that are kept.
func (ch *Channel) hold(n int64) {
	ch.shard.store.bytes.Add(n)
	if ch.kind == aside {
		ch.shard.store.aside.Add(n)
	}
}

// expire evicts at most n publications that are too old, from the oldest on, and tells whether there are more.
func (ch *Channel) expire(now int64, n int) (more bool) {
	for ch.kept.len() > 0 && (expired(ch.kept.at(0), now, ch.settings.Age) || ch.kept.at(0).over(now)) {
		if n == 0 {
			return true
		}
		n--
		ch.evict(byAge)
	}
	return false
}

// tidy lets go of an empty ring. Publish does not: with a history of one it would make a new ring each time.
func (ch *Channel) tidy() {
	if ch.kept.len() == 0 {
		ch.kept = nil
	}
}
