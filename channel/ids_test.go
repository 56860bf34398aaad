package channel

import (
	"fmt"
	"sync"
	"testing"

	"encke/codes"
)

// TestMessageIDs pushes with ids, again and otherwise.
func TestMessageIDs(t *testing.T) {
	s := NewStore(Config{Epoch: 35, Length: 10, IDAge: 100, IDMemory: 1 << 20})
	for i, c := range []struct {
		channel, id, data string
		now               int64
		offset            uint64
		repeated          bool
		code              codes.Code
	}{
		{"a", "x", "one", 0, 1, false, 0},
		{"a", "x", "one", 50, 1, true, 0},               // again
		{"a", "x", "two", 50, 0, false, codes.IDReused}, // another message
		{"b", "x", "one", 50, 1, false, 0},              // another channel
		{"a", "y", "one", 60, 2, false, 0},              // another id
		{"a", "x", "one", 100, 1, true, 0},              // for the last time
		{"a", "x", "one", 101, 3, false, 0},             // forgotten
		{"a", "x", "one", 150, 3, true, 0},              // remembered from then on
		{"a", "", "one", 150, 4, false, 0},
		{"a", "", "one", 150, 5, false, 0},
		{"a", "x", "one", 201, 3, true, 0}, // the first one's end is not the second one's
		{"a", "with space", "one", 201, 0, false, codes.BadID},
		{"a", "ü", "one", 201, 0, false, codes.BadID},
		{"a", string(make([]byte, 129)), "one", 201, 0, false, codes.BadID},
	} {
		r, err := s.Publish([]byte(c.channel), &Message{Data: []byte(c.data), ID: []byte(c.id)}, c.now)
		if (err == nil) != (c.code == 0) || err != nil && err.Code != c.code || r.Offset != c.offset || r.Repeated != c.repeated {
			t.Errorf("case %d: %+v %v", i, r, err)
		}
	}
	if got := s.Totals(); got.Repeated != 4 || got.Published != 6 || got.IDsForgotten != 0 {
		t.Errorf("%+v", got)
	}
}

// TestMessageIDsAreBounded pushes more ids than fit, and then none for a while.
func TestMessageIDsAreBounded(t *testing.T) {
	const memory = 64 << 10
	s := NewStore(Config{Epoch: 35, IDAge: 1000, IDMemory: memory})
	for i := range 10_000 {
		s.Publish([]byte(fmt.Sprint("c", i%100)), &Message{Data: []byte("m"), ID: fmt.Append(nil, i)}, 1)
	}
	bytes := func() (all int64, known int) {
		for i := range s.shards {
			known += len(s.shards[i].ids.known)
		}
		return s.idBytes.Load(), known
	}
	all, known := bytes()
	if got := s.Totals().IDsForgotten; all > memory+numShards*(idCost+8) || got != uint64(10_000-known) || known < 64 {
		t.Errorf("%d bytes, %d known, %d forgotten", all, known, got)
	}
	if r, _ := s.Publish([]byte("c99"), &Message{Data: []byte("m"), ID: []byte("9999")}, 2); !r.Repeated {
		t.Error("the newest was forgotten")
	}
	for range 200 {
		s.Sweep(2000, 1000)
	}
	if all, known = bytes(); all != 0 || known != 0 {
		t.Errorf("after their time: %d bytes, %d known", all, known)
	}
}

// TestExpectedPosition lets editors push only where they have seen everything.
func TestExpectedPosition(t *testing.T) {
	s := NewStore(Config{Epoch: 35, Length: 2, IDAge: 100, IDMemory: 1 << 20})
	at := func(n uint64) *From { return &From{FromPosition, 35, n} }
	for i, c := range []struct {
		expect *From
		id     string
		offset uint64 // 0: refused
	}{
		{at(1), "", 0},
		{&From{Kind: FromStart}, "", 1},
		{&From{Kind: FromStart}, "", 0},
		{at(1), "k", 2},
		{at(1), "k", 2}, // made again: the same answer, though the channel is elsewhere
		{at(1), "", 0},
		{&From{FromPosition, 36, 2}, "", 0},
		{at(2), "", 3},
		{nil, "", 4},
	} {
		r, err := s.Publish([]byte("a"), &Message{Data: []byte("m"), ID: []byte(c.id), Expect: c.expect}, 1)
		if r.Offset != c.offset || (err == nil) != (c.offset > 0) || err != nil && err.Code != codes.Conflict {
			t.Errorf("case %d: %+v %v", i, r, err)
		}
	}
}

// TestMessageIDsTogether lets many push the same ids at once: each is stored once, and all are told the same.
func TestMessageIDsTogether(t *testing.T) {
	s := NewStore(Config{Epoch: 35, Length: 100, IDAge: 1000, IDMemory: 1 << 20})
	var all sync.WaitGroup
	offsets := make([][50]uint64, 8)
	for w := range offsets {
		all.Add(1)
		go func() { // ends when it has pushed all ids
			defer all.Done()
			for i := range 50 {
				r, err := s.Publish([]byte("a"), &Message{Data: fmt.Append(nil, i), ID: fmt.Append(nil, i)}, 1)
				if err != nil {
					t.Error(err)
				}
				offsets[w][i] = r.Offset
			}
		}()
	}
	all.Wait()
	for _, o := range offsets[1:] {
		if o != offsets[0] {
			t.Fatalf("told otherwise:\n%v\n%v", offsets[0], o)
		}
	}
	if got := s.Totals(); got.Published != 50 || got.Repeated != 350 {
		t.Errorf("%+v", got)
	}
}

// TestOneChannelMayHaveAllIDs: the bound is that of all channels together, so one that is pushed to alone has all of it.
func TestOneChannelMayHaveAllIDs(t *testing.T) {
	const memory = 64 << 10
	s := NewStore(Config{Epoch: 35, IDAge: 1000, IDMemory: memory})
	fits := memory / int(idCost+10)
	for i := range fits {
		s.Publish([]byte("busy"), &Message{Data: []byte("m"), ID: fmt.Appendf(nil, "%08d", i)}, 1)
	}
	if r, _ := s.Publish([]byte("busy"), &Message{Data: []byte("m"), ID: []byte("00000000")}, 2); !r.Repeated || s.Totals().IDsForgotten != 0 {
		t.Errorf("%d fit, %d forgotten, the first is repeated: %v", fits, s.Totals().IDsForgotten, r.Repeated)
	}
}
