package channel

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"weak"
)

// heap returns the bytes in use after a collection.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestMemoryStaysBounded publishes several times what may be kept, to one channel and to many, and also looks at what
// the heap has really grown by.
func TestMemoryStaysBounded(t *testing.T) {
	const bound = 3 << 20
	for _, channels := range []int{1, 100, 5000} {
		for _, size := range []int{1, 100, 5000} {
			before := heap()
			s := NewStore(Config{Epoch: epochK, Length: 1 << 20, Memory: bound})
			m := &Message{Data: []byte(strings.Repeat("\"", size))} // escapes: Data is kept beside Wire
			for i := int64(0); i%64 != 0 || s.Totals().EvictedMemory*uint64(size+400) < 4*bound; i++ {
				if _, err := s.Publish(fmt.Appendf(nil, "c%d", i%int64(channels)), m, i); err != nil {
					t.Fatal(err)
				}
				if got := s.bytes.Load(); got > bound {
					t.Fatalf("%d bytes", got)
				}
			}
			total := s.Totals()
			grown := heap() - before - total.Channels*300 // what channels cost is no history
			if grown > bound*5/4 || total.Bytes < bound*9/10 {
				t.Errorf("%d channels, %d bytes each: %d counted, %d on the heap, %d allowed", channels, size, total.Bytes, grown, bound)
			}
			runtime.KeepAlive(s)
		}
	}
}

// TestOldestGoesFirst: a busy channel and a silent one; what the bound takes is what is oldest.
func TestOldestGoesFirst(t *testing.T) {
	s := NewStore(Config{Epoch: epochK, Length: 1000, Memory: 100_000})
	push(t, s, "silent", 1, 1)
	for now := int64(2); s.Totals().EvictedMemory == 0; now++ {
		push(t, s, "busy", 1, now)
	}
	if len(kept(s, "silent")) != 0 || kept(s, "busy")[0].Offset != 1 {
		t.Error("the oldest was spared")
	}
}

// TestAside: channels that strangers fill have a part of the memory, and lose their own oldest; what others keep stays, until the whole
// is spent: then the oldest goes, whosesoever it is.
func TestAside(t *testing.T) {
	const most, part = 200_000, 50_000
	s := NewStore(Config{Epoch: epochK, Length: 1000, Memory: most, Aside: "$p:", AsideMax: part})
	push(t, s, "a", 1, 1)
	push(t, s, "$p:old", 1, 2)
	push(t, s, "$p", 1, 3) // not one of them
	for now := int64(4); s.Totals().EvictedMemory < 1000; now++ {
		push(t, s, fmt.Sprint("$p:", now%500), 1, now)
		if n := s.aside.Load(); n > part {
			t.Fatalf("%d bytes aside", n)
		}
	}
	if len(kept(s, "$p:old")) != 0 || len(kept(s, "a")) != 1 || len(kept(s, "$p")) != 1 {
		t.Error("another's publication went")
	}
	for now, was := int64(10_000), s.Totals().EvictedMemory; s.Totals().EvictedMemory == was; now++ {
		push(t, s, "a", 1, now)
	}
	if kept(s, "a")[0].Offset != 2 {
		t.Error("the oldest was spared")
	}
	for now := int64(20_000); s.aside.Load() > 0; now++ {
		push(t, s, "a", 1, now)
	}
	if n := s.Totals().Bytes; n > most || n < most*9/10 {
		t.Errorf("%d bytes", n)
	}
}

// TestEvictedAreNotPinned: neither ring nor ledger nor a neighbour somebody still holds keeps an evicted publication.
func TestEvictedAreNotPinned(t *testing.T) {
	s := NewStore(Config{Epoch: epochK, Length: 3})
	push(t, s, "a", 3, 1)
	all := kept(s, "a")
	gone, held := weak.Make(all[0]), all[1]
	all = nil
	push(t, s, "a", 2, 1)
	runtime.GC()
	if gone.Value() != nil {
		t.Error("an evicted publication is still in memory")
	}
	newest := weak.Make(kept(s, "a")[2])
	s.Delete([]byte("a"), 1)
	runtime.GC()
	if newest.Value() != nil {
		t.Error("a deleted publication is still in memory")
	}
	runtime.KeepAlive(held)
}

func TestRingFollowsLoad(t *testing.T) {
	s := NewStore(Config{Epoch: epochK, Length: 1000, Age: 10, Loops: 1})
	j, _ := s.Subscribe([]byte("a"), 0, From{}, Limit{}, 1, nil)
	ring := func(want int) {
		t.Helper()
		if got := len(j.Channel.kept.ring); got != want {
			t.Errorf("a ring of %d, want %d", got, want)
		}
	}
	push(t, s, "a", 1, 1)
	ring(4)
	push(t, s, "a", 2000, 1)
	ring(1000)
	push(t, s, "a", 3, 12) // these expire 16 each
	ring(1000)
	push(t, s, "a", 60, 13)
	if n := j.Channel.kept.n; n != 63 {
		t.Errorf("%d kept", n)
	}
	ring(250)
	s.Sweep(30, 1)
	if j.Channel.kept != nil {
		t.Error("an empty ring stayed")
	}
}

func TestSweepIsBounded(t *testing.T) {
	s := NewStore(Config{Epoch: epochK, Length: 1000, Age: 10})
	push(t, s, "a", 1000, 1)
	for want := 1000 - expirePerVisit; want > 0; want -= expirePerVisit {
		s.Sweep(12, 1)
		if got := s.Totals().Publications; got != int64(want) {
			t.Fatalf("%d left, want %d", got, want)
		}
	}
	s.Sweep(12, 1)
	if got := s.Totals(); got.Channels != 0 || got.EvictedAge != 1000 {
		t.Errorf("%+v", got)
	}
	for i := range 500 {
		push(t, s, fmt.Sprint(i), 1, 1)
	}
	for range 50 {
		s.Sweep(12, 10)
	}
	if got := s.Totals().Channels; got != 0 {
		t.Errorf("%d channels left after as many visits as there were", got)
	}
}

// TestChannelIsSmall measures what a channel with one subscriber and no history takes.
func TestChannelIsSmall(t *testing.T) {
	const n, most = 200_000, 300
	before := heap()
	s := NewStore(Config{Epoch: epochK, Length: 100, Loops: 8})
	channels := make([]*Channel, 0, n)
	for i := range n {
		j, err := s.Subscribe(fmt.Appendf(nil, "user:%010d", i), i%8, From{}, Limit{}, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		channels = append(channels, j.Channel)
	}
	each := (heap() - before - 8*n) / n
	t.Logf("%d bytes a channel", each)
	if each > most {
		t.Errorf("more than %d", most)
	}
	for i, ch := range channels {
		s.Unsubscribe(ch, i%8, 1)
	}
	channels = nil
	for range 2 {
		s.Sweep(1, n)
	}
	if left := heap() - before; left > 1<<20 {
		t.Errorf("%d bytes left of no channel", left)
	}
	runtime.KeepAlive(s)
	runtime.KeepAlive(channels)
}

// TestCountsByLoop follows one channel through loops that come and go.
func TestCountsByLoop(t *testing.T) {
	ch := &Channel{}
	want := func(subs uint32, loops uint64, counts bool) {
		t.Helper()
		if ch.subs != subs || ch.loops != loops || (ch.counts != nil) != counts {
			t.Errorf("%d subscribers, loops %b, counts %v", ch.subs, ch.loops, ch.counts)
		}
	}
	ch.join(63, 64)
	ch.join(63, 64)
	want(2, 1<<63, false)
	ch.join(0, 64)
	want(3, 1<<63|1, true)
	ch.leave(63)
	want(2, 1<<63|1, true)
	ch.leave(63)
	want(1, 1, false)
	ch.leave(0)
	want(0, 0, false)
}
