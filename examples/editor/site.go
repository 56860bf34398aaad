// Package editor is the site's part of joint editing. The text itself is on its channel at Encke; the site keeps snapshots of it, which
// pages make, for those who come when the channel's history has passed.
package editor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"time"

	"encke/examples/site"
)

// server answers what pages ask the site for.
type server struct {
	site  *site.Site
	shelf *shelf
}

// Register serves what the page asks the site for: a token, and a document's snapshots.
func Register(ctx context.Context, s *site.Site, mux *http.ServeMux) {
	e := &server{site: s, shelf: newShelf()}
	// Whoever comes may write in every document here. A real site gives the two channels of the documents that somebody may open.
	s.Tokens(mux, "/editor/token", func(site.Visitor) site.Rights {
		return site.Rights{"doc:*": {"subscribe", "publish", "presence"}, "cursor:*": {"subscribe", "publish"}}
	})
	mux.HandleFunc("GET /editor/doc", e.load)
	mux.HandleFunc("PUT /editor/doc", e.save)
	mux.HandleFunc("POST /editor/update", e.update)
}

// channel is what Encke says of one.
type channel struct {
	Position string `json:"position"`
	History  struct {
		Length int `json:"length"`
	} `json:"history"`
}

// channel asks Encke for a document's channel. One that does not exist has no position.
func (e *server) channel(ctx context.Context, name string) (c channel, err error) {
	err = e.site.Ask(ctx, "GET", "/channels/doc:"+name, nil, &c)
	if refused := (*site.Refused)(nil); errors.As(err, &refused) && refused.Status == http.StatusNotFound {
		return channel{}, nil
	}
	return c, err
}

// kept is what pages are told of the newest snapshot: its tag, which is named when the next is put in its place, and what it has.
type kept struct {
	Tag      string `json:"tag"`
	Position string `json:"position"`
}

// loaded is what GET /editor/doc answers.
type loaded struct {
	Snapshots []string `json:"snapshots"`      // Yjs updates in base64, the newest first: a page merges all of them
	Newest    *kept    `json:"newest"`         // null when there is none
	From      string   `json:"from"`           // what to subscribe with
	Head      string   `json:"head,omitempty"` // how far what follows from there goes; absent when nothing does
}

func (e *server) load(w http.ResponseWriter, r *http.Request) {
	name := r.FormValue("name")
	if !goodName(name) {
		http.Error(w, wordsName, http.StatusBadRequest)
		return
	}
	at, err := e.channel(r.Context(), name)
	if err != nil {
		http.Error(w, "Encke cannot be asked just now.", http.StatusServiceUnavailable)
		return
	}
	all := e.shelf.get(name, time.Now()) // after the question: what is newer than the answer does no harm, what is older might
	answer := loaded{Snapshots: []string{}, From: "0"}
	for _, s := range all {
		answer.Snapshots = append(answer.Snapshots, s.state)
		answer.From = s.position.String() // of the oldest: what a newer one has left out comes from the history
	}
	if len(all) > 0 {
		answer.Newest = &kept{all[0].tag(), all[0].position.String()}
	}
	if at.History.Length > 0 && at.Position != answer.From {
		answer.Head = at.Position
	}
	site.Answer(w, answer)
}

// save is what PUT /editor/doc is asked: a snapshot that has everything up to a position.
type save struct {
	Name     string
	Position string
	After    string // the tag of the newest that the page knows: what is put in place of another one has been made from it
	State    string
}

func (e *server) save(w http.ResponseWriter, r *http.Request) {
	var say save
	if !site.ReadUpTo(maxRequest, w, r, &say) {
		return
	}
	p, ok := readPosition(say.Position)
	switch {
	case !goodName(say.Name):
		http.Error(w, wordsName, http.StatusBadRequest)
		return
	case !ok:
		http.Error(w, "A position is one of the channel's.", http.StatusBadRequest)
		return
	case !goodState(say.State):
		http.Error(w, wordsState, http.StatusBadRequest)
		return
	}
	at, err := e.channel(r.Context(), say.Name)
	if err != nil {
		http.Error(w, "Encke cannot be asked just now.", http.StatusServiceUnavailable)
		return
	}
	if head, _ := readPosition(at.Position); head.epoch != p.epoch || head.offset < p.offset {
		http.Error(w, "The document has not been there.", http.StatusConflict)
		return
	}
	n := snapshot{position: p, state: say.State}
	if why := e.shelf.put(say.Name, say.After, n, time.Now()); why != nil {
		http.Error(w, why.words, why.status)
		return
	}
	// Everybody is told, so that they need not make the same. Who is not told finds out when they try.
	told := kept{n.tag(), p.String()}
	_, _ = e.site.Push(r.Context(), site.Message{Channel: "doc:" + say.Name, Event: "kept", Data: told})
	site.Answer(w, told)
}

// update is what POST /editor/update is asked: to push an update, for a page whose network lets no WebSocket through.
type update struct{ Name, ID, Update string }

func (e *server) update(w http.ResponseWriter, r *http.Request) {
	who := e.site.Visitor(w, r)
	var say update
	switch {
	case !site.ReadUpTo(maxRequest, w, r, &say):
		return
	case !goodName(say.Name):
		http.Error(w, wordsName, http.StatusBadRequest)
		return
	case !goodState(say.Update):
		http.Error(w, wordsState, http.StatusBadRequest)
		return
	case !goodID.MatchString(say.ID):
		http.Error(w, "An id is 1 to 64 of A-Z a-z 0-9 and -.", http.StatusBadRequest)
		return
	}
	p, err := e.site.Push(r.Context(), site.Message{Channel: "doc:" + say.Name, Event: "update", ID: who.ID + ":" + say.ID, Data: say.Update})
	if err != nil {
		http.Error(w, "Encke cannot be reached just now.", http.StatusServiceUnavailable)
		return
	}
	site.Answer(w, map[string]string{"position": p.Position})
}

// goodID is what an update may be called, so that pushed again it is stored once.
var goodID = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)

// maxRequest bounds what a page may send, in bytes: a snapshot in base64 and what stands around it.
const maxRequest = maxState/3*4 + 1<<10

var (
	wordsName  = "A document's name is 1 to 40 of a-z 0-9 and -."
	wordsState = fmt.Sprintf("A snapshot or an update is 2 to %d bytes in base64.", maxState)
)
