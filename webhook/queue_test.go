package webhook

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// naive is a queue that is plainly right: a list that is searched from its beginning.
type naive struct {
	list  []naiveEntry
	away  []Event // under way
	again int     // of those, superseded
}

type naiveEntry struct {
	event Event
	added time.Time
}

func (q *naive) find(s subject) int {
	return slices.IndexFunc(q.list, func(x naiveEntry) bool { return x.event.subject() == s })
}

func (q *naive) put(e Event, now time.Time) (superseded bool) {
	i := q.find(e.subject())
	if i < 0 {
		q.list = append(q.list, naiveEntry{e, now})
		return false
	}
	old := q.list[i].event
	q.list[i] = naiveEntry{e, now}
	if slices.Contains(q.away, old) {
		q.again++
		return false
	}
	return true
}

func (q *naive) take(most int) []Event {
	q.away = nil
	for _, x := range q.list[:min(most, len(q.list))] {
		q.away = append(q.away, x.event)
	}
	return q.away
}

func (q *naive) settle(arrived bool) (superseded int) {
	if arrived {
		q.list = slices.DeleteFunc(q.list, func(x naiveEntry) bool { return slices.Contains(q.away, x.event) })
	} else {
		superseded = q.again
	}
	q.away, q.again = nil, 0
	return superseded
}

func (q *naive) expire(before time.Time) int {
	n := len(q.list)
	q.list = slices.DeleteFunc(q.list, func(x naiveEntry) bool { return x.added.Before(before) })
	return n - len(q.list)
}

// TestQueueAgainstModel does random things to a queue and to a naive one.
func TestQueueAgainstModel(t *testing.T) {
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		q, m, now, n := newQueue(), &naive{}, begin, uint64(0)
		var away []Event
		same := func(what string, got, want any) {
			t.Helper()
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("seed %d, %s: %v, want %v", seed, what, got, want)
			}
		}
		for range 300 {
			now = now.Add(time.Duration(rnd.IntN(3)) * time.Second)
			switch k := rnd.IntN(10); {
			case k < 6:
				n++
				kind := []string{UserOnline, UserOffline, ChannelOccupied, ChannelVacated}[rnd.IntN(4)]
				e := newEvent(kind, fmt.Sprint(rnd.IntN(8)), int64(n))
				e.N = n
				same("put", q.put(e, now), m.put(e, now))
			case away == nil && k < 8:
				most := 1 + rnd.IntN(10)
				away = q.take(most)
				same("take", away, m.take(most))
			case away == nil:
				before := now.Add(-time.Duration(rnd.IntN(60)) * time.Second)
				dropped := 0
				for n := 2; n == 2; dropped += n {
					n = q.expire(before, 2)
				}
				same("expire", dropped, m.expire(before))
			default:
				arrived := rnd.IntN(2) == 0
				same("settle", q.settle(away, arrived), m.settle(arrived))
				away = nil
			}
			same("waiting", q.waiting(), len(m.list)+m.again)
			bytes := int64(0)
			for _, x := range m.list {
				bytes += entryCost + int64(len(x.event.User+x.event.Channel))
			}
			same("bytes", q.bytes, bytes)
			same("subjects", q.subjects(), len(m.list))
			same("by place", q.places.Len(), len(m.list))
			same("by age", q.ages.Len(), len(m.list))
		}
	}
}
