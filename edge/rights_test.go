package edge_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"encke/edge"
	"encke/webhook"

	"github.com/gobwas/ws"
)

// refreshWith is the command that brings a ticket's token.
func refreshWith(ticket string) string {
	return `{"refresh":{"token":"` + strings.TrimPrefix(ticket, "token=") + `"}}`
}

// refusedWith says whether a reply is that error.
func (w wire) refusedWith(code string) bool { return w.Error != nil && w.Error.Code == code }

// TestPollRefusedBySite: who may not poll, as the site says, has not been here.
func TestPollRefusedBySite(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(_ webhook.Question, w http.ResponseWriter) { w.WriteHeader(403) }, nil)
	r, _ := asking(t, s, "connect", nil)
	for _, wait := range []string{"0", "10"} {
		if got, text := statusOf(t, r, "/poll?channels=public&wait="+wait+"&"+ticketFor(t, "42", "", nil)); got != 403 {
			t.Errorf("wait=%s: %d %s", wait, got, text)
		}
	}
	if s := userState(t, r, "42"); s.Online || s.LastSeen != nil {
		t.Errorf("%+v", s)
	}
}

// TestFirstTokenAsksSite: a connection that gets its first token by refresh is asked about as one of that user, with the channels
// that it has; where the site refuses it stays without a token. Another token of the same user asks nobody.
func TestFirstTokenAsksSite(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(q webhook.Question, w http.ResponseWriter) {
		w.WriteHeader(map[string]int{"": 204, "41": 403, "42": 204}[q.User])
	}, nil)
	r, _ := asking(t, s, "connect", nil)
	p := newWS(t, r.public, "/ws?channels=public")
	p.text()
	mine := rights{"a": {"subscribe"}}
	if x := p.command(refreshWith(ticketFor(t, "41", "", mine))); !x.refusedWith("forbidden") {
		t.Errorf("refused: %+v", x)
	}
	if x := p.command(`{"subscribe":{"channel":"a"}}`); !x.refusedWith("forbidden") {
		t.Errorf("refused, and subscribes: %+v", x)
	}
	if s := userState(t, r, "41"); s.Online || s.LastSeen != nil {
		t.Errorf("refused: %+v", s)
	}
	if x := p.command(refreshWith(ticketFor(t, "42", "", mine))); x.Refreshed == nil {
		t.Fatalf("allowed: %+v", x)
	}
	if x := p.text(); x.Subscribed == nil || x.Subscribed.Channel != "user:42" {
		t.Errorf("%+v, want its own channel", x)
	}
	if x := p.command(refreshWith(ticketFor(t, "42", `"another"`, mine))); x.Refreshed == nil {
		t.Errorf("another token: %+v", x)
	}
	s.note(func() {
		const asked = `{"hook":"connect","user":"%s","address":"127.0.0.1","transport":"ws","channels":["public"]}`
		if len(s.bodies) != 3 || s.bodies[1] != fmt.Sprintf(asked, "41") || s.bodies[2] != fmt.Sprintf(asked, "42") {
			t.Errorf("asked %v", s.bodies)
		}
	})
}

// TestFirstTokensOfTwoUsers: of two users' tokens that a connection brings while the site is asked, it gets the first.
func TestFirstTokensOfTwoUsers(t *testing.T) {
	t.Parallel()
	hold := newGate()
	s := newSite(t, func(q webhook.Question, w http.ResponseWriter) {
		if q.User != "" {
			<-hold.shut
		}
		w.WriteHeader(204)
	}, nil, hold)
	r, _ := asking(t, s, "connect", nil)
	p := newWS(t, r.public, "/ws")
	for _, user := range []string{"42", "43"} {
		p.send(ws.OpText, refreshWith(ticketFor(t, user, "", nil)))
	}
	p.command(`{"ping":{}}`) // so both have come
	hold.open()
	if x := p.text(); x.Refreshed == nil || x.Refreshed.User != "42" {
		t.Errorf("%+v", x)
	}
	if x := p.text(); x.Subscribed == nil || x.Subscribed.Channel != "user:42" {
		t.Errorf("%+v", x)
	}
	if x := p.text(); !x.refusedWith("forbidden") {
		t.Errorf("%+v", x)
	}
	if s := userState(t, r, "43"); s.Online || s.LastSeen != nil {
		t.Errorf("%+v", s)
	}
}

// TestPublishedAsAsked: what the site is asked about is published as the user about whom it was asked, or not at all.
func TestPublishedAsAsked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		was, brings string // users; "": no token
		done        bool
	}{
		{"", "", true}, {"42", "", true}, {"42", "42", true}, {"", "42", false},
	} {
		t.Run(c.was+" and then "+c.brings, func(t *testing.T) {
			t.Parallel()
			hold := newGate()
			s := newSite(t, func(_ webhook.Question, w http.ResponseWriter) { <-hold.shut; w.WriteHeader(204) }, nil, hold)
			r, _ := asking(t, s, "", func(cfg *edge.Config) {
				cfg.Rules = []edge.Rule{{Pattern: "public", Publish: ptr("anybody"), Hooks: ptr("publish")}}
			})
			follower := newWS(t, r.public, "/ws?channels=public")
			follower.text()
			p := newWS(t, r.public, "/ws")
			become := func(user string) {
				if x := p.command(refreshWith(ticketFor(t, user, "", nil))); x.Refreshed == nil {
					t.Fatalf("%+v", x)
				}
			}
			if c.was != "" {
				become(c.was)
				p.text() // its own channel
			}
			p.send(ws.OpText, `{"publish":{"channel":"public","data":1}}`)
			s.hanging(1)
			if c.brings != "" {
				become(c.brings)
				if c.was == "" {
					p.text()
				}
			}
			hold.open()
			if x := p.text(); c.done != (x.Published != nil) || c.done == x.refusedWith("forbidden") {
				t.Errorf("%+v", x)
			}
			r.push(t, "public", "the end")
			if x := follower.text(); c.done && (x.User != c.was || string(x.Data) != "1") || !c.done && string(x.Data) == "1" {
				t.Errorf("published: %+v", x)
			}
		})
	}
}

// TestOwnChannelTakesNoPlace: a user's own channel does not count in --max-channels, neither while it is latent nor when something
// was published there.
func TestOwnChannelTakesNoPlace(t *testing.T) {
	t.Parallel()
	r, _ := guarded(t, func(c *edge.Config) { c.MaxChannels = 2 })
	for _, named := range []string{"", "a", "a,b"} {
		for _, awake := range []bool{false, true} {
			user := fmt.Sprintf("%d-%v", len(named), awake)
			p := newWS(t, r.public, "/ws?channels="+named+"&"+ticketFor(t, user, "", rights{"*": {"subscribe"}}))
			for range (len(named)+1)/2 + 1 {
				p.text()
			}
			if awake {
				r.push(t, "user:"+user, "x")
				p.text()
			}
			for _, name := range []string{"a", "b"} {
				if x := p.command(`{"subscribe":{"channel":"` + name + `"}}`); (x.Subscribed == nil) != strings.Contains(named, name) {
					t.Errorf("%q, awake %v, and %s: %+v", named, awake, name, x)
				}
			}
			if x := p.command(`{"subscribe":{"channel":"c"}}`); !x.refusedWith("too_many_channels") {
				t.Errorf("%q, awake %v, and c: %+v", named, awake, x)
			}
		}
	}
}

// TestAckWithEmptyOnly: a list of single letters in which none is stands beside mail as if it were not there.
func TestAckWithEmptyOnly(t *testing.T) {
	t.Parallel()
	r, _ := guarded(t, nil)
	for range 3 {
		r.letter(t, "42", "x")
	}
	all := r.kept(t, "42")
	p := newWS(t, r.public, "/ws?"+ticketFor(t, "42", "", nil))
	for range 4 {
		p.text()
	}
	if x := p.command(fmt.Sprintf(`{"ack":{"mail":%d,"only":[]}}`, all[1])); x.Ack == nil || x.Ack.Acknowledged != 2 {
		t.Errorf("%+v", x)
	}
	if left := r.kept(t, "42"); !slices.Equal(left, all[2:]) {
		t.Errorf("%v are left of %v", left, all)
	}
	if x := p.command(`{"ack":{"only":[]}}`); !x.refusedWith("bad_ack") {
		t.Errorf("%+v", x)
	}
}

// TestMessageIDsAreOfTheirUser: the same message_id of another user, or of the backend, is another message's; clients without a token
// would all have the same, and so have none.
func TestMessageIDsAreOfTheirUser(t *testing.T) {
	t.Parallel()
	r, _ := guarded(t, func(c *edge.Config) { c.Rules = []edge.Rule{{Pattern: "a", Publish: ptr("anybody")}} })
	nobody := newWS(t, r.public, "/ws")
	for _, data := range []string{"1", "1", "2"} {
		if x := nobody.command(`{"publish":{"channel":"a","message_id":"1","data":` + data + `}}`); !x.refusedWith("bad_id") {
			t.Errorf("without a token: %+v", x)
		}
	}
	n := uint64(0)
	for _, id := range []string{"1", "21", "421", "42/1", "2/1", "4/2/1"} { // joined with a user in some way, they would be one
		if w := r.push(t, "a", "1", "Content-Type: application/json", "Idempotency-Key: "+id); w.Offset != n+1 {
			t.Errorf("the backend's %s: %+v", id, w)
		}
		n++
		for _, user := range []string{"42", "4"} {
			p := newWS(t, r.public, "/ws?"+ticketFor(t, user, "", nil))
			p.text()
			for range 2 {
				if x := p.command(`{"publish":{"channel":"a","message_id":"` + id + `","data":1}}`); x.Published == nil || x.Published.Offset != n+1 {
					t.Errorf("%s of %s: %+v", id, user, x)
				}
			}
			n++
		}
	}
}

// TestRevokedIsLoggedOnce: whatever is asked with a revoked token, the log has one line about it.
func TestRevokedIsLoggedOnce(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/presence?channel=a&", "/poll?wait=0&channels=a&", "/sse?channels=a&", "/ws?channels=a&"} {
		r, log := guarded(t, func(c *edge.Config) { c.Presence = "members" })
		r.ask(t, "POST", "/tokens/revoke", `{"user":"42"}`)
		got, text := statusOf(t, r, target+ticketFor(t, "42", "", rights{"*": {"presence", "subscribe"}}))
		if said := log(); got != 401 || !strings.Contains(text, "token_revoked") || strings.Count(said, "\n") != 1 || !strings.Contains(said, "user 42") {
			t.Errorf("%s: %d %s; the log says %q", target, got, text, said)
		}
	}
}

// TestLogNamesWhoRefreshes: when a token was verified elsewhere, the log names the user whose connection brought it, whoever has been
// served meanwhile.
func TestLogNamesWhoRefreshes(t *testing.T) {
	t.Parallel()
	r, dear, log := dearRig(t, func(c *edge.Config) { c.Loops = 1 })
	mallory := newWS(t, r.public, "/ws?"+ticketFor(t, "mallory", "", nil))
	mallory.text()
	alice := newWS(t, r.public, "/ws?"+ticketFor(t, "alice", "", nil))
	alice.text()
	for i := range 30 {
		mallory.send(ws.OpText, refreshWith(dear(fmt.Sprint("other", i))))
		alice.command(`{"ping":{}}`)
		if x := mallory.text(); !x.refusedWith("forbidden") {
			t.Fatalf("%+v", x)
		}
	}
	if named := regexp.MustCompile(`user \w+`).FindAllString(log(), -1); len(named) == 0 || slices.ContainsFunc(named, func(s string) bool { return s != "user mallory" }) {
		t.Errorf("the log names %v", named)
	}
}
