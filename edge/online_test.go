package edge_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"encke/edge"

	"github.com/gobwas/ws"
)

// onlineNow is what $stats tells.
type onlineNow struct {
	Online, Users, WS, SSE, Stream, Poll int64
	Total                                struct{ Connections, Published, Delivered uint64 }
}

// TestOnlineStats: $stats tells who is online by transport and users in their grace, and totals that grow, at most once a second.
func TestOnlineStats(t *testing.T) {
	t.Parallel()
	r, _ := guarded(t, func(c *edge.Config) { c.Anonymous, c.UserGrace = []string{"a"}, time.Hour })
	ticket := ticketFor(t, "42", "", rights{"$stats": {"subscribe"}})
	for _, refused := range []string{"", ticketFor(t, "42", "", rights{"a": {"subscribe"}})} {
		tryRead(t, r, "without the right", "$stats", refused, "forbidden")
	}
	listener := newWS(t, r.public, "/ws?channels=$stats&"+ticket)
	listener.text()
	listener.text()
	var last wire
	var was onlineNow
	next := func(what string, want func(onlineNow) bool) (got onlineNow) {
		t.Helper()
		for range 15 {
			w := listener.text()
			d := json.NewDecoder(strings.NewReader(string(w.Data)))
			d.DisallowUnknownFields()
			if err := d.Decode(&got); err != nil || w.Channel != "$stats" {
				t.Fatalf("%+v: %v", w, err)
			}
			if w.Time-last.Time < 1000 {
				t.Errorf("two within %d ms", w.Time-last.Time)
			}
			if got.Online != got.WS+got.SSE+got.Stream+got.Poll || got == was || got.Total.Connections < was.Total.Connections ||
				got.Total.Published < was.Total.Published || got.Total.Delivered < was.Total.Delivered {
				t.Errorf("%s after %+v", w.Data, was)
			}
			last, was = w, got
			if want(got) {
				return got
			}
		}
		t.Fatalf("never %s: %+v", what, was)
		return
	}
	next("the listener alone", func(o onlineNow) bool { return o.Users == 1 && o.WS == 1 && o.Online == 1 })
	if text := string(last.Data); !strings.HasPrefix(text, `{"online":1,"users":1,"ws":1,"sse":0,"stream":0,"poll":0,"total":{"connections":`) || !strings.Contains(text, `,"published":`) || !strings.Contains(text, `,"delivered":`) {
		t.Error(text)
	}
	tabs := []*peer{openTab(t, r, "ws", "a"), openTab(t, r, "raw", "a"), openTab(t, r, "raw", "a&"+ticket), openTab(t, r, "sse", "a"), openTab(t, r, "sse", "a&"+ticketFor(t, "7", "", nil)),
		openTab(t, r, "stream", "a"), openTab(t, r, "poll", "a"), openTab(t, r, "poll", "a&"+ticketFor(t, "8", "", nil))}
	before := next("all of them", func(o onlineNow) bool {
		return o.Users == 3 && o.Online == 9 && o.WS == 4 && o.SSE == 2 && o.Stream == 1 && o.Poll == 2
	})
	for _, p := range tabs[:6] {
		p.Close()
	}
	for range 5 {
		r.push(t, "a", "counted")
	}
	after := next("those who have stayed", func(o onlineNow) bool { return o.Online == 1 && o.WS == 1 && o.Users == 3 })
	if after.Total.Published < before.Total.Published+5 || after.Total.Connections != before.Total.Connections || before.Total.Connections < 9 || after.Total.Delivered < before.Total.Delivered+1 {
		t.Errorf("%+v, before %+v", after, before)
	}
}

// told notes what is told of users, and holds it against what has to be: each comes and goes in turn.
type told struct {
	t      *testing.T
	mu     sync.Mutex
	online map[string]bool // guarded by mu
	turns  map[string]int  // guarded by mu: how often one has come or gone
}

func (x *told) note(id string, online bool, at int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.online[id] == online {
		x.t.Errorf("%s is told to be online: %v, twice", id, online)
	}
	if d := time.Since(time.UnixMilli(at)); d < -time.Minute || d > time.Minute {
		x.t.Errorf("%s: %v ago", id, d)
	}
	x.online[id] = online
	x.turns[id]++
}

// of returns how often a user has come or gone.
func (x *told) of(id string) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.turns[id]
}

// toldRig is a rig of which all is noted that is told of users.
func toldRig(t *testing.T, grace time.Duration) (*rig, *told) {
	x := &told{t: t, online: map[string]bool{}, turns: map[string]int{}}
	r := newRigOf(t, func(c *edge.Config) {
		c.Anonymous, c.UserGrace, c.Presence = []string{"x"}, grace, "members"
		c.Tokens.Secrets = [][]byte{tokenSecret}
	}, func(c edge.Config) (*edge.Server, error) {
		s, err := edge.New(c)
		if err == nil {
			s.OnTold(x.note)
		}
		return s, err
	})
	return r, x
}

// TestUsersToldOnce: within the grace nothing that users do is a going away: reloads, other transports, polls with a pause between,
// several tabs, another token.
func TestUsersToldOnce(t *testing.T) {
	t.Parallel()
	r, told := toldRig(t, time.Hour)
	transports := []string{"ws", "raw", "sse", "stream", "poll"}
	counts := func(id string, n int) {
		t.Helper()
		waitFor(t, fmt.Sprintf("%s has %d", id, n), func() bool { return userState(t, r, id).Connections == n })
	}
	var all sync.WaitGroup
	for _, x := range []struct {
		id   string
		does func(id, ticket string)
	}{
		{"reloads", func(id, ticket string) {
			for range 2 {
				for _, transport := range transports {
					p := openTab(t, r, transport, "x&"+ticket)
					counts(id, 1)
					p.Close()
					counts(id, 0)
				}
			}
		}},
		{"changes", func(id, ticket string) {
			last := openTab(t, r, "poll", "x&"+ticket)
			for _, transport := range transports {
				p := openTab(t, r, transport, "x&"+ticket)
				counts(id, 2)
				last.Close()
				counts(id, 1)
				last = p
			}
		}},
		{"long-polls", func(id, ticket string) {
			p := newPeer(t, r.public)
			for range 6 {
				p.get("/poll?wait=60&channels=user:" + id + "&" + ticket)
				counts(id, 1)
				r.push(t, "user:"+id, "wakes it")
				p.want(200)
				counts(id, 0)
				time.Sleep(30 * time.Millisecond)
			}
		}},
		{"short-polls", func(id, ticket string) {
			p := newPeer(t, r.public)
			for range 6 {
				p.get("/poll?wait=0&channels=x&" + ticket)
				p.want(200)
				counts(id, 0)
			}
		}},
		{"both", func(id, ticket string) {
			p := openTab(t, r, "ws", "x&"+ticket)
			q := newPeer(t, r.public)
			for range 3 {
				q.get("/poll?wait=0&channels=x&" + ticket)
				q.want(200)
				counts(id, 1)
			}
			p.Close()
			counts(id, 0)
		}},
		{"becomes", func(id, ticket string) {
			for range 3 {
				p := newWS(t, r.public, "/ws?channels=x")
				for range 2 {
					p.send(ws.OpText, `{"refresh":{"token":"`+strings.TrimPrefix(ticket, "token=")+`"}}`)
				}
				counts(id, 1)
				p.Close()
				counts(id, 0)
			}
		}},
		{"disconnected", func(id, ticket string) {
			for range 2 {
				var tabs []*peer
				for _, transport := range transports {
					tabs = append(tabs, openTab(t, r, transport, "x&"+ticket))
				}
				counts(id, 5)
				r.ask(t, "DELETE", "/users/"+id+"/connections", "")
				for _, p := range tabs {
					p.Close()
				}
				counts(id, 0)
			}
		}},
	} {
		all.Go(func() {
			x.does(x.id, ticketFor(t, x.id, "", nil))
			if n := told.of(x.id); n != 1 || !userState(t, r, x.id).Online {
				t.Errorf("%s: told %d times, %+v", x.id, n, userState(t, r, x.id))
			}
		})
	}
	all.Wait()
	if n := r.Stats().Users.Online; n != 7 {
		t.Errorf("%d online", n)
	}
}

// TestUsersRefused: who is refused has not been here.
func TestUsersRefused(t *testing.T) {
	t.Parallel()
	r, told := toldRig(t, time.Hour)
	for _, ask := range asks {
		id := strings.ReplaceAll(ask.name, " ", "-")
		for _, bad := range []string{"forbidden", "$presence:x", "a%20b", "x,x", "x&since=y"} {
			if got, text := statusOf(t, r, ask.target+bad+"&"+ticketFor(t, id, "", nil)); got/100 != 4 {
				t.Errorf("%s of %s: %d %s", ask.name, bad, got, text)
			}
		}
		if s := userState(t, r, id); s.Online || s.LastSeen != nil || told.of(id) != 0 {
			t.Errorf("%s: %+v", ask.name, s)
		}
	}
}

// TestUsersToldInTurn: users come and go at random, and each is told to come and go in turn; who always has a connection never goes;
// in the end all have gone, and what is told is what is so.
func TestUsersToldInTurn(t *testing.T) {
	seed := uint64(wanderSeed(t))
	for _, grace := range []time.Duration{0, 100 * time.Millisecond} {
		t.Run(grace.String(), func(t *testing.T) {
			t.Parallel()
			r, told := toldRig(t, grace)
			var acting, polls sync.WaitGroup
			var all []*person
			for i := range 6 {
				id := fmt.Sprint("u", i)
				p := &person{t: t, r: r, id: id, ticket: ticketFor(t, id, "", nil), random: rand.New(rand.NewPCG(seed, uint64(i))), all: &polls}
				all = append(all, p)
				acting.Go(func() {
					for range 60 {
						p.act()
						if p.random.IntN(8) == 0 { // long enough to be gone sometimes
							time.Sleep(grace)
						}
					}
				})
			}
			steady := &person{t: t, r: r, id: "steady", ticket: ticketFor(t, "steady", "", nil), random: rand.New(rand.NewPCG(seed, 77)), all: &polls}
			steady.open("sse")
			acting.Go(func() {
				for range 15 {
					steady.open([]string{"ws", "raw", "sse", "stream"}[steady.random.IntN(4)])
					waitFor(t, "two", func() bool { return userState(t, r, "steady").Connections == 2 })
					steady.close(0)
					waitFor(t, "one", func() bool { return userState(t, r, "steady").Connections == 1 })
				}
			})
			acting.Wait()
			if n := told.of("steady"); n != 1 {
				t.Errorf("who is always here is told %d times", n)
			}
			all = append(all, steady)
			agree := func() {
				t.Helper()
				waitFor(t, "what is told to be so", func() bool {
					told.mu.Lock()
					defer told.mu.Unlock()
					n := int64(0)
					for _, p := range all {
						if online := len(p.tabs) > 0; told.online[p.id] != online {
							return false
						} else if online {
							n++
						}
					}
					return r.Stats().Users.Online == n
				})
				for _, p := range all {
					if s := userState(t, r, p.id); s.Online != (len(p.tabs) > 0) || s.Connections != len(p.tabs) {
						t.Errorf("%d tabs: %+v", len(p.tabs), s)
					}
				}
			}
			waitFor(t, "polls to be there", func() bool {
				for _, p := range all {
					if userState(t, r, p.id).Connections != len(p.tabs) {
						return false
					}
				}
				return true
			})
			agree()
			for _, p := range all {
				for len(p.tabs) > 0 {
					p.close(0)
				}
			}
			polls.Wait()
			agree()
			waitFor(t, "all to have gone", func() bool { return r.Stats().Connections["total"] == 0 })
			r.leavesNothing(t)
		})
	}
}
