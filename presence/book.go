package presence

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Config is what a Book is made from.
type Config struct {
	// Grace is for how many milliseconds a user stays whose last connection in the channel has gone; 0: not at all.
	Grace int64
	// Publish publishes one event into the companion of the channel of that name and tells whether it was taken; what was
	// not comes again with a later Flush or Snapshot. event is valid during the call only. It is called with the channel's
	// lock held: it must not block and must not call back into the Book.
	Publish func(name string, event []byte, now int64) (ok bool)
	// Head returns the offset of the newest event in that companion. Nobody but Publish publishes there. It is called under
	// a lock like Publish.
	Head func(name string) uint64
	// MaxEvent is how many bytes an event may have; 0: 32 KiB. A larger batch is split over several. One change that does
	// not fit goes alone, but its info is left out at Enter if that is why.
	MaxEvent int
	// MaxListed is how many members a Snapshot lists at most; 0: 10,000.
	MaxListed int
}

const (
	defaultMaxEvent  = 32 << 10
	defaultMaxListed = 10_000

	numShards = 64
)

// Book has the presence of all channels. Every method may be called by anybody at any time.
type Book struct {
	conf   Config       // immutable
	seed   maphash.Seed // immutable
	shards [numShards]shard

	// guarded by flushing
	flushing sync.Mutex
	visits   uint64 // channels and departures that Flush has looked at; tests hold its work against the promise
}

// shard is a part of the channels, by the hash of their names.
type shard struct {
	book   *Book // immutable
	agenda agenda

	// guarded by mu
	mu     sync.RWMutex
	byName map[string]*Channel
	peak   int // the most that byName held since it was made

	// atomic
	members     atomic.Int64
	connections atomic.Int64
	bytes       atomic.Int64
	published   atomic.Uint64
	refused     atomic.Uint64
}

// slot is what an entry of a map from strings to pointers takes on average: maps are 44 to 88 percent full.
const slot = 40

// channelCost is what a record takes without its members and its name: itself, its slot, and a map with its first 8 slots.
const channelCost = int64(unsafe.Sizeof(Channel{})) + slot + 256

// New returns an empty book. It panics when Publish or Head is missing.
func New(c Config) *Book {
	if c.Publish == nil || c.Head == nil {
		panic("BUG: a book needs Publish and Head")
	}
	if c.MaxEvent <= 0 {
		c.MaxEvent = defaultMaxEvent
	}
	if c.MaxListed <= 0 {
		c.MaxListed = defaultMaxListed
	}
	b := &Book{conf: c, seed: maphash.MakeSeed()}
	for i := range b.shards {
		b.shards[i].book = b
		b.shards[i].byName = make(map[string]*Channel)
	}
	return b
}

// Open returns the channel of that name for one more holder, mostly a loop, who gives it back with Close. Mode is to be the
// same for a name as long as there is a record of it: the first one counts. With Off there is none: Open returns nil, whose
// methods do nothing.
func (b *Book) Open(name string, mode Mode) *Channel {
	if mode == Off {
		return nil
	}
	sh := b.shard(name)
	for {
		ch := sh.find(name)
		if ch == nil {
			ch = sh.make(name, mode)
		}
		if ch.hold() {
			return ch
		}
	}
}

// shard returns the shard of a name.
func (b *Book) shard(name string) *shard {
	return &b.shards[maphash.String(b.seed, name)%numShards]
}

// find returns the record of that name, which may be dead once it is locked, or nil.
func (sh *shard) find(name string) *Channel {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.byName[name]
}

// make returns the record of that name, made unless somebody else just did.
func (sh *shard) make(name string, mode Mode) *Channel {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if ch := sh.byName[name]; ch != nil {
		return ch
	}
	ch := &Channel{book: sh.book, shard: sh, name: name, mode: mode}
	sh.byName[name] = ch
	sh.peak = max(sh.peak, len(sh.byName))
	sh.bytes.Add(channelCost + int64(len(name)))
	return ch
}

// remove takes the record out when it is empty.
func (sh *shard) remove(ch *Channel) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.dead || !ch.empty() {
		return
	}
	ch.dead = true
	delete(sh.byName, ch.name)
	sh.byName = slim(sh.byName, &sh.peak)
	sh.bytes.Add(-channelCost - int64(len(ch.name)))
}

// slim returns m, or a copy of it when few are left of its peak: a map gives no memory back by itself.
func slim[V any](m map[string]V, peak *int) map[string]V {
	const worth = 256
	if *peak < worth || len(m) > *peak/8 {
		return m
	}
	*peak = len(m)
	small := make(map[string]V, len(m))
	for k, v := range m {
		small[k] = v
	}
	return small
}
