// Package notifications is the site's part of the example: the people of a small firm, the notes that they send each other, and what is
// pushed to whom when one is sent or read.
package notifications

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"encke/examples/site"
)

// person is somebody of the firm. The id is the user's in Encke.
type person struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Role string `json:"role"`
}

// people are all there are. A real site has accounts.
var people = []person{
	{"mara", "Mara Lindqvist", "Owner"},
	{"jonas", "Jonas Weber", "Workshop"},
	{"priya", "Priya Nair", "Orders"},
	{"tomasz", "Tomasz Zieliński", "Rigging"},
	{"aoife", "Aoife Byrne", "Accounts"},
}

func known(id string) bool {
	for _, p := range people {
		if p.ID == id {
			return true
		}
	}
	return false
}

// textLength bounds a note, in characters.
const textLength = 1000

// office is the channel in which it is kept who is here. Nothing is published in it.
const office = "office"

// server is what the handlers have in common. Immutable but for what notes and out guard themselves.
type server struct {
	site  *site.Site
	notes *notes
	out   *outbox
	key   []byte // of sessions
	run   string // changes when the site is started anew, and has forgotten all notes
}

// Register serves what the page asks the site for. What it starts ends with ctx.
func Register(ctx context.Context, s *site.Site, mux *http.ServeMux) {
	n := newNotes(time.Now)
	v := &server{site: s, notes: n, out: newOutbox(s.Push, n), key: []byte(rand.Text() + rand.Text()), run: rand.Text()}
	go v.out.work(ctx) // owned by Register; ends with ctx
	const as = "/notifications/people/{id}/"
	mux.HandleFunc("GET /notifications/people", func(w http.ResponseWriter, _ *http.Request) { site.Answer(w, people) })
	mux.HandleFunc("POST "+as+"session", v.signIn)
	mux.HandleFunc("POST "+as+"token", v.signedIn(v.token))
	mux.HandleFunc("GET "+as+"inbox", v.signedIn(v.inbox))
	mux.HandleFunc("POST "+as+"notes", v.signedIn(v.send))
	mux.HandleFunc("POST "+as+"read", v.signedIn(v.read))
}

const cookieName = "office_session"

// session returns what a person's cookie says.
func (v *server) session(id string) string {
	sum := hmac.New(sha256.New, v.key)
	sum.Write([]byte(id))
	return hex.EncodeToString(sum.Sum(nil))
}

// signIn gives a cookie for the paths of one person alone, so that two windows of one browser may be two people. Here a real site asks
// for a password.
func (v *server) signIn(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if !known(id) {
		http.Error(w, "There is nobody of that name in the firm.", http.StatusNotFound)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: v.session(id), Path: "/notifications/people/" + id + "/", HttpOnly: true,
		SameSite: http.SameSiteStrictMode})
	w.WriteHeader(http.StatusNoContent)
}

// signedIn lets through who has signed in as the person of the path, and says who that is.
func (v *server) signedIn(next func(w http.ResponseWriter, r *http.Request, id string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		c, err := r.Cookie(cookieName)
		if err != nil || !known(id) || !hmac.Equal([]byte(c.Value), []byte(v.session(id))) {
			http.Error(w, "Sign in first.", http.StatusUnauthorized)
			return
		}
		next(w, r, id)
	}
}

// token gives a token for Encke. It allows to see who is here, and to publish nothing: a note can only come from the site.
func (v *server) token(w http.ResponseWriter, _ *http.Request, id string) {
	text, err := v.site.Token(id, nil, site.Rights{office: {"subscribe", "presence"}})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte(text))
}

// inbox answers with what a person has got and sent. What was kept until now is in the answer as such, so that the page can say so, and has
// been delivered by it, which the senders are told.
func (v *server) inbox(w http.ResponseWriter, _ *http.Request, id string) {
	got, sent := v.notes.of(id)
	v.out.tellSenders(v.notes.raise(id, ids(got), delivered), delivered)
	site.Answer(w, map[string]any{"run": v.run, "notes": got, "sent": sent})
}

var keyForm = regexp.MustCompile(`^[a-z0-9]{8,32}$`)

// send takes a note. The sender is who is signed in, whatever the page says. A note sent again with the same key is taken once.
func (v *server) send(w http.ResponseWriter, r *http.Request, id string) {
	var say struct {
		To, Text, Key string
		Important     bool
	}
	if !site.Read(w, r, &say) {
		return
	}
	text := clean(say.Text)
	switch {
	case !known(say.To):
		http.Error(w, "There is nobody of that name in the firm.", http.StatusBadRequest)
		return
	case !keyForm.MatchString(say.Key):
		http.Error(w, "A note needs a key of 8 to 32 letters and digits.", http.StatusBadRequest)
		return
	case text == "":
		http.Error(w, "There is nothing in this note.", http.StatusBadRequest)
		return
	case utf8.RuneCountInString(text) > textLength:
		http.Error(w, "This note is longer than 1,000 characters.", http.StatusBadRequest)
		return
	case v.out.full():
		http.Error(w, "The office is too busy just now. Try again in a moment.", http.StatusServiceUnavailable)
		return
	}
	n, fresh, err := v.notes.add(note{ID: id + "." + say.Key, From: id, To: say.To, Text: text, Important: say.Important})
	switch {
	case errors.Is(err, errTooMany):
		http.Error(w, "That were many notes at once. Wait half a minute.", http.StatusTooManyRequests)
		return
	case errors.Is(err, errOther):
		http.Error(w, "This key belongs to another note.", http.StatusConflict)
		return
	}
	if fresh {
		v.out.note(n)
	}
	site.Answer(w, n)
}

// read takes that a person has read notes, and tells the person's other devices and the senders.
func (v *server) read(w http.ResponseWriter, r *http.Request, id string) {
	var say struct{ IDs []string }
	if !site.Read(w, r, &say) {
		return
	}
	if len(say.IDs) == 0 || len(say.IDs) > keep {
		http.Error(w, "Name 1 to 100 notes.", http.StatusBadRequest)
		return
	}
	changed := v.notes.raise(id, say.IDs, read)
	if len(changed) > 0 {
		v.out.push(site.Message{User: id, Event: "read", Data: map[string]any{"ids": ids(changed)}})
		v.out.tellSenders(changed, read)
	}
	site.Answer(w, map[string]any{"read": len(changed)})
}

// clean returns a note's text without what is not seen: control characters but line breaks, and those that turn the direction of others.
func clean(text string) string {
	return strings.TrimSpace(strings.Map(func(c rune) rune {
		if c != '\n' && unicode.IsControl(c) || c >= '\u202a' && c <= '\u202e' || c >= '\u2066' && c <= '\u2069' || c == utf8.RuneError {
			return -1
		}
		return c
	}, strings.ReplaceAll(text, "\r\n", "\n")))
}
