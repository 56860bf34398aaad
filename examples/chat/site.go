// Package chat is the site's part of the chat: it gives tokens, says what people are called, and posts for those whose connection
// cannot publish. Rooms, histories and who is here are Encke's.
package chat

import (
	"context"
	"log"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"encke/examples/site"
)

// Register serves what the page asks the site for.
func Register(ctx context.Context, s *site.Site, mux *http.ServeMux) {
	c := &chat{site: s, ctx: ctx, names: newNames(maxNames)}
	s.Tokens(mux, "/chat/token", c.rights)
	mux.HandleFunc("GET /chat/names", c.whoIs)
	mux.HandleFunc("POST /chat/messages", c.post)
}

type chat struct {
	site  *site.Site
	ctx   context.Context // of the process
	names *names
}

// maxNames bounds the people whose names are known at a time.
const maxNames = 20000

// rights are what a visitor may do in every room. Who has not said a name only reads. A token is asked for whenever the name has
// changed, so this is where the site hears of it.
func (c *chat) rights(v site.Visitor) site.Rights {
	if v.Name == "" {
		return site.Rights{"chat:*": {"subscribe"}, "chat-here:*": {"subscribe", "presence"}, "chat-names": {"subscribe"}}
	}
	if c.names.set(v.ID, v.Name, time.Now()) {
		c.tell(v.ID)
	}
	return site.Rights{"chat:*": {"subscribe", "publish"}, "chat-here:*": {"subscribe", "publish", "presence"}, "chat-names": {"subscribe"}}
}

// tellWithin bounds how long a token waits for a new name to be told.
const tellWithin = 2 * time.Second

// tell tells every page what somebody is called now.
func (c *chat) tell(id string) {
	c.names.telling.Lock() // one after the other, each with the name of its moment: the last one told is the last one given
	defer c.names.telling.Unlock()
	name, ok := c.names.get(id)
	if !ok {
		return
	}
	within, cancel := context.WithTimeout(c.ctx, tellWithin)
	defer cancel()
	if _, err := c.site.Push(within, site.Message{Channel: "chat-names", Data: map[string]string{"user": id, "name": name}}); err != nil {
		log.Print("chat: a new name is not told: ", err)
	}
}

// maxAsked bounds the names of one answer.
const maxAsked = 100

// whoIs answers ?users=a,b with the names of those it knows: {"a":"Ada"}.
func (c *chat) whoIs(w http.ResponseWriter, r *http.Request) {
	found := map[string]string{}
	for i, id := range strings.SplitN(r.URL.Query().Get("users"), ",", maxAsked+1) {
		if name, ok := c.names.get(id); ok && i < maxAsked {
			found[id] = name
		}
	}
	site.Answer(w, found)
}

// message is what a room's channel carries. One that was published by its author's own page has no user here: Encke says who it was.
type message struct {
	ID   string `json:"id"`
	User string `json:"user,omitempty"`
	Text string `json:"text"`
}

var (
	validRoom = regexp.MustCompile(`^[A-Za-z0-9_=-]{1,100}$`)
	validID   = regexp.MustCompile(`^[A-Za-z0-9]{8,40}$`)
)

// maxText bounds a message's text, in UTF-16 units, as the page counts them.
const maxText = 1000

// wrong says what is wrong with a message to a room, for people, or nothing.
func (m message) wrong(room string) string {
	units := 0
	for _, r := range m.Text {
		if r < ' ' && r != '\n' {
			return "a message is text"
		}
		units++
		if r > 0xffff {
			units++
		}
	}
	switch {
	case !validRoom.MatchString(room):
		return "there is no such room"
	case !validID.MatchString(m.ID):
		return "a message needs an id"
	case strings.TrimSpace(m.Text) == "" || !utf8.ValidString(m.Text):
		return "a message is text"
	case units > maxText:
		return "this is too long"
	}
	return ""
}

// post puts a message into a room for the visitor who sends it: {"room","id","text"}. Sent again with the same id it is stored once.
func (c *chat) post(w http.ResponseWriter, r *http.Request) {
	var say struct{ Room, ID, Text string }
	if !site.Read(w, r, &say) {
		return
	}
	v := c.site.Visitor(w, r)
	m := message{ID: say.ID, User: v.ID, Text: say.Text}
	if v.Name == "" {
		http.Error(w, "say first what others shall call you", http.StatusForbidden)
		return
	}
	if words := m.wrong(say.Room); words != "" {
		http.Error(w, words, http.StatusUnprocessableEntity)
		return
	}
	if c.names.set(v.ID, v.Name, time.Now()) {
		c.tell(v.ID)
	}
	if !c.names.may(v.ID, time.Now()) {
		http.Error(w, "that was very fast: wait a moment", http.StatusTooManyRequests)
		return
	}
	pushed, err := c.site.Push(r.Context(), site.Message{Channel: "chat:" + say.Room, ID: v.ID + ":" + say.ID, Data: m})
	if err != nil {
		log.Print("chat: a message is not pushed: ", err)
		http.Error(w, "the chat's server does not answer", http.StatusBadGateway)
		return
	}
	site.Answer(w, map[string]string{"position": pushed.Position})
}
