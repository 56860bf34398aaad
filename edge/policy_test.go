package edge_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"encke/edge"

	"github.com/gobwas/ws"
)

// ptr returns what a rule says.
func ptr[T any](v T) *T { return &v }

// tryRead tries to subscribe over every transport and by command, and demands that all are answered alike: with the code, or that it
// is allowed, "".
func tryRead(t *testing.T, r *rig, name, channel, ticket, code string) {
	t.Helper()
	for _, ask := range asks {
		if got, text := statusOf(t, r, ask.target+channel+"&"+ticket); (got >= 400) != (code != "") || !strings.Contains(text, code) {
			t.Errorf("%s, %s: %d %s, want %q", name, ask.name, got, text, code)
		}
	}
	if got, text := statusOf(t, r, "/ws?channels="+channel+"&"+ticket, "Sec-WebSocket-Protocol: encke.raw"); (got >= 400) != (code != "") || !strings.Contains(text, code) {
		t.Errorf("%s, raw: %d %s, want %q", name, got, text, code)
	}
	if text := tell(t, r, ticket, `"subscribe":{"channel":"`+channel+`"}`); !answered(text, "subscribed", code) {
		t.Errorf("%s, by command: %s, want %q", name, text, code)
	}
}

// tell gives a command on a connection of its own and returns the reply.
func tell(t *testing.T, r *rig, ticket, command string) string {
	t.Helper()
	p := newWS(t, r.public, "/ws?"+ticket)
	defer p.Close()
	p.send(ws.OpText, `{"id":1,`+command+`}`)
	for {
		m, ok := p.frame()
		if !ok || strings.HasPrefix(m.data, `{"id":1,`) {
			return m.data
		}
	}
}

// answered says whether a reply is the one to a command that was carried out, or an error with that code.
func answered(reply, word, code string) bool {
	if code == "" {
		return strings.HasPrefix(reply, `{"id":1,"`+word+`":{"channel":`)
	}
	return strings.HasPrefix(reply, `{"id":1,"error":{"code":"`+code+`"`)
}

// people are three clients: without a token, with one that gives no rights, and with one that gives all of them.
var people = []string{"nobody", "a user", "one with the right"}

func ticketsOf(t *testing.T) map[string]string {
	all := []string{"subscribe", "publish", "presence"}
	return map[string]string{"nobody": "", "a user": ticketFor(t, "1", "", rights{"elsewhere": all}),
		"one with the right": ticketFor(t, "2", "", rights{"*": all})}
}

// codeIf returns what those are answered who may not.
func codeIf(may bool) string { return map[bool]string{false: "forbidden"}[may] }

// TestPolicy: what a rule says of who may subscribe, publish and see who is there, over every transport and by command, does not
// depend on what it says of the others; the backend may publish in any case.
func TestPolicy(t *testing.T) {
	t.Parallel()
	values := []string{"", "granted", "anybody", "users", "nobody"}
	may := map[string][3]bool{"": {false, false, true}, "granted": {false, false, true}, "anybody": {true, true, true}, "users": {false, true, true}, "nobody": {}}
	r := watchedRig(t, func(c *edge.Config) {
		for _, v := range values {
			if v != "" {
				c.Rules = append(c.Rules, edge.Rule{Pattern: "read:" + v + ":*", Subscribe: &v}, edge.Rule{Pattern: "write:" + v + ":*", Publish: &v},
					edge.Rule{Pattern: "see:" + v + ":*", SeePresence: &v})
			}
		}
	})
	tickets := ticketsOf(t)
	var all sync.WaitGroup
	for _, v := range values {
		all.Go(func() {
			for i, who := range people {
				name := fmt.Sprintf("%s where %q may", who, v)
				right := i == 2
				for kind, mays := range map[string]struct{ read, write, see bool }{
					"read":  {may[v][i], right, right},
					"write": {right, may[v][i], right},
					"see":   {right, right, may[v][i]},
				} {
					channel := kind + ":" + v + ":1"
					tryRead(t, r, name+" "+kind+": subscribe", channel, tickets[who], codeIf(mays.read))
					if text := tell(t, r, tickets[who], `"publish":{"channel":"`+channel+`","data":1}`); !answered(text, "published", codeIf(mays.write)) {
						t.Errorf("%s %s: publish: %s, want %q", name, kind, text, codeIf(mays.write))
					}
					tryRead(t, r, name+" "+kind+": follow who is there", "$presence:"+channel, tickets[who], codeIf(mays.see))
					if text := tell(t, r, tickets[who], `"presence":{"channel":"`+channel+`"}`); !answered(text, "presence", codeIf(mays.see)) {
						t.Errorf("%s %s: ask who is there: %s, want %q", name, kind, text, codeIf(mays.see))
					}
					if got, text := statusOf(t, r, "/presence?channel="+channel+"&"+tickets[who]); (got >= 400) == mays.see || !strings.Contains(text, codeIf(mays.see)) {
						t.Errorf("%s %s: GET who is there: %d %s, want %q", name, kind, got, text, codeIf(mays.see))
					}
				}
			}
			r.push(t, "write:"+v+":1", "from the backend")
		})
	}
	all.Wait()
	p := newWS(t, r.public, "/ws?channels=read:anybody:1,read:granted:1&"+tickets["one with the right"])
	for range 3 {
		p.text()
	}
	if x := p.command(`{"refresh":{"token":"` + strings.TrimPrefix(ticketFor(t, "2", "", nil), "token=") + `"}}`); x.Refreshed == nil { // without any right
		t.Errorf("%+v", x)
	}
	if x := p.text(); x.Unsubscribed == nil || x.Unsubscribed.Channel != "read:granted:1" {
		t.Errorf("%+v", x)
	}
	q := newWS(t, r.public, "/ws") // whoever has no name has none in what it publishes
	q.command(`{"publish":{"channel":"write:anybody:1","data":1}}`)
	if _, text := r.ask(t, "GET", "/channels/write:anybody:1/history", ""); strings.Contains(text, `"user":""`) || !strings.Contains(text, `"user":"2"`) {
		t.Error(text)
	}
}

// TestPolicyForAll: who may see who is there where no rule says anything of it.
func TestPolicyForAll(t *testing.T) {
	t.Parallel()
	for v, may := range map[string][3]bool{"granted": {false, false, true}, "anybody": {true, true, true}, "users": {false, true, true}, "nobody": {}} {
		r := watchedRig(t, func(c *edge.Config) {
			c.SeePresence, c.Presence = v, "counts"
			c.Rules = []edge.Rule{{Pattern: "read*", Subscribe: ptr("nobody")}, {Pattern: "off*", Presence: ptr("off")}, {Pattern: "who*", Presence: ptr("members"), SeePresence: ptr("anybody")}}
		})
		tickets := ticketsOf(t)
		for i, who := range people {
			for _, channel := range []string{"x", "read"} {
				if text := tell(t, r, tickets[who], `"presence":{"channel":"`+channel+`"}`); !answered(text, "presence", codeIf(may[i])) || strings.Contains(text, "members") {
					t.Errorf("%s where %q may see %s: %s", who, v, channel, text)
				}
			}
			if text := tell(t, r, tickets[who], `"presence":{"channel":"off"}`); !answered(text, "presence", "no_presence") {
				t.Error(text)
			}
			if text := tell(t, r, tickets[who], `"presence":{"channel":"who"}`); !answered(text, "presence", "") || !strings.Contains(text, `"members":[]`) {
				t.Error(text)
			}
		}
	}
}

// TestRuleOrder: the first rule that fits counts, for everything; one that does not say user: means no user's own channel, and
// nobody may publish to the server's.
func TestRuleOrder(t *testing.T) {
	t.Parallel()
	r := watchedRig(t, func(c *edge.Config) {
		c.Anonymous = []string{"old:*", "user:open"}
		c.Rules = []edge.Rule{
			{Pattern: "room:vip", Subscribe: ptr("nobody"), Publish: ptr("nobody"), Presence: ptr("off"), HistoryLength: ptr(1)},
			{Pattern: "room:*", MaxMessage: ptr(100)}, // says nothing of who may
			{Pattern: "room:lost", Subscribe: ptr("anybody"), Publish: ptr("anybody"), MaxMessage: ptr(1)},
			{Pattern: "old:closed", Subscribe: ptr("nobody")},
			{Pattern: "us*", HistoryLength: ptr(3)},
			{Pattern: "user:shared*", Subscribe: ptr("users"), Publish: ptr("users"), HistoryLength: ptr(2)},
			{Pattern: "*", Subscribe: ptr("anybody"), Publish: ptr("anybody"), SeePresence: ptr("anybody"), MaxMessage: ptr(50), MaxSubscribers: ptr(1000), HistoryLength: ptr(4)},
		}
	})
	tickets := ticketsOf(t)
	for _, c := range []struct{ who, channel, read, write, see string }{
		{"nobody", "room:vip", "forbidden", "forbidden", "no_presence"},
		{"one with the right", "room:vip", "forbidden", "forbidden", "no_presence"},
		{"nobody", "room:1", "forbidden", "forbidden", "forbidden"},
		{"one with the right", "room:1", "", "", ""},
		{"nobody", "room:lost", "forbidden", "forbidden", "forbidden"},
		{"nobody", "old:closed", "forbidden", "forbidden", "forbidden"},
		{"nobody", "old:open", "", "", ""},
		{"nobody", "roo", "", "", ""},
		{"nobody", "us", "forbidden", "forbidden", "forbidden"},
		{"nobody", "user:1", "forbidden", "forbidden", "no_presence"},
		{"nobody", "user:", "forbidden", "forbidden", "no_presence"},
		{"nobody", "user:open", "", "forbidden", "no_presence"},
		{"one with the right", "user:1", "forbidden", "forbidden", "no_presence"},
		{"one with the right", "user:2", "", "forbidden", "no_presence"},
		{"nobody", "user:shared", "forbidden", "forbidden", "no_presence"},
		{"a user", "user:shared", "", "", "no_presence"},
		{"nobody", "$stats", "", "reserved_channel", "no_presence"},
		{"one with the right", "$presence:roo", "", "reserved_channel", "no_presence"},
	} {
		name := c.who + " in " + c.channel
		if c.channel != "user:2" { // which it is subscribed to by itself
			tryRead(t, r, name, c.channel, tickets[c.who], c.read)
		}
		if text := tell(t, r, tickets[c.who], `"publish":{"channel":"`+c.channel+`","data":1}`); !answered(text, "published", c.write) {
			t.Errorf("%s: publish: %s, want %q", name, text, c.write)
		}
		if text := tell(t, r, tickets[c.who], `"presence":{"channel":"`+c.channel+`"}`); !answered(text, "presence", c.see) {
			t.Errorf("%s: see: %s, want %q", name, text, c.see)
		}
	}
	for _, c := range []struct {
		channel      string
		bytes, holds int // of the largest message, and how many are kept
	}{{"room:vip", 64 << 10, 1}, {"room:1", 100, 5}, {"room:lost", 100, 5}, {"us", 64 << 10, 3}, {"roo", 50, 4}, {"user:1", 64 << 10, 5}, {"user:shared", 64 << 10, 2}} {
		if res, text := r.ask(t, "POST", "/channels/"+c.channel, strings.Repeat("x", c.bytes+1)); res.StatusCode != 413 {
			t.Errorf("%s: %d bytes: %s %s", c.channel, c.bytes+1, res.Status, text)
		}
		r.ask(t, "DELETE", "/channels/"+c.channel, "")
		for range 5 {
			r.push(t, c.channel, strings.Repeat("x", c.bytes))
		}
		if _, text := r.ask(t, "GET", "/channels/"+c.channel, ""); !strings.Contains(text, fmt.Sprintf(`"history":{"length":%d,`, c.holds)) {
			t.Errorf("%s: %s, want %d kept", c.channel, text, c.holds)
		}
	}
}

// TestRuleSubscribers: no more connections may subscribe than a rule allows, over any transport; there is room again when one has
// gone, and who only looks on takes none.
func TestRuleSubscribers(t *testing.T) {
	t.Parallel()
	r := watchedRig(t, func(c *edge.Config) {
		c.Anonymous, c.SeePresence = []string{"*"}, "anybody"
		c.Rules = []edge.Rule{{Pattern: "small*", MaxSubscribers: ptr(2)}, {Pattern: "any", MaxSubscribers: ptr(0)}, {Pattern: "user:*", MaxSubscribers: ptr(1)}}
	})
	for range 3 {
		newWS(t, r.public, "/ws?channels=$presence:small,other").Close()
	}
	for i, transport := range []string{"ws", "raw", "sse", "stream", "poll"} {
		first, second := openTab(t, r, transport, "small"), newWS(t, r.public, "/ws?channels=other,small")
		second.text()
		second.text()
		r.subscribers(t, "small", 2)
		tryRead(t, r, "full", "small", "", "channel_full")
		tryRead(t, r, "full, with every right", "small", ticketsOf(t)["one with the right"], "channel_full")
		tryRead(t, r, "who is there", "$presence:small", "", "")
		tryRead(t, r, "another", "other", "", "")
		if x := second.command(`{"subscribe":{"channel":"small"}}`); x.Error == nil || x.Error.Code != "already_subscribed" {
			t.Errorf("%+v", x)
		}
		if i%2 == 0 {
			first.Close()
		} else if x := second.command(`{"unsubscribe":{"channel":"small"}}`); x.Unsubscribed == nil {
			t.Errorf("%+v", x)
		}
		r.subscribers(t, "small", 1)
		if text := tell(t, r, "", `"subscribe":{"channel":"small"}`); !answered(text, "subscribed", "") {
			t.Errorf("room again: %s", text)
		}
		r.subscribers(t, "small", 1)
		first.Close()
		second.Close()
		r.subscribers(t, "small", 0)
	}
	for range 5 {
		newWS(t, r.public, "/ws?channels=any").text()
	}
	ticket := ticketFor(t, "42", "", nil)
	r.subscribers(t, "any", 5)
	for range 3 { // a user's own connections are not turned away
		newWS(t, r.public, "/ws?"+ticket).text()
	}
	r.subscribers(t, "user:42", 3)
	poll := newPeer(t, r.public)
	other := newWS(t, r.public, "/ws?channels=small")
	other.text()
	tryRefresh := func() { // whoever is in stays in
		t.Helper()
		r.subscribers(t, "small", 2)
		refresh := `{"refresh":{"token":"` + strings.TrimPrefix(ticketFor(t, "7", "", nil), "token=") + `"}}`
		if x := other.command(refresh); x.Refreshed == nil {
			t.Errorf("%+v", x)
		}
		if x := other.text(); x.Subscribed == nil || x.Subscribed.Channel != "user:7" {
			t.Errorf("%+v, want its own channel", x)
		}
		if x := other.command(refresh); x.Refreshed == nil {
			t.Errorf("%+v", x)
		}
		if x := other.command(`{"ping":{}}`); x.Unsubscribed != nil {
			t.Errorf("%+v", x)
		}
		r.subscribers(t, "small", 2)
	}
	for range 3 { // the same poll comes back
		poll.get("/poll?channels=small&wait=60")
		r.subscribers(t, "small", 2)
		if tryRefresh != nil {
			tryRefresh()
			tryRefresh = nil
		}
		r.push(t, "small", "x")
		poll.want(200)
	}
}

// TestRuleMessageSize: a message that is too large for its channel is refused, whoever publishes it, and harms no other.
func TestRuleMessageSize(t *testing.T) {
	t.Parallel()
	r := watchedRig(t, func(c *edge.Config) {
		c.MaxMessage = 1000
		c.Rules = []edge.Rule{{Pattern: "small", MaxMessage: ptr(10)}, {Pattern: "user:*", MaxMessage: ptr(10)}, {Pattern: "as-all", MaxMessage: ptr(0)}, {Pattern: "as-large", MaxMessage: ptr(1000)}}
	})
	ticket := ticketsOf(t)["one with the right"]
	text := func(n int) string { return `"` + strings.Repeat("x", n-2) + `"` }
	for _, c := range []struct {
		channel string
		bytes   int
	}{{"small", 10}, {"as-all", 1000}, {"as-large", 1000}, {"none", 1000}} {
		for over := range 2 {
			data := text(c.bytes + over)
			push := func(how, got string) {
				t.Helper()
				if strings.Contains(got, "message_too_large") != (over == 1) || strings.Contains(got, `"offset":`) != (over == 0) {
					t.Errorf("%s, %d bytes, %s: %s", c.channel, len(data), how, got)
				}
			}
			_, got := r.ask(t, "POST", "/channels/"+c.channel, data)
			push("POST", got)
			_, got = r.ask(t, "POST", "/channels/"+c.channel, data, "Content-Type: application/json")
			push("POST of JSON", got)
			_, got = r.ask(t, "POST", "/publish", `{"channel":"`+c.channel+`","data":`+data+`}`, "Content-Type: application/json")
			push("an object", got)
			if c.bytes < 1000 { // others end with the message that is too large, or the object around it
				push("a client", tell(t, r, ticket, `"publish":{"channel":"`+c.channel+`","data":`+data+`}`))
			}
		}
	}
	if res, got := r.ask(t, "POST", "/users/42", text(11)); res.StatusCode != 413 || !strings.Contains(got, "message_too_large") || !strings.Contains(got, "10 bytes") {
		t.Errorf("%s %s", res.Status, got)
	}
	_, got := r.ask(t, "POST", "/publish", fmt.Sprintf("{\"channel\":\"small\",\"data\":%s}\n{\"channels\":[\"none\",\"small\"],\"data\":%s}\n{\"channel\":\"small\",\"data\":%s}\n", text(10), text(11), text(9)), "Content-Type: application/x-ndjson")
	if lines := strings.Split(strings.TrimSpace(got), "\n"); len(lines) != 4 || !strings.Contains(lines[0], `"offset":`) || !strings.Contains(lines[1], `"channel":"none"`) ||
		!strings.Contains(lines[2], "message_too_large") || !strings.Contains(lines[3], `"channel":"small"`) {
		t.Errorf("a batch: %s", got)
	}
}

// TestRuleValues: what cannot be is refused, by rule and setting.
func TestRuleValues(t *testing.T) {
	for _, c := range []struct {
		change func(*edge.Config, *edge.Rule)
		want   []string // in the error; nil: there is none
	}{
		{func(*edge.Config, *edge.Rule) {}, nil},
		{func(_ *edge.Config, r *edge.Rule) { r.Subscribe = ptr("all") }, []string{`"chat:*"`, "subscribe", `"all"`, "granted, anybody, users, nobody"}},
		{func(_ *edge.Config, r *edge.Rule) { r.Subscribe = ptr("") }, []string{`"chat:*"`, "subscribe", `""`}},
		{func(_ *edge.Config, r *edge.Rule) { r.Publish = ptr("Nobody") }, []string{`"chat:*"`, "publish", `"Nobody"`}},
		{func(_ *edge.Config, r *edge.Rule) { r.SeePresence = ptr("members") }, []string{`"chat:*"`, "see-presence", `"members"`}},
		{func(_ *edge.Config, r *edge.Rule) { r.Presence = ptr("anybody") }, []string{`"chat:*"`, "presence", `"anybody"`, "off, counts, members"}},
		{func(_ *edge.Config, r *edge.Rule) { r.Hooks = ptr("subscribe,publsh") }, []string{`"chat:*"`, "hooks", `"publsh"`}},
		{func(_ *edge.Config, r *edge.Rule) { r.Hooks = ptr("connect") }, []string{`"chat:*"`, "hooks", `connect`}},
		{func(_ *edge.Config, r *edge.Rule) { r.Hooks = ptr("subscribe") }, []string{"--hook"}},
		{func(_ *edge.Config, r *edge.Rule) { r.Hooks = ptr("") }, nil},
		{func(_ *edge.Config, r *edge.Rule) { r.MaxSubscribers = ptr(-1) }, []string{`"chat:*"`, "max-subscribers"}},
		{func(_ *edge.Config, r *edge.Rule) { r.MaxSubscribers = ptr(0) }, nil},
		{func(c *edge.Config, r *edge.Rule) { r.MaxMessage = ptr(c.MaxMessage + 1) }, []string{`"chat:*"`, "max-message-size", "65537", "65536"}},
		{func(_ *edge.Config, r *edge.Rule) { r.MaxMessage = ptr(-1) }, []string{`"chat:*"`, "max-message-size"}},
		{func(_ *edge.Config, r *edge.Rule) { r.HistoryLength = ptr(-1) }, []string{`"chat:*"`, "history-length"}},
		{func(_ *edge.Config, r *edge.Rule) { r.HistoryAge = ptr(time.Microsecond) }, []string{`"chat:*"`, "history-age"}},
		{func(_ *edge.Config, r *edge.Rule) { r.SlowReaders = ptr("never") }, []string{`"chat:*"`, "slow-readers"}},
		{func(_ *edge.Config, r *edge.Rule) { r.Pattern = "a*b" }, []string{`"a*b"`, "pattern"}},
		{func(_ *edge.Config, r *edge.Rule) { r.Pattern = "" }, []string{`""`, "pattern"}},
		{func(c *edge.Config, _ *edge.Rule) { c.Presence = "on" }, []string{"--presence", `"on"`}},
		{func(c *edge.Config, _ *edge.Rule) { c.SeePresence = "all" }, []string{"--see-presence", `"all"`}},
		{func(c *edge.Config, _ *edge.Rule) { c.HookOn = "connects" }, []string{"--hook-on", `"connects"`}},
		{func(c *edge.Config, _ *edge.Rule) { c.HookOn = "connect" }, []string{"--hook"}},
	} {
		config := edge.Defaults()
		config.Rules = []edge.Rule{{Pattern: "other"}, {Pattern: "chat:*", Subscribe: ptr("users"), Presence: ptr("counts")}}
		c.change(&config, &config.Rules[1])
		config.Listen, config.Backend = "127.0.0.1:0", "127.0.0.1:0"
		s, err := edge.New(config)
		if err == nil {
			startAndStop(t, s)
		}
		if (err != nil) != (c.want != nil) {
			t.Errorf("%v, want %q", err, c.want)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %s in it", err, want)
			}
		}
	}
}

// TestRuleSubscribersAtOnce: many come to a channel in the same moment, over one loop; no more are let in than may.
func TestRuleSubscribersAtOnce(t *testing.T) {
	t.Parallel()
	r := watchedRig(t, func(c *edge.Config) {
		c.Anonymous, c.Loops = []string{"*"}, 1
		c.Rules = []edge.Rule{{Pattern: "small", MaxSubscribers: ptr(7)}}
	})
	var all sync.WaitGroup
	var mu sync.Mutex
	in := 0
	for i := range 40 {
		all.Go(func() {
			target := []string{"/ws?channels=small", "/sse?channels=small", "/stream?channels=small"}[i%3]
			if got, _ := statusOf(t, r, target); got < 400 {
				mu.Lock()
				defer mu.Unlock()
				in++
			}
		})
	}
	all.Wait()
	if in != 7 {
		t.Errorf("%d were let in", in)
	}
	r.subscribers(t, "small", 7)
}

func startAndStop(t *testing.T, s *edge.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if _, _, err := s.Start(); err != nil {
		t.Error(err)
	}
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// TestRuleSubscribersOfAll: a rule for every channel bounds how many follow those of the site, not those of the server.
func TestRuleSubscribersOfAll(t *testing.T) {
	t.Parallel()
	r := watchedRig(t, func(c *edge.Config) {
		c.Anonymous, c.SeePresence, c.Rules = []string{"*"}, "anybody", []edge.Rule{{Pattern: "*", MaxSubscribers: ptr(1)}}
	})
	for _, name := range []string{"$presence:x", "$stats", "$another"} {
		for i := range 3 {
			openTab(t, r, []string{"ws", "sse", "poll"}[i], name)
			if text := tell(t, r, "", `"subscribe":{"channel":"`+name+`"}`); !answered(text, "subscribed", "") {
				t.Errorf("%s: %s", name, text)
			}
			r.subscribers(t, name, i+1)
		}
	}
	openTab(t, r, "ws", "x")
	r.subscribers(t, "x", 1)
	tryRead(t, r, "full", "x", "", "channel_full")
}
