package edge

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"unsafe"

	"encke/channel"
	"encke/netloop"
)

// users are who is here: the users of tokens, with their connections on any transport. Any loop may call. A user whose last
// connection has gone stays online for a grace time, so that a reload of the page, or the moment between two polls, is no
// going away; and is remembered for a while after, for who asks when it was last seen.
type users struct {
	// immutable
	seed  maphash.Seed
	grace int64                                  // milliseconds
	told  func(id string, online bool, at int64) // whenever one comes or goes, in that order; under the shard's mutex
	wake  func(loop int, w *woken)               // tells a loop that a channel which its connections follow is there now

	shards [userShards]userShard

	// atomic
	online    atomic.Int64
	following atomic.Int64 // connections that follow a channel that is not there (latent.go)
	now       atomic.Int64 // Unix time in milliseconds, as of the last sweep
}

const (
	userShards = 64
	// userMemory is for how many milliseconds one who has gone is remembered.
	userMemory = 60 * 60 * 1000
)

type userShard struct {
	mu     sync.Mutex
	by     map[string]*user // guarded by mu
	names  int              // guarded by mu: bytes of the names in it
	leaves queue[departure] // guarded by mu: who may have gone, when its grace is over
	gone   queue[departure] // guarded by mu: who has, when it may be forgotten
	_      [40]byte         // keep the next shard off this cache line
}

// departure is when somebody was last seen. It counts only as long as that is true.
type departure struct {
	id   string
	seen int64
}

// user is one who is here, or was not long ago. All but head is guarded by its shard's mutex.
type user struct {
	here    handles // its connections; marked are those that follow its channel while that is not there
	seen    int64   // when it was last here, Unix time in milliseconds; 0: never
	online  bool
	latent  int              // of here, those that are marked
	known   bool             // head is
	listed  bool             // it has an entry in gone, its only one
	channel *channel.Channel // its own, nil while that is not there
	head    atomic.Uint64    // where its channel goes on when it is made
}

func newUsers(c *Config) *users {
	u := &users{seed: maphash.MakeSeed(), grace: c.UserGrace.Milliseconds(), told: func(string, bool, int64) {}}
	for i := range u.shards {
		u.shards[i].by = map[string]*user{}
	}
	return u
}

// lock returns the shard of a user with its mutex held.
func (u *users) lock(id string) *userShard {
	s := &u.shards[maphash.String(u.seed, id)%userShards]
	s.mu.Lock()
	return s
}

// enter returns a user, made where there is none.
func (s *userShard) enter(id string) *user {
	x := s.by[id]
	if x == nil {
		x = new(user)
		s.by[id] = x
		s.names += len(id)
	}
	return x
}

// arrive notes that a user is here now.
func (u *users) arrive(id string, x *user, now int64) {
	x.seen = now
	if !x.online {
		x.online = true
		u.online.Add(1)
		u.told(id, true, now)
	}
}

// join notes a connection of a user; leave that it has gone.
func (u *users) join(id string, h netloop.Handle, now int64) *user {
	s := u.lock(id)
	defer s.mu.Unlock()
	x := s.enter(id)
	x.here.add(h)
	u.arrive(id, x, now)
	return x
}

func (u *users) leave(id string, h netloop.Handle, now int64) {
	s := u.lock(id)
	defer s.mu.Unlock()
	x := s.by[id]
	if x == nil || !x.here.remove(h) {
		panic("BUG: a connection leaves a user who is not here")
	}
	if x.seen = now; x.here.len() == 0 {
		s.leaves.push(departure{id, now})
	}
}

// touch notes that a user was here just now, by a request that leaves no connection of its own behind.
func (u *users) touch(id string, now int64) {
	s := u.lock(id)
	defer s.mu.Unlock()
	x := s.enter(id)
	if x.seen == now && x.online {
		return
	}
	u.arrive(id, x, now)
	if x.here.len() == 0 {
		s.leaves.push(departure{id, now})
	}
}

// many says whether a user holds as many connections as one may. Two that come in the same moment, on two loops, may both be
// let in.
func (u *users) many(id string, most int) bool {
	if most == 0 {
		return false
	}
	s := u.lock(id)
	defer s.mu.Unlock()
	x := s.by[id]
	return x != nil && x.here.len() >= most
}

// userState is what is answered of a user.
type userState struct {
	User        string `json:"user"`
	Online      bool   `json:"online"`
	Connections int    `json:"connections"`
	LastSeen    *int64 `json:"last_seen"` // Unix time in milliseconds; null for one who was not here for long
}

func (u *users) state(id string, now int64) userState {
	s := u.lock(id)
	defer s.mu.Unlock()
	out := userState{User: id}
	x := s.by[id]
	if x == nil || x.seen == 0 {
		return out
	}
	seen := x.seen
	if out.Connections = x.here.len(); out.Connections > 0 {
		seen = now
	}
	out.Online = now-seen < u.grace || out.Connections > 0
	out.LastSeen = &seen
	return out
}

// connections returns a user's connections.
func (u *users) connections(id string) (all []netloop.Handle) {
	s := u.lock(id)
	defer s.mu.Unlock()
	if x := s.by[id]; x != nil {
		x.here.all(func(h *netloop.Handle) { all = append(all, *h&^marked) })
	}
	return all
}

// sweep notes who has gone, and forgets those who have been away for long; when memory is short, whoever has gone. The server's sweeper
// calls it again and again.
func (u *users) sweep(now int64, short bool) {
	u.now.Store(now)
	for i := range u.shards {
		s := &u.shards[i]
		s.mu.Lock()
		for s.leaves.len() > 0 && now-s.leaves.front().seen >= u.grace {
			u.depart(s, s.leaves.pop())
		}
		for n := s.gone.len(); n > 0 && (short || u.past(now, s.gone.front().seen)); n-- {
			u.review(s, s.gone.pop(), now, short)
		}
		s.mu.Unlock()
	}
}

// depart notes that the grace of somebody who had left is over, unless it has come back.
func (u *users) depart(s *userShard, d departure) {
	x := s.by[d.id]
	if x == nil || x.seen != d.seen || x.here.len() > 0 || !x.online {
		return
	}
	x.online = false
	u.online.Add(-1)
	u.told(d.id, false, d.seen)
	if !x.listed { // however often it goes
		x.listed = true
		s.gone.push(d)
	}
}

// past says whether one who was last seen at some time need not be remembered any more.
func (u *users) past(now, seen int64) bool { return now-seen >= max(userMemory, u.grace) }

// review forgets one who had gone, unless it has been here since.
func (u *users) review(s *userShard, d departure, now int64, short bool) {
	x := s.by[d.id]
	if x == nil {
		return
	}
	switch x.listed = false; {
	case x.online:
	case !short && !u.past(now, x.seen):
		x.listed = true
		s.gone.push(departure{d.id, x.seen})
	default:
		s.forget(d.id, x)
		if short && s.by[d.id] != nil { // its channel is there: later
			x.listed = true
			s.gone.push(d)
		}
	}
}

// forget drops a user of whom nothing is to be known any more.
func (s *userShard) forget(id string, x *user) {
	if x.channel == nil && !x.online && x.here.len() == 0 {
		delete(s.by, id)
		s.names -= len(id)
	}
}

// userCost is what a user takes without its name and with one connection: itself, and its slot in a map that is 44 to 88 percent full.
const userCost = int64(unsafe.Sizeof(user{})) + 40

// bytes estimates the memory that users take, those included who are remembered only.
func (u *users) bytes() (n int64) {
	for i := range u.shards {
		s := &u.shards[i]
		s.mu.Lock()
		n += int64(len(s.by))*userCost + int64(s.names)
		n += int64(s.leaves.len()+s.gone.len()) * int64(unsafe.Sizeof(departure{}))
		s.mu.Unlock()
	}
	return n
}
