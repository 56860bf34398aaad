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
	posts    bucket
	renames  bucket
}

// bucket bounds how often something happens: some at once, and then so many a second. The zero value is a full one.
type bucket struct {
	spent float64   // as of at
	at    time.Time // of the last one
}

// take says whether it may happen now, and counts it.
func (b *bucket) take(burst, rate float64, now time.Time) bool {
	b.spent = max(0, b.spent-now.Sub(b.at).Seconds()*rate)
	b.at = now
	if b.spent+1 > burst {
		return false
	}
	b.spent++
	return true
}

// How many messages somebody may post, and how often have another name: every page is told of that.
const (
	postBurst, postRate     = 10, 1
	renameBurst, renameRate = 5, 0.1
)

func newNames(max int) *names {
	return &names{max: max, people: map[string]*list.Element{}, recent: list.New()}
}

// set remembers a name, and says whether it was unknown or another. Who has another too often keeps the last one.
func (n *names) set(id, name string, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if e, ok := n.people[id]; ok {
		n.recent.MoveToFront(e)
		p := e.Value.(*person)
		if p.name == name || !p.renames.take(renameBurst, renameRate, now) {
			return false
		}
		p.name = name
		return true
	}
	if n.recent.Len() >= n.max {
		delete(n.people, n.recent.Remove(n.recent.Back()).(*person).id)
	}
	n.people[id] = n.recent.PushFront(&person{id: id, name: name})
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

// may says whether somebody may post a message now, and counts it.
func (n *names) may(id string, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	e, ok := n.people[id]
	return ok && e.Value.(*person).posts.take(postBurst, postRate, now)
}
