package edge_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"encke/edge"
	"encke/page"
)

// look opens an event stream of the backend listener.
func look(t testing.TB, r *rig, target string, extra ...string) (*peer, events) {
	t.Helper()
	p, res, body := openStream(t, r.backend, target, extra...)
	if got := res.Header.Get("Content-Type"); got != "text/event-stream" || res.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%s: %v", target, res.Header)
	}
	return p, events{t, body}
}

// figuresUntil reads $console until the figures are as wanted, and returns them.
func figuresUntil(t testing.TB, e events, what string, want func(*edge.ConsoleStats) bool) (s edge.ConsoleStats) {
	t.Helper()
	for range 20 {
		_, w := e.publication()
		if w.Channel != "$console" {
			t.Fatalf("%+v", w)
		}
		s = edge.ConsoleStats{}
		d := json.NewDecoder(bytes.NewReader(w.Data))
		d.DisallowUnknownFields()
		if err := d.Decode(&s); err != nil {
			t.Fatalf("%s: %v", w.Data, err)
		}
		if want(&s) {
			return s
		}
	}
	t.Fatalf("never %s: %+v", what, s)
	return
}

// TestConsoleFigures: $console tells what the console shows, and the console itself does not show in it.
func TestConsoleFigures(t *testing.T) {
	t.Parallel()
	r, _ := guarded(t, func(c *edge.Config) {
		c.Loops, c.Anonymous, c.MaxMessage, c.MaxPending, c.Unsent = 2, []string{"*"}, 1<<20, 64<<20, 4<<10
	})
	_, e := look(t, r, "/sse?channels=$console")
	quiet := figuresUntil(t, e, "quiet", func(s *edge.ConsoleStats) bool { return s.Seconds > 0.9 && s.Rates.Requests == 0 })
	if quiet.Rates.Published != 0 || quiet.Rates.Delivered != 0 || quiet.Connections["sse"] != 0 || quiet.Connections["http"] != 1 ||
		len(quiet.Top.Subscribers) != 0 || len(quiet.Top.Publications) != 0 || quiet.Users != 0 || len(quiet.Readers.Slowest) != 0 {
		t.Errorf("nobody is there but the console: %+v", quiet)
	}
	if len(quiet.Loops) != 2 || quiet.Memory.Used < 1<<20 || quiet.Memory.Heap < 1<<16 || quiet.Uptime <= 0 || quiet.Seconds > 3 {
		t.Errorf("%+v", quiet)
	}
	for _, l := range quiet.Loops {
		if l.Lag <= 0 || l.Lag > 10_000 {
			t.Errorf("%+v", l)
		}
	}
	ticket := ticketFor(t, "42", "", nil)
	for _, transport := range []string{"ws", "raw", "sse", "stream", "poll"} {
		openTab(t, r, transport, "busy&"+ticket)
	}
	openTab(t, r, "ws", "quiet")
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				r.push(t, "busy", "x")
				r.push(t, "unheard", "x")
			}
		}
	}()
	s := figuresUntil(t, e, "busy", func(s *edge.ConsoleStats) bool {
		return s.Connections["ws"] == 2 && s.Connections["raw"] == 1 && s.Connections["sse"] == 1 && s.Connections["stream"] == 1 &&
			s.Users == 1 && s.Rates.Published > 10 && s.Rates.Delivered > 10 && s.Rates.BytesIn > 100 && s.Rates.BytesOut > 100 &&
			s.Rates.Connections > 1 && s.Rates.Requests > 1 && len(s.Top.Publications) == 2 && len(s.Top.Subscribers) >= 2
	})
	close(stop)
	<-done
	if top := s.Top.Subscribers[0]; top.Channel != "busy" || top.Subscribers < 4 {
		t.Errorf("%+v", s.Top)
	}
	for _, top := range s.Top.Publications {
		if top.Rate < 1 || top.Channel != "busy" && top.Channel != "unheard" {
			t.Errorf("%+v", s.Top)
		}
	}
	if s.Connections["total"] < 6 || s.Ended["peer"] == 0 || s.Channels.Channels < 3 {
		t.Errorf("%+v", s)
	}
	p := newWS(t, r.public, "/ws?channels=slow&"+ticket)
	p.text()
	r.ask(t, "GET", "/channels/none", "")
	for range 20 {
		r.push(t, "slow", strings.Repeat("x", 1<<19))
	}
	slow := figuresUntil(t, e, "slow", func(s *edge.ConsoleStats) bool {
		return s.Readers.Waiting == 1 && len(s.Readers.Slowest) == 1 && s.Readers.Slowest[0].Since > 0 && s.Refused["unknown_channel"] > 0
	})
	if x := slow.Readers.Slowest[0]; x.Address != "127.0.0.1" || x.User != "42" || x.Transport != "ws" || x.Waiting < 1<<20 {
		t.Errorf("%+v", x)
	}
	if slow.Memory.Waiting < 1<<20 || slow.Memory.Output < 1<<20 {
		t.Errorf("%+v", slow.Memory)
	}
}

// TestConsoleStops: nothing is published while nobody looks, and somebody who comes again goes on from what is kept.
func TestConsoleStops(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	offset := func() (n int) {
		var state struct{ Offset int }
		_, text := r.ask(t, "GET", "/channels/$console", "")
		_ = json.Unmarshal([]byte(text), &state)
		return state.Offset
	}
	_, _ = look(t, r, "/sse?channels=$stats,other") // does not look at the console
	time.Sleep(1500 * time.Millisecond)
	if res, text := r.ask(t, "GET", "/channels/$console", ""); res.StatusCode != 404 || r.Watched() {
		t.Errorf("nobody has looked yet: %s %s", res.Status, text)
	}
	for turn := range 2 {
		p, e := look(t, r, "/sse?channels=$console&since=0")
		q, f := look(t, r, "/sse?channels=other,$console")
		began := time.Now()
		_, first := e.publication()
		if want := 1; turn == 0 && first.Offset != uint64(want) || first.Offset > 2 {
			t.Errorf("turn %d begins at %d", turn, first.Offset)
		}
		last := first
		for last.Offset < 3+3*uint64(turn) {
			_, last = e.publication()
		}
		if d := time.Since(began); turn == 0 && d < time.Second {
			t.Errorf("three within %v", d)
		}
		if _, w := f.publication(); w.Channel != "$console" {
			t.Errorf("%+v", w)
		}
		p.Close()
		r.subscribers(t, "$console", 1)
		if !r.Watched() {
			t.Error("one still looks")
		}
		q.Close()
		waitFor(t, "the end of it", func() bool { return !r.Watched() })
		before := offset()
		time.Sleep(1300 * time.Millisecond)
		if after := offset(); after != before || before == 0 {
			t.Errorf("nobody looks: %d, then %d", before, after)
		}
	}
	_, e := look(t, r, "/sse?channels=$console")
	e.publication()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := r.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// TestConsoleIsNotForClients: no pattern, rule, right or --dev opens $console on the public listener.
func TestConsoleIsNotForClients(t *testing.T) {
	t.Parallel()
	anybody, length := "anybody", 5
	r, _ := guarded(t, func(c *edge.Config) {
		c.Anonymous = []string{"*", "$*", "$console"}
		c.Rules = []edge.Rule{{Pattern: "$console", Subscribe: &anybody, Publish: &anybody, SeePresence: &anybody, HistoryLength: &length},
			{Pattern: "$*", Subscribe: &anybody}, {Pattern: "*", Subscribe: &anybody, Publish: &anybody}}
		c.Presence, c.SeePresence, c.OpenBackend, c.Origins = "members", "anybody", true, []string{"*"}
	})
	_, e := look(t, r, "/sse?channels=$console")
	e.publication()
	all := []string{"subscribe", "publish", "presence"}
	for _, ticket := range []string{"", ticketFor(t, "42", "", rights{"$console": all, "$*": all, "*": all}), ticketFor(t, "$console", "", rights{"$console": all})} {
		tryRead(t, r, "the console", "$console", ticket, "forbidden")
		for _, ask := range asks {
			if got, text := statusOf(t, r, ask.target+"a,%24console&"+ticket); got != 403 || !strings.Contains(text, "forbidden") {
				t.Errorf("%s, escaped, behind another: %d %s", ask.name, got, text)
			}
		}
		tryRead(t, r, "the server's own beside it", "$stats", ticket, "")
		if text := tell(t, r, ticket, `"publish":{"channel":"$console","data":1}`); !answered(text, "published", "forbidden") && !answered(text, "published", "reserved_channel") {
			t.Errorf("publish: %s", text)
		}
		if text := tell(t, r, ticket, `"presence":{"channel":"$console"}`); !answered(text, "presence", "no_presence") {
			t.Errorf("presence: %s", text)
		}
	}
	for _, target := range []string{"/", "/console", "/channels/$console", "/channels/$console/history"} {
		if got, text := statusOf(t, r, target); got != 404 {
			t.Errorf("%s: %d %s", target, got, text)
		}
	}
	if res, text := r.ask(t, "POST", "/channels/$console", "x"); res.StatusCode != 403 || !strings.Contains(text, "reserved_channel") {
		t.Errorf("%s %s", res.Status, text)
	}
}

// TestConsoleKeys: figures need the scope stats wherever they stand, everything else read; the page needs nothing.
func TestConsoleKeys(t *testing.T) {
	t.Parallel()
	const all, reader, watcher, both, pusher = "all-of-it-all-of-it", "read-read-read-read", "stat-stat-stat-stat", "both-both-both-both", "push-push-push-push"
	r, _ := guarded(t, func(c *edge.Config) {
		c.BackendKeys = keys(t, all, reader+" read", watcher+" stats", both+" stats,read", pusher+" publish,manage")
		c.Console = page.Console
	})
	readers, watchers := " "+all+" "+reader+" "+both+" ", " "+all+" "+watcher+" "+both+" "
	for target, allowed := range map[string]string{
		"/sse?channels=a": readers, "/sse?channels=user:42": readers, "/sse?channels=$stats": readers, "/sse?channels=a,b": readers,
		"/sse?channels=$console": watchers, "/sse?since=0&channels=%24console": watchers, "/sse?channels=%24%63onsole": watchers,
		"/sse?channels=a,$console": " " + all + " " + both + " ", "/sse?channels=$console%2ca": " " + all + " " + both + " ",
		"/channels/$console": watchers, "/channels/%24console/history": watchers, "/channels/$console/presence": watchers,
		"/channels/$consol": readers, "/channels/a/history": readers,
		"/sse": readers, "/sse?channels=$console&channels=a": watchers, "/sse?channels=a&channels=$console": readers,
	} {
		for _, key := range []string{"", "wrong-wrong-wrong-wrong", all, reader, watcher, both, pusher} {
			want := 0
			switch {
			case key == "" || strings.HasPrefix(key, "wrong"):
				want = 401
			case !strings.Contains(allowed, " "+key+" "):
				want = 403
			}
			p := newPeer(t, r.backend)
			var lines []string
			if key != "" {
				lines = []string{"Authorization: Bearer " + key}
			}
			p.get(target, lines...)
			res := p.head("GET")
			if refused := res.StatusCode == 401 || res.StatusCode == 403; refused != (want != 0) || refused && res.StatusCode != want {
				t.Errorf("%s with %q: %s, want %d", target, key, res.Status, want)
			}
			p.Close()
		}
	}
	for _, target := range []string{"/", "/console", "/?key=x"} {
		if res, text := r.ask(t, "GET", target, ""); res.StatusCode != 200 || !strings.Contains(text, "<title>") {
			t.Errorf("%s: %s", target, res.Status)
		}
	}
}

// TestConsolePage: the page may run its own script and style and nothing else, and has nothing that this would keep from working.
func TestConsolePage(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *edge.Config) { c.Console = page.Console })
	res, text := r.ask(t, "GET", "/", "")
	if text != string(page.Console) || res.Header.Get("Content-Type") != "text/html; charset=utf-8" ||
		res.Header.Get("X-Content-Type-Options") != "nosniff" || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d bytes, %v", len(text), res.Header)
	}
	csp := res.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("%q has no %q", csp, want)
		}
	}
	if strings.Contains(csp, "unsafe") {
		t.Error(csp)
	}
	for _, element := range []string{"script", "style"} {
		found := regexp.MustCompile("(?s)<"+element+">(.*?)</"+element+">").FindAllStringSubmatch(text, -1)
		if len(found) != 1 || strings.Count(text, "<"+element) != 1 {
			t.Fatalf("%d elements %s", len(found), element)
		}
		sum := sha256.Sum256([]byte(found[0][1]))
		if want := element + "-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "';"; !strings.Contains(csp, want) {
			t.Errorf("%q has no %q", csp, want)
		}
	}
	markup := regexp.MustCompile("(?s)<script>.*</script>|<style>.*</style>").ReplaceAllString(text, "")
	if bad := regexp.MustCompile(`(?i)\son\w+\s*=|\sstyle\s*=|javascript:|https?://[^w]|<(iframe|object|embed|base)`).FindString(markup); bad != "" {
		t.Errorf("the markup has %q", bad)
	}
	if bad := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|localStorage|document\.cookie|https?://`).FindString(
		regexp.MustCompile("(?s)<script>.*</script>").FindString(strings.ReplaceAll(text, "http://www.w3.org/", ""))); bad != "" {
		t.Errorf("the script has %q", bad)
	}
	res, zipped := r.ask(t, "GET", "/console", "", "Accept-Encoding: gzip, br")
	z, err := gzip.NewReader(strings.NewReader(zipped))
	if err != nil || res.Header.Get("Content-Encoding") != "gzip" || res.Header.Get("Content-Security-Policy") != csp {
		t.Fatalf("%v %v", err, res.Header)
	}
	if plain, err := io.ReadAll(z); err != nil || !bytes.Equal(plain, page.Console) || len(zipped) > len(plain)/2 {
		t.Errorf("%v, %d bytes of %d", err, len(zipped), len(plain))
	}
	for method, want := range map[string]int{"HEAD": 200, "OPTIONS": 204, "POST": 405, "DELETE": 405} {
		for _, target := range []string{"/", "/console"} {
			if res, _ := r.ask(t, method, target, ""); res.StatusCode != want {
				t.Errorf("%s %s: %s, want %d", method, target, res.Status, want)
			}
		}
	}
	if res, text := r.ask(t, "GET", "/", "", "Origin: http://elsewhere.example"); res.StatusCode != 403 {
		t.Errorf("%s %s", res.Status, text)
	}
	if res, _ := newRig(t, nil).ask(t, "GET", "/", ""); res.StatusCode != 404 {
		t.Errorf("without a page: %s", res.Status)
	}
}

// TestWatch: GET /sse of the backend listener reads every channel, resumes, and is no client: not online, not present, not kept out.
func TestWatch(t *testing.T) {
	t.Parallel()
	one, no := 1, "nobody"
	r := watchedRig(t, func(c *edge.Config) {
		c.MaxChannels = 4
		c.Rules = []edge.Rule{{Pattern: "closed", Subscribe: &no, MaxSubscribers: &one}, {Pattern: "x", MaxSubscribers: &one}}
	})
	ticket := ticketFor(t, "42", "", readsAll)
	tab := newWS(t, r.public, "/ws?channels=x&"+ticket)
	tab.text()
	tab.text()
	waitFor(t, "its join to be told", func() bool {
		res, _ := r.ask(t, "GET", "/channels/$presence:x", "")
		return res.StatusCode == 200
	})
	p, e := look(t, r, "/sse?channels=x,user:42,closed,$presence:x")
	first := e.next()
	if first.data != "" || strings.Count(first.id, ",") != 3 {
		t.Errorf("begins with %+v", first)
	}
	var last block
	for _, name := range []string{"user:42", "closed", "x"} {
		r.push(t, name, name)
		b, w := e.publication()
		if w.Channel != name || string(w.Data) != fmt.Sprintf("%q", name) || b.event != "" {
			t.Errorf("%+v %+v", b, w)
		}
		last = b
	}
	if w := tab.text(); w.Channel != "user:42" { // its own connection is still told
		t.Errorf("%+v", w)
	}
	if w := tab.text(); w.Channel != "x" {
		t.Errorf("%+v", w)
	}
	if _, text := r.ask(t, "GET", "/channels/x/presence", ""); !strings.Contains(text, `"users":1,"connections":1,`) {
		t.Error(text)
	}
	if s := r.Stats(); s.Connections["sse"] != 0 || s.Connections["ws"] != 1 || s.Connections["http"] < 1 || s.Users.Online != 1 {
		t.Errorf("%+v %+v", s.Connections, s.Users)
	}
	p.Close()
	r.subscribers(t, "closed", 0)
	r.push(t, "closed", "missed")
	r.push(t, "user:42", "missed too")
	_, e = look(t, r, "/sse?channels=x,user:42,closed,$presence:x", "Last-Event-ID: "+last.id)
	got := map[string]string{}
	for len(got) < 2 {
		b := e.next()
		if b.event == "resumed" {
			if b.data != `{"recovered":true}` {
				t.Errorf("%+v", b)
			}
			continue
		}
		w := parseWire(t, []byte(b.data))
		got[w.Channel] = string(w.Data)
	}
	if got["closed"] != `"missed"` || got["user:42"] != `"missed too"` {
		t.Errorf("%v", got)
	}
	for target, code := range map[string]string{"/sse": "no_channel", "/sse?channels=a,b,c,d,e": "too_many_channels", "/sse?channels=a,a": "duplicate_channel",
		"/sse?channels=%20": "bad_channel", "/sse?channels=a&since=x,y": "bad_since", "/sse?channels=%zz": "bad_channel"} {
		if res, text := r.ask(t, "GET", target, ""); res.StatusCode != 400 || !strings.Contains(text, code) {
			t.Errorf("%s: %s %s, want %s", target, res.Status, text, code)
		}
	}
	if res, text := r.ask(t, "HEAD", "/sse?channels=a", ""); res.StatusCode != 200 || text != "" {
		t.Errorf("%s %s", res.Status, text)
	}
	if res, text := r.ask(t, "POST", "/sse?channels=a", "x"); res.StatusCode != 405 {
		t.Errorf("%s %s", res.Status, text)
	}
	if res, text := r.ask(t, "GET", "/sse?channels=a", "", "Origin: http://elsewhere.example"); res.StatusCode != http.StatusForbidden {
		t.Errorf("%s %s", res.Status, text)
	}
	_, e = look(t, r, "/sse?channels=a", "Authorization: Bearer not.a.token") // a key is no token
	if b := e.next(); b.id == "" {
		t.Errorf("%+v", b)
	}
}
