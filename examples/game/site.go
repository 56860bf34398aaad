// Package game is an arena in which comets collect star dust. The arena itself (arena.go) knows nothing of networks; this file lets it
// live: 20 ticks a second while somebody flies, each pushed to everybody who looks on.
package game

import (
	"context"
	"encoding/json"
	"log"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"encke/examples/site"
)

const (
	tickTime  = time.Second / 20
	pushTime  = 2 * time.Second
	mostSeats = 4 // windows of one browser, each a player of its own
)

type game struct {
	site   *site.Site
	do     chan func(*Arena) // to run, from requests and wishes; full: wishes are dropped, requests wait
	over   <-chan struct{}   // closed when run ends
	states chan []byte       // from run to push; full: the newest takes the place of the one that waits
}

// Register lets the arena live until ctx is done, and serves what the page asks the site for.
func Register(ctx context.Context, s *site.Site, mux *http.ServeMux) {
	register(ctx, s, mux)
}

func register(ctx context.Context, s *site.Site, mux *http.ServeMux) *game {
	g := &game{site: s, do: make(chan func(*Arena), 256), over: ctx.Done(), states: make(chan []byte, 1)}
	go g.run(ctx, NewArena(rand.Uint64()))                                           // ends with ctx
	go g.push(ctx)                                                                   // ends with ctx
	go follow(ctx, s.Backend+"/sse?channels=game:wishes", func(publication []byte) { // ends with ctx
		if user, w, ok := readPublication(publication); ok {
			g.wish(user, w)
		}
	})
	mux.HandleFunc("POST /game/token", g.token)
	mux.HandleFunc("POST /game/join", g.join)
	mux.HandleFunc("POST /game/leave", g.leave)
	mux.HandleFunc("POST /game/wish", g.post)
	return g
}

// run owns the arena. Without people nothing happens: it waits.
func (g *game) run(ctx context.Context, a *Arena) {
	ticks := time.NewTicker(tickTime)
	defer ticks.Stop()
	for {
		ticks.Stop()
		select {
		case <-ctx.Done():
			return
		case f := <-g.do:
			f(a)
		}
		if a.People() == 0 {
			continue
		}
		for ticks.Reset(tickTime); a.People() > 0; {
			select {
			case <-ctx.Done():
				return
			case f := <-g.do:
				f(a)
			case <-ticks.C:
				a.Step()
				g.show(a.State())
			}
		}
		g.show(a.State()) // nobody is left
	}
}

// show hands a state to push. One that still waits there is of no use any more.
func (g *game) show(state []byte) {
	select {
	case <-g.states:
	default:
	}
	g.states <- state // only run sends
}

// push pushes states, one at a time. While Encke does not take them the newest waits.
func (g *game) push(ctx context.Context) {
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case state := <-g.states:
			within, cancel := context.WithTimeout(ctx, pushTime)
			_, err := g.site.Push(within, site.Message{Channel: "game:arena", Data: json.RawMessage(state)})
			cancel()
			if err != nil && !failing && ctx.Err() == nil {
				log.Print("game: ", err)
			}
			failing = err != nil
		}
	}
}

// wish hands a wish to the arena, unless too much waits there already.
func (g *game) wish(user string, w Wish) {
	select {
	case g.do <- func(a *Arena) { a.Wish(user, w) }:
	default:
	}
}

// ask lets f look at the arena, and returns when it has. It says false when the request has been refused, since all is over.
func (g *game) ask(w http.ResponseWriter, f func(*Arena)) bool {
	done := make(chan struct{})
	select {
	case g.do <- func(a *Arena) { f(a); close(done) }:
	case <-g.over:
	}
	select {
	case <-done:
		return true
	case <-g.over:
		http.Error(w, "The site is going down.", http.StatusServiceUnavailable)
		return false
	}
}

// player returns who a request is by: a visitor, and which of its windows. Encke's user and the arena's is the same.
func (g *game) player(w http.ResponseWriter, r *http.Request) (user, name string, ok bool) {
	seat, err := strconv.Atoi(r.URL.Query().Get("seat"))
	if err != nil || seat < 1 || seat > mostSeats {
		http.Error(w, "seat is a number from 1 to 4", http.StatusBadRequest)
		return "", "", false
	}
	v := g.site.Visitor(w, r)
	name = v.Name
	if name == "" {
		name = "Comet"
	}
	if seat > 1 {
		name += " " + strconv.Itoa(seat)
	}
	return v.ID + "." + strconv.Itoa(seat), name, true
}

// token serves POST /game/token: to look on, and to wish.
func (g *game) token(w http.ResponseWriter, r *http.Request) {
	user, _, ok := g.player(w, r)
	if !ok {
		return
	}
	text, err := g.site.Token(user, nil, site.Rights{"game:arena": {"subscribe"}, "game:wishes": {"publish"}})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte(text))
}

// join serves POST /game/join: lets the player fly, and answers the comet's number in states.
func (g *game) join(w http.ResponseWriter, r *http.Request) {
	user, name, ok := g.player(w, r)
	if !ok || !site.Read(w, r, &struct{}{}) {
		return
	}
	var id int
	if !g.ask(w, func(a *Arena) { id, ok = a.Join(user, name) }) {
		return
	}
	if !ok {
		http.Error(w, "The arena is full. You can watch until somebody leaves.", http.StatusServiceUnavailable)
		return
	}
	site.Answer(w, map[string]int{"id": id})
}

// leave serves POST /game/leave.
func (g *game) leave(w http.ResponseWriter, r *http.Request) {
	user, _, ok := g.player(w, r)
	if !ok || !site.Read(w, r, &struct{}{}) || !g.ask(w, func(a *Arena) { a.Leave(user) }) {
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// post serves POST /game/wish, for pages whose way to Encke cannot publish.
func (g *game) post(w http.ResponseWriter, r *http.Request) {
	user, _, ok := g.player(w, r)
	var text json.RawMessage
	if !ok || !site.Read(w, r, &text) {
		return
	}
	wish, ok := readWish(text)
	if !ok {
		http.Error(w, "this is no wish", http.StatusBadRequest)
		return
	}
	g.wish(user, wish)
	w.WriteHeader(http.StatusNoContent)
}
