package channel

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// Config is what a Store is made from.
type Config struct {
	Epoch      Epoch
	Length     int     // publications kept in a channel; 0 keeps none
	Age        int64   // for how many milliseconds they are kept; 0 is no limit
	Slow       Slow    // what becomes of subscribers that are too slow
	Rules      []Rule  // channels for which these three are otherwise; the first that fits counts
	Memory     int64   // bytes kept over all channels; 0 is no limit
	Aside      string  // the beginning of the names of channels that strangers make something be published in
	AsideMax   int64   // bytes of Memory that those may have together: beyond it their oldest goes, and no other's; 0 is no limit
	IDAge      int64   // for how many milliseconds message ids are remembered; 0: not at all
	IDMemory   int64   // bytes of them over all channels; beyond it the oldest are forgotten
	Loops      int     // how many loops there are, at most 64
	MaxMessage int     // bytes of data a message may have that is not the server's own; 0 is no limit
	Sink       Sink    // nil when nobody subscribes
	Latent     Latent  // nil: no channel is
	Watcher    Watcher // nil: nobody wants to know
}

// Sink receives publications for loops. Both methods are called under a channel's lock and must neither block nor call
// back into the Store.
type Sink interface {
	// Busy tells whether one of the interested loops (a bitmask, never 0) is too far behind to take more.
	Busy(loops uint64) bool
	// Deliver is called once for each interested loop, in offset order within the channel.
	Deliver(loop int, ch *Channel, p *Publication)
}

// Watcher is told when a channel gets its first subscriber and when it loses its last, in that order. Both methods are called
// under the channel's lock and must neither block nor call back into the Store.
type Watcher interface {
	Occupied(name string, now int64)
	Vacated(name string, now int64)
}

// Latent knows of channels that have subscribers although they are not in the store. Its methods are called under the lock of a
// part of the store and must not call back into it.
type Latent interface {
	// Wake is called when a channel is made, under its lock and before it can be found. floor is the offset after which it would go on. It
	// returns after which it does, and how many subscribers it has by loop, who are not latent from now on.
	Wake(ch *Channel, floor uint64) (head uint64, subscribers []uint32)
	// Sleep is called when a channel is removed that stood at head; followers are those that Retire was given.
	Sleep(name string, head uint64, followers []uint64)
	// Latent returns the offset after which a channel would go on that is not there, and how many subscribers it would have.
	Latent(name string, floor uint64) (head uint64, subscribers int)
}

const (
	maxLoops  = 64
	numShards = 64
	// numFloors is how many floors a shard has: 8 KiB, made when the shard removes its first used channel.
	numFloors = 1024
)

// Store holds all channels. Every method may be called by anybody at any time.
type Store struct {
	// immutable
	conf     Config
	defaults Settings
	epoch    string
	seed     maphash.Seed

	shards [numShards]shard

	// atomic
	ids     atomic.Uint64
	idBytes atomic.Int64                      // of message ids
	bytes   atomic.Int64                      // kept by history, forms included
	aside   atomic.Int64                      // of these, kept by channels that are aside, forms not included
	oldest  [numKinds][numShards]atomic.Int64 // the ledgers' when, side by side since makeRoom reads them all

	// guarded by sweeping
	sweeping   sync.Mutex
	sweepShard int
	sweepPlace int // channels of that shard yet to visit
	idShard    int // whose ids were looked at last
}

// shard is a part of the channels, by the hash of their names.
type shard struct {
	store   *Store // immutable
	ledgers [numKinds]ledger
	ids     ids

	// guarded by mu
	mu     sync.RWMutex
	byName map[string]*Channel
	all    []*Channel // the same in a row, for Sweep to go on where it stopped
	peak   int        // the most that byName held since it was made
	floors []uint64   // by bucket: the highest head of a removed channel; nil while all are 0

	// atomic
	channels      atomic.Int64
	kept          atomic.Int64
	published     atomic.Uint64
	subscriptions atomic.Int64
	evicted       [numReasons]atomic.Uint64
}

// kind is in which ledger a channel is.
type kind uint8

const (
	common kind = iota
	aside       // Config.Aside

	numKinds
)

// kind returns that of a channel.
func (s *Store) kind(name []byte) kind {
	if p := s.conf.Aside; p != "" && bytes.HasPrefix(name, []byte(p)) {
		return aside
	}
	return common
}

// reason is why a publication is no longer kept.
type reason uint8

const (
	byLength reason = iota
	byAge
	byMemory
	byDelete

	numReasons
)

// NewStore returns an empty store. It panics when the epoch is 0 or the loops are not 0 to 64.
func NewStore(c Config) *Store {
	if c.Epoch == 0 || c.Loops < 0 || c.Loops > maxLoops {
		panic(fmt.Sprintf("BUG: a store needs an epoch and at most %d loops", maxLoops))
	}
	s := &Store{conf: c, defaults: Settings{c.Length, c.Age, c.Slow}, epoch: c.Epoch.String(), seed: maphash.MakeSeed()}
	for i := range s.shards {
		sh := &s.shards[i]
		sh.store = s
		sh.byName = make(map[string]*Channel)
		for k := range sh.ledgers {
			sh.ledgers[k].when = &s.oldest[k][i]
			s.oldest[k][i].Store(never)
		}
	}
	return s
}

// Epoch returns the store's epoch.
func (s *Store) Epoch() Epoch { return s.conf.Epoch }

// place returns the shard of a name and its bucket there.
func (s *Store) place(name []byte) (*shard, uint16) {
	h := maphash.Bytes(s.seed, name)
	return &s.shards[h%numShards], uint16(h / numShards % numFloors)
}

// enter returns the channel of that name, made when needed, with its lock held.
func (s *Store) enter(name []byte) *Channel {
	sh, bucket := s.place(name)
	for {
		sh.mu.RLock()
		ch := sh.byName[string(name)]
		sh.mu.RUnlock()
		if ch == nil {
			ch = sh.make(name, bucket)
		}
		ch.mu.Lock()
		if !ch.dead {
			return ch
		}
		ch.mu.Unlock()
	}
}

// find returns the channel of that name with its lock held, or nil and the head and number of subscribers with which it would be
// made. All are read in one step: a floor read later could lie above the head of a channel made meanwhile.
func (s *Store) find(name []byte) (ch *Channel, floor uint64, latent int) {
	sh, bucket := s.place(name)
	for {
		sh.mu.RLock()
		ch, floor = sh.byName[string(name)], sh.floor(bucket)
		if ch == nil && s.conf.Latent != nil {
			floor, latent = s.conf.Latent.Latent(string(name), floor)
		}
		sh.mu.RUnlock()
		if ch == nil {
			return nil, floor, latent
		}
		ch.mu.Lock()
		if !ch.dead {
			return ch, 0, 0
		}
		ch.mu.Unlock()
	}
}

// make returns the channel of that name, made unless somebody else just did, without its lock.
func (sh *shard) make(name []byte, bucket uint16) *Channel {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if ch := sh.byName[string(name)]; ch != nil {
		return ch
	}
	ch := &Channel{
		name:     string(name),
		id:       sh.store.ids.Add(1),
		shard:    sh,
		settings: sh.store.settings(name),
		bucket:   bucket,
		kind:     sh.store.kind(name),
		place:    uint32(len(sh.all)),
		head:     sh.floor(bucket),
	}
	ch.mu.Lock() // a loop may hear of the channel, and leave it, before it has been made
	defer ch.mu.Unlock()
	sh.wake(ch)
	sh.byName[ch.name] = ch
	sh.all = append(sh.all, ch)
	sh.peak = max(sh.peak, len(sh.all))
	sh.channels.Add(1)
	return ch
}

// wake gives a new channel the subscribers that it had without being there.
func (sh *shard) wake(ch *Channel) {
	l := sh.store.conf.Latent
	if l == nil {
		return
	}
	head, subscribers := l.Wake(ch, ch.head)
	ch.head = head
	for loop, n := range subscribers {
		for range n {
			ch.join(loop, sh.store.conf.Loops)
		}
		sh.subscriptions.Add(int64(n))
	}
}

// remove takes the channel out when it is empty.
func (sh *shard) remove(ch *Channel) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if !ch.dead && ch.empty() {
		sh.drop(ch, nil)
	}
}

// MayRetire says whether Retire would remove the channel now.
func (s *Store) MayRetire(ch *Channel, loop int, head uint64, subscribers int) bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.retirable(loop, head, subscribers)
}

// retirable is what makes a channel one to retire. The caller holds its lock.
func (ch *Channel) retirable(loop int, head uint64, subscribers int) bool {
	return !ch.dead && ch.head == head && ch.kept.len() == 0 && ch.loops == 1<<loop && int(ch.subs) == subscribers
}

// Retire removes a channel of which nothing is kept, and whose only subscribers are those of one loop, who have been given
// everything up to head: Config.Latent knows of them from now on. It says false, and nothing has happened, when that is not so.
func (s *Store) Retire(ch *Channel, loop int, head uint64, subscribers []uint64) bool {
	s.checkLoop(loop)
	sh := ch.shard
	sh.mu.Lock()
	defer sh.mu.Unlock()
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if s.conf.Latent == nil || !ch.retirable(loop, head, len(subscribers)) {
		return false
	}
	sh.subscriptions.Add(-int64(ch.subs))
	ch.subs, ch.loops, ch.counts = 0, 0, nil
	sh.drop(ch, subscribers)
	return true
}

// drop takes a channel out. The caller holds both locks.
func (sh *shard) drop(ch *Channel, followers []uint64) {
	if l := sh.store.conf.Latent; l != nil {
		l.Sleep(ch.name, ch.head, followers)
	}
	ch.dead = true
	sh.raiseFloor(ch.bucket, ch.head)
	delete(sh.byName, ch.name)
	last := len(sh.all) - 1
	moved := sh.all[last]
	sh.all[ch.place], moved.place = moved, ch.place
	sh.all[last] = nil
	sh.all = sh.all[:last]
	sh.channels.Add(-1)
	sh.shrink()
}

// floor is the head with which a channel of that bucket is made. One floor for the whole store would keep offsets from
// being used twice as well; but then each removed channel would move the place at which all absent channels begin, and
// who asks an absent channel now and then would be told of gaps that are none. With a floor for each of 65,536 buckets
// a channel nearly always comes back with its own head.
func (sh *shard) floor(bucket uint16) uint64 {
	if sh.floors == nil {
		return 0
	}
	return sh.floors[bucket]
}

func (sh *shard) raiseFloor(bucket uint16, head uint64) {
	if head == 0 {
		return
	}
	if sh.floors == nil {
		sh.floors = make([]uint64, numFloors)
	}
	sh.floors[bucket] = max(sh.floors[bucket], head)
}

// shrink makes map and row anew when few are left of many: neither gives memory back by itself.
func (sh *shard) shrink() {
	const worth = 256
	if sh.peak < worth || len(sh.all) > sh.peak/8 {
		return
	}
	byName := make(map[string]*Channel, len(sh.all))
	for _, ch := range sh.all {
		byName[ch.name] = ch
	}
	sh.byName = byName
	sh.all = append(make([]*Channel, 0, 2*len(sh.all)), sh.all...)
	sh.peak = len(sh.all)
}
