package edge

import "sync"

// occupancy is which channels have subscribers, for a site that wants to be told. A channel that the last subscriber has left is
// occupied for a grace time still: between two long polls it is not vacated. The zero value is of no use; a nil one notes nothing.
type occupancy struct {
	// immutable
	grace int64                                      // milliseconds
	told  func(name string, occupied bool, at int64) // in the order in which it happens; under mu

	mu     sync.Mutex
	all    map[string]*occupied // guarded by mu
	leaves queue[departure]     // guarded by mu
}

// occupied is a channel that is, as far as the site has been told.
type occupied struct {
	empty bool
	since int64 // when it became so, Unix time in milliseconds
}

func newOccupancy(grace int64, told func(string, bool, int64)) *occupancy {
	return &occupancy{grace: grace, told: told, all: map[string]*occupied{}}
}

// Occupied implements channel.Watcher.
func (o *occupancy) Occupied(name string, now int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	x := o.all[name]
	if x == nil {
		x = new(occupied)
		o.all[name] = x
		o.told(name, true, now)
	}
	x.empty = false
}

// Vacated implements channel.Watcher.
func (o *occupancy) Vacated(name string, now int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	x := o.all[name]
	x.empty, x.since = true, now
	o.leaves.push(departure{name, now})
}

// sweep tells of channels whose grace is over. Loop 0 calls it at every tick.
func (o *occupancy) sweep(now int64) {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.leaves.len() > 0 && now-o.leaves.front().seen >= o.grace {
		d := o.leaves.pop()
		if x := o.all[d.id]; x != nil && x.empty && x.since == d.seen {
			delete(o.all, d.id)
			o.told(d.id, false, d.seen)
		}
	}
}
