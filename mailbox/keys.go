package mailbox

import (
	"strings"
	"sync/atomic"
	"unsafe"

	"encke/codes"
)

// keys remembers under which message ids letters were put, for a time and in a bounded memory: who did not hear the answer
// may put again. There is one in each shard, for its users; it outlives the letters and their boxes. It is guarded by the
// mutex of its shard.
type keys struct {
	first          *atomic.Uint64 // immutable: the letter of the oldest, none when there is none; read without the mutex
	known          map[key]*record
	oldest, newest *record
	n              int64 // of records, those included whose key was given anew since
	peak           int   // the most that known held since it was made

	forgotten uint64 // before their time, for want of memory
	repeated  uint64
}

// key is a message id, which counts for one user.
type key struct{ user, id string }

// record is what is known of the letter that was put under a key.
type record struct {
	key    key
	letter uint64
	digest uint64 // of the message
	time   int64
	newer  *record
}

// keyCost is what a key takes besides its bytes: its record, its entry in a map that may be half empty, and what the
// allocator rounds up for its two strings.
const keyCost = int64(unsafe.Sizeof(record{})) + 2*int64(unsafe.Sizeof(key{})+unsafe.Sizeof((*record)(nil))) + 16

func (k key) cost() int64 { return keyCost + int64(len(k.user)+len(k.id)) }

// seen returns what was put under that message id, nil when that is not remembered. It refuses with IDReused when it was
// another message.
func (x *keys) seen(user string, id []byte, digest uint64, now, age int64) (*record, *codes.Error) {
	r := x.known[key{user, string(id)}]
	switch {
	case r == nil || now-r.time > age:
		return nil, nil
	case r.digest != digest:
		return nil, codes.New(codes.IDReused, "")
	}
	x.repeated++
	return r, nil
}

// Knows says whether a letter was put for the user under a message id that is remembered at now.
func (s *Boxes) Knows(user string, id []byte, now int64) bool {
	sh := s.shard(user)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	r := sh.keys.known[key{user, string(id)}]
	return r != nil && now-r.time <= s.conf.IDAge
}

// remember notes a message id and returns what it costs. The user's name is copied: the caller's may be a part of
// something large.
func (x *keys) remember(user string, id []byte, letter, digest uint64, now int64) int64 {
	if x.known == nil {
		x.known = map[key]*record{}
	}
	r := &record{key: key{strings.Clone(user), string(id)}, letter: letter, digest: digest, time: now}
	x.known[r.key] = r
	x.peak = max(x.peak, len(x.known))
	if x.newest == nil {
		x.oldest = r
		x.first.Store(letter)
	} else {
		x.newest.newer = r
	}
	x.newest = r
	x.n++
	return r.key.cost()
}

// forget takes out the oldest record, and its key unless that was given anew after it had expired. It returns what the
// record did cost.
func (x *keys) forget() int64 {
	r := x.oldest
	if x.oldest = r.newer; x.oldest == nil {
		x.newest = nil
		x.first.Store(none)
	} else {
		x.first.Store(x.oldest.letter)
	}
	x.n--
	if x.known[r.key] == r {
		delete(x.known, r.key)
		x.shrink()
	}
	return r.key.cost()
}

// shrink makes the map anew when little is left of much: it gives no memory back by itself.
func (x *keys) shrink() {
	if x.peak < worthShrinking || len(x.known) > x.peak/8 {
		return
	}
	known := make(map[key]*record, len(x.known))
	for k, r := range x.known {
		known[k] = r
	}
	x.known, x.peak = known, len(known)
}

// forgetKeys forgets at most n message ids that are too old, and the oldest as long as all together take too much memory.
// The caller holds no lock.
func (s *Boxes) forgetKeys(now int64, n int) {
	for s.forgetKey(now, n > 0) {
		n--
	}
}

// forgetKey forgets the oldest message id, if it must go or is too old and old says that such may go. It tells whether
// there may be more to do.
func (s *Boxes) forgetKey(now int64, old bool) bool {
	i := s.oldestKey.lowest()
	if i < 0 {
		return false
	}
	sh := &s.shards[i]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	x := &sh.keys
	if x.oldest == nil {
		return true // somebody else was faster
	}
	expired := now-x.oldest.time > s.conf.IDAge
	if over := s.keyBytes.Load() > s.conf.IDMemory; !over && !(expired && old) {
		return false
	}
	if !expired {
		x.forgotten++
	}
	s.keyBytes.Add(-x.forget())
	return true
}
