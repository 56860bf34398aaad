package edge_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"encke/edge"
)

// TestLatent: a user's own channel is not there while nothing happens in it, and whoever follows it is given everything all the
// same; where it is gone again, offsets go on.
func TestLatent(t *testing.T) {
	r, _ := guarded(t, func(c *edge.Config) { c.Loops, c.HistoryAge = 1, 300*time.Millisecond })
	ticket := "token=" + tokenFor(t, "42", time.Hour, "news")
	var all []slowPeer
	for range 3 {
		for _, transport := range []string{"ws", "sse", "stream"} {
			all = append(all, openSlow(t, r, transport, "&"+ticket), openSlow(t, r, transport, "news&"+ticket))
		}
	}
	poll := newPeer(t, r.public)
	poll.get("/poll?channels=news&wait=60&" + ticket)
	r.subscribers(t, "user:42", len(all)+1)
	for round := range uint64(3) {
		waitFor(t, "the own channel to go", func() bool { return r.Stats().Channels.Channels == 1 })
		if _, text := r.ask(t, "GET", "/channels/user:42", ""); !strings.Contains(text, fmt.Sprintf(`"offset":%d,"subscribers":%d,`, 2*round, len(all)+1)) {
			t.Errorf("round %d: %s", round, text)
		}
		for i := range uint64(2) {
			_, text := r.ask(t, "POST", "/users/42", "hello")
			if !strings.Contains(text, fmt.Sprintf(`"offset":%d,`, 2*round+i+1)) {
				t.Fatalf("round %d: %s", round, text)
			}
			if i == 0 {
				position := parseWire(t, []byte(poll.want(200))).Position
				poll.get("/poll?channels=news&wait=60&since=" + position + "&" + ticket)
			}
			for k, p := range all {
				if w := p.next(); w.Channel != "user:42" || w.Offset != 2*round+i+1 {
					t.Fatalf("round %d, push %d, peer %d: %+v", round, i, k, w)
				}
			}
		}
		answer := parseWire(t, []byte(poll.want(200)))
		if len(answer.Publications) != 1 || answer.Publications[0].Offset != 2*round+2 {
			t.Errorf("round %d: poll: %+v", round, answer)
		}
		poll.get("/poll?channels=news&wait=60&since=" + answer.Position + "&" + ticket)
		r.subscribers(t, "user:42", len(all)+1)
	}
	w := newWS(t, r.public, "/ws?"+ticket)
	w.text()
	if x := w.command(`{"id":1,"subscribe":{"channel":"user:42"}}`); x.Error == nil || x.Error.Code != "already_subscribed" {
		t.Errorf("%+v", x)
	}
	if x := w.command(`{"id":2,"unsubscribe":{"channel":"user:42"}}`); x.Unsubscribed == nil {
		t.Errorf("%+v", x)
	}
	r.subscribers(t, "user:42", len(all)+1)
	waitFor(t, "the own channel to go", func() bool { return r.Stats().Channels.Channels == 1 })
	for _, c := range []struct{ own, want string }{ // of a channel that is not there
		{"6", `"recovered":true}`}, {"3", `"reason":"expired"`}, {"9", `"reason":"unknown"`}, {"", `"publications":[],`},
	} {
		poll := newPeer(t, r.public)
		poll.get("/poll?wait=0&channels=news&" + ticket)
		position := parseWire(t, []byte(poll.want(200))).Position
		since := strings.TrimSuffix(position, "6") + c.own
		for range 2 {
			poll.get("/poll?wait=0&channels=news&since=" + since + "&" + ticket)
			text := poll.want(200)
			if !strings.Contains(text, c.want) || !strings.Contains(text, position) {
				t.Errorf("since %s: %s, want %s and %s", since, text, c.want, position)
			}
		}
	}
}

// TestLatentPromise: users' channels come and go all the time, and so do their connections, on several loops; those that stay and
// those that come back miss nothing untold and see nothing twice.
func TestLatentPromise(t *testing.T) {
	seed := wanderSeed(t)
	r, log := guarded(t, func(c *edge.Config) { c.Loops, c.HistoryAge, c.HistoryLength = 3, time.Millisecond, 2 })
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	const people = 5
	var all, readers sync.WaitGroup
	var last [people]uint64
	steady := make([]*wsPeer, people)
	for u := range people {
		ticket := "token=" + tokenFor(t, fmt.Sprint(u), time.Hour, "news")
		steady[u] = newWS(t, r.public, "/ws?"+ticket)
		steady[u].text()
		rng := rand.New(rand.NewPCG(uint64(seed), uint64(u)))
		all.Add(1)
		go func() { // pushes
			defer all.Done()
			for ctx.Err() == nil {
				if _, text := r.ask(t, "POST", fmt.Sprint("/users/", u), "x"); strings.Contains(text, `"offset"`) {
					last[u]++
				} else {
					t.Errorf("%s", text)
				}
				time.Sleep(time.Duration(rng.IntN(200*rng.IntN(3)+1)) * time.Millisecond)
			}
		}()
		readers.Add(1)
		go func() { // comes and goes
			defer readers.Done()
			for i := 0; ctx.Err() == nil; i++ {
				p := newPeer(t, r.public)
				switch i % 3 {
				case 0:
					p.write("GET /ws?" + ticket + handshake + "\r\n")
				case 1:
					p.get("/sse?channels=news&" + ticket)
				default:
					p.get("/poll?wait=30ms&" + ticket)
				}
				time.Sleep(time.Duration(i%5) * time.Millisecond)
				p.Close()
			}
		}()
		readers.Add(1)
		go func() { // polls, from its position
			defer readers.Done()
			p, position, at := newPeer(t, r.public), "", uint64(0)
			for ctx.Err() == nil {
				p.get("/poll?wait=" + fmt.Sprint(i3(int(at))) + "ms&channels=news&since=" + position + "&" + ticket)
				w := parseWire(t, []byte(p.want(200)))
				for _, x := range w.Publications {
					if x.Offset != at+1 && !x.Gap && position != "" {
						t.Errorf("user %d: poll got %+v after %d", u, x, at)
					}
					at = max(x.Offset, at)
					if x.Gap {
						at = ownOffset(x.Position)
					}
				}
				position, at = w.Position, ownOffset(w.Position)
			}
		}()
	}
	all.Wait()
	readers.Wait()
	for u, p := range steady {
		for want := uint64(1); want <= last[u]; want++ {
			if w := p.text(); w.Offset != want || w.Gap {
				t.Fatalf("user %d: %+v, want %d of %d", u, w, want, last[u])
			}
		}
	}
	waitFor(t, "own channels to go", func() bool { return r.Stats().Channels.Channels == 0 })
	if strings.Contains(log(), "BUG") {
		t.Error(log())
	}
	r.leavesNothing(t)
}

// ownOffset cuts the last offset out of a list of positions.
func ownOffset(position string) (n uint64) {
	text := position[strings.LastIndexAny(position, ".,")+1:]
	n, _ = strconv.ParseUint(text, 10, 64)
	return n
}

// i3 is how many milliseconds a poll waits: none, some, or long enough.
func i3(i int) int { return []int{0, 20, 300}[i%3] }
