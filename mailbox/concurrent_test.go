package mailbox

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
)

const readers = 5

// TestEveryLetterIsReadOnce: several put for the same users while each user's reader goes on after what it has got and
// acknowledges it. Nobody may miss a letter that was put, get one twice, or get them out of order.
func TestEveryLetterIsReadOnce(t *testing.T) {
	const writers, each = 4, 2000
	s := New(Config{Length: writers * each, Bytes: 1 << 30, IDAge: 1000, IDMemory: 1 << 20})
	var writing, reading sync.WaitGroup
	var done atomic.Bool
	var put [writers][readers][]uint64
	for w := range put {
		writing.Add(1)
		go func() { // ends when it has put its letters
			defer writing.Done()
			for i := range each {
				user := rand.IntN(readers)
				l, _, _ := s.Put(fmt.Sprint(user), fmt.Append(nil, w, "-", i), 1, 0, wireOf(8), int64(i/100))
				put[w][user] = append(put[w][user], l.ID)
			}
		}()
	}
	var got [readers][]uint64
	for user := range got {
		reading.Add(1)
		go func() { // ends when nothing is left after the writers have ended
			defer reading.Done()
			got[user] = readAll(s, fmt.Sprint(user), &done)
		}()
	}
	writing.Wait()
	done.Store(true)
	reading.Wait()
	for user := range got {
		var want []uint64
		for w := range put {
			want = append(want, put[w][user]...)
		}
		slices.Sort(want)
		if !slices.Equal(got[user], want) {
			t.Errorf("user %d: %d letters of %d, or not in order", user, len(got[user]), len(want))
		}
	}
	if c := s.Counts(); c.Put != writers*each || c.Acknowledged != writers*each || c.Boxes != 0 {
		t.Errorf("%+v", c)
	}
}

// readAll reads a user's letters until none is left after done, acknowledging them now and then.
func readAll(s *Boxes, user string, done *atomic.Bool) (ids []uint64) {
	last := uint64(0)
	for {
		over := done.Load() // before After: what was put before it was set is still read
		letters, _ := s.After(user, last, 100, 1, nil)
		if over && len(letters) == 0 {
			s.Ack(user, last, 1)
			return ids
		}
		if len(letters) == 0 {
			runtime.Gosched() // the writers need the processor, and the lock
			continue
		}
		ids = append(ids, idsOf(letters)...)
		last = ids[len(ids)-1]
		if rand.IntN(3) == 0 {
			s.Ack(user, last, 1)
		}
	}
}

// TestEverythingAtOnce does everything from several goroutines, within tight bounds. The figures add up at every moment,
// and the bounds are kept in the end.
func TestEverythingAtOnce(t *testing.T) {
	s := New(Config{Length: 5, Bytes: 600, Age: 5000, Memory: 5000, IDAge: 30, IDMemory: 5000})
	var now atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Add(1)
		go func() { // ends after its steps
			defer all.Done()
			for range 5000 {
				anything(t, s, now.Add(rand.Int64N(2)))
			}
		}()
	}
	all.Wait()
	got := s.Counts()
	conserved(t, got)
	if got.Bytes > 5000 || got.IDBytes > 5000 || got.DroppedMemory == 0 || got.DroppedAge == 0 || got.DroppedLength+got.DroppedBytes == 0 || got.IDsForgotten == 0 {
		t.Errorf("%+v", got)
	}
	s.Sweep(now.Load()+10_000, 1<<20)
	if got = s.Counts(); got.Boxes != 0 || got.Letters != 0 || got.Bytes != 0 || got.IDs != 0 || got.IDBytes != 0 {
		t.Errorf("at the end: %+v", got)
	}
}

func anything(t *testing.T, s *Boxes, now int64) {
	user := fmt.Sprint(rand.IntN(50) * rand.IntN(2)) // half of it for one user
	letters, _ := s.After(user, 0, rand.IntN(1000), now, nil)
	ids := idsOf(letters)
	if !slices.IsSorted(ids) {
		t.Error("not in order")
	}
	switch op := rand.IntN(20); {
	case op < 12:
		s.Put(user, fmt.Append(nil, rand.IntN(500)), 1, max(0, now+rand.Int64N(10_000)-50), wireOf(rand.IntN(200)), now)
	case op < 13:
		s.Poll(user, 500, 10, now, nil)
	case op < 14:
		s.List(user, 0, 10, now, nil)
	case op < 15 && len(ids) > 0:
		s.Ack(user, ids[rand.IntN(len(ids))], now)
	case op < 16 && len(ids) > 0:
		s.AckOnly(user, ids[rand.IntN(len(ids)):], now)
	case op < 17 && len(ids) > 0:
		s.Delete(user, ids[:1], now)
	case op < 18:
		s.Sweep(now, 5)
	case op < 19:
		conserved(t, s.Counts())
	default:
		s.DeleteAll(user, now)
	}
}
