package webhook

import (
	"container/list"
	"time"
	"unsafe"
)

// queue is what the backend has to be told: the newest event of each subject that waits. A subject keeps its place when its
// event is superseded, so that one that changes all the time is told like others. It is guarded by its Sender's mutex.
//
// Events under way stay in the queue until it is settled what became of them.
type queue struct {
	by     map[subject]*entry
	places list.List // of *entry, in the order in which they are told
	ages   list.List // of *entry, the one whose event was added longest ago first

	// replaced is how many events under way have been superseded meanwhile: whether they count as sent or as superseded
	// is not known yet.
	replaced int

	channels int   // subjects that are channels
	bytes    int64 // of memory that the queue takes, estimated
}

type entry struct {
	event      Event
	added      time.Time // when event was
	away       uint64    // N of the event under way; 0: none is
	place, age *list.Element
}

// entryCost is what a subject takes that waits, without its name: an entry, its two places, and its slot in the map.
const entryCost = int64(unsafe.Sizeof(entry{})) + 2*int64(unsafe.Sizeof(list.Element{})) + 72

func (s subject) cost() int64 { return entryCost + int64(len(s.user)+len(s.channel)) }

func newQueue() *queue { return &queue{by: map[subject]*entry{}} }

// subjects returns how many subjects wait.
func (q *queue) subjects() int { return len(q.by) }

// alike returns how many subjects wait that are of the same kind: users, or channels.
func (q *queue) alike(s subject) int {
	if s.channel != "" {
		return q.channels
	}
	return len(q.by) - q.channels
}

// waiting returns how many events wait, those under way included.
func (q *queue) waiting() int { return len(q.by) + q.replaced }

func (q *queue) has(s subject) bool { return q.by[s] != nil }

// put adds an event and says whether one that waited has been superseded by it.
func (q *queue) put(e Event, now time.Time) (superseded bool) {
	x := q.by[e.subject()]
	if x == nil {
		x = &entry{event: e, added: now}
		x.place, x.age = q.places.PushBack(x), q.ages.PushBack(x)
		q.by[e.subject()] = x
		q.bytes += e.subject().cost()
		if e.Channel != "" {
			q.channels++
		}
		return false
	}
	superseded = x.away != x.event.N
	if !superseded {
		q.replaced++
	}
	x.event, x.added = e, now
	q.ages.MoveToBack(x.age)
	return superseded
}

// take returns the first events, which are under way from now on, until settle.
func (q *queue) take(most int) (events []Event) {
	for at := q.places.Front(); at != nil && len(events) < most; at = at.Next() {
		x := at.Value.(*entry)
		x.away = x.event.N
		events = append(events, x.event)
	}
	return events
}

// settle ends the way of what take returned. What has arrived leaves the queue, unless it was superseded meanwhile: then the
// newer event has the place. What has not stays, and was superseded in vain: settle returns how many were.
func (q *queue) settle(events []Event, arrived bool) (superseded int) {
	for i := range events {
		x := q.by[events[i].subject()]
		newer := x.event.N != x.away
		x.away = 0
		switch {
		case newer && !arrived:
			superseded++
		case arrived && !newer:
			q.remove(x)
		}
	}
	q.replaced = 0
	return superseded
}

// expire drops events that were added before a time, the oldest first and at most some, and returns how many. None may be
// under way.
func (q *queue) expire(before time.Time, most int) (dropped int) {
	for dropped < most {
		at := q.ages.Front()
		if at == nil || !at.Value.(*entry).added.Before(before) {
			break
		}
		q.remove(at.Value.(*entry))
		dropped++
	}
	return dropped
}

func (q *queue) remove(x *entry) {
	q.places.Remove(x.place)
	q.ages.Remove(x.age)
	delete(q.by, x.event.subject())
	q.bytes -= x.event.subject().cost()
	if x.event.Channel != "" {
		q.channels--
	}
}
