package edge

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"encke/channel"
	"encke/netloop"
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

// Listings returns how many listings of who is in channels the loops hold. It asks them.
func (s *Server) Listings() (n int) {
	for _, l := range s.engine.Loops() {
		got := make(chan int)
		l.Post(netloop.Mail{Kind: mailAsk, Val: func(r *reactor) { got <- len(r.listings) }})
		n += <-got
	}
	return n
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
		{"the user goes", func() { s.users.sweep(1e12, false) }, 1},
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

// TestUsersTold: what is told of a user, by a clock that a test can set. The grace is 100 ms.
func TestUsersTold(t *testing.T) {
	for _, c := range []struct{ what, happens, told string }{
		{"comes", "join1@5", "online@5"},
		{"goes, not yet", "join1@5 leave1@10 sweep@109", "online@5"},
		{"goes", "join1@5 leave1@10 sweep@110 sweep@120", "online@5 gone@10"},
		{"reloads", "join1@5 leave1@10 join2@50 sweep@110 sweep@900", "online@5"},
		{"reloads in the same millisecond", "join1@5 leave1@10 join2@10 sweep@110 sweep@900", "online@5"},
		{"goes for good in the same millisecond", "join1@5 leave1@10 join2@10 leave2@10 sweep@110 sweep@900", "online@5 gone@10"},
		{"reloads, and is about to go", "join1@5 leave1@10 join2@50 leave2@60 sweep@115 sweep@159", "online@5"},
		{"reloads, and goes", "join1@5 leave1@10 join2@50 leave2@60 sweep@115 sweep@160", "online@5 gone@60"},
		{"closes one of two tabs", "join1@5 join2@6 leave1@10 sweep@900", "online@5"},
		{"closes both", "join1@5 join2@6 leave1@10 sweep@900 leave2@950 sweep@1049 sweep@1050", "online@5 gone@950"},
		{"polls", "touch@5 sweep@50 touch@90 sweep@120 touch@180 sweep@279", "online@5"},
		{"has polled", "touch@5 touch@90 touch@180 sweep@279 sweep@280 sweep@900", "online@5 gone@180"},
		{"polls twice in a millisecond", "touch@5 touch@5 sweep@105 sweep@205", "online@5 gone@5"},
		{"polls beside a connection", "join1@5 touch@50 sweep@300 touch@400 sweep@600", "online@5"},
		{"polls beside one that goes", "join1@5 touch@50 leave1@60 sweep@159 sweep@160", "online@5 gone@60"},
		{"polls after it has gone", "join1@5 leave1@60 touch@100 sweep@160 sweep@199 sweep@200", "online@5 gone@100"},
		{"comes back", "touch@5 sweep@105 join1@150 sweep@900", "online@5 gone@5 online@150"},
		{"comes back and goes", "touch@5 sweep@105 join1@150 leave1@160 sweep@260", "online@5 gone@5 online@150 gone@160"},
		{"goes by a clock that is behind", "join1@100 leave1@95 sweep@194 sweep@195", "online@100 gone@95"},
	} {
		u := newUsers(&Config{UserGrace: 100 * time.Millisecond})
		var told []string
		u.told = func(id string, online bool, at int64) {
			told = append(told, fmt.Sprintf("%s@%d", map[bool]string{true: "online", false: "gone"}[online], at))
		}
		here := 0
		for _, step := range strings.Fields(c.happens) {
			var h netloop.Handle
			var now int64
			what, at, _ := strings.Cut(step, "@")
			fmt.Sscan(at, &now)
			fmt.Sscan(what[len(what)-1:], &h)
			switch what {
			case "sweep":
				u.sweep(now, false)
				online := strings.HasPrefix(told[len(told)-1], "online")
				if s := u.state("42", now); s.Online != online || s.Connections != here || (u.online.Load() == 1) != online {
					t.Errorf("%s, %s: %+v after %v", c.what, step, s, told)
				}
			case "touch":
				u.touch("42", now)
			case "join1", "join2":
				u.join("42", h, now)
				here++
			default:
				u.leave("42", h, now)
				here--
			}
		}
		if got := strings.Join(told, " "); got != c.told {
			t.Errorf("%s: %s, want %s", c.what, got, c.told)
		}
		if here > 0 {
			continue
		}
		if n := u.bytes(); n < userCost+2 {
			t.Errorf("%s: takes %d bytes", c.what, n)
		}
		u.sweep(100_000, false)
		u.sweep(100_000+2*userMemory, false)
		if n := u.bytes(); n != 0 {
			t.Errorf("%s: %d bytes are left", c.what, n)
		}
		for i := range u.shards {
			if s := &u.shards[i]; len(s.by)+s.leaves.len()+s.gone.len() > 0 {
				t.Errorf("%s: %d users, %d and %d departures are left", c.what, len(s.by), s.leaves.len(), s.gone.len())
			}
		}
	}
}

// TestUsersForgotten: who goes again and again is remembered once, for as long as since the last time; and when memory is short, nobody is
// who has gone.
func TestUsersForgotten(t *testing.T) {
	u := newUsers(&Config{UserGrace: 100 * time.Millisecond})
	left := func() (users, entries int) {
		for i := range u.shards {
			s := &u.shards[i]
			users, entries = users+len(s.by), entries+s.leaves.len()+s.gone.len()
		}
		return users, entries
	}
	const away = userMemory / 4
	now := int64(1000)
	for range 100 {
		u.touch("42", now)
		u.sweep(now+100, false)
		if users, entries := left(); users != 1 || entries != 1 || u.online.Load() != 0 {
			t.Fatalf("at %d: %d users, %d entries, %d online", now, users, entries, u.online.Load())
		}
		now += away
	}
	u.sweep(now-away+userMemory-1, false)
	if users, _ := left(); users != 1 {
		t.Error("it is forgotten before its time")
	}
	u.sweep(now-away+userMemory, false)
	if users, entries := left(); users+entries != 0 {
		t.Errorf("%d users, %d entries are left", users, entries)
	}
	for i := range 1000 {
		u.touch(fmt.Sprint("gone", i), now)
	}
	u.join("here", 7, now)
	u.sweep(now+100, false)
	u.touch("just", now+150)
	before := u.bytes()
	u.sweep(now+151, true)
	if users, entries := left(); users != 2 || entries != 1 || u.bytes() > before/100 {
		t.Errorf("%d users, %d entries, %d bytes of %d", users, entries, u.bytes(), before)
	}
}
