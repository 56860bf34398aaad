package mailbox

import "math"

// Ack takes out the user's letters with an id up to upTo, which the user has got, and returns how many there were.
func (s *Boxes) Ack(user string, upTo uint64, now int64) (n int) {
	return s.takeUpTo(user, upTo, byAcknowledgement, now)
}

// AckOnly takes out just the letters with these ids, in whatever order, and returns how many of them there were.
func (s *Boxes) AckOnly(user string, ids []uint64, now int64) (n int) {
	return s.takeThese(user, ids, byAcknowledgement, now)
}

// Delete is AckOnly for the backend: the letters count as deleted.
func (s *Boxes) Delete(user string, ids []uint64, now int64) (n int) {
	return s.takeThese(user, ids, byDelete, now)
}

// DeleteAll takes out all of the user's letters for the backend, and returns how many there were. Message ids stay
// remembered.
func (s *Boxes) DeleteAll(user string, now int64) (n int) {
	return s.takeUpTo(user, math.MaxUint64, byDelete, now)
}

func (s *Boxes) takeUpTo(user string, upTo uint64, why reason, now int64) int {
	sh := s.shard(user)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	b := sh.find(user, now)
	if b == nil {
		return 0
	}
	n := b.letters.above(upTo)
	sh.takeOldest(b, n, why)
	sh.settle(b)
	return n
}

func (s *Boxes) takeThese(user string, ids []uint64, why reason, now int64) int {
	sh := s.shard(user)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	b := sh.find(user, now)
	if b == nil {
		return 0
	}
	n := sh.takeThese(b, ids, why)
	sh.settle(b)
	return n
}
