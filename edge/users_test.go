package edge_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"encke/edge"
)

// userState asks who a user is.
func userState(t *testing.T, r *rig, id string) (s struct {
	User        string
	Online      bool
	Connections int
	LastSeen    *int64 `json:"last_seen"`
}) {
	t.Helper()
	res, text := r.ask(t, "GET", "/users/"+id, "")
	if err := json.Unmarshal([]byte(text), &s); err != nil || res.StatusCode != 200 || s.User != id {
		t.Fatalf("%s: %s %s %v", id, res.Status, text, err)
	}
	return s
}

// TestUsers: who is online, on any transport and with several connections, and when that ends.
func TestUsers(t *testing.T) {
	r, _ := guarded(t, func(c *edge.Config) { c.UserGrace = 300 * time.Millisecond })
	if s := userState(t, r, "42"); s.Online || s.LastSeen != nil {
		t.Errorf("before anything: %+v", s)
	}
	ticket := "token=" + tokenFor(t, "42", time.Hour, "news")
	tabs := []*peer{newWS(t, r.public, "/ws?channels=news&"+ticket).peer, newWS(t, r.public, "/ws?"+ticket, "Sec-WebSocket-Protocol: encke.raw").peer}
	for _, target := range []string{"/sse?channels=news&" + ticket, "/stream?" + ticket} {
		p, _, _ := openStream(t, r.public, target)
		tabs = append(tabs, p)
	}
	poll := newPeer(t, r.public)
	poll.get("/poll?wait=60&" + ticket)
	tabs = append(tabs, poll)
	waitFor(t, "all to be here", func() bool { return userState(t, r, "42").Connections == len(tabs) })
	for i, p := range tabs {
		p.Close()
		if i < len(tabs)-2 { // the last poll may not be noticed at once
			waitFor(t, "one to leave", func() bool { return userState(t, r, "42").Connections <= len(tabs)-1-i })
		}
		if s := userState(t, r, "42"); !s.Online && i < len(tabs)-1 {
			t.Errorf("after %d have left: %+v", i+1, s)
		}
	}
	r.push(t, "user:42", "wakes the poll")
	waitFor(t, "nobody is here, after the grace", func() bool { s := userState(t, r, "42"); return !s.Online && s.Connections == 0 })
	if s := userState(t, r, "42"); s.LastSeen == nil || time.Since(time.UnixMilli(*s.LastSeen)) > 10*time.Second {
		t.Errorf("last seen: %+v", s)
	}
	p := newPeer(t, r.public) // one who polls at intervals is online between two polls
	for range 6 {
		p.get("/poll?wait=0&channels=news&" + ticket)
		p.want(200)
		time.Sleep(100 * time.Millisecond)
		if s := userState(t, r, "42"); !s.Online {
			t.Errorf("between polls: %+v", s)
		}
	}
	waitFor(t, "not any more", func() bool { return !userState(t, r, "42").Online })
}

// TestToUser: a push to a user reaches all of its connections, whatever else they follow, and nobody else; who was away for a
// moment comes back for it with the position.
func TestToUser(t *testing.T) {
	r, _ := guarded(t, nil)
	ticket, other := "token="+tokenFor(t, "42", time.Hour, "news"), "token="+tokenFor(t, "7", time.Hour, "news")
	var all []slowPeer
	for _, transport := range []string{"ws", "sse", "stream"} {
		all = append(all, openSlow(t, r, transport, "news&"+ticket), openSlow(t, r, transport, "&"+ticket))
	}
	stranger := newWS(t, r.public, "/ws?channels=news&"+other)
	poll := newPeer(t, r.public)
	poll.get("/poll?channels=news&" + ticket)
	r.subscribers(t, "user:42", 7)
	for i, push := range []func() string{
		func() string { _, text := r.ask(t, "POST", "/users/42", "hello"); return text },
		func() string {
			_, text := r.ask(t, "POST", "/publish", `{"user":"42","data":"hello"}`, "Content-Type: application/json")
			return text
		},
		func() string {
			_, text := r.ask(t, "POST", "/publish", `{"users":["42","8"],"data":"hello"}`, "Content-Type: application/json")
			return text
		},
	} {
		if text := push(); !strings.Contains(text, fmt.Sprintf(`"channel":"user:42","offset":%d`, i+1)) {
			t.Errorf("push %d: %s", i, text)
		}
		for _, p := range all {
			if w := p.next(); w.Channel != "user:42" || w.Offset != uint64(i+1) || string(w.Data) != `"hello"` {
				t.Errorf("push %d: %+v", i, w)
			}
		}
	}
	answer := parseWire(t, []byte(poll.want(200)))
	if len(answer.Publications) != 1 {
		t.Errorf("poll: %+v", answer)
	}
	poll.get("/poll?wait=0&channels=news&since=" + answer.Position + "&" + ticket)
	if w := parseWire(t, []byte(poll.want(200))); len(w.Publications) != 2 {
		t.Errorf("back with %s: %+v", answer.Position, w)
	}
	poll.get("/poll?wait=0&channels=news&since=0&" + ticket) // a position from before it had a token: its own channel from now on
	if w := parseWire(t, []byte(poll.want(200))); len(w.Publications) != 0 {
		t.Errorf("%+v", w)
	}
	r.push(t, "news", "for all")
	stranger.text()
	stranger.text()
	if w := stranger.text(); w.Channel != "news" {
		t.Errorf("somebody else got %+v", w)
	}
}

// TestDisconnectUser ends a user's connections on every transport, each told why, and nobody else's.
func TestDisconnectUser(t *testing.T) {
	r, _ := guarded(t, nil)
	ticket := "token=" + tokenFor(t, "42", time.Hour, "news")
	socket := newWS(t, r.public, "/ws?"+ticket)
	other := newWS(t, r.public, "/ws?token="+tokenFor(t, "7", time.Hour))
	other.text()
	_, _, stream := openStream(t, r.public, "/stream?"+ticket)
	_, _, sse := openStream(t, r.public, "/sse?"+ticket)
	poll := newPeer(t, r.public)
	poll.get("/poll?" + ticket)
	r.subscribers(t, "user:42", 4)
	if res, text := r.ask(t, "DELETE", "/users/42/connections", ""); res.StatusCode != 200 || text != `{"disconnected":4}` {
		t.Errorf("%s %s", res.Status, text)
	}
	socket.closed(4110, "disconnected")
	if text := poll.want(403); !strings.Contains(text, "disconnected") {
		t.Error(text)
	}
	for line := ""; !strings.Contains(line, `{"closing":"disconnected"}`); {
		var err error
		if line, err = stream.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	for e := (events{t, sse}); ; {
		if b := e.next(); b.event == "closing" && b.data == `{"closing":"disconnected"}` {
			break
		}
	}
	r.ask(t, "POST", "/users/7", "still here")
	if w := other.text(); w.Channel != "user:7" {
		t.Errorf("%+v", w)
	}
	if _, text := r.ask(t, "DELETE", "/users/nobody/connections", ""); text != `{"disconnected":0}` {
		t.Error(text)
	}
}

func TestUserStates(t *testing.T) {
	r, _ := guarded(t, nil)
	p := newWS(t, r.public, "/ws?token="+tokenFor(t, "b", time.Hour))
	p.text()
	_, text := r.ask(t, "POST", "/users", `{"users":["a","b"]}`)
	if !strings.HasPrefix(text, `{"users":[{"user":"a","online":false,"connections":0,"last_seen":null},{"user":"b","online":true,"connections":1,"last_seen":1`) {
		t.Error(text)
	}
	for _, c := range []struct{ method, target, body, code string }{
		{"POST", "/users", "x", "bad_json"}, {"POST", "/users", `{"users":["a b"]}`, "bad_user"}, {"POST", "/users", `{"users":"a"}`, "bad_message"},
		{"POST", "/users", `{"users":["` + strings.Repeat(`x","`, maxAsked) + `y"]}`, "bad_limit"},
		{"GET", "/users/a%20b", "", "bad_user"}, {"GET", "/users/", "", "bad_user"}, {"GET", "/users", "", "method_not_allowed"},
		{"PUT", "/users/a", "x", "method_not_allowed"}, {"GET", "/users/a/connections", "", "method_not_allowed"},
		{"POST", "/publish", `{"user":"a","channel":"b","data":1}`, "bad_message"}, {"POST", "/publish", `{"user":"a b","data":1}`, "bad_user"},
		{"POST", "/publish", `{"user":"","data":1}`, "bad_user"}, {"POST", "/publish", `{"users":["a","` + strings.Repeat("x", 121) + `"],"data":1}`, "bad_user"},
		{"POST", "/tokens/revoke", `{"id":"` + strings.Repeat("x", 257) + `"}`, "bad_message"},
	} {
		if _, text := r.ask(t, c.method, c.target, c.body, "Content-Type: application/json"); !strings.Contains(text, c.code) {
			t.Errorf("%s %s %.40s: %s, want %s", c.method, c.target, c.body, text, c.code)
		}
	}
}

const maxAsked = 10001

// TestUsersLeaveNothing: comings and goings of users, at random, leave nothing behind.
func TestUsersLeaveNothing(t *testing.T) {
	r, _ := guarded(t, nil)
	for i := range 60 {
		ticket := "token=" + tokenFor(t, fmt.Sprint(i%7), time.Hour)
		p := newPeer(t, r.public)
		switch i % 3 {
		case 0:
			p.write("GET /ws?" + ticket + handshake + "\r\n")
		case 1:
			p.get("/sse?" + ticket)
		default:
			p.get("/poll?wait=50ms&" + ticket)
		}
		if i%2 == 0 {
			p.head("GET")
		}
		p.Close()
	}
	waitFor(t, "all to have gone", func() bool { return r.Stats().Connections["total"] == 0 })
	r.leavesNothing(t)
}

// TestConnectionsOfOneUser: more than --max-connections-per-user are refused, on every transport, and there is room again when one
// has gone.
func TestConnectionsOfOneUser(t *testing.T) {
	r, _ := guarded(t, func(c *edge.Config) { c.MaxPerUser = 2 })
	ticket := "token=" + tokenFor(t, "42", time.Hour, "news")
	first, second := newWS(t, r.public, "/ws?"+ticket), newWS(t, r.public, "/ws?"+ticket)
	first.text()
	second.text()
	for _, ask := range asks {
		if got, text := statusOf(t, r, ask.target+"news&"+ticket); got != 429 || !strings.Contains(text, "user_limit") {
			t.Errorf("%s: %d %s", ask.name, got, text)
		}
	}
	p := newWS(t, r.public, "/ws")
	if w := p.command(`{"id":1,"refresh":{"token":"` + ticket[len("token="):] + `"}}`); w.Error == nil || w.Error.Code != "user_limit" {
		t.Errorf("by command: %+v", w)
	}
	if w := first.command(`{"id":2,"refresh":{"token":"` + ticket[len("token="):] + `"}}`); w.Refreshed == nil {
		t.Errorf("a connection that is there already: %+v", w)
	}
	if got, _ := statusOf(t, r, "/sse?channels=news&token="+tokenFor(t, "7", time.Hour, "news")); got != 200 {
		t.Errorf("another user: %d", got)
	}
	second.Close()
	waitFor(t, "room", func() bool { got, _ := statusOf(t, r, "/poll?wait=0&channels=news&"+ticket); return got == 200 })
}
