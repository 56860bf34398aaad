package mailbox

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
)

// Config is what Boxes are made from.
type Config struct {
	Length   int   // letters of one user, at least 1
	Bytes    int64 // of Wire of one user's letters, at least 1
	Age      int64 // for how many milliseconds a letter is kept; 0 is no limit
	Memory   int64 // bytes of all letters and their records; 0 is no limit
	IDAge    int64 // for how many milliseconds message ids are remembered; 0: not at all
	IDMemory int64 // bytes of them over all users; beyond it the oldest are forgotten
}

const numShards = 64

// Boxes holds the letters of all users. Every method may be called by anybody at any time, and none waits for anything
// but a lock that is held for a short time.
type Boxes struct {
	// immutable
	conf Config
	seed maphash.Seed

	shards [numShards]shard

	// atomic
	serial    serial
	bytes     atomic.Int64 // of letters and boxes
	keyBytes  atomic.Int64 // of message ids
	oldest    firsts       // the ledgers' first
	oldestKey firsts       // the keys' first

	// guarded by sweeping
	sweeping   sync.Mutex
	sweepShard int
	sweepPlace int // boxes of that shard yet to visit
}

// shard is a part of the boxes, by the hash of their users' names.
type shard struct {
	boxes *Boxes // immutable

	// guarded by mu
	mu       sync.Mutex
	byUser   map[string]*box
	all      []*box // the same in a row, for Sweep to go on where it stopped
	peak     int    // the most that byUser held since it was made
	ledger   ledger
	keys     keys
	letters  int64
	accepted uint64 // letters that were put
	gone     [numReasons]uint64
}

// reason is why a letter is no longer kept.
type reason uint8

const (
	byAcknowledgement reason = iota
	byDelete
	byLength
	byBytes
	byAge
	byMemory

	numReasons
)

// worthShrinking is how large a map must have been for its being made anew to be worth the while.
const worthShrinking = 64

// New returns boxes without letters. It panics when Length or Bytes are below 1.
func New(c Config) *Boxes {
	if c.Length < 1 || c.Bytes < 1 {
		panic("BUG: a box needs room for a letter")
	}
	s := &Boxes{conf: c, seed: maphash.MakeSeed()}
	for i := range s.shards {
		sh := &s.shards[i]
		sh.boxes = s
		sh.byUser = make(map[string]*box)
		sh.ledger.first, sh.keys.first = &s.oldest[i], &s.oldestKey[i]
		s.oldest[i].Store(none)
		s.oldestKey[i].Store(none)
	}
	return s
}

// shard returns the shard of a user.
func (s *Boxes) shard(user string) *shard {
	return &s.shards[maphash.String(s.seed, user)%numShards]
}

// make returns a new box for a user who has none. The caller holds mu, and puts a letter into it before it lets go. The
// name is copied: the caller's may be a part of something large.
func (sh *shard) make(user string) *box {
	b := &box{user: strings.Clone(user), place: len(sh.all), next: never}
	sh.byUser[b.user] = b
	sh.all = append(sh.all, b)
	sh.peak = max(sh.peak, len(sh.all))
	sh.boxes.bytes.Add(b.cost())
	return b
}

// remove takes an empty box out. The caller holds mu.
func (sh *shard) remove(b *box) {
	delete(sh.byUser, b.user)
	last := len(sh.all) - 1
	moved := sh.all[last]
	sh.all[b.place], moved.place = moved, b.place
	sh.all[last] = nil
	sh.all = sh.all[:last]
	sh.boxes.bytes.Add(-b.cost())
	sh.shrink()
}

// shrink makes map and row anew when few are left of many: neither gives memory back by itself.
func (sh *shard) shrink() {
	if sh.peak < worthShrinking || len(sh.all) > sh.peak/8 {
		return
	}
	byUser := make(map[string]*box, len(sh.all))
	for _, b := range sh.all {
		byUser[b.user] = b
	}
	sh.byUser = byUser
	sh.all = append(make([]*box, 0, 2*len(sh.all)), sh.all...)
	sh.peak = len(sh.all)
}
