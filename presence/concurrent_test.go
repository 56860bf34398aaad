package presence

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

// TestConcurrently: loops in which connections come and go and which open and close channels, one goroutine that flushes and
// is refused now and then, and followers that take snapshots at any moment.
func TestConcurrently(t *testing.T) {
	const loops, followers, steps = 6, 3, 4000
	streams := &companions{refuse: func() bool { return rand.IntN(8) == 0 }}
	conf := streams.config(400)
	conf.MaxEvent = 200
	b := New(conf)
	now, busy := &atomic.Int64{}, &atomic.Int64{}
	busy.Store(loops)
	var working, watching sync.WaitGroup
	for range loops {
		working.Go(func() {
			defer busy.Add(-1)
			work(b, now, steps)
		})
	}
	watching.Go(func() { // until the loops are done
		for busy.Load() > 0 {
			b.Flush(now.Add(20))
		}
	})
	for range followers {
		watching.Go(func() {
			for busy.Load() > 0 {
				watch(t, b, streams, now)
			}
		})
	}
	working.Wait()
	watching.Wait()
	streams.refuse = nil
	for range 2 {
		b.Flush(now.Add(1500))
	}
	for _, name := range sharedNames {
		f := begin(name, Snapshot{})
		f.follow(t, streams, streams.head(name))
		if len(f.users) > 0 || f.counts != (counts{}) {
			t.Errorf("%s: %+v left", name, f)
		}
	}
	if got := b.Totals(); got.Channels != 0 || got.Members != 0 || got.Connections != 0 || got.Bytes != 0 {
		t.Errorf("%+v left", got)
	}
}

var sharedNames = []string{"a", "b", "c"}

func sharedMode(name string) Mode {
	if name == "c" {
		return Counts
	}
	return Members
}

// work is a loop: it opens channels when its first connection comes, and closes them when the last has gone.
func work(b *Book, now *atomic.Int64, steps int) {
	open, conns := map[string]*Channel{}, map[string][]string{}
	leave := func(name string, atOnce bool) {
		users := conns[name]
		last := len(users) - 1
		open[name].Leave(users[last], now.Load(), atOnce)
		if conns[name] = users[:last]; last == 0 {
			open[name].Close()
			delete(open, name)
		}
	}
	for range steps {
		name := sharedNames[rand.IntN(len(sharedNames))]
		if n := len(conns[name]); n > 0 && rand.IntN(8) == 0 {
			open[name].Inform(conns[name][rand.IntN(n)], fmt.Append(nil, rand.IntN(9)))
		}
		if len(conns[name]) > rand.IntN(5) {
			leave(name, rand.IntN(2) == 0)
			continue
		}
		user := ""
		if n := rand.IntN(12); n > 0 {
			user = fmt.Sprint("user", n)
		}
		if open[name] == nil {
			open[name] = b.Open(name, sharedMode(name))
		}
		open[name].Enter(user, nil)
		conns[name] = append(conns[name], user)
	}
	for _, name := range sharedNames {
		for len(conns[name]) > 0 {
			leave(name, false)
		}
	}
}

// watch follows a channel over a few snapshots and wants each to be what the events made of the one before.
func watch(t *testing.T, b *Book, streams *companions, now *atomic.Int64) {
	name := sharedNames[rand.IntN(len(sharedNames))]
	snap := func() *follower {
		if rand.IntN(2) == 0 {
			return begin(name, b.Published(name, sharedMode(name), true))
		}
		return begin(name, b.Snapshot(name, sharedMode(name), now.Load(), true))
	}
	f := snap()
	for range 10 {
		s := snap()
		f.follow(t, streams, s.offset)
		f.agree(t, s)
	}
	b.Totals()
}

// TestRecordsComeAndGo: a record that is removed and made all the time. Whoever has it open and has entered is in the
// snapshot.
func TestRecordsComeAndGo(t *testing.T) {
	const churners, steps = 4, 5000
	streams := &companions{}
	b := New(streams.config(0))
	var working, watching sync.WaitGroup
	busy := &atomic.Int64{}
	busy.Store(churners)
	for i := range churners {
		working.Go(func() {
			defer busy.Add(-1)
			me := fmt.Sprint("user", i)
			for range steps {
				churn(t, b, me)
			}
		})
	}
	watching.Go(func() {
		for busy.Load() > 0 {
			b.Flush(0)
		}
	})
	watching.Go(func() {
		for busy.Load() > 0 {
			f := begin("a", b.Published("a", Members, true))
			s := begin("a", b.Published("a", Members, true))
			f.follow(t, streams, s.offset)
			f.agree(t, s)
		}
	})
	working.Wait()
	watching.Wait()
	if b.Flush(0); b.Totals().Channels != 0 {
		t.Errorf("%+v left", b.Totals())
	}
}

// churn comes and goes.
func churn(t *testing.T, b *Book, me string) {
	ch := b.Open("a", Members)
	ch.Enter(me, nil)
	if rand.IntN(4) == 0 && !begin("a", b.Snapshot("a", Members, 0, true)).users[me] {
		t.Errorf("%s has entered and is not there", me)
	}
	ch.Leave(me, 0, false)
	ch.Close()
}

// TestRemovalInBetween: what happens to those who found a record before it went, or find it empty when it no longer is.
func TestRemovalInBetween(t *testing.T) {
	b := silent(0)
	ch := b.Open("a", Members)
	b.shard("a").remove(ch)
	if b.shard("a").find("a") != ch {
		t.Error("removed though open")
	}
	ch.Close()
	if ch.hold() || b.shard("a").find("a") != nil {
		t.Error("a dead record is held")
	}
	again := b.Open("a", Members)
	b.shard("a").remove(ch)
	if again == ch || b.shard("a").find("a") != again {
		t.Error("removed twice")
	}
	if b.shard("a").make("a", Members) != again {
		t.Error("made twice")
	}
}

// TestHeadOfNoRecord: between the moment there is no record and the moment the head is read, none can be made.
func TestHeadOfNoRecord(t *testing.T) {
	var b *Book
	conf := silent(0).conf
	conf.Head = func(name string) uint64 {
		if sh := b.shard(name); sh.mu.TryLock() {
			sh.mu.Unlock()
			t.Error("the shard is not locked")
		}
		return 7
	}
	b = New(conf)
	if got := b.Snapshot("a", Members, 0, true).Offset; got != 7 {
		t.Error(got)
	}
}

// TestMarkedDuringFlush: a channel changes while Flush visits another one of the same shard, which is refused.
func TestMarkedDuringFlush(t *testing.T) {
	streams := &companions{}
	b := New(streams.config(0))
	other := 0
	for b.shard(fmt.Sprint(other)) != b.shard("a") {
		other++
	}
	a, o := b.Open("a", Members), b.Open(fmt.Sprint(other), Members)
	a.Enter("ann", nil)
	streams.refuse = func() bool {
		streams.refuse = nil
		o.Enter("bob", nil)
		return true
	}
	for range 2 {
		b.Flush(0)
	}
	if streams.head("a") != 1 || streams.head(fmt.Sprint(other)) != 1 {
		t.Errorf("%v", streams.events)
	}
}
