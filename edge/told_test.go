package edge

import (
	"fmt"
	"testing"

	"encke/channel"
)

// OnTold has f called whenever a user comes online or goes. Call it before Start.
func (s *Server) OnTold(f func(id string, online bool, at int64)) { s.users.told = f }

// EnterMany has n users enter a channel who were nowhere before, and stay.
func (s *Server) EnterMany(name string, n int) {
	ch := s.presence.Open(name, s.presenceMode([]byte(name)))
	known := int(s.presence.Totals().Members)
	for i := range n {
		ch.Enter(fmt.Sprintf("member-%06d", known+i), nil)
	}
}

// idle is a server whose loops do not run, so that a test can do what is theirs.
func idle(t *testing.T) *Server {
	t.Helper()
	s, err := New(Defaults())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.pool.Release()
		s.verifiers.Release()
		s.tokens.Close()
	})
	return s
}

// TestOnlineStatsMove: $stats moves while somebody listens, or when somebody comes or goes, and not otherwise.
func TestOnlineStatsMove(t *testing.T) {
	s := idle(t)
	name := []byte(statsChannel)
	var listens *channel.Channel
	for i, c := range []struct {
		what  string
		do    func()
		moves uint64
	}{
		{"nothing has happened", func() {}, 0},
		{"somebody comes", func() { s.figures.transport(overSSE, 1) }, 1},
		{"nobody listens", func() {}, 0},
		{"it is published, and nobody listens", func() { s.PublishNow("a", "x") }, 0},
		{"and much is delivered", func() { s.figures.delivered(0, 5) }, 0},
		{"a user comes", func() { s.users.touch("42", 1) }, 1},
		{"another way to be connected", func() { s.figures.transport(overSSE, -1); s.figures.transport(overPoll, 1) }, 1},
		{"between two requests nobody is online", func() { s.figures.transport(overHTTP, 1) }, 0},
		{"somebody listens, who has not been told of what was published", func() {
			joined, err := s.store.Subscribe(name, 0, channel.From{}, channel.Limit{}, 1, nil)
			if err != nil {
				t.Fatal(err)
			}
			listens = joined.Channel
		}, 1},
		{"what was told is published too", func() {}, 1},
		{"and again", func() {}, 1},
		{"nobody listens any more", func() { s.store.Unsubscribe(listens, 0, 1) }, 0},
		{"the user goes", func() { s.users.sweep(1e12) }, 1},
		{"nothing", func() {}, 0},
	} {
		was := s.store.Where(name)
		c.do()
		s.publishStats(int64(i) * 1000)
		if got := s.store.Where(name) - was; got != c.moves {
			t.Errorf("%s: %d, want %d", c.what, got, c.moves)
		}
	}
}
