package edge_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"encke/edge"

	"github.com/gobwas/ws"
)

// person is a user, or nobody with "", who comes and goes.
type person struct {
	t      testing.TB
	r      *rig
	id     string
	ticket string
	random *rand.Rand
	tabs   []*tab
	all    *sync.WaitGroup
}

// tab is one of its connections, in x or, a WebSocket that has unsubscribed, not.
type tab struct {
	*peer
	isWS, isIn bool
	stop       context.CancelFunc // of one that polls
}

func (p *person) open(transport string) {
	p.t.Helper()
	switch transport {
	case "poll":
		ctx, cancel := context.WithCancel(context.Background())
		x := &tab{peer: newPeer(p.t, p.r.public), isIn: true, stop: cancel}
		p.all.Go(func() { // one poll after the other
			for ctx.Err() == nil {
				if _, err := fmt.Fprintf(x, "GET /poll?wait=60&channels=x&%s HTTP/1.1\r\nHost: localhost\r\n\r\n", p.ticket); err != nil {
					return
				}
				res, err := http.ReadResponse(x.r, nil)
				if err != nil {
					return
				}
				var body bytes.Buffer
				if _, err := body.ReadFrom(res.Body); err != nil {
					return
				}
			}
		})
		p.tabs = append(p.tabs, x)
	case "becomes":
		s := newWS(p.t, p.r.public, "/ws?channels=x")
		s.send(ws.OpText, `{"refresh":{"token":"`+strings.TrimPrefix(p.ticket, "token=")+`"}}`)
		p.tabs = append(p.tabs, &tab{peer: s.peer, isWS: true, isIn: true})
	default:
		p.tabs = append(p.tabs, &tab{peer: openTab(p.t, p.r, transport, "x&"+p.ticket), isWS: transport == "ws", isIn: true})
	}
}

func (p *person) close(i int) {
	x := p.tabs[i]
	p.tabs = slices.Delete(p.tabs, i, i+1)
	if x.stop != nil {
		x.stop()
	}
	if p.random.IntN(2) == 0 {
		_ = x.Conn.(*net.TCPConn).SetLinger(0)
	}
	x.Close()
}

// act does something.
func (p *person) act() {
	p.t.Helper()
	transports := []string{"ws", "raw", "sse", "stream", "poll", "becomes"}
	if p.id == "" {
		transports = transports[:5]
	}
	i := 0
	if len(p.tabs) > 0 {
		i = p.random.IntN(len(p.tabs))
	}
	switch what := p.random.IntN(10); {
	case what < 3 && len(p.tabs) < 4:
		p.open(transports[p.random.IntN(len(transports))])
	case what < 6 && len(p.tabs) > 0:
		p.close(i)
	case what < 8 && len(p.tabs) > 0 && p.tabs[i].isWS:
		x := p.tabs[i]
		command := map[bool]string{true: "unsubscribe", false: "subscribe"}[x.isIn]
		x.write(masked(ws.OpText, `{"`+command+`":{"channel":"x"}}`))
		x.isIn = !x.isIn
	case what == 8:
		q := newPeer(p.t, p.r.public)
		q.get("/poll?wait=0&channels=x&" + p.ticket)
		q.want(200)
		q.Close()
	case what == 9 && p.id != "" && p.random.IntN(3) == 0:
		p.r.ask(p.t, "DELETE", "/users/"+p.id+"/connections", "")
		for len(p.tabs) > 0 {
			p.close(0)
		}
	}
	time.Sleep(time.Duration(p.random.IntN(15)) * time.Millisecond)
}

// TestPresenceWanderers: people come and go at random, with several tabs, over every transport, and those who follow them from a
// random moment on, over every transport, miss no join and see none twice; whenever it is quiet for a moment, they and the backend
// know exactly who is here.
func TestPresenceWanderers(t *testing.T) {
	seed := uint64(wanderSeed(t))
	for _, grace := range []time.Duration{150 * time.Millisecond, 0} {
		t.Run(grace.String(), func(t *testing.T) {
			t.Parallel()
			r := watchedRig(t, func(c *edge.Config) { c.Anonymous, c.UserGrace = []string{"x"}, grace })
			var polls sync.WaitGroup
			var people []*person
			for i := range 7 {
				p := &person{t: t, r: r, random: rand.New(rand.NewPCG(seed, uint64(i))), all: &polls}
				if i > 0 {
					p.id = fmt.Sprint("u", i)
					p.ticket = ticketFor(t, p.id, `{"n":`+fmt.Sprint(i)+`}`, nil)
				}
				people = append(people, p)
			}
			steady := &person{t: t, r: r, id: "steady", ticket: ticketFor(t, "steady", "", nil), random: rand.New(rand.NewPCG(seed, 77)), all: &polls}
			steady.open("ws")
			waitFor(t, "one to be here", func() bool { return r.here(t, "x").Users == 1 })
			random := rand.New(rand.NewPCG(seed, 99))
			var seers []*seer
			defer func() {
				for _, s := range seers {
					s.end()
				}
			}()
			for range 4 {
				var acting sync.WaitGroup
				for _, p := range people {
					acting.Go(func() {
						for range 20 {
							p.act()
						}
					})
				}
				acting.Go(func() { // never without a connection
					for range 10 {
						steady.open([]string{"ws", "sse", "stream"}[steady.random.IntN(3)])
						waitFor(t, "two", func() bool { return userState(t, r, "steady").Connections == 2 })
						steady.close(0)
						waitFor(t, "one", func() bool { return userState(t, r, "steady").Connections == 1 })
						r.push(t, "x", "wakes polls")
					}
				})
				for i, transport := range []string{"ws", "sse", "stream", "poll"} {
					time.Sleep(time.Duration(random.IntN(40)) * time.Millisecond)
					asks := &seer{t: t, r: r, name: "x", ticket: ticketFor(t, "seer", "", sees)}
					s := watchOver(t, r, transport, "x", asks.ask(i%3), rand.New(rand.NewPCG(seed, random.Uint64())))
					s.mu.Lock()
					s.steady = "steady"
					s.mu.Unlock()
					seers = append(seers, s)
				}
				acting.Wait()
				settled(t, r, seers, append([]*person{steady}, people...))
			}
			for _, p := range append(people, steady) {
				for len(p.tabs) > 0 {
					p.close(0)
				}
			}
			polls.Wait()
			for _, s := range seers {
				s.mu.Lock()
				s.steady = ""
				s.mu.Unlock()
			}
			settled(t, r, seers, nil)
		})
	}
}

// settled waits until all know exactly who is here.
func settled(t *testing.T, r *rig, seers []*seer, people []*person) {
	t.Helper()
	truth, connections := map[string]bool{}, 0
	for _, p := range people {
		for _, x := range p.tabs {
			if x.isIn {
				connections++
				if p.id != "" {
					truth[p.id] = true
				}
			}
		}
	}
	var wrong string
	waitFor(t, "all to be told", func() bool {
		h := r.here(t, "x")
		told := map[string]bool{}
		for _, m := range h.Members {
			told[m.User] = true
		}
		if wrong = fmt.Sprintf("%d connections, %v", h.Connections, told); !maps.Equal(told, truth) || h.Connections != connections || h.Users != len(truth) {
			if t.Failed() {
				t.Fatalf("%s, want %d and %v", wrong, connections, truth)
			}
			return false
		}
		return true
	})
	for _, s := range seers {
		waitFor(t, s.transport+" to be told of "+wrong, func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return t.Failed() || maps.Equal(s.here, truth) && s.connections == connections
		})
	}
	if got := r.Stats().Users.Presence; got.Members != int64(len(truth)) || got.Connections != int64(connections) {
		t.Errorf("%+v, want %d and %d", got, len(truth), connections)
	}
}

// TestPresenceStorm: a thousand connections come and go in no time, and the numbers are right; nothing is left of them.
func TestPresenceStorm(t *testing.T) {
	t.Parallel()
	r := watchedRig(t, func(c *edge.Config) { c.Anonymous, c.UserGrace = []string{"x"}, 100*time.Millisecond })
	s := watchOver(t, r, "stream", "x", r.here(t, "x"), nil)
	defer s.end()
	const clients, each = 8, 125
	var kept [clients][]*peer
	storm := func(work func(k int)) {
		var all sync.WaitGroup
		for k := range clients {
			all.Go(func() { work(k) })
		}
		all.Wait()
	}
	users, connections := map[string]bool{}, 0
	var mu sync.Mutex
	storm(func(k int) {
		for i := range each {
			ticket, id := "", ""
			if i%5 > 0 {
				id = fmt.Sprint("u", (k*each+i)%300)
				ticket = ticketFor(t, id, "", nil)
			}
			p := openTab(t, r, []string{"ws", "sse", "stream", "raw", "poll"}[(i+i/5)%5], "x&"+ticket)
			if i%3 == 0 {
				p.Close()
				continue
			}
			kept[k] = append(kept[k], p)
			mu.Lock()
			connections++
			if id != "" {
				users[id] = true
			}
			mu.Unlock()
		}
	})
	exactly := func(users, connections int) {
		t.Helper()
		waitFor(t, fmt.Sprintf("%d users and %d connections", users, connections), func() bool {
			h := r.here(t, "x")
			return h.Users == users && h.Connections == connections && len(h.Members) == users
		})
		s.equals(users, connections)
		if got := r.Stats().Users.Presence; got.Members != int64(users) || got.Connections != int64(connections) {
			t.Errorf("%+v, want %d and %d", got, users, connections)
		}
	}
	exactly(len(users), connections)
	storm(func(k int) {
		for _, p := range kept[k] {
			p.Close()
		}
	})
	exactly(0, 0)
	waitFor(t, "nothing to be left", func() bool { p := r.Stats().Users.Presence; return p.Channels == 0 && p.Bytes < 100_000 })
	s.end()
	waitFor(t, "all to have gone", func() bool { return r.Stats().Connections["total"] == 0 })
	r.leavesNothing(t)
}
