package presence

import (
	"sync"
	"unsafe"
)

// agenda is what Flush has to look at in a shard: the channels in which something has changed, and departures in the order
// in which they were noted. Those who enter and leave put entries in, Flush takes them out. A channel is on it once; a
// departure stays for the grace, even when the user has come back. All methods may be called by anybody.
type agenda struct {
	// guarded by mu
	mu         sync.Mutex
	changed    []*Channel
	departures []departure // oldest first, from first on
	first      int
}

// departure says that a member's last connection went at a time. It holds when that is still so.
type departure struct {
	ch   *Channel
	m    *member
	left int64
}

// mark puts a channel on the agenda.
func (a *agenda) mark(ch *Channel) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changed = append(a.changed, ch)
}

// take returns the channels, and has none then.
func (a *agenda) take() []*Channel {
	a.mu.Lock()
	defer a.mu.Unlock()
	changed := a.changed
	a.changed = nil
	return changed
}

// giveBack puts channels on again that were taken.
func (a *agenda) giveBack(changed []*Channel) {
	if len(changed) == 0 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.changed = append(changed, a.changed...)
}

// expect puts a departure on the agenda.
func (a *agenda) expect(d departure) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.departures = append(a.departures, d)
}

// due takes out and returns the oldest departure if it was noted at until or before.
func (a *agenda) due(until int64) (d departure, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.first == len(a.departures) || a.departures[a.first].left > until {
		return departure{}, false
	}
	d = a.departures[a.first]
	a.departures[a.first] = departure{}
	a.first++
	a.compact()
	return d, true
}

// compact moves the rest to the front when half is taken out, so that an entry is moved once on average.
func (a *agenda) compact() {
	if a.first < 16 && a.first < len(a.departures) || a.first*2 < len(a.departures) {
		return
	}
	a.departures = append([]departure(nil), a.departures[a.first:]...)
	a.first = 0
}

// bytes returns what the agenda takes.
func (a *agenda) bytes() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return int64(cap(a.departures))*int64(unsafe.Sizeof(departure{})) + int64(cap(a.changed))*int64(unsafe.Sizeof(a))
}
