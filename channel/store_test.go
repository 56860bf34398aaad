package channel

import (
	"fmt"
	"testing"
	"time"

	"encke/codes"
)

// kept returns what the store keeps of a channel, whatever its age.
func kept(s *Store, name string) []*Publication {
	joined, err := s.Read([]byte(name), From{Kind: FromStart}, Limit{}, -1<<60, nil)
	if err != nil {
		panic(err)
	}
	return joined.Replay
}

// push publishes n messages at the given time.
func push(t *testing.T, s *Store, name string, n int, now int64) {
	t.Helper()
	for range n {
		if _, err := s.Publish([]byte(name), &Message{Data: []byte("data")}, now); err != nil {
			t.Fatal(err)
		}
	}
}

// show writes a Joined in one word: head, offsets replayed, and how.
func show(j Joined) string {
	s := fmt.Sprint(j.Head, ":")
	for _, p := range j.Replay {
		if p.Kind == KindGap {
			s += " gap"
		}
		s += fmt.Sprint(" ", p.Offset)
	}
	if j.Recovered {
		s += " recovered"
	}
	if j.Gap != "" {
		s += fmt.Sprint(" ", j.Gap, " at ", j.Begin)
	}
	if j.More {
		s += fmt.Sprint(" more after ", j.Next)
	}
	return s
}

func TestRead(t *testing.T) {
	s := NewStore(Config{Epoch: epochK, Length: 4, Age: 100})
	push(t, s, "a", 4, 0)
	push(t, s, "a", 2, 50) // keeps 3 and 4 of time 0, 5 and 6 of time 50
	push(t, s, "old", 3, 0)
	read := func(name string, from From, limit int, now int64, want string) {
		t.Helper()
		j, err := s.Read([]byte(name), from, Limit{Publications: limit}, now, nil)
		if got := show(j); err != nil || got != want || j.Channel != nil {
			t.Errorf("Read(%s, %v, %d) at %d = %s, want %s", name, from, limit, now, got, want)
		}
	}
	start, other := From{Kind: FromStart}, From{FromPosition, epochK + 1, 5}
	read("a", From{}, 9, 100, "6:")
	read("a", start, 9, 100, "6: 3 4 5 6 recovered")
	read("a", start, 2, 100, "6: 3 4 recovered more after 4")
	read("a", start, 9, 101, "6: 5 6 recovered")
	read("a", start, 9, 151, "6: recovered")
	read("a", at(6), 9, 100, "6: recovered")
	read("a", at(6), 9, 151, "6: recovered")
	read("a", at(4), 9, 100, "6: 5 6 recovered")
	read("a", at(4), 1, 100, "6: 5 recovered more after 5")
	read("a", at(2), 9, 100, "6: 3 4 5 6 recovered")
	read("a", at(1), 9, 100, "6: 3 4 5 6 expired at 2")
	read("a", at(1), 1, 100, "6: 3 expired at 2 more after 3")
	read("a", at(0), 9, 100, "6: 3 4 5 6 expired at 2")
	read("a", at(3), 9, 101, "6: 5 6 expired at 4")
	read("a", at(5), 9, 151, "6: expired at 6")
	read("a", at(7), 9, 100, "6: 3 4 5 6 unknown at 2")
	read("a", at(7), 9, 151, "6: unknown at 6")
	read("a", other, 9, 100, "6: 3 4 5 6 epoch at 2")
	read("old", at(3), 9, 500, "3: recovered")
	read("none", From{}, 9, 100, "0:")
	read("none", start, 9, 100, "0: recovered")
	read("none", at(0), 9, 100, "0: recovered")
	read("none", at(3), 9, 100, "0: unknown at 0")
	read("none", other, 9, 100, "0: epoch at 0")
	if got := s.Totals().Channels; got != 2 {
		t.Errorf("reading has made channels: %d", got)
	}
}

// TestOffsetsAreNeverUsedAgain removes a channel in every way and makes it again.
func TestOffsetsAreNeverUsedAgain(t *testing.T) {
	s := NewStore(Config{Epoch: epochK, Length: 2, Age: 10, Loops: 1})
	head := uint64(0)
	for round := range 20 {
		now := int64(round * 100)
		result, err := s.Publish([]byte("a"), &Message{Data: []byte("x")}, now)
		head++
		if err != nil || result.Offset != head {
			t.Fatalf("offset %d, want %d", result.Offset, head)
		}
		if round%2 == 0 {
			s.Delete([]byte("a"), now)
		} else {
			s.Sweep(now+11, 10)
		}
		if got := s.Totals().Channels; got != 0 {
			t.Fatalf("%d channels left", got)
		}
		j, _ := s.Subscribe([]byte("a"), 0, at(head), Limit{}, now+12, nil)
		if !j.Recovered || j.Head != head {
			t.Fatalf("%s", show(j))
		}
		s.Unsubscribe(j.Channel, 0, now+12)
	}
	if _, ok := s.State([]byte("a"), 5000); ok {
		t.Error("an empty channel has a state")
	}
	if s.Delete([]byte("a"), 5000) {
		t.Error("an empty channel could be deleted")
	}
}

// TestAbsentChannelsStandStill: other channels come and go, and who polls one that nobody publishes to is told nothing.
func TestAbsentChannelsStandStill(t *testing.T) {
	s := NewStore(Config{Epoch: epochK, Length: 1, Loops: 1})
	quiet := []byte("quiet")
	ownShard, ownBucket := s.place(quiet)
	for i := range 1000 {
		name := fmt.Sprint("n", i)
		if sh, bucket := s.place([]byte(name)); sh == ownShard && bucket == ownBucket {
			continue // one in 65,536 moves it; then it is a gap that is none
		}
		push(t, s, name, 3, 1)
		s.Delete([]byte(name), 1)
		if j, _ := s.Read(quiet, at(0), Limit{Publications: 1}, 1, nil); !j.Recovered {
			t.Fatal(show(j))
		}
	}
}

// TestSharedFloor: a channel that begins at another's floor tells of a gap rather than use an offset again.
func TestSharedFloor(t *testing.T) {
	s := NewStore(Config{Epoch: epochK, Length: 1, Loops: 1})
	push(t, s, "a", 2, 1)
	s.Delete([]byte("a"), 1)
	sh, bucket := s.place([]byte("a"))
	sh.raiseFloor(bucket, 9) // as if another had been removed
	sh.raiseFloor(bucket, 5)
	if got, want := readAll(s, "a", at(2)), "9: expired at 9"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	push(t, s, "a", 1, 1)
	if got, want := readAll(s, "a", at(9)), "10: 10 recovered"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestDeleteKeepsSubscribers(t *testing.T) {
	sink := &fakeSink{}
	s := NewStore(Config{Epoch: epochK, Length: 5, Loops: 2, Sink: sink})
	j, _ := s.Subscribe([]byte("a"), 1, From{}, Limit{}, 1, nil)
	push(t, s, "a", 3, 1)
	if !s.Delete([]byte("a"), 1) {
		t.Error("no such channel")
	}
	push(t, s, "a", 1, 1)
	if got, want := fmt.Sprint(sink.seen), "[1:1 1:2 1:3 1:4]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := readAll(s, "a", at(3)), "4: 4 recovered"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := readAll(s, "a", at(2)), "4: 4 expired at 3"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if state, ok := s.State([]byte("a"), 1); !ok || state.Offset != 4 || state.Subscribers != 1 || state.Length != 1 || state.Bytes != s.Totals().Bytes {
		t.Errorf("%+v", state)
	}
	s.Unsubscribe(j.Channel, 1, 1)
}

func readAll(s *Store, name string, from From) string {
	j, _ := s.Read([]byte(name), from, Limit{}, 1, nil)
	return show(j)
}

func TestBusySinkRefuses(t *testing.T) {
	sink := &fakeSink{busy: 1 << 2}
	s := NewStore(Config{Epoch: epochK, Length: 5, Loops: 3, Sink: sink})
	j, _ := s.Subscribe([]byte("a"), 1, From{}, Limit{}, 1, nil)
	push(t, s, "a", 1, 1)
	k, _ := s.Subscribe([]byte("a"), 2, From{}, Limit{}, 1, nil)
	before := s.Totals()
	if _, err := s.Publish([]byte("a"), &Message{Data: []byte("x")}, 1); err == nil || err.Code != codes.Overloaded {
		t.Error(err)
	}
	if got := s.Totals(); got != before {
		t.Errorf("%+v, before %+v", got, before)
	}
	s.Unsubscribe(k.Channel, 2, 1)
	push(t, s, "a", 1, 1)
	if got, want := fmt.Sprint(sink.seen), "[1:1 1:2]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	s.Unsubscribe(j.Channel, 1, 1)
}

func TestNoHistory(t *testing.T) {
	s := NewStore(Config{Epoch: epochK, Loops: 1, Sink: &fakeSink{}})
	s.Subscribe([]byte("a"), 0, From{}, Limit{}, 1, nil)
	push(t, s, "a", 3, 1)
	if got, want := readAll(s, "a", at(2)), "3: expired at 3"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := s.Totals(); got.Publications != 0 || got.Bytes != 0 || got.Published != 3 {
		t.Errorf("%+v", got)
	}
}

func TestMisuseIsLoud(t *testing.T) {
	s := NewStore(Config{Epoch: epochK, Loops: 2})
	loud := func(what string, f func()) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Errorf("%s went by", what)
			}
		}()
		f()
	}
	loud("no epoch", func() { NewStore(Config{}) })
	loud("too many loops", func() { NewStore(Config{Epoch: 1, Loops: 65}) })
	loud("a loop that is none", func() { s.Subscribe([]byte("a"), 2, From{}, Limit{}, 1, nil) })
	loud("a ninth form", func() { new(Forms).Store(8, []byte("a")) })
	loud("an unsubscribe too many", func() {
		j, _ := s.Subscribe([]byte("a"), 0, From{}, Limit{}, 1, nil)
		s.Unsubscribe(j.Channel, 1, 1)
	})
}

// fakeSink notes what it is given as loop:offset. It is for one goroutine.
type fakeSink struct {
	busy uint64
	seen []string
}

func (f *fakeSink) Busy(loops uint64) bool { return loops&f.busy != 0 }

func (f *fakeSink) Deliver(loop int, _ *Channel, p *Publication) {
	f.seen = append(f.seen, fmt.Sprint(loop, ":", p.Offset))
}

// TestOwnTime gives publications a time of their own: those that have passed are not given, and who is given what follows is
// told of the gap.
func TestOwnTime(t *testing.T) {
	s := NewStore(Config{Epoch: epochK, Length: 10, Age: 1000})
	for _, ttl := range []int64{0, 50, 0, 20, 0, 30, 40} { // offsets 1 to 7
		if _, err := s.Publish([]byte("a"), &Message{Data: []byte("x"), TTL: ttl}, 0); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		from  From
		limit Limit
		now   int64
		want  string
	}{
		{at(0), Limit{}, 19, "7: 1 2 3 4 5 6 7 recovered"},
		{at(0), Limit{}, 20, "7: 1 2 3 gap 4 5 6 7"},
		{at(0), Limit{}, 45, "7: 1 2 3 gap 4 5 gap 7"},
		{at(4), Limit{}, 45, "7: 5 gap 7"},
		{at(5), Limit{}, 45, "7: gap 7"},
		{at(1), Limit{}, 60, "7: gap 2 3 gap 4 5 gap 7"},
		{From{Kind: FromStart}, Limit{}, 60, "7: 1 gap 2 3 gap 4 5 gap 7"},
		{at(0), Limit{Publications: 2}, 60, "7: 1 gap 2 3 more after 3"},
		{at(3), Limit{Publications: 1}, 60, "7: gap 4 5 gap 7"},
		{at(2), Limit{Publications: -1}, 60, "7: recovered more after 2"},
		{at(2), Limit{Newest: true}, 10, "7: gap 6 7"},
		{at(6), Limit{Newest: true}, 10, "7: 7 recovered"},
		{at(7), Limit{Newest: true}, 60, "7: recovered"},
	} {
		if j, _ := s.Read([]byte("a"), c.from, c.limit, c.now, nil); show(j) != c.want {
			t.Errorf("from %v, %+v at %d: %s, want %s", c.from, c.limit, c.now, show(j), c.want)
		}
	}
	j, _ := s.Read([]byte("a"), at(5), Limit{}, 45, nil)
	if got, want := string(j.Replay[0].Wire), `{"channel":"a","gap":true,"reason":"expired","position":"`+epochK.String()+`.7"}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestRules(t *testing.T) {
	s := NewStore(Config{Epoch: epochK, Length: 2, Age: 1000, Rules: []Rule{
		{"ticker:*", Settings{Length: 1, Age: 10, Slow: SlowLatest}}, {"ticker:x", Settings{Length: 9}}, {"none", Settings{}}}})
	for _, c := range []struct {
		name string
		kept int
		slow Slow
	}{{"ticker:x", 1, SlowLatest}, {"ticker", 2, SlowResume}, {"none", 0, SlowResume}, {"other", 2, SlowResume}} {
		push(t, s, c.name, 5, 0)
		ch, _, _ := s.find([]byte(c.name))
		ch.mu.Unlock()
		if n := len(kept(s, c.name)); n != c.kept || ch.Slow() != c.slow {
			t.Errorf("%s keeps %d, slow: %v", c.name, n, ch.Slow())
		}
	}
	for pattern, ok := range map[string]bool{"*": true, "a": true, "a*": true, "a:b*": true, "": false, "a*b": false, "**": false, "a b*": false} {
		if CheckPattern(pattern) != ok {
			t.Errorf("CheckPattern(%q) is not %v", pattern, ok)
		}
	}
}

// hasty is a Latent whose subscriber leaves as soon as its loop has heard of the channel, which may be before Wake has returned.
type hasty struct {
	store *Store
	left  chan struct{}
}

func (h *hasty) Wake(ch *Channel, floor uint64) (uint64, []uint32) {
	go func() {
		h.store.Unsubscribe(ch, 2, 1) // panics where the subscriber has not been counted
		close(h.left)
	}()
	select {
	case <-h.left:
	case <-time.After(50 * time.Millisecond): // it waits for the channel's lock
	}
	return floor + 5, []uint32{0, 0, 1}
}

func (*hasty) Sleep(string, uint64, []uint64) {}

func (*hasty) Latent(_ string, floor uint64) (uint64, int) { return floor, 0 }

// TestWokenAndGone: a loop that has been told of a channel which its connections follow may unsubscribe them before the store has
// made it.
func TestWokenAndGone(t *testing.T) {
	h := &hasty{left: make(chan struct{})}
	h.store = NewStore(Config{Epoch: 1, Loops: 3, Latent: h})
	res, err := h.store.Publish([]byte("user:42"), &Message{Data: []byte("x")}, 1)
	if err != nil || res.Offset != 6 {
		t.Errorf("%+v %v", res, err)
	}
	<-h.left
	if n := h.store.Subscribers([]byte("user:42")); n != 0 {
		t.Errorf("%d subscribers are left", n)
	}
}
