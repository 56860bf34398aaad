package mailbox

import (
	"fmt"
	"runtime"
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

// TestMemoryStaysBounded puts several times what may be kept, to few users and to many, and also looks at what the heap has
// really grown by.
func TestMemoryStaysBounded(t *testing.T) {
	const bound = 4 << 20
	for _, users := range []int{1, 100, 100_000} {
		for _, size := range []int{16, 128, 4096} {
			before := heap()
			s := New(Config{Length: 1 << 20, Bytes: 1 << 30, Memory: bound})
			for i := int64(0); i%64 != 0 || s.Counts().DroppedMemory*uint64(size+100) < 3*bound; i++ {
				put(t, s, fmt.Sprint("user", i%int64(users)), size, i)
				if got := s.bytes.Load(); got > bound {
					t.Fatalf("%d bytes", got)
				}
			}
			got, grown := s.Counts(), heap()-before
			if grown > bound*5/4 || got.Bytes < bound*9/10 {
				t.Errorf("%d users, %d bytes each: %d counted, %d on the heap, %d allowed", users, size, got.Bytes, grown, bound)
			}
			runtime.KeepAlive(s)
		}
	}
}

// TestKeysStayBounded puts more message ids than fit, and then none for a while. Letters are not kept.
func TestKeysStayBounded(t *testing.T) {
	const memory = 4 << 20
	before := heap()
	s := New(Config{Length: 1, Bytes: 1, IDAge: 1000, IDMemory: memory})
	for i := range 100_000 {
		if _, _, err := s.Put(fmt.Sprint("user", i%100), fmt.Append(nil, "message-", i), 1, 0, wireOf(1), 1); err != nil {
			t.Fatal(err)
		}
	}
	got, grown := s.Counts(), heap()-before
	if got.IDBytes > memory || got.IDBytes < memory*9/10 || grown > memory*5/4 || got.IDsForgotten != uint64(100_000-got.IDs) {
		t.Errorf("%d on the heap, %+v", grown, got)
	}
	if _, repeated, _ := s.Put("user99", []byte("message-99999"), 1, 0, wireOf(1), 2); !repeated {
		t.Error("the newest was forgotten")
	}
	for range 100 {
		s.Sweep(2000, 1000)
	}
	if got := s.Counts(); got.IDs != 0 || got.IDBytes != 0 {
		t.Errorf("after their time: %+v", got)
	}
	if left := heap() - before; left > 384<<10 {
		t.Errorf("%d bytes are not given back", left)
	}
	runtime.KeepAlive(s)
}

// TestMemoryIsGivenBack: after all was acknowledged little more is left than before.
func TestMemoryIsGivenBack(t *testing.T) {
	before := heap()
	s := New(roomy)
	const users = 50_000
	for i := range 3 * users {
		put(t, s, fmt.Sprint("user", i%users), 100, 1)
	}
	full := heap() - before
	for i := range users {
		s.Ack(fmt.Sprint("user", i), 1<<60, 1)
	}
	if left := heap() - before; left > full/50 || s.Counts().Boxes != 0 || s.bytes.Load() != 0 {
		t.Errorf("%d of %d bytes are left, %+v", left, full, s.Counts())
	}
	runtime.KeepAlive(s)
}

// TestTakenAreNotPinned: neither ring nor ledger nor a neighbour somebody still holds keeps a letter that was taken.
func TestTakenAreNotPinned(t *testing.T) {
	s := New(roomy)
	fill(t, s, "ann", 5)
	all, _ := s.After("ann", 0, 1000, 9, nil)
	first, middle, held := weak.Make(all[0]), weak.Make(all[2]), all[1]
	all = nil
	s.AckOnly("ann", []uint64{3 * 1024}, 9)
	s.Ack("ann", 2*1024, 9)
	runtime.GC()
	if first.Value() != nil || middle.Value() != nil {
		t.Error("an acknowledged letter is still in memory")
	}
	last, _ := s.After("ann", 4*1024, 1000, 9, nil)
	newest, box := weak.Make(last[0]), weak.Make(s.shard("ann").byUser["ann"])
	last = nil
	s.DeleteAll("ann", 9)
	runtime.GC()
	if newest.Value() != nil || box.Value() != nil {
		t.Error("a deleted letter is still in memory, or its box")
	}
	runtime.KeepAlive(held)
	runtime.KeepAlive(s)
}

// TestRingFollowsLoad: it grows up to Length and no further, and shrinks.
func TestRingFollowsLoad(t *testing.T) {
	s := New(with(func(c *Config) { c.Length, c.Bytes = 100, 5000 }))
	places := func() int { return len(s.shard("ann").byUser["ann"].letters.places) }
	for _, c := range []struct {
		name string
		do   func()
		want int
	}{
		{"one letter", func() { fill(t, s, "ann", 1) }, minRing},
		{"full", func() { fill(t, s, "ann", 150) }, 100},
		{"a quarter", func() { s.AckOnly("ann", newest(s, 75), 9) }, 100},
		{"less than a quarter", func() { s.AckOnly("ann", newest(s, 1), 9) }, 48},
		{"one is left", func() { s.AckOnly("ann", newest(s, 23), 9) }, minRing},
		{"full again", func() { fill(t, s, "ann", 150) }, 100},
		{"a large one instead of all", func() { put(t, s, "ann", 5000, 9) }, minRing},
	} {
		if c.do(); places() != c.want {
			t.Errorf("%s: %d places, want %d", c.name, places(), c.want)
		}
	}
}

// newest returns the ids of ann's n newest letters.
func newest(s *Boxes, n int) []uint64 {
	all, total, _ := s.List("ann", 0, 1000, 9, nil)
	return idsOf(all[total-n:])
}

// TestAllocations: readers allocate nothing when there is room in their slice, and who takes up to an id nothing at all.
func TestAllocations(t *testing.T) {
	s := New(roomy)
	fill(t, s, "ann", 100)
	dst := make([]*Letter, 0, 100)
	id := uint64(0)
	for _, c := range []struct {
		name string
		do   func()
		most float64
	}{
		{"after", func() { s.After("ann", 0, 1000, 9, dst) }, 0},
		{"poll", func() { s.Poll("ann", 1000, 100, 9, dst) }, 0},
		{"list", func() { s.List("ann", 0, 100, 9, dst) }, 0},
		{"ack", func() { id += 512; s.Ack("ann", id, 9) }, 0},
		{"sweep", func() { s.Sweep(9, 10) }, 0},
		{"put", func() { s.Put("ann", nil, 0, 0, func(uint64) []byte { return nil }, 9) }, 1},
	} {
		if got := testing.AllocsPerRun(100, c.do); got > c.most {
			t.Errorf("%s: %v allocations, want %v", c.name, got, c.most)
		}
	}
}
