package channel

import (
	"slices"
	"testing"
)

// countSink takes everything and keeps nothing.
type countSink struct{ n int }

func (c *countSink) Busy(uint64) bool                    { return false }
func (c *countSink) Deliver(int, *Channel, *Publication) { c.n++ }

// TestPublishAllocates: the publication and its buffer, whatever the number of subscribers and the state of history.
func TestPublishAllocates(t *testing.T) {
	var buf []byte
	grow := testing.AllocsPerRun(100, func() { buf = slices.Grow([]byte(nil), 300+len(buf)%2) }) // 2 under -race
	for _, subscribers := range []int{0, 1, 10_000} {
		for _, m := range []Message{
			{Event: "score of a game with a long name, longer than 32 bytes", Data: []byte(`{"home":2}`), JSON: true},
			{Type: []byte("application/json"), Data: []byte(`{"home":2}`)},
			{Type: []byte("text/plain"), Data: []byte("a \"text\"")},
			{Type: []byte("image/png"), Data: make([]byte, 5000)},
		} {
			sink := &countSink{}
			s := NewStore(Config{Epoch: epochK, Length: 10, Memory: 30_000, Age: 50, Loops: 4, Sink: sink})
			for i := range subscribers {
				s.Subscribe([]byte("a"), i%4, From{}, Limit{}, 1, nil)
			}
			now, name := int64(1), []byte("a")
			publish := func() {
				now++
				s.Publish(name, &m, now)
			}
			for range 20 {
				publish()
			}
			if n := testing.AllocsPerRun(100, publish); n > 1+grow {
				t.Errorf("%d subscribers, %s: %v allocations", subscribers, m.Type, n)
			}
			if want := min(subscribers, 4) * 121; sink.n != want {
				t.Errorf("%d deliveries, want %d", sink.n, want)
			}
		}
	}
}

// TestNothingElseAllocates: joining and reading an existing channel, with room for the replay.
func TestNothingElseAllocates(t *testing.T) {
	s := NewStore(Config{Epoch: epochK, Length: 10, Loops: 2})
	push(t, s, "a", 20, 1)
	name, replay := []byte("a"), make([]*Publication, 0, 10)
	none := func(what string, f func()) {
		t.Helper()
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
	none("subscribe", func() {
		j, _ := s.Subscribe(name, 1, at(15), Limit{}, 1, replay)
		s.Unsubscribe(j.Channel, 1, 1)
	})
	none("read", func() { s.Read(name, at(15), Limit{Publications: 100}, 1, replay) })
	none("read of none", func() { s.Read([]byte("b"), at(15), Limit{Publications: 100}, 1, replay) })
	none("state", func() { s.State(name, 1) })
	none("sweep", func() { s.Sweep(1, 10) })
	none("totals", func() { s.Totals() })
	none("check", func() { CheckName(name) })
	none("position", func() { AppendPosition(make([]byte, 0, 40), epochK, 17) })
}
