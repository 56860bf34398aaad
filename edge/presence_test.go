package edge_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"encke/edge"

	"github.com/gobwas/ws"
	"github.com/golang-jwt/jwt/v5"
)

// rights are what a token allows, by pattern.
type rights map[string][]string

// ticketFor makes the argument of a URL that brings a token: with rights, and with what others see of the user, "" for nothing.
func ticketFor(t testing.TB, user, info string, all rights) string {
	return ticketUntil(t, time.Now().Add(time.Hour), user, info, all)
}

func ticketUntil(t testing.TB, end time.Time, user, info string, all rights) string {
	t.Helper()
	claims := jwt.MapClaims{"sub": user, "exp": jwt.NewNumericDate(end), "iat": time.Now().Unix(), "channels": all}
	if info != "" {
		claims["info"] = json.RawMessage(info)
	}
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(tokenSecret)
	if err != nil {
		t.Fatal(err)
	}
	return "token=" + text
}

var (
	reads    = rights{"x": {"subscribe"}}
	sees     = rights{"x": {"presence"}}
	readsAll = rights{"x": {"subscribe", "presence"}}
)

// watched is a rig that keeps who is in channels.
func watchedRig(t *testing.T, change func(*edge.Config)) *rig {
	r, _ := guarded(t, func(c *edge.Config) {
		c.Presence, c.UserGrace, c.HistoryLength = "members", time.Hour, 100_000
		if change != nil {
			change(c)
		}
	})
	return r
}

// hereNow is who is in a channel.
type hereNow struct {
	Channel     string
	Users       int
	Connections int
	Position    string
	TooMany     bool `json:"too_many"`
	Members     []struct {
		User        string
		Connections int
		Info        json.RawMessage
	}
}

func parseHere(t testing.TB, text string) (h hereNow) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &h); err != nil || !strings.HasPrefix(text, `{"channel":`) {
		t.Fatalf("%s: %v", text, err)
	}
	return h
}

// here asks the backend who is in a channel.
func (r *rig) here(t testing.TB, name string) hereNow {
	t.Helper()
	_, text := r.ask(t, "GET", "/channels/"+name+"/presence", "")
	return parseHere(t, text)
}

// presenceEvent is the data of what is told of a channel.
type presenceEvent struct {
	Join []struct {
		User string
		Info json.RawMessage
	}
	Leave              []string
	Users, Connections *int
}

// watcher is a WebSocket that is told who comes to x and goes.
type watcher struct {
	*wsPeer
	left []string // who has left, as changes has seen it
}

func watch(t testing.TB, r *rig, more ...string) *watcher {
	t.Helper()
	p := newWS(t, r.public, "/ws?channels="+strings.Join(append([]string{"$presence:x"}, more...), ",")+"&"+ticketFor(t, "watcher", "", rights{"*": {"subscribe", "presence"}}))
	for range 2 + len(more) { // its own channel is one
		p.text()
	}
	return &watcher{wsPeer: p}
}

// next returns the next event, and its text.
func (w *watcher) next() (e presenceEvent, text string) {
	w.t.Helper()
	x := w.text()
	if x.Channel != "$presence:x" || x.Event != "presence" || x.User != "" || x.Gap {
		w.t.Fatalf("got %+v", x)
	}
	if err := json.Unmarshal(x.Data, &e); err != nil {
		w.t.Fatal(err)
	}
	return e, string(x.Data)
}

// changes returns who joins ("+42") and leaves ("-42") with the next events, up to one that somebody is in, with "" anybody.
func (w *watcher) changes(until string) (all []string) {
	w.t.Helper()
	for !slices.Contains(all, until) && (until != "" || len(all) == 0) {
		e, _ := w.next()
		for _, j := range e.Join {
			all = append(all, "+"+j.User)
		}
		for _, l := range e.Leave {
			all = append(all, "-"+l)
			w.left = append(w.left, "-"+l)
		}
	}
	slices.Sort(all)
	return all
}

// counted skips events up to one that tells of so many.
func (w *watcher) counted(users, connections int) {
	w.t.Helper()
	for {
		if e, text := w.next(); e.Users != nil && *e.Users == users && *e.Connections == connections {
			return
		} else if len(e.Join)+len(e.Leave) > 0 {
			w.t.Fatalf("%s, want %d and %d", text, users, connections)
		}
	}
}

// TestPresence: who is here, whatever they are connected by, and what those are told who may see it.
func TestPresence(t *testing.T) {
	t.Parallel()
	r := watchedRig(t, func(c *edge.Config) { c.Anonymous = []string{"x"} })
	w := watch(t, r)
	if h := r.here(t, "x"); h.Users != 0 || h.Connections != 0 || h.Members == nil {
		t.Errorf("before anything: %+v", h)
	}
	newWS(t, r.public, "/ws?channels=x&"+ticketFor(t, "42", `{"name":"Ada"}`, nil))
	if _, text := w.next(); text != `{"join":[{"user":"42","info":{"name":"Ada"}}],"users":1,"connections":1}` {
		t.Error(text)
	}
	newWS(t, r.public, "/ws?channels=x&"+ticketFor(t, "7", "", nil))
	if _, text := w.next(); text != `{"join":[{"user":"7"}],"users":2,"connections":2}` {
		t.Error(text)
	}
	ada := ticketFor(t, "42", `{"name":"Ada"}`, nil)
	newWS(t, r.public, "/ws?channels=x&"+ada, "Sec-WebSocket-Protocol: encke.raw")
	openStream(t, r.public, "/sse?channels=x&"+ada)
	openStream(t, r.public, "/stream?channels=x&"+ada)
	newPeer(t, r.public).get("/poll?wait=60&channels=x&" + ada)
	newWS(t, r.public, "/ws?channels=x") // counted, and nobody
	openStream(t, r.public, "/sse?channels=x")
	newPeer(t, r.public).get("/poll?wait=60&channels=x")
	w.counted(2, 9)
	newWS(t, r.public, "/ws?channels=y&"+ticketFor(t, "elsewhere", "", rights{"y": {"subscribe"}}))
	want := `{"channel":"x","users":2,"connections":9,"position":"POSITION","members":[{"user":"42","connections":5,"info":{"name":"Ada"}},{"user":"7","connections":1}]}`
	_, text := r.ask(t, "GET", "/channels/x/presence", "")
	position := parseHere(t, text).Position
	want = strings.Replace(want, "POSITION", position, 1)
	counts := fmt.Sprintf(`{"channel":"x","users":2,"connections":9,"position":"%s"}`, position)
	ticket := ticketFor(t, "seer", "", sees)
	asker := newWS(t, r.public, "/ws?"+ticket)
	asker.text()
	for _, c := range []struct{ ask, want string }{
		{"backend /channels/x/presence", want},
		{"backend /channels/x/presence?counts=1", counts},
		{"backend /channels/x/presence?counts=0", want},
		{"public /presence?channel=x", want},
		{"public /presence?counts=1&channel=%78", counts},
		{"public /presence?counts=0&channel=x", want},
		{`{"id":1,"presence":{"channel":"x"}}`, `{"id":1,"presence":` + want + `}`},
		{`{"presence":{"channel":"x","counts":true}}`, `{"presence":` + counts + `}`},
	} {
		if got := askWho(t, r, asker, c.ask, ticket); got != c.want {
			t.Errorf("%s: %s, want %s", c.ask, got, c.want)
		}
	}
	for _, ask := range []string{"GET /channels/x/presence", "DELETE /channels/x/presence", "POST /channels/x/presence"} {
		method, target, _ := strings.Cut(ask, " ")
		if res, text := r.ask(t, method, target, ""); (res.StatusCode == 200) != (method == "GET") {
			t.Errorf("%s: %s %s", ask, res.Status, text)
		}
	}
	p := newPeer(t, r.public) // the answer of one request does not end the connection
	for range 2 {
		p.get("/presence?channel=x&" + ticket)
		p.want(200)
	}
	p.write("POST /presence?channel=x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
	p.want(405)
}

// askWho asks in one of all ways who is in a channel, and returns the answer.
func askWho(t testing.TB, r *rig, asker *wsPeer, ask, ticket string) string {
	t.Helper()
	switch where, target, _ := strings.Cut(ask, " "); where {
	case "backend":
		_, text := r.ask(t, "GET", target, "")
		return text
	case "public":
		p := newPeer(t, r.public)
		defer p.Close()
		p.get(target + "&" + ticket)
		_, text := p.answer()
		return text
	}
	asker.send(ws.OpText, ask)
	m, _ := asker.frame()
	return m.data
}

// TestPresenceReload: whoever comes back within the grace has not been away, by whatever it went and came; who unsubscribes has
// left at once.
func TestPresenceReload(t *testing.T) {
	t.Parallel()
	r := watchedRig(t, func(c *edge.Config) { c.UserGrace = time.Hour })
	w := watch(t, r)
	ticket, barrier := ticketFor(t, "42", "", reads), 0
	quiet := func(what string) { // an event that tells of anybody else would come with this one at the latest
		t.Helper()
		barrier++
		id := fmt.Sprint("barrier", barrier)
		p := newWS(t, r.public, "/ws?channels=x&"+ticketFor(t, id, "", reads))
		if got := w.changes("+" + id); len(got) != 1 {
			t.Errorf("%s: %v", what, got)
		}
		p.text()
		p.command(`{"unsubscribe":{"channel":"x"}}`)
		if got := w.changes("-" + id); len(got) != 1 {
			t.Errorf("%s: %v", what, got)
		}
	}
	inChannel := func(want int) {
		t.Helper()
		waitFor(t, fmt.Sprint("connections: ", want), func() bool {
			h := r.here(t, "x")
			return h.Users == 1 && h.Connections == want && len(h.Members) == 1 && h.Members[0].User == "42" && h.Members[0].Connections == want
		})
	}
	last := newWS(t, r.public, "/ws?channels=x&"+ticket).peer
	if got := w.changes("+42"); len(got) != 1 {
		t.Error(got)
	}
	transports := []string{"ws", "raw", "sse", "stream", "poll", "ws"}
	for _, next := range transports {
		last.Close()
		inChannel(0)
		quiet("away, then over " + next)
		last = openTab(t, r, next, "x&"+ticket)
		inChannel(1)
	}
	last.Close()
	inChannel(0)
	p := newPeer(t, r.public)
	for i := range 3 {
		p.get("/poll?wait=60&channels=x&" + ticket)
		inChannel(1)
		r.push(t, "x", "wakes the poll")
		p.want(200)
		inChannel(0)
		quiet(fmt.Sprint("between two long polls, ", i))
		p.get("/poll?wait=0&channels=x&" + ticket)
		p.want(200)
		inChannel(0)
		quiet(fmt.Sprint("between two short polls, ", i))
	}
	first, second := newWS(t, r.public, "/ws?channels=x&"+ticket), newWS(t, r.public, "/ws?channels=x&"+ticket)
	inChannel(2)
	for _, p := range []*wsPeer{first, second} {
		p.text()
		p.text()
	}
	first.command(`{"unsubscribe":{"channel":"x"}}`)
	inChannel(1)
	quiet("another tab is there still")
	first.command(`{"subscribe":{"channel":"x"}}`)
	inChannel(2)
	first.Close()
	inChannel(1)
	second.command(`{"unsubscribe":{"channel":"x"}}`)
	if got := w.changes("-42"); len(got) != 1 {
		t.Errorf("unsubscribed: %v", got)
	}
	if h := r.here(t, "x"); h.Users != 0 || len(h.Members) != 0 {
		t.Errorf("unsubscribed: %+v", h)
	}
	poll := newPeer(t, r.public) // who asks now and then is here
	poll.get("/poll?wait=0&channels=x&" + ticketFor(t, "42", `{"tab":0}`, reads))
	poll.want(200)
	if got := w.changes("+42"); len(got) != 1 {
		t.Errorf("a poll that does not wait: %v", got)
	}
	inChannel(0)
	asker := newWS(t, r.public, "/ws?"+ticketFor(t, "seer", "", sees))
	asker.text()
	for i := range 3 { // no event tells of another info; who asks is shown it a second later at the latest, and the backend at once
		want := fmt.Sprintf(`"members":[{"user":"42","connections":0,"info":{"tab":%d}}]`, i)
		if text := askWho(t, r, asker, "backend /channels/x/presence", ""); !strings.Contains(text, want) {
			t.Errorf("%s, want %s", text, want)
		}
		waitFor(t, want, func() bool { return strings.Contains(askWho(t, r, asker, `{"presence":{"channel":"x"}}`, ""), want) })
		poll.get("/poll?wait=0&channels=x&" + ticketFor(t, "42", fmt.Sprintf(`{"tab":%d}`, i+1), reads))
		poll.want(200)
	}
	quiet("other infos")
	waitFor(t, "listings to be forgotten", func() bool { return r.Listings() == 0 })
}

// openTab opens a connection that stays.
func openTab(t testing.TB, r *rig, transport, channels string) *peer {
	t.Helper()
	switch transport {
	case "ws":
		return newWS(t, r.public, "/ws?channels="+channels).peer
	case "raw":
		return newWS(t, r.public, "/ws?channels="+channels, "Sec-WebSocket-Protocol: encke.raw").peer
	case "poll":
		p := newPeer(t, r.public)
		p.get("/poll?wait=60&channels=" + channels)
		return p
	}
	p, _, _ := openStream(t, r.public, "/"+transport+"?channels="+channels)
	return p
}

// TestPresenceEnds: whatever ends the connections of users, they leave after the grace; nobody else does.
func TestPresenceEnds(t *testing.T) {
	t.Parallel()
	r := watchedRig(t, func(c *edge.Config) { c.UserGrace = 200 * time.Millisecond })
	w := watch(t, r)
	ends := []struct {
		user string
		end  func(all []*peer)
	}{
		{"closes", func(all []*peer) {
			for _, p := range all {
				p.Close()
			}
		}},
		{"resets", func(all []*peer) {
			for _, p := range all {
				_ = p.Conn.(*net.TCPConn).SetLinger(0)
				p.Close()
			}
		}},
		{"disconnected", func([]*peer) { r.ask(t, "DELETE", "/users/disconnected/connections", "") }},
		{"revoked", func([]*peer) { r.ask(t, "POST", "/tokens/revoke", `{"user":"revoked"}`) }},
		{"expires", func([]*peer) {}},
	}
	newWS(t, r.public, "/ws?channels=x&"+ticketFor(t, "stays", "", reads))
	w.changes("+stays")
	var all []*peer
	var want []string
	for _, x := range ends {
		ticket, tabs := ticketFor(t, x.user, "", reads), []*peer(nil)
		transports := []string{"ws", "raw", "sse", "stream", "poll"}
		if x.user == "expires" { // the poll of an old token is answered in its time
			ticket, transports = ticketUntil(t, time.Now().Add(1500*time.Millisecond), x.user, "", reads), transports[:4]
		}
		for _, transport := range transports {
			tabs = append(tabs, openTab(t, r, transport, "x&"+ticket))
		}
		if got := w.changes("+" + x.user); !slices.Contains(got, "+"+x.user) {
			t.Errorf("%s: %v", x.user, got)
		}
		waitFor(t, "all to be here", func() bool { return userState(t, r, x.user).Connections == len(tabs) })
		x.end(tabs)
		all, want = append(all, tabs...), append(want, "-"+x.user)
	}
	for _, p := range all { // what the server has ended, or is about to
		_, _ = io.Copy(io.Discard, p)
		p.Close()
	}
	for len(w.left) < len(want) {
		w.changes("")
	}
	slices.Sort(w.left)
	slices.Sort(want)
	if !slices.Equal(w.left, want) {
		t.Errorf("%v, want %v", w.left, want)
	}
	waitFor(t, "one to be left", func() bool { h := r.here(t, "x"); return h.Users == 1 && h.Connections == 1 })
	if state := userState(t, r, "closes"); state.Online {
		t.Errorf("%+v", state)
	}
}

// TestPresenceAtTheLimit: to ask who is here takes no connection of a user's; a token must be good all the same.
func TestPresenceAtTheLimit(t *testing.T) {
	t.Parallel()
	r := watchedRig(t, func(c *edge.Config) { c.MaxPerUser = 1 })
	ticket := ticketFor(t, "42", "", readsAll)
	openStream(t, r.public, "/sse?channels=x&"+ticket)
	if got, text := statusOf(t, r, "/poll?wait=0&channels=x&"+ticket); got != 429 {
		t.Errorf("another connection: %d %s", got, text)
	}
	if got, text := statusOf(t, r, "/presence?channel=x&"+ticket); got != 200 {
		t.Errorf("%d %s", got, text)
	}
	r.ask(t, "POST", "/tokens/revoke", `{"user":"42"}`)
	if got, text := statusOf(t, r, "/presence?channel=x&"+ticket); got != 401 || !strings.Contains(text, "token_revoked") {
		t.Errorf("revoked: %d %s", got, text)
	}
}

// TestPresenceRefused: without the right, where nothing is kept, of what is no channel: over every transport, and nothing is said of
// who is here.
func TestPresenceRefused(t *testing.T) {
	t.Parallel()
	off := "off"
	r := watchedRig(t, func(c *edge.Config) {
		c.Anonymous = []string{"*"}
		c.Rules = []edge.Rule{{Pattern: "dark*", Presence: &off}}
	})
	for _, name := range []string{"x", "dark", "secret"} {
		newWS(t, r.public, "/ws?channels="+name+"&"+ticketFor(t, "hidden-user", `{"name":"hidden-name"}`, nil))
		r.subscribers(t, name, 1)
	}
	long := strings.Repeat("l", 119)
	for _, c := range []struct{ name, channel, ticket, code string }{
		{"no token", "x", "", "forbidden"},
		{"a token without rights", "x", ticketFor(t, "1", "", nil), "forbidden"},
		{"a token that may read and publish", "x", ticketFor(t, "1", "", rights{"*": {"subscribe", "publish"}}), "forbidden"},
		{"a token for another channel", "x", ticketFor(t, "1", "", rights{"xx": {"presence"}, "y*": {"presence"}}), "forbidden"},
		{"a token that may read the companion", "x", ticketFor(t, "1", "", rights{"$presence:x": {"subscribe", "presence"}, "$*": {"presence"}}), "forbidden"},
		{"nothing is kept", "dark", ticketFor(t, "1", "", rights{"*": {"presence"}}), "no_presence"},
		{"nothing is kept, without the right", "dark", "", "no_presence"},
		{"a user's own channel", "user:1", ticketFor(t, "1", "", rights{"*": {"presence"}, "user:*": {"presence"}}), "no_presence"},
		{"of the server's", "$stats", ticketFor(t, "1", "", rights{"*": {"presence"}}), "no_presence"},
		{"of a companion", "$presence:x", ticketFor(t, "1", "", rights{"*": {"presence"}}), "no_presence"},
		{"of too long a name", long, ticketFor(t, "1", "", rights{"*": {"presence"}}), "bad_channel no_presence"},
		{"of a bad name", "a%20b", ticketFor(t, "1", "", rights{"*": {"presence"}}), "bad_channel"},
		{"of no name", "", ticketFor(t, "1", "", rights{"*": {"presence"}}), "bad_channel"},
		{"a bad token", "x", "token=bad", "bad_token"},
	} {
		refused := func(how string, status int, text string) {
			t.Helper()
			first, _, _ := strings.Cut(c.code, " ")
			second := c.code[strings.LastIndexByte(c.code, ' ')+1:]
			if status < 400 || !strings.Contains(text, `"`+first+`"`) && !strings.Contains(text, `"`+second+`"`) || strings.Contains(text, "hidden") {
				t.Errorf("%s, %s: %d %s, want %s", c.name, how, status, text, c.code)
			}
		}
		for _, ask := range asks {
			status, text := statusOf(t, r, ask.target+"$presence:"+c.channel+"&"+c.ticket)
			refused(ask.name, status, text)
			status, text = statusOf(t, r, ask.target+"secret,$presence:"+c.channel+"&since=0,0&"+c.ticket)
			refused(ask.name+", the second", status, text)
		}
		status, text := statusOf(t, r, "/ws?channels=$presence:"+c.channel+"&"+c.ticket, "Sec-WebSocket-Protocol: encke.raw")
		refused("raw", status, text)
		for _, query := range []string{"", "&counts=1"} {
			status, text := statusOf(t, r, "/presence?channel="+c.channel+query+"&"+c.ticket)
			refused("GET /presence"+query, status, text)
		}
		if c.code == "bad_token" {
			continue
		}
		p := newWS(t, r.public, "/ws?"+c.ticket)
		if c.ticket != "" {
			p.text() // its own channel
		}
		name := strings.ReplaceAll(c.channel, "%20", " ")
		for _, command := range []string{`"presence":{"channel":"` + name + `"}`, `"presence":{"channel":"` + name + `","counts":true}`,
			`"subscribe":{"channel":"$presence:` + name + `"}`, `"subscribe":{"channel":"$presence:` + name + `","since":"0"}`} {
			p.send(ws.OpText, `{"id":1,`+command+`}`)
			m, _ := p.frame()
			if !strings.HasPrefix(m.data, `{"id":1,"error":`) {
				t.Errorf("%s, %s: %s", c.name, command, m.data)
			}
			refused(command, 400, m.data)
		}
	}
	if got, text := statusOf(t, r, "/presence"); got != 400 || !strings.Contains(text, "bad_channel") {
		t.Errorf("%d %s", got, text)
	}
	for path, code := range map[string]string{"dark": "no_presence", "user:1": "no_presence", "$stats": "no_presence", "a%20b": "bad_channel", long: "no_presence"} {
		if res, text := r.ask(t, "GET", "/channels/"+path+"/presence", ""); res.StatusCode/100 != 4 || !strings.Contains(text, code) {
			t.Errorf("backend, %s: %s %s, want %s", path, res.Status, text, code)
		}
	}
	if h := r.here(t, long[:118]); h.Members == nil {
		t.Errorf("a name of 118 bytes: %+v", h)
	}
	p := newWS(t, r.public, "/ws?channels=x&"+ticketFor(t, "1", "", nil)) // who is only subscribed hears nothing of all that
	p.text()
	p.text()
	newWS(t, r.public, "/ws?channels=x&"+ticketFor(t, "joins", "", nil))
	waitFor(t, "it to be told", func() bool { return r.here(t, "x").Users == 3 })
	r.push(t, "x", "hello")
	if x := p.text(); x.Channel != "x" || string(x.Data) != `"hello"` {
		t.Errorf("%+v", x)
	}
	for _, c := range []struct{ name, text string }{{"push", `{"channel":"$presence:x","data":{"join":[]}}`}, {"push", `{"channel":"$stats","data":{}}`}} {
		if _, text := r.ask(t, "POST", "/publish", c.text, "Content-Type: application/json"); !strings.Contains(text, "reserved_channel") {
			t.Errorf("%s: %s", c.text, text)
		}
	}
}

// TestPresenceRefresh: a connection becomes somebody, and what a new token does not allow ends, at once.
func TestPresenceRefresh(t *testing.T) {
	t.Parallel()
	r := watchedRig(t, func(c *edge.Config) { c.Anonymous = []string{"x"} })
	w := watch(t, r)
	refresh := func(p *wsPeer, ticket string) {
		t.Helper()
		if x := p.command(`{"refresh":{"token":"` + strings.TrimPrefix(ticket, "token=") + `"}}`); x.Refreshed == nil {
			t.Fatalf("%+v", x)
		}
	}
	p := newWS(t, r.public, "/ws?channels=x")
	p.text()
	w.counted(0, 1)
	refresh(p, ticketFor(t, "42", `{"name":"Ada"}`, rights{"y": {"subscribe"}, "x": {"presence"}}))
	if _, text := w.next(); text != `{"join":[{"user":"42","info":{"name":"Ada"}}],"users":1,"connections":1}` {
		t.Error(text)
	}
	p.text()                                                                              // its own channel
	newWS(t, r.public, "/ws?channels=y&"+ticketFor(t, "42", "", rights{"y": reads["x"]})) // in another channel only
	for _, name := range []string{"y", "$presence:x"} {
		if x := p.command(`{"subscribe":{"channel":"` + name + `"}}`); x.Subscribed == nil {
			t.Fatalf("%+v", x)
		}
	}
	refresh(p, ticketFor(t, "42", "", nil))
	for _, name := range []string{"y", "$presence:x"} {
		if x := p.text(); x.Unsubscribed == nil || x.Unsubscribed.Channel != name {
			t.Errorf("%+v, want %s unsubscribed", x, name)
		}
	}
	if h := r.here(t, "y"); h.Users != 1 || h.Connections != 1 {
		t.Errorf("%+v", h)
	}
	r.subscribers(t, "$presence:x", 1)
	other := newWS(t, r.public, "/ws?channels=x&"+ticketFor(t, "7", "", nil))
	if got := w.changes("+7"); len(got) != 1 {
		t.Errorf("%v", got)
	}
	if x := p.command(`{"presence":{"channel":"x"}}`); x.Error == nil || x.Error.Code != "forbidden" { // nor was it told before that
		t.Errorf("%+v", x)
	}
	other.Close()
	z := newWS(t, r.public, "/ws?channels=z&"+ticketFor(t, "9", "", rights{"z": {"subscribe"}}))
	z.text()
	z.text()
	waitFor(t, "it to be there", func() bool { return r.here(t, "z").Users == 1 })
	refresh(z, ticketFor(t, "9", "", nil))
	z.text()
	if h := r.here(t, "z"); h.Users != 0 || h.Connections != 0 { // whoever may not be there any more is not waited for
		t.Errorf("%+v", h)
	}
}

// TestPresenceCounts: numbers alone, at most once a second, where a rule wants no more; and where there are too many to list.
func TestPresenceCounts(t *testing.T) {
	t.Parallel()
	counts := "counts"
	r := watchedRig(t, func(c *edge.Config) { c.Rules = []edge.Rule{{Pattern: "x", Presence: &counts}} })
	w := watch(t, r)
	var last, events int64
	all := map[string]*peer{}
	for events < 3 {
		id := fmt.Sprint(len(all))
		all[id] = newWS(t, r.public, "/ws?channels=x&"+ticketFor(t, id, `{"name":"hidden"}`, reads)).peer
		for { // until this one has been counted: meanwhile no other comes
			x := w.text()
			if x.Time-last < 1000 {
				t.Errorf("two within %d ms", x.Time-last)
			}
			last = x.Time
			events++
			if string(x.Data) == fmt.Sprintf(`{"users":%d,"connections":%d}`, len(all), len(all)) {
				break
			}
			t.Errorf("%s", x.Data)
		}
	}
	ticket := ticketFor(t, "seer", "", rights{"*": {"presence"}})
	asker := newWS(t, r.public, "/ws?"+ticket)
	asker.text()
	for _, ask := range []string{"backend /channels/x/presence", "public /presence?channel=x", `{"presence":{"channel":"x"}}`} {
		text := askWho(t, r, asker, ask, ticket)
		if !strings.Contains(text, `"users":3,"connections":3,"position":"`) || strings.Contains(text, "members") || strings.Contains(text, "hidden") {
			t.Errorf("%s: %s", ask, text)
		}
	}
	crowd := watchOver(t, r, "ws", "crowd", r.here(t, "crowd"), nil)
	defer crowd.end()
	r.EnterMany("crowd", 10_000)
	crowd.equals(10_000, 10_000)
	for _, c := range []struct {
		more    int
		tooMany bool
	}{{0, false}, {1, true}} {
		r.EnterMany("crowd", c.more)
		crowd.equals(10_000+c.more, 10_000+c.more)
		for _, ask := range []string{"backend /channels/crowd/presence", "public /presence?channel=crowd", `{"presence":{"channel":"crowd"}}`} {
			text := askWho(t, r, asker, ask, ticket)
			if strings.Contains(text, `"too_many":true`) != c.tooMany || strings.Contains(text, `"members":[`) == c.tooMany || !strings.Contains(text, fmt.Sprintf(`"users":%d,`, 10_000+c.more)) {
				t.Errorf("%s, %d more: %.150s", ask, c.more, text)
			}
		}
		if text := askWho(t, r, asker, "public /presence?counts=1&channel=crowd", ticket); strings.Contains(text, "too_many") {
			t.Error(text)
		}
	}
	if crowd.parts < 2 {
		t.Error("a large batch came in one piece")
	}
}

// TestHeadDoesNothing: whoever asks for the headers alone is not online by it, not present, and has read nothing.
func TestHeadDoesNothing(t *testing.T) {
	t.Parallel()
	r := watchedRig(t, nil)
	letter := r.letter(t, "42", "kept")
	for _, target := range []string{"/poll?wait=0&", "/poll?wait=60&", "/poll?", "/sse?", "/stream?", "/ws?", "/presence?channel=x&"} {
		p := newPeer(t, r.public)
		p.write(fmt.Sprintf("HEAD %schannels=x&ack=%d&%s HTTP/1.1\r\nHost: localhost\r\n\r\n", target, letter, ticketFor(t, "42", "", readsAll)))
		if res := p.head("HEAD"); (res.StatusCode != 200) != (target == "/ws?") {
			t.Errorf("%s: %s", target, res.Status)
		}
		if s := userState(t, r, "42"); s.Online || s.LastSeen != nil {
			t.Errorf("%s: %+v", target, s)
		}
		if h := r.here(t, "x"); h.Users != 0 || h.Connections != 0 || len(h.Members) != 0 {
			t.Errorf("%s: %+v", target, h)
		}
		if kept := r.kept(t, "42"); !slices.Equal(kept, []uint64{letter}) {
			t.Errorf("%s: letters %v", target, kept)
		}
	}
}

// TestPresenceFillsItsPart: who is in ever new channels makes joins and leaves in each, which put out one another and nobody's
// messages; and the numbers are right when that is over.
func TestPresenceFillsItsPart(t *testing.T) {
	t.Parallel()
	r := watchedRig(t, func(c *edge.Config) {
		c.UserGrace, c.HistoryMemory, c.HistoryAge, c.MaxChannels = 300*time.Millisecond, 50_000, time.Hour, 100
	})
	r.push(t, "x", "the oldest of all")
	ticket, p := ticketFor(t, "42", `{"name":"Ada"}`, rights{"*": {"subscribe"}}), newPeer(t, r.public)
	for n := 0; r.Stats().Dropped["memory"] < 1000; n++ {
		var names []string
		for i := range 100 {
			names = append(names, fmt.Sprintf("new:%d:%d", n, i))
		}
		p.get("/poll?wait=0.001&channels=" + strings.Join(names, ",") + "&" + ticket)
		p.want(200)
	}
	if _, text := r.ask(t, "GET", "/channels/x/history", ""); !strings.Contains(text, "the oldest of all") {
		t.Errorf("history is %s", text)
	}
	p.Close()
	waitFor(t, "all to have left", func() bool {
		s := r.Stats().Users
		return s.Presence.Members == 0 && s.Presence.Connections == 0 && s.Online == 0
	})
	if h := r.here(t, "new:1:1"); h.Users != 0 || h.Connections != 0 {
		t.Errorf("%+v", h)
	}
}

// TestPresenceRefreshedInfo: a token with another info is told where its user is, once; one with the same is not.
func TestPresenceRefreshedInfo(t *testing.T) {
	t.Parallel()
	r := watchedRig(t, nil)
	w := watch(t, r)
	refresh := func(p *wsPeer, info string) {
		t.Helper()
		_, text, _ := strings.Cut(ticketFor(t, "42", info, reads), "=")
		if x := p.command(`{"refresh":{"token":"` + text + `"}}`); x.Refreshed == nil {
			t.Errorf("%s: %+v", info, x)
		}
	}
	p, other := newWS(t, r.public, "/ws?channels=x&"+ticketFor(t, "42", `{"name":"Ada"}`, reads)), newWS(t, r.public, "/ws?channels=x&"+ticketFor(t, "7", "", reads))
	w.counted(2, 2)
	for _, p := range []*wsPeer{p, other} {
		p.text()
		p.text()
	}
	for _, c := range []struct{ info, event, member string }{
		{`{"name":"Bea"}`, `{"update":[{"user":"42","info":{"name":"Bea"}}],"users":2,"connections":2}`, `{"user":"42","connections":1,"info":{"name":"Bea"}}`},
		{"", `{"update":[{"user":"42"}],"users":2,"connections":2}`, `{"user":"42","connections":1}`},
		{`{"name":"Ada"}`, `{"update":[{"user":"42","info":{"name":"Ada"}}],"users":2,"connections":2}`, `{"user":"42","connections":1,"info":{"name":"Ada"}}`},
	} {
		refresh(p, c.info)
		if _, text := w.next(); text != c.event {
			t.Errorf("%s, want %s", text, c.event)
		}
		refresh(p, c.info) // nothing more
		if _, text := r.ask(t, "GET", "/channels/x/presence", ""); !strings.Contains(text, c.member) {
			t.Errorf("%s, want %s", text, c.member)
		}
	}
	other.command(`{"unsubscribe":{"channel":"x"}}`)
	if _, text := w.next(); text != `{"leave":["7"],"users":1,"connections":1}` {
		t.Error(text)
	}
}

// TestPresenceOfLongNames: however small messages have to be, everybody is told of, the longest user with the longest info too.
func TestPresenceOfLongNames(t *testing.T) {
	t.Parallel()
	r := watchedRig(t, func(c *edge.Config) { c.MaxMessage = 10 })
	w := watch(t, r)
	long, info := strings.Repeat("u", 120), `"`+strings.Repeat("i", 1022)+`"`
	for _, user := range []string{long, "7"} {
		openTab(t, r, "sse", "x&"+ticketFor(t, user, info, reads))
		e, text := w.next()
		if len(e.Join) != 1 || e.Join[0].User != user || string(e.Join[0].Info) != info || e.Users == nil {
			t.Errorf("%s", text)
		}
	}
	if h, p := r.here(t, "x"), r.Stats().Users.Presence; h.Users != 2 || len(h.Members) != 2 || p.Refused != 0 {
		t.Errorf("%+v, %d refused", h, p.Refused)
	}
}
