package edge_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"encke/edge"
	"encke/token"
	"encke/webhook"

	"github.com/gobwas/ws"
)

// asking is a rig that asks a site about what on says.
func asking(t *testing.T, s *site, on string, change func(*edge.Config)) (*rig, func() string) {
	return sited(t, func(c *edge.Config) {
		c.Site.Hook, c.HookOn = s.URL+"/asked?key=sesame", on
		if change != nil {
			change(c)
		}
	})
}

// speaker makes a token for one who may read and publish in channels.
func speaker(t *testing.T, user string, holds time.Duration, channels ...string) string {
	t.Helper()
	var grants token.Grants
	for _, c := range channels {
		grants = append(grants, token.Grant{Pattern: c, Rights: token.Subscribe | token.Publish})
	}
	text, err := token.Issue(tokenSecret, user, grants, time.Now(), holds)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// says returns an answer.
func says(status int, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { w.WriteHeader(status); _, _ = io.WriteString(w, body) }
}

// TestHookAnswers: what the site's backend answers, and what becomes of it on every transport and for every command.
func TestHookAnswers(t *testing.T) {
	t.Parallel()
	hang := newGate()
	for _, c := range []struct {
		name   string
		answer func(http.ResponseWriter)
		code   string // "": it is allowed
		text   string // in the error
	}{
		{"allowed", says(200, `{"allow":true}`), "", ""},
		{"allowed, with more", says(200, ` {"reason":"because","allow":true,"data":null,"x":[]} `), "", ""},
		{"allowed without a word", says(204, ""), "", ""},
		{"refused", says(200, `{"allow":false}`), "forbidden", ""},
		{"refused with a reason", says(200, `{"allow":false,"reason":"you \"know\"\n<why>"}`), "forbidden", `you \"know\" \u003cwhy\u003e`},
		{"refused with lines for the log", says(200, `{"allow":false,"reason":"no\r\n203.0.113.9: forbidden: forged\u001b[2J\u2028end"}`), "forbidden", "no  203.0.113.9: forbidden: forged [2J end"},
		{"refused with a long reason", says(200, `{"allow":false,"reason":"`+strings.Repeat("ä", 500)+`"}`), "forbidden", strings.Repeat("ä", 90)},
		{"refused with data", says(200, `{"allow":false,"data":"x"}`), "forbidden", ""},
		{"refused without a word", says(403, ""), "forbidden", ""},
		{"refused by status, with a reason", says(403, `{"reason":"banned"}`), "forbidden", "banned"},
		{"refused by status whatever it says", says(403, `{"allow":true}`), "forbidden", ""},
		{"an error", says(500, `{"allow":true}`), "hook_failed", ""},
		{"elsewhere", func(w http.ResponseWriter) { w.Header().Set("Location", "/asked"); w.WriteHeader(307) }, "hook_failed", ""},
		{"nothing", says(200, ""), "hook_failed", ""},
		{"an empty object", says(200, `{}`), "hook_failed", ""},
		{"garbage", says(200, "\x00\xff<html>"), "hook_failed", ""},
		{"an array", says(200, `[{"allow":true}]`), "hook_failed", ""},
		{"a string", says(200, `{"allow":"true"}`), "hook_failed", ""},
		{"another name", says(200, `{"Allow":true}`), "hook_failed", ""},
		{"half an object", says(200, `{"allow":true`), "hook_failed", ""},
		{"too much", says(200, `{"allow":true,"x":"`+strings.Repeat("x", 100_000)+`"}`), "hook_failed", ""},
		{"cut off", func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, "hook_failed", ""},
		{"silence", func(http.ResponseWriter) { <-hang.shut }, "hook_failed", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(q webhook.Question, w http.ResponseWriter) {
				if q.User == "7" && q.Hook == "connect" {
					w.WriteHeader(204)
					return
				}
				c.answer(w)
			}, nil, map[bool][]*gate{true: {hang}}[c.name == "silence"]...)
			r, log := asking(t, s, "connect,subscribe,publish", func(cfg *edge.Config) {
				if c.name == "silence" {
					cfg.Site.Timeout = 50 * time.Millisecond
				}
			})
			status := map[string]int{"": 200, "forbidden": 403, "hook_failed": 503}[c.code]
			ticket := "&token=" + speaker(t, "42", time.Hour, "news")
			for _, ask := range asks {
				want := status
				if ask.name == "ws" && want == 200 {
					want = 101
				}
				if got, text := statusOf(t, r, ask.target+"news"+ticket); got != want || !strings.Contains(text, c.code) || !strings.Contains(text, c.text) {
					t.Errorf("%s: %d %s, want %d %s", ask.name, got, text, want, c.code)
				}
			}
			p := newWS(t, r.public, "/ws?token="+speaker(t, "7", time.Hour, "news"))
			p.text()
			for _, command := range []string{`"subscribe":{"channel":"news"}`, `"publish":{"channel":"news","data":"private words"}`} {
				w := p.command(`{"id":"x",` + command + `}`)
				switch {
				case string(w.ID) != `"x"`:
					t.Errorf("%s: %+v", command, w)
				case c.code == "":
					if w.Error != nil || w.Subscribed == nil && w.Published == nil && w.Offset == 0 {
						t.Errorf("%s: %+v", command, w)
					}
				case w.Error == nil || w.Error.Code != c.code || c.text != "" && !strings.Contains(w.Error.Message, c.text[:3]):
					t.Errorf("%s: %+v, want %s", command, w.Error, c.code)
				}
			}
			for _, secret := range []string{"sesame", string(siteSecret), strings.Split(ticket, ".")[2], "private words", "Bearer", "v1="} {
				if strings.Contains(log(), secret) || strings.Contains(fmt.Sprintf("%+v", r.Stats().Site.Hook), secret) {
					t.Errorf("%q is shown: %s", secret, log())
				}
			}
			if (c.code == "forbidden") != strings.Contains(log(), "forbidden") {
				t.Errorf("the log says %q", log())
			}
			n := uint64(len(asks) + 3) // none that was asked about a second time: a poll that was not allowed is, each time
			if h := r.Stats().Site.Hook; c.code == "" {
				if h.Allowed != n-1 && h.Allowed != n || h.Failed+h.Refused+h.Shorted != 0 {
					t.Errorf("%+v", h)
				}
			} else if h.Allowed != 1 || h.Failed+h.Refused != n-1 || (h.Failed == 0) != (c.code == "forbidden") {
				t.Errorf("%+v", h)
			}
		})
	}
}

// TestHookQuestions: what is asked, as PROTOCOL.md shows it, and what is not asked about at all.
func TestHookQuestions(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil, nil)
	two, none := "subscribe,publish", ""
	r, _ := asking(t, s, "", func(c *edge.Config) {
		c.Anonymous = []string{"*"}
		c.Rules = []edge.Rule{{Pattern: "asked*", Hooks: &two}, {Pattern: "not*", Hooks: &none}}
	})
	ticket := "token=" + speaker(t, "42", time.Hour, "*")
	do := func(target string, want ...string) {
		t.Helper()
		before, _ := s.asked()
		if got, text := statusOf(t, r, target); got/100 > 2 {
			t.Errorf("%s: %d %s", target, got, text)
		}
		s.note(func() {
			if got := s.bodies[before:]; !slices.Equal(got, want) {
				t.Errorf("%s: asked %q, want %q", target, got, want)
			}
		})
	}
	do("/ws?channels=asked1,news,asked2&"+ticket, `{"hook":"connect","user":"42","address":"127.0.0.1","transport":"ws","channels":["asked1","asked2"]}`)
	do("/sse?channels=asked1", `{"hook":"connect","address":"127.0.0.1","transport":"sse","channels":["asked1"]}`)
	do("/stream?channels=asked1", `{"hook":"connect","address":"127.0.0.1","transport":"stream","channels":["asked1"]}`)
	do("/poll?wait=0&channels=asked1", `{"hook":"connect","address":"127.0.0.1","transport":"poll","channels":["asked1"]}`)
	do("/poll?wait=0&channels=asked1")
	do("/ws?channels=news,not,$stats&" + ticket)
	do("/ws?" + ticket)
	p := newWS(t, r.public, "/ws?"+ticket)
	p.text()
	command := func(text string, want ...string) wire {
		t.Helper()
		before, _ := s.asked()
		w := p.command(`{"id":1,` + text + `}`)
		for len(w.ID) == 0 { // of $stats
			w = p.text()
		}
		s.note(func() {
			if got := s.bodies[before:]; !slices.Equal(got, want) {
				t.Errorf("%s: asked %q, want %q", text, got, want)
			}
		})
		return w
	}
	command(`"subscribe":{"channel":"asked1","since":"0"}`, `{"hook":"subscribe","user":"42","address":"127.0.0.1","transport":"ws","channel":"asked1"}`)
	command(`"unsubscribe":{"channel":"asked1"}`)
	command(`"subscribe":{"channel":"$stats"}`)
	command(`"unsubscribe":{"channel":"user:42"}`)
	command(`"subscribe":{"channel":"user:42"}`)
	command(`"publish":{"channel":"asked1","event":"e","data":{"a": "<b>"},"message_id":"m"}`,
		`{"hook":"publish","user":"42","address":"127.0.0.1","transport":"ws","channel":"asked1","event":"e","data":{"a":"\u003cb\u003e"}}`)
	command(`"publish":{"channel":"not","data":1}`)
	for _, c := range []struct{ text, code string }{ // what is refused anyway is not asked about
		{`"subscribe":{"channel":"asked 1"}`, "bad_channel"}, {`"subscribe":{"channel":"asked1","since":"x.y.z"}`, "bad_since"},
		{`"subscribe":{"channel":"user:7"}`, "forbidden"}, {`"publish":{"channel":"asked1"}`, "empty_message"}, {`"publish":{"channel":"$stats","data":1}`, "reserved_channel"},
	} {
		if w := command(c.text); w.Error == nil || w.Error.Code != c.code {
			t.Errorf("%s: %+v, want %s", c.text, w, c.code)
		}
	}
	stranger := newWS(t, r.public, "/ws?channels=news")
	stranger.text()
	if w := stranger.command(`{"id":1,"publish":{"channel":"asked1","data":1}}`); w.Error == nil || w.Error.Code != "forbidden" {
		t.Errorf("%+v", w)
	}
	if n, _ := s.asked(); n != 6 {
		t.Errorf("%d were asked", n)
	}
	r, _ = asking(t, s, "subscribe,publish", func(c *edge.Config) { c.Anonymous = []string{"*"} }) // about all but the server's and the user's own
	p = newWS(t, r.public, "/ws?"+ticket)
	p.text()
	command(`"unsubscribe":{"channel":"user:42"}`)
	command(`"subscribe":{"channel":"user:42"}`)
	command(`"subscribe":{"channel":"$stats"}`)
	command(`"subscribe":{"channel":"news"}`, `{"hook":"subscribe","user":"42","address":"127.0.0.1","transport":"ws","channel":"news"}`)
}

// TestHookData: the site's backend puts other data in place of a client's, which has to be what a message has to be.
func TestHookData(t *testing.T) {
	t.Parallel()
	var data string
	s := newSite(t, func(q webhook.Question, w http.ResponseWriter) {
		_, _ = io.WriteString(w, `{"allow":true,"data":`+data+`}`)
	}, nil)
	small := 50
	r, _ := asking(t, s, "publish,subscribe", func(c *edge.Config) { c.Rules = []edge.Rule{{Pattern: "news", MaxMessage: &small}} })
	p := newWS(t, r.public, "/ws?token="+speaker(t, "42", time.Hour, "news"))
	p.text()
	data = `"ignored"`
	if w := p.command(`{"id":1,"subscribe":{"channel":"news"}}`); w.Subscribed == nil {
		t.Errorf("%+v", w)
	}
	for _, c := range []struct{ data, want, code string }{
		{`"other"`, `"other"`, ""}, {"{\n \"a\":\r\n1 }", `{"a":1}`, ""}, {`null`, `"mine"`, ""}, {`0`, `0`, ""}, {`""`, `""`, ""},
		{`"` + strings.Repeat("x", 60) + `"`, "", "message_too_large"}, {"\"\xff\"", "", "bad_json"},
	} {
		data = c.data
		p.send(ws.OpText, `{"id":1,"publish":{"channel":"news","data":"mine"}}`)
		reply := p.text()
		if c.code != "" {
			if reply.Error == nil || reply.Error.Code != c.code {
				t.Errorf("%q: %+v, want %s", c.data, reply, c.code)
			}
			continue
		}
		other := p.text()
		if reply.Published == nil {
			reply, other = other, reply
		}
		if reply.Published == nil || string(other.Data) != c.want || other.User != "42" {
			t.Errorf("%q: %+v %+v, want %s", c.data, reply, other, c.want)
		}
	}
}

// TestSlowHookBlocksNobody: while as many questions hang as there may be, all others on the same loop are served, those too who wait
// for an answer; more questions wait. When the backend answers, each is told.
func TestSlowHookBlocksNobody(t *testing.T) {
	t.Parallel()
	hold := newGate()
	s := newSite(t, func(q webhook.Question, w http.ResponseWriter) { <-hold.shut; w.WriteHeader(204) }, nil, hold)
	both := "subscribe,publish"
	r, _ := asking(t, s, "", func(c *edge.Config) {
		c.Loops, c.Rules = 1, []edge.Rule{{Pattern: "slow*", Hooks: &both}}
	})
	ticket := "token=" + speaker(t, "42", time.Hour, "*")
	var requests []*peer
	var sockets []*wsPeer
	for i := range 64 {
		switch i % 4 {
		case 0:
			p := newPeer(t, r.public)
			p.get(fmt.Sprintf("/sse?channels=slow%d&", i) + ticket)
			requests = append(requests, p)
		case 1:
			p := newPeer(t, r.public)
			p.get(fmt.Sprintf("/poll?wait=0&channels=slow%d&", i) + ticket)
			requests = append(requests, p)
		default:
			p := newWS(t, r.public, "/ws?"+ticket)
			p.text()
			p.send(ws.OpText, []string{`{"id":1,"publish":{"channel":"slow","data":1}}`, `{"id":1,"subscribe":{"channel":"slow"}}`}[i%2])
			sockets = append(sockets, p)
		}
	}
	s.hanging(64)
	other := newWS(t, r.public, "/ws?channels=news&"+ticket)
	other.text()
	other.text()
	streamer, _, stream := openStream(t, r.public, "/stream?channels=news&"+ticket)
	line := lines{t, stream}
	line.next()
	for i := range uint64(5) {
		r.push(t, "news", "x")
		if a, b := other.text(), line.next(); a.Offset != i+1 || b.Offset != i+1 {
			t.Errorf("%+v %+v", a, b)
		}
	}
	for _, p := range sockets { // who waits for an answer itself
		p.send(ws.OpText, `{"id":2,"ping":{}}`)
		if w := p.text(); string(w.ID) != "2" {
			t.Errorf("%+v", w)
		}
		if w := p.command(`{"id":3,"publish":{"channel":"fast","data":1}}`); w.Published == nil {
			t.Errorf("%+v", w)
		}
	}
	n := r.letter(t, "42", "letter")
	for _, p := range append(sockets, other) {
		if w := p.text(); w.Mail != n {
			t.Errorf("%+v", w)
		}
	}
	more := newPeer(t, r.public)
	more.get("/stream?channels=slow&" + ticket)
	requests, sockets = append(requests, more), append(sockets, other)
	for range 3 {
		other.send(ws.OpText, `{"id":0,"publish":{"channel":"slow","data":1}}`)
	}
	other.send(ws.OpText, `{"id":1,"subscribe":{"channel":"slow"}}`)
	for i := range 3 {
		if w := other.command(fmt.Sprintf(`{"id":%d,"ping":{}}`, 10+i)); string(w.ID) != fmt.Sprint(10+i) {
			t.Errorf("one whose question waits: %+v", w)
		}
	}
	if asked, under := s.asked(); asked != 64 || under != 64 {
		t.Errorf("%d were asked, %d are under way", asked, under)
	}
	hold.open()
	for _, p := range requests {
		if res := p.head("GET"); res.StatusCode != 200 {
			t.Errorf("%s", res.Status)
		}
	}
	for _, p := range sockets {
		for {
			if w := p.text(); string(w.ID) == "1" {
				if w.Error != nil {
					t.Errorf("%+v", w.Error)
				}
				break
			}
		}
		p.Close()
	}
	for _, p := range append(requests, streamer) {
		p.Close()
	}
	if h := r.Stats().Site.Hook; h.Allowed != 69 || h.Failed != 0 || s.most != 64 {
		t.Errorf("%+v, %d at once", h, s.most)
	}
	waitFor(t, "all to have gone", func() bool { return r.Stats().Connections["total"] == 0 })
	r.leavesNothing(t)
}

// TestHungHook: many more than there may be questions at once, of which none is answered, are all refused in the end.
func TestHungHook(t *testing.T) {
	t.Parallel()
	hold := newGate()
	s := newSite(t, func(q webhook.Question, w http.ResponseWriter) { <-hold.shut }, nil, hold)
	r, _ := asking(t, s, "connect", func(c *edge.Config) { c.Site.Timeout, c.Anonymous = 200*time.Millisecond, []string{"*"} })
	var all []*peer
	for i := range 200 {
		p := newPeer(t, r.public)
		p.get([]string{"/sse?channels=a", "/poll?channels=a", "/stream?channels=a"}[i%3])
		all = append(all, p)
	}
	for i, p := range all {
		if res, text := p.answer(); res.StatusCode != 503 || !strings.Contains(text, "hook_failed") || res.Header.Get("Retry-After") == "" {
			t.Errorf("%d: %s %s", i, res.Status, text)
		}
		p.Close()
	}
	waitFor(t, "all to have gone", func() bool { return r.Stats().Connections["total"] == 0 })
	r.leavesNothing(t)
}

// TestHookOrder: commands of one client that are asked about are carried out in their order, one question at a time, however long
// each answer takes; those of others go on meanwhile.
func TestHookOrder(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(1, 2))
	under := map[string]int{}
	s := newSite(t, func(q webhook.Question, w http.ResponseWriter) {
		mu.Lock()
		under[q.User]++
		if under[q.User] > 1 {
			t.Errorf("%d questions of %s at once", under[q.User], q.User)
		}
		wait, refuse := time.Duration(rng.IntN(3))*time.Millisecond, strings.Contains(string(q.Data), "9")
		mu.Unlock()
		time.Sleep(wait) // for answers to come in any order, if they could
		mu.Lock()
		under[q.User]--
		mu.Unlock()
		if refuse {
			w.WriteHeader(403)
			return
		}
		w.WriteHeader(204)
	}, nil)
	r, _ := asking(t, s, "subscribe,publish", nil)
	var all sync.WaitGroup
	for u := range 4 {
		user := fmt.Sprint("u", u)
		p := newWS(t, r.public, "/ws?token="+speaker(t, user, time.Hour, "c*"))
		p.text()
		all.Go(func() {
			for round := range 5 {
				name := fmt.Sprintf("c%d-%d", u, round)
				p.send(ws.OpText, `{"id":0,"subscribe":{"channel":"`+name+`"}}`)
				for i := 1; i < 15; i++ {
					p.send(ws.OpText, fmt.Sprintf(`{"id":%d,"publish":{"channel":"%s","data":%d}}`, i, name, i))
				}
				replies, publications := 0, 0
				for replies < 15 || publications < 100 { // 9 is refused
					w := p.text()
					if len(w.ID) == 0 {
						if publications++; publications == 9 {
							publications++
						}
						if string(w.Data) != fmt.Sprint(publications) {
							t.Errorf("%s: publication %s, want %d", name, w.Data, publications)
						}
						if publications == 14 {
							publications = 100
						}
						continue
					}
					if string(w.ID) != fmt.Sprint(replies) || (w.Error != nil) != (replies == 9) {
						t.Errorf("%s: reply %+v, want %d", name, w, replies)
					}
					replies++
				}
			}
			p.Close()
		})
	}
	all.Wait()
	waitFor(t, "all to have gone", func() bool { return r.Stats().Connections["total"] == 0 })
	r.leavesNothing(t)
}

// TestHookCommandsWait: at most 16 commands of a client wait for the site's backend, the rest is refused at once; those that wait are
// carried out, and others of the client are not held up.
func TestHookCommandsWait(t *testing.T) {
	t.Parallel()
	hold := newGate()
	s := newSite(t, func(q webhook.Question, w http.ResponseWriter) { <-hold.shut; w.WriteHeader(204) }, nil, hold)
	r, _ := asking(t, s, "publish", nil)
	p := newWS(t, r.public, "/ws?token="+speaker(t, "42", time.Hour, "news"))
	p.text()
	for i := range 20 {
		p.send(ws.OpText, fmt.Sprintf(`{"id":%d,"publish":{"channel":"news","data":%d}}`, i, i))
	}
	for i := 16; i < 20; i++ {
		if w := p.text(); w.Error == nil || w.Error.Code != "too_many_commands" || string(w.ID) != fmt.Sprint(i) {
			t.Errorf("%+v, want %d refused", w, i)
		}
	}
	s.hanging(1)
	hold.open()
	for i := range 16 {
		if w := p.text(); w.Published == nil || w.Published.Offset != uint64(i+1) || string(w.ID) != fmt.Sprint(i) {
			t.Errorf("%+v, want %d", w, i)
		}
	}
	if w := p.command(`{"id":99,"publish":{"channel":"news","data":1}}`); w.Published == nil {
		t.Errorf("there is room again: %+v", w)
	}
	if n, _ := s.asked(); n != 17 {
		t.Errorf("%d were asked", n)
	}
}

// TestHookMemory: commands that wait for a backend which does not answer take a bounded memory, however many clients send them; what
// is refused harms nobody else, and when they have been answered, or their clients have gone, there is room again.
func TestHookMemory(t *testing.T) {
	t.Parallel()
	hold := newGate()
	s := newSite(t, func(q webhook.Question, w http.ResponseWriter) { <-hold.shut; w.WriteHeader(204) }, nil, hold)
	r := newRigOf(t, func(c *edge.Config) {
		c.Tokens.Secrets, c.Site = [][]byte{tokenSecret}, edge.Site{Hook: s.URL + "/asked", Secrets: siteSecrets, Timeout: time.Minute}
		c.HookOn = "publish"
	}, func(c edge.Config) (*edge.Server, error) {
		server, err := edge.New(c)
		if err == nil {
			server.SetBudget(1<<40, 1<<20) // of which half is for these
		}
		return server, err
	})
	command := `{"id":1,"publish":{"channel":"news","data":"` + strings.Repeat("x", 20_000) + `"}}`
	var all []*wsPeer
	waiting, refused := 0, 0
	for i := range 6 {
		p := newWS(t, r.public, "/ws?token="+speaker(t, fmt.Sprint(i), time.Hour, "news"))
		p.text()
		for range 10 {
			p.send(ws.OpText, command)
			waiting++
		}
		p.send(ws.OpText, `{"id":2,"ping":{}}`)
		for w := p.text(); string(w.ID) != "2"; w = p.text() {
			if w.Error == nil || w.Error.Code != "overloaded" {
				t.Fatalf("%+v", w)
			}
			refused++
			waiting--
		}
		all = append(all, p)
	}
	if most := (512 << 10) / 21_026; waiting != most || refused != 60-most {
		t.Errorf("%d wait, %d were refused, want %d to wait", waiting, refused, most)
	}
	all[0].Close() // ten are forgotten
	waitFor(t, "it to go", func() bool { return r.Stats().Connections["ws"] == 5 })
	again := all[5]
	for range 11 {
		again.send(ws.OpText, command)
	}
	again.send(ws.OpText, `{"id":2,"ping":{}}`)
	for n := 0; ; n++ {
		if w := again.text(); string(w.ID) == "2" {
			if n != 1 {
				t.Errorf("%d were refused where there was room for ten", n)
			}
			break
		}
	}
	hold.open()
	waitFor(t, "all to be answered", func() bool { return r.Stats().Messages.ByClients == uint64(waiting) })
	for _, p := range all {
		p.Close()
	}
	waitFor(t, "all to have gone", func() bool { return r.Stats().Connections["total"] == 0 })
	r.leavesNothing(t)
}

// TestHookOfRefresh: one who comes without a token is asked about again when it brings its first, which is looked at once more when
// the answer comes.
func TestHookOfRefresh(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		status    int
		holds     time.Duration
		meanwhile func(t *testing.T, r *rig, ticket string)
		code      string // "": it is taken
	}{
		{"allowed", 204, time.Hour, nil, ""},
		{"refused", 403, time.Hour, nil, "forbidden"},
		{"no answer", 500, time.Hour, nil, "hook_failed"},
		{"revoked meanwhile", 204, time.Hour, func(t *testing.T, r *rig, _ string) { r.ask(t, "POST", "/tokens/revoke", `{"user":"42"}`) }, "token_revoked"},
		{"over meanwhile", 204, 2500 * time.Millisecond, func(t *testing.T, r *rig, ticket string) {
			waitFor(t, "the token to be over", func() bool { got, _ := statusOf(t, r, "/presence?channel=a&token="+ticket); return got == 401 })
			over := time.Now()
			waitFor(t, "the loops to know the time", func() bool { return time.Since(over) > 250*time.Millisecond })
		}, "token_expired"},
		{"too many meanwhile", 204, time.Hour, func(t *testing.T, r *rig, ticket string) { newWS(t, r.public, "/ws?token="+ticket).text() }, "user_limit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			hold := newGate()
			var hung atomic.Bool
			s := newSite(t, func(q webhook.Question, w http.ResponseWriter) {
				if q.User == "42" && hung.CompareAndSwap(false, true) {
					<-hold.shut
					w.WriteHeader(c.status)
					return
				}
				w.WriteHeader(204)
			}, nil, hold)
			r, log := asking(t, s, "connect", func(cfg *edge.Config) { cfg.MaxPerUser = 1 })
			n := r.letter(t, "42", "x")
			p := newWS(t, r.public, "/ws?channels=public")
			p.text()
			p.command(`{"unsubscribe":{"channel":"public"}}`)
			ticket := tokenFor(t, "42", c.holds)
			p.send(ws.OpText, `{"id":1,"refresh":{"token":"`+ticket+`"}}`)
			s.hanging(1)
			if p.command(`{"id":2,"ping":{}}`); userState(t, r, "42").Online {
				t.Error("is here before the answer")
			}
			if c.meanwhile != nil {
				c.meanwhile(t, r, ticket)
			}
			hold.open()
			w := p.text()
			if c.code != "" {
				if w.Error == nil || w.Error.Code != c.code || string(w.ID) != "1" {
					t.Errorf("%+v, want %s", w, c.code)
				}
				if w := p.command(`{"id":3,"ack":{"mail":1}}`); w.Error == nil || w.Error.Code != "bad_ack" {
					t.Errorf("is the user's all the same: %+v", w)
				}
			} else if w.Refreshed == nil || p.text().Subscribed == nil || p.text().Mail != n {
				t.Errorf("%+v", w)
			}
			s.note(func() {
				if want := `{"hook":"connect","user":"42","address":"127.0.0.1","transport":"ws"}`; s.bodies[1] != want {
					t.Errorf("asked %s, want %s", s.bodies[1], want)
				}
			})
			if strings.Contains(log(), ticket) {
				t.Error("the log shows the token")
			}
		})
	}
}

// TestHookOfOneWhoHasGone: when the answer comes its client has gone: nothing is carried out, nothing more asked, nothing left.
func TestHookOfOneWhoHasGone(t *testing.T) {
	t.Parallel()
	hold := newGate()
	s := newSite(t, func(q webhook.Question, w http.ResponseWriter) { <-hold.shut; w.WriteHeader(204) }, nil, hold)
	two := "subscribe,publish"
	r, _ := asking(t, s, "", func(c *edge.Config) { c.Rules = []edge.Rule{{Pattern: "asked", Hooks: &two}} })
	ticket := "token=" + speaker(t, "42", time.Hour, "*")
	var all []*peer
	for range 5 {
		p := newWS(t, r.public, "/ws?"+ticket)
		p.text()
		for range 3 {
			p.send(ws.OpText, `{"id":1,"publish":{"channel":"asked","data":1}}`)
			p.send(ws.OpText, `{"id":1,"subscribe":{"channel":"asked"}}`)
		}
		p.command(`{"ping":{}}`) // all before it have been seen
		all = append(all, p.peer)
		for _, target := range []string{"/sse?", "/poll?wait=20&", "/stream?"} {
			q := newPeer(t, r.public)
			q.get(target + "channels=asked&" + ticket)
			all = append(all, q)
		}
		ended := newPeer(t, r.public) // has sent FIN, and reads still
		ended.get("/poll?wait=0&channels=asked&" + ticket)
		ended.halfClose()
		all = append(all, ended)
	}
	s.hanging(25)
	for i, p := range all {
		if i%5 < 4 {
			p.Close()
		}
	}
	waitFor(t, "the sockets to go", func() bool { return r.Stats().Connections["ws"] == 0 })
	fresh := newWS(t, r.public, "/ws?"+ticket) // perhaps in the place of one that has gone
	fresh.text()
	if w := fresh.command(`{"id":1,"ping":{}}`); string(w.ID) != "1" {
		t.Errorf("%+v", w)
	}
	hold.open()
	for i, p := range all {
		if i%5 == 4 {
			p.want(200)
			p.ended()
		}
	}
	waitFor(t, "the answers", func() bool { _, under := s.asked(); return under == 0 && r.Stats().Site.Hook.Allowed == 25 })
	if w := fresh.command(`{"id":2,"ping":{}}`); string(w.ID) != "2" {
		t.Errorf("one who has asked nothing got %+v", w)
	}
	fresh.Close()
	waitFor(t, "all to have gone", func() bool { return r.Stats().Connections["total"] == 0 })
	if n, _ := s.asked(); n != 25 || r.Stats().Messages.ByClients != 0 {
		t.Errorf("%d were asked, %d published", n, r.Stats().Messages.ByClients)
	}
	r.leavesNothing(t)
}

// TestHookMeanwhile: what a client may do is looked at again when the answer comes: its token is over, has been revoked, or says
// something else now.
func TestHookMeanwhile(t *testing.T) {
	t.Parallel()
	const publish, subscribe = `{"id":1,"publish":{"channel":"news","data":1}}`, `{"id":2,"subscribe":{"channel":"news"}}`
	for _, c := range []struct {
		name      string
		holds     time.Duration
		meanwhile func(t *testing.T, r *rig, p *wsPeer)
		request   string // what a request is refused with; "": it is not
		commands  string // what commands are refused with; "": their connection has ended
		close     int
	}{
		{"revoked", time.Hour, func(t *testing.T, r *rig, p *wsPeer) {
			if res, text := r.ask(t, "POST", "/tokens/revoke", `{"user":"42"}`); res.StatusCode != 204 {
				t.Fatal(text)
			}
		}, "token_revoked", "", 4112},
		{"over", 2500 * time.Millisecond, func(t *testing.T, r *rig, p *wsPeer) {
			waitFor(t, "the token to be over", func() bool { return r.Stats().Connections["ws"] == 0 })
		}, "token_expired", "", 4109},
		{"disconnected", time.Hour, func(t *testing.T, r *rig, p *wsPeer) { r.ask(t, "DELETE", "/users/42/connections", "") }, "", "", 4110},
		{"less", time.Hour, func(t *testing.T, r *rig, p *wsPeer) {
			if w := p.command(`{"refresh":{"token":"` + speaker(t, "42", time.Hour, "other") + `"}}`); w.Refreshed == nil {
				t.Errorf("%+v", w)
			}
		}, "", "forbidden", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			hold := newGate()
			s := newSite(t, func(q webhook.Question, w http.ResponseWriter) { <-hold.shut; w.WriteHeader(204) }, nil, hold)
			two := "subscribe,publish"
			r, _ := asking(t, s, "", func(cfg *edge.Config) { cfg.Rules = []edge.Rule{{Pattern: "news", Hooks: &two}} })
			ticket := speaker(t, "42", c.holds, "news")
			publisher, subscriber := newWS(t, r.public, "/ws?token="+ticket), newWS(t, r.public, "/ws?token="+ticket)
			publisher.text()
			subscriber.text()
			publisher.send(ws.OpText, publish)
			subscriber.send(ws.OpText, subscribe)
			var requests []*peer
			for _, target := range []string{"/sse?", "/stream?", "/poll?wait=0&"} {
				q := newPeer(t, r.public)
				q.get(target + "channels=news&token=" + ticket)
				requests = append(requests, q)
			}
			s.hanging(5)
			if c.close > 0 {
				c.meanwhile(t, r, publisher)
				publisher.closed(c.close, map[int]string{4112: "token_revoked", 4109: "token_expired", 4110: "disconnected"}[c.close])
				hold.open()
			} else {
				c.meanwhile(t, r, publisher)
				c.meanwhile(t, r, subscriber)
				hold.open()
				for _, p := range []*wsPeer{publisher, subscriber} {
					if w := p.text(); w.Error == nil || w.Error.Code != c.commands {
						t.Errorf("%+v, want %s", w, c.commands)
					}
				}
			}
			for _, p := range requests {
				res := p.head("GET")
				b := make([]byte, 500)
				n := 0
				if res.StatusCode >= 400 {
					n, _ = res.Body.Read(b)
				}
				if (res.StatusCode == 200) != (c.request == "") || !strings.Contains(string(b[:n]), c.request) {
					t.Errorf("%s %s, want %s", res.Status, b[:n], c.request)
				}
				p.Close()
			}
			publisher.Close()
			subscriber.Close()
			waitFor(t, "all to have gone", func() bool { return r.Stats().Connections["total"] == 0 })
			if st := r.Stats(); st.Messages.ByClients != 0 || st.Site.Hook.Allowed != 5 {
				t.Errorf("%d published, %+v", st.Messages.ByClients, st.Site.Hook)
			}
			r.leavesNothing(t)
		})
	}
}

// TestHookAnswerIsForItsRequest: the answer to a request that failed meanwhile is not used for the next one on the connection.
func TestHookAnswerIsForItsRequest(t *testing.T) {
	t.Parallel()
	seconds := []string{"/poll?wait=0&channels=secret&token=", "/sse?channels=secret&token=", "/poll?wait=10&channels=secret&token="}
	gates := map[string]*gate{}
	for i := range seconds {
		gates[fmt.Sprint("42-", i)] = newGate()
	}
	s := newSite(t, func(q webhook.Question, w http.ResponseWriter) {
		if g := gates[q.User]; g != nil {
			<-g.shut
			w.WriteHeader(204)
			return
		}
		w.WriteHeader(403)
	}, nil, slices.Collect(maps.Values(gates))...)
	r, _ := asking(t, s, "connect", nil)
	for i, second := range seconds {
		user := fmt.Sprint("42-", i)
		p := newPeer(t, r.public)
		p.get("/poll?wait=0&channels=news&token=" + tokenFor(t, user, time.Hour, "news"))
		s.hanging(1)
		r.ask(t, "POST", "/tokens/revoke", `{"user":"`+user+`"}`)
		gates[user].open()
		if text := p.want(401); !strings.Contains(text, "token_revoked") {
			t.Error(text)
		}
		p.get(second + tokenFor(t, "7", time.Hour, "secret"))
		if res := p.head("GET"); res.StatusCode != 403 {
			t.Errorf("%s: %s", second, res.Status)
		}
		p.Close()
	}
	if n, _ := s.asked(); n != 6 {
		t.Errorf("%d were asked", n)
	}
}

// dialFrom connects from an address of this machine.
func dialFrom(t *testing.T, address, to string) net.Conn {
	t.Helper()
	c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}).Dial("tcp", to)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// TestHookOfPolls: a poll that was allowed is not asked about again, on whatever connection and loop; another is, of other channels,
// of somebody else, from elsewhere, and one that was refused each time. Who is refused is not here.
func TestHookOfPolls(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(q webhook.Question, w http.ResponseWriter) {
		if slices.Contains(q.Channels, "refused") {
			w.WriteHeader(403)
			return
		}
		w.WriteHeader(204)
	}, nil)
	r, _ := asking(t, s, "connect", func(c *edge.Config) {
		c.Anonymous = []string{"*"}
		c.UserGrace = time.Hour
	})
	of := func(user string) string { return "&token=" + tokenFor(t, user, time.Hour, "*") }
	for _, c := range []struct {
		name, query, address string
		asked                int
		lines                []string
	}{
		{"the first", "a" + of("42"), "", 1, nil},
		{"with more channels", "a,b" + of("42"), "", 1, nil},
		{"in another order", "b,a" + of("42"), "", 1, nil},
		{"of somebody else", "a" + of("7"), "", 1, nil},
		{"of nobody", "a", "", 1, nil},
		{"of one who is called as an address", "a" + of("@127.0.0.1"), "", 1, nil},
		{"from elsewhere", "a" + of("42"), "127.0.0.2", 1, nil},
		{"of nobody from elsewhere", "a", "127.0.0.2", 1, nil},
		{"the same again", "a" + of("42"), "", 0, nil},
		{"the same with another position", "a&since=0" + of("42"), "", 0, nil},
		{"that is refused", "refused" + of("9"), "", 6, nil},
		{"of one who has no channel of its own in it", "c" + of("42"), "", 1, []string{"Sec-WebSocket-Protocol: encke.raw"}},
		{"of another", "c" + of("7"), "", 1, []string{"Sec-WebSocket-Protocol: encke.raw"}},
	} {
		before, _ := s.asked()
		p := newPeer(t, r.public)
		for i := range 6 {
			if i%3 != 2 { // not always on the same connection, so not always on the same loop
				if p = newPeer(t, r.public); c.address != "" {
					p.Conn = dialFrom(t, c.address, r.public)
					p.r.Reset(p.Conn)
				}
			}
			p.get("/poll?wait="+[]string{"0", "0", "0", "1ms"}[i%4]+"&channels="+c.query, c.lines...)
			if res, text := p.answer(); res.StatusCode != map[bool]int{true: 403, false: 200}[c.asked > 1] {
				t.Errorf("%s: %s %s", c.name, res.Status, text)
			}
		}
		if n, _ := s.asked(); n-before != c.asked {
			t.Errorf("%s: %d were asked, want %d", c.name, n-before, c.asked)
		}
	}
	if s := userState(t, r, "9"); s.Online || s.LastSeen != nil {
		t.Errorf("one who was refused: %+v", s)
	}
	if s := userState(t, r, "42"); !s.Online {
		t.Errorf("one who was allowed: %+v", s)
	}
	before, _ := s.asked()
	for _, target := range []string{"/sse", "/stream", "/ws"} { // connections are asked about each time
		for range 2 {
			if got, text := statusOf(t, r, target+"?channels=a"+of("42")); got > 200 {
				t.Errorf("%s: %d %s", target, got, text)
			}
		}
	}
	if n, _ := s.asked(); n-before != 6 {
		t.Errorf("%d connections were asked about", n-before)
	}
}

// TestHookOfADeadBackend: a backend that is not there refuses everybody, and after ten questions it is not asked any more for a while.
func TestHookOfADeadBackend(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil, nil)
	r, log := asking(t, s, "connect,publish", nil)
	p := newWS(t, r.public, "/ws?token="+speaker(t, "42", time.Hour, "news"))
	p.text()
	s.CloseClientConnections()
	s.Close()
	for i := range 15 {
		ask := asks[i%len(asks)]
		if got, text := statusOf(t, r, ask.target+"public"); got != 503 || !strings.Contains(text, "hook_failed") {
			t.Errorf("%s: %d %s", ask.name, got, text)
		}
		if w := p.command(`{"id":1,"publish":{"channel":"news","data":1}}`); w.Error == nil || w.Error.Code != "hook_failed" {
			t.Errorf("%+v", w)
		}
	}
	h := r.Stats().Site.Hook
	if h.Failed != 10 || h.Shorted != 20 || h.Breaker != "open" || h.Asked != 31 || h.LastError == "" {
		t.Errorf("%+v", h)
	}
	if !strings.Contains(log(), "is not asked any more") || strings.Contains(log()+h.LastError, "sesame") {
		t.Errorf("the log says %q, the last error is %q", log(), h.LastError)
	}
	if w := p.command(`{"id":1,"ping":{}}`); w.Error != nil {
		t.Errorf("%+v", w)
	}
}

// TestHookAtShutdown: with questions under way the server ends in order: who waits for an answer is told to come back, and no
// connection begins that nobody would end.
func TestHookAtShutdown(t *testing.T) {
	t.Parallel()
	hold := newGate()
	s := newSite(t, func(q webhook.Question, w http.ResponseWriter) { <-hold.shut; w.WriteHeader(204) }, nil, hold)
	two := "subscribe,publish"
	r, _ := asking(t, s, "", func(c *edge.Config) { c.Rules = []edge.Rule{{Pattern: "asked", Hooks: &two}} })
	ticket := "token=" + speaker(t, "42", time.Hour, "*")
	socket := newWS(t, r.public, "/ws?"+ticket)
	socket.text()
	for range 3 {
		socket.send(ws.OpText, `{"id":1,"publish":{"channel":"asked","data":1}}`)
	}
	var all []*peer
	for _, target := range []string{"/ws?channels=asked", "/sse?channels=asked", "/stream?channels=asked", "/poll?wait=0&channels=asked", "/poll?wait=50&channels=asked"} {
		p := newPeer(t, r.public)
		if strings.HasPrefix(target, "/ws") {
			p.write("GET " + target + "&" + ticket + handshake + "\r\n")
		} else {
			p.get(target + "&" + ticket)
		}
		all = append(all, p)
	}
	s.hanging(6)
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		done <- r.Stop(ctx)
	}()
	socket.closed(1001, "going_away")
	waitFor(t, "the listener to close", func() bool {
		c, err := net.Dial("tcp", r.public)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	hold.open()
	for i, p := range all {
		res, text := p.answer()
		var w struct{ Retry *int }
		_ = json.Unmarshal([]byte(text), &w)
		switch {
		case i < 3 && (res.StatusCode != 503 || !strings.Contains(text, "going_away") || res.Header.Get("Retry-After") == ""):
			t.Errorf("%d: %s %s", i, res.Status, text)
		case i >= 3 && (res.StatusCode != 200 || w.Retry == nil):
			t.Errorf("%d: %s %s", i, res.Status, text)
		}
		p.Close()
	}
	socket.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n, _ := s.asked(); n != 6 || r.Stats().Messages.ByClients != 0 {
		t.Errorf("%d were asked, %d published", n, r.Stats().Messages.ByClients)
	}
	if left := r.Tables(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
