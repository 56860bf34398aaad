package chat

import (
	"container/list"
	"sync"
	"time"
)

// names knows what people are called, by their ids, of so many people; those who were not heard of for longest are forgotten first. A
// real site asks its accounts. Anybody may call its methods.
type names struct {
	telling sync.Mutex // held while a name is told to the pages

	max int // immutable

	// guarded by mu
	mu     sync.Mutex
	people map[string]*list.Element // of *person
	recent *list.List               // the one heard of last is in front
}

type person struct {
	id, name string
	burst    float64   // how many messages may be posted at once, as of at
	at       time.Time // of the last one
}

func newNames(max int) *names {
	return &names{max: max, people: map[string]*list.Element{}, recent: list.New()}
}

// set remembers a name, and says whether it was unknown or another.
func (n *names) set(id, name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if e, ok := n.people[id]; ok {
		n.recent.MoveToFront(e)
		p := e.Value.(*person)
		changed := p.name != name
		p.name = name
		return changed
	}
	if n.recent.Len() >= n.max {
		delete(n.people, n.recent.Remove(n.recent.Back()).(*person).id)
	}
	n.people[id] = n.recent.PushFront(&person{id: id, name: name, burst: postBurst})
	return true
}

// get returns a name.
func (n *names) get(id string) (string, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	e, ok := n.people[id]
	if !ok {
		return "", false
	}
	return e.Value.(*person).name, true
}

// How many messages somebody may post: some at once, and then so many a second.
const (
	postBurst = 10
	postRate  = 1
)

// may says whether somebody may post a message now, and counts it.
func (n *names) may(id string, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	e, ok := n.people[id]
	if !ok {
		return false
	}
	p := e.Value.(*person)
	if !p.at.IsZero() {
		p.burst = min(postBurst, p.burst+now.Sub(p.at).Seconds()*postRate)
	}
	p.at = now
	if p.burst < 1 {
		return false
	}
	p.burst--
	return true
}
