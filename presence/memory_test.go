package presence

import (
	"fmt"
	"runtime"
	"testing"
)

// heap returns the bytes in use after a collection.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func silent(grace int64) *Book {
	return New(Config{Grace: grace, Publish: func(string, []byte, int64) bool { return true }, Head: func(string) uint64 { return 0 }})
}

// TestMemberIsSmall measures what a member with one connection takes, its strings being the caller's, and that nothing of
// it stays.
func TestMemberIsSmall(t *testing.T) {
	const most = 120
	for _, n := range []int{100, 10_000, 200_000} {
		users := make([]string, n)
		for i := range users {
			users[i] = fmt.Sprintf("user%010d", i)
		}
		before := heap()
		b := silent(100)
		ch := b.Open("a", Members)
		empty := heap()
		for _, u := range users {
			ch.Enter(u, nil)
		}
		b.Flush(0)
		each := float64(heap()-empty) / float64(n)
		t.Logf("%d members: %.0f bytes each, %d counted", n, each, b.Totals().Bytes/int64(n)-14)
		if n > 100 && each > most {
			t.Errorf("%d members: %.0f bytes each, at most %d wanted", n, each, most)
		}
		for _, u := range users {
			ch.Leave(u, 0, false)
		}
		b.Flush(100)
		if left := heap() - before; left > 40<<10 {
			t.Errorf("%d bytes left of no member", left)
		}
		ch.Close()
		if got := b.Totals().Bytes; got != 0 {
			t.Errorf("%d bytes counted of nothing", got)
		}
		runtime.KeepAlive(users)
	}
}

// TestChannelIsSmall measures what a record with one member takes, and holds what is counted against it.
func TestChannelIsSmall(t *testing.T) {
	const n, most = 100_000, 600
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("channel%010d", i)
	}
	before := heap()
	b := silent(0)
	channels := make([]*Channel, n)
	for i, name := range names {
		channels[i] = b.Open(name, Members)
		channels[i].Enter("a", nil)
	}
	b.Flush(0)
	each := (heap() - before - 8*n) / n
	counted := b.Totals().Bytes/n - int64(len(names[0]))
	t.Logf("%d bytes a channel, %d counted", each, counted)
	if each > most || counted < each*2/3 || counted > each*3/2 {
		t.Errorf("%d bytes a channel, at most %d wanted; %d counted", each, most, counted)
	}
	for _, ch := range channels {
		ch.Leave("a", 0, true)
		ch.Close()
	}
	clear(channels)
	b.Flush(1000)
	if left := heap() - before - 8*n; left > 600<<10 {
		t.Errorf("%d bytes left of no channel", left)
	}
	runtime.KeepAlive(names)
	runtime.KeepAlive(channels)
	runtime.KeepAlive(b)
}

// TestRefusalsAreBounded: while nothing is taken, those who come and go leave nothing behind.
func TestRefusalsAreBounded(t *testing.T) {
	b := New(Config{Publish: func(string, []byte, int64) bool { return false }, Head: func(string) uint64 { return 0 }})
	ch := b.Open("a", Members)
	for i := range 100_000 {
		user := fmt.Sprint(i)
		ch.Enter(user, nil)
		if i%10 == 0 {
			b.Flush(int64(i))
		}
		ch.Leave(user, int64(i), false)
	}
	if len(ch.members) != 0 || len(ch.changes) != 0 || cap(ch.changes) > keptChanges {
		t.Errorf("%d members, %d changes", len(ch.members), len(ch.changes))
	}
}
