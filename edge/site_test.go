package edge_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"encke/edge"
	"encke/webhook"
)

var (
	siteSecret  = []byte("a secret of the site's")
	siteSecrets = [][]byte{[]byte("the one that it will have next"), siteSecret}
)

// site is a site's backend: it is told at /told and asked at /asked, and takes what is signed only.
type site struct {
	*httptest.Server
	t      *testing.T
	answer func(q webhook.Question, w http.ResponseWriter) // nil: everything is allowed
	told   func(b webhook.Batch) int                       // returns the status; nil: 204

	mu      sync.Mutex
	bodies  []string // of questions, as they came
	under   int      // questions under way
	most    int      // the most that were
	batches []webhook.Batch
	wrong   []string // what was not as it has to be
}

// gate is what questions hang at until it is open.
type gate struct {
	shut chan struct{}
	open func()
}

func newGate() *gate {
	shut := make(chan struct{})
	return &gate{shut, sync.OnceFunc(func() { close(shut) })}
}

// newSite returns a site that ends with the test, which opens the gates.
func newSite(t *testing.T, answer func(webhook.Question, http.ResponseWriter), told func(webhook.Batch) int, gates ...*gate) *site {
	s := &site{t: t, answer: answer, told: told}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(func() {
		for _, g := range gates {
			g.open()
		}
		s.CloseClientConnections()
		s.Close()
		for _, wrong := range s.wrong {
			t.Error(wrong)
		}
	})
	return s
}

func (s *site) serve(w http.ResponseWriter, q *http.Request) {
	body, _ := io.ReadAll(q.Body)
	if err := webhook.Verify(siteSecret, q.Header.Get(webhook.SignatureHeader), body, time.Now(), time.Minute); err != nil || q.Method != "POST" || q.Header.Get("Content-Type") != "application/json" {
		s.note(func() { s.wrong = append(s.wrong, fmt.Sprintf("%s %s %v: %v", q.Method, q.URL, q.Header, err)) })
		w.WriteHeader(401)
		return
	}
	if q.URL.Path == "/told" {
		s.serveTold(w, q, body)
		return
	}
	var question webhook.Question
	if err := json.Unmarshal(body, &question); err != nil {
		s.note(func() { s.wrong = append(s.wrong, string(body)) })
	}
	s.note(func() {
		s.bodies = append(s.bodies, string(body))
		s.under++
		s.most = max(s.most, s.under)
	})
	defer s.note(func() { s.under-- })
	if s.answer == nil {
		w.WriteHeader(204)
		return
	}
	s.answer(question, w)
}

func (s *site) serveTold(w http.ResponseWriter, q *http.Request, body []byte) {
	var b webhook.Batch
	if err := json.Unmarshal(body, &b); err != nil || b.Epoch == "" || b.Epoch != q.Header.Get(webhook.EpochHeader) || len(b.Events) == 0 {
		s.note(func() { s.wrong = append(s.wrong, string(body)) })
	}
	s.note(func() { s.batches = append(s.batches, b) })
	status := 204
	if s.told != nil {
		status = s.told(b)
	}
	if status == 0 { // cut off without an answer
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(status)
}

func (s *site) note(change func()) { s.mu.Lock(); defer s.mu.Unlock(); change() }

// asked returns how many questions have come, and how many of them are under way.
func (s *site) asked() (n, under int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.bodies), s.under
}

// hanging waits until that many questions are under way.
func (s *site) hanging(n int) {
	s.t.Helper()
	waitFor(s.t, fmt.Sprintf("%d questions to be under way", n), func() bool { _, under := s.asked(); return under == n })
}

// events returns what was told so far, in the order of n, as "user_online 42".
func (s *site) events() (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var events []webhook.Event
	for _, b := range s.batches {
		events = append(events, b.Events...)
	}
	slices.SortFunc(events, func(a, b webhook.Event) int { return int(a.N) - int(b.N) })
	for _, e := range events {
		all = append(all, e.Kind+" "+e.User+e.Channel)
	}
	return all
}

// sited is a guarded rig that has a site's secret.
func sited(t *testing.T, change func(*edge.Config)) (*rig, func() string) {
	return guarded(t, func(c *edge.Config) {
		c.Site.Secrets, c.Site.Timeout = siteSecrets, time.Minute
		c.UserGrace = 100 * time.Millisecond
		if change != nil {
			change(c)
		}
	})
}

// telling is a rig that tells a site.
func telling(t *testing.T, s *site, change func(*edge.Config)) (*rig, func() string) {
	return sited(t, func(c *edge.Config) {
		c.Site.Webhook = s.URL + "/told?key=sesame"
		if change != nil {
			change(c)
		}
	})
}

// TestWebhooks: who comes and goes and which channels are read, told once each, in order, on whatever transport; nothing of users'
// own channels and of the server's, nothing of a reload within the grace, and of what the site wants to know only.
func TestWebhooks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		wants []string
	}{
		{nil}, {[]string{"user_online", "user_offline", "channel_occupied", "channel_vacated"}},
		{[]string{"user_online"}}, {[]string{"user_offline"}}, {[]string{"channel_occupied"}}, {[]string{"channel_vacated"}},
		{[]string{"user_online", "channel_vacated"}},
	} {
		t.Run(strings.Join(c.wants, ","), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil, nil)
			r, log := telling(t, s, func(cfg *edge.Config) {
				cfg.Site.Events, cfg.Anonymous, cfg.UserGrace = c.wants, []string{"*"}, 1500*time.Millisecond
			})
			ticket := "token=" + tokenFor(t, "42", time.Hour, "a", "b")
			var want []string
			expect := func(event, subject string) {
				if len(c.wants) == 0 || slices.Contains(c.wants, event) {
					want = append(want, event+" "+subject)
				}
				waitFor(t, event+" "+subject, func() bool { return slices.Equal(s.events(), want) })
			}
			first := newWS(t, r.public, "/ws?"+ticket)
			first.text()
			expect("user_online", "42")
			second := newWS(t, r.public, "/ws?channels=user:42,a,$stats&"+ticket) // the own channel is no latent one there
			for range 3 {
				second.text()
			}
			expect("channel_occupied", "a")
			first.command(`{"subscribe":{"channel":"a"}}`) // is occupied already
			first.Close()
			second.Close()
			poll := newPeer(t, r.public) // comes back within the grace
			poll.get("/poll?channels=a&wait=20&" + ticket)
			waitFor(t, "only the poll to be here", func() bool { return userState(t, r, "42").Connections == 1 })
			r.subscribers(t, "a", 1)
			r.push(t, "a", "x")
			poll.want(200)
			poll.Close()
			if len(c.wants) == 0 {
				gone := time.Now().UnixMilli()
				waitFor(t, "both to be told", func() bool { return len(s.events()) == 4 })
				slices.Sort(want)
				if got := s.events(); !slices.Contains(got, "user_offline 42") || !slices.Contains(got, "channel_vacated a") {
					t.Errorf("%v", got)
				}
				s.note(func() {
					for _, e := range s.batches[len(s.batches)-1].Events {
						if e.Time > gone || e.Time < gone-5000 { // when it was, not when the grace was over
							t.Errorf("%+v, it was before %d", e, gone)
						}
					}
				})
				want = s.events()
			} else {
				for _, e := range []string{"user_offline 42", "channel_vacated a"} {
					if slices.Contains(c.wants, strings.Fields(e)[0]) {
						want = append(want, e)
					}
				}
				waitFor(t, fmt.Sprint(want), func() bool { return len(s.events()) == len(want) })
			}
			waitFor(t, "nothing to wait", func() bool { return r.Stats().Site.Webhook.Waiting == 0 && !userState(t, r, "42").Online })
			r.subscribers(t, "a", 0)
			for i, b := range s.batches {
				if b.Epoch != r.Stats().Epoch || b.Number != uint64(i+1) {
					t.Errorf("batch %d: %+v", i, b)
				}
			}
			if got := r.Stats().Site; got.Hook != nil || got.Webhook.Sent != uint64(len(want)) || got.Webhook.Failures != 0 {
				t.Errorf("%+v", got.Webhook)
			}
			if strings.Contains(log(), "sesame") || strings.Contains(log(), string(siteSecret)) {
				t.Error(log())
			}
			r.leavesNothing(t)
			if got := s.events(); len(got) != len(want) {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
}

// mirror is a receiver that remembers of each subject the highest n, and passes over lower ones.
type mirror struct {
	epoch string
	n     map[string]uint64
	on    map[string]bool
	late  int
}

func (m *mirror) apply(b webhook.Batch) {
	for _, e := range b.Events {
		key := e.User + "/" + e.Channel
		if b.Epoch == m.epoch && e.N <= m.n[key] {
			m.late++
			continue
		}
		m.epoch, m.n[key] = b.Epoch, e.N
		m.on[key] = e.Kind == webhook.UserOnline || e.Kind == webhook.ChannelOccupied
	}
}

// TestWebhooksToAReceiverThatFails: batches are refused, cut off, taken without a word of it, and taken late, at random, while users
// come and go; at the end the receiver knows the truth.
func TestWebhooksToAReceiverThatFails(t *testing.T) {
	t.Parallel()
	seed := wanderSeed(t)
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(uint64(seed), 1))
	m := mirror{n: map[string]uint64{}, on: map[string]bool{}}
	var late []webhook.Batch
	failures, running := 0, 0
	s := newSite(t, nil, func(b webhook.Batch) int {
		mu.Lock()
		defer mu.Unlock()
		kind := rng.IntN(6)
		if failures >= 5 || running == 2 { // the waits after them grow
			kind = 5
		}
		if running++; kind < 4 {
			failures++
		} else {
			running = 0
		}
		for len(late) > 0 && rng.IntN(2) == 0 { // what was given up arrives, out of order
			i := rng.IntN(len(late))
			m.apply(late[i])
			late = slices.Delete(late, i, i+1)
		}
		switch kind {
		case 0: // taken, and not said
			m.apply(b)
			return 503
		case 1:
			m.apply(b)
			return 0
		case 2: // arrives when it was given up
			late = append(late, b)
			return 0
		case 3:
			return 500
		}
		m.apply(b)
		return 200
	})
	r, _ := telling(t, s, func(c *edge.Config) { c.UserGrace = 20 * time.Millisecond })
	var all sync.WaitGroup
	var stay [6]*wsPeer
	for u := range stay {
		rng := rand.New(rand.NewPCG(uint64(seed), uint64(10+u)))
		ticket := "token=" + tokenFor(t, fmt.Sprint(u), time.Hour, "c*")
		all.Go(func() {
			for range 12 {
				p := newWS(t, r.public, fmt.Sprintf("/ws?channels=c%d,c%d&", rng.IntN(4), 4+rng.IntN(4))+ticket)
				p.text()
				if rng.IntN(2) == 0 {
					p.command(`{"unsubscribe":{"channel":"c0"}}`)
				}
				time.Sleep(time.Duration(rng.IntN(150)) * time.Millisecond) // for the comings and goings to be of any kind
				p.Close()
			}
			if u%2 == 0 {
				stay[u] = newWS(t, r.public, fmt.Sprintf("/ws?channels=c%d&", u)+ticket)
			}
		})
	}
	all.Wait()
	truth := map[string]bool{}
	for u := range stay {
		truth[fmt.Sprint(u, "/")] = u%2 == 0
		if u%2 == 0 {
			truth[fmt.Sprint("/c", u)] = true
		}
	}
	waitFor(t, "all that is to be told to be told", func() bool {
		return !userState(t, r, "1").Online && !userState(t, r, "3").Online && !userState(t, r, "5").Online
	})
	for _, name := range []string{"c1", "c3", "c5", "c6", "c7"} {
		r.subscribers(t, name, 0)
	}
	known := func() map[string]bool {
		mu.Lock()
		defer mu.Unlock()
		on := maps.Clone(m.on)
		maps.DeleteFunc(on, func(key string, is bool) bool { return !is })
		return on
	}
	maps.DeleteFunc(truth, func(key string, is bool) bool { return !is })
	waitFor(t, "the receiver to know the truth", func() bool { return maps.Equal(known(), truth) && r.Stats().Site.Webhook.Waiting == 0 })
	mu.Lock()
	for _, b := range late {
		m.apply(b)
	}
	mu.Unlock()
	if got := known(); !maps.Equal(got, truth) {
		t.Errorf("after what was late: %v, want %v", got, truth)
	}
	c := r.Stats().Site.Webhook
	if c.Added != c.Sent+c.Superseded+c.DroppedAge+c.DroppedClosed+c.DroppedFull || c.Failures != uint64(failures) {
		t.Errorf("%+v, %d failures", c, failures)
	}
	t.Logf("%+v, %d were late", c, m.late)
}

// TestWebhooksAtTheEnd: what could not be told is said in the log, without the address, which may have a key in it; what can be told
// is.
func TestWebhooksAtTheEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		status int
		said   string
	}{{"takes all", 200, ""}, {"takes nothing", 500, "2 changes could not be told to --webhook"}, {"is not there", -1, "2 changes could not be told to --webhook"}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil, func(webhook.Batch) int { return c.status })
			if c.status < 0 {
				s.Close()
			}
			r, log := telling(t, s, nil)
			p := newWS(t, r.public, "/ws?channels=a&token="+tokenFor(t, "42", time.Hour, "a"))
			p.text()
			waitFor(t, "an attempt", func() bool { w := r.Stats().Site.Webhook; return w.Batches+w.Failures > 0 })
			p.Close()
			waitFor(t, "it to go", func() bool { return r.Stats().Connections["total"] == 0 })
			ctx, cancel := context.WithTimeout(context.Background(), 1500*time.Millisecond)
			defer cancel()
			_ = r.Stop(ctx)
			if (c.said == "") == strings.Contains(log(), "could not be told") || !strings.Contains(log(), c.said) || strings.Contains(log(), "sesame") {
				t.Errorf("the log says %q", log())
			}
		})
	}
}

// TestSiteConfig: what cannot work is refused, and named without anything secret.
func TestSiteConfig(t *testing.T) {
	connect, publish, none := "connect", "publish", ""
	for _, c := range []struct {
		name   string
		change func(*edge.Config)
		want   string // "": it is taken
	}{
		{"nothing", func(c *edge.Config) {}, ""},
		{"both", func(c *edge.Config) {
			c.Site = edge.Site{Webhook: "http://x/", Hook: "https://x/", Secrets: siteSecrets}
			c.HookOn = " connect, publish ,subscribe"
		}, ""},
		{"asked for, and nobody to ask", func(c *edge.Config) { c.HookOn = "connect" }, "--hook"},
		{"asked for by a rule, and nobody to ask", func(c *edge.Config) { c.Rules = []edge.Rule{{Pattern: "a", Hooks: &publish}} }, "--hook"},
		{"a rule that asks for nothing", func(c *edge.Config) { c.Rules = []edge.Rule{{Pattern: "a", Hooks: &none}} }, ""},
		{"connect in a rule", func(c *edge.Config) {
			c.Site = edge.Site{Hook: "https://x/", Secrets: siteSecrets}
			c.Rules = []edge.Rule{{Pattern: "a", Hooks: &connect}}
		}, "hooks"},
		{"another hook", func(c *edge.Config) { c.HookOn = "connect,leave" }, "--hook-on"},
		{"another event", func(c *edge.Config) { c.Site.Events = []string{"user_online", "user_gone"} }, "--webhook-events"},
		{"no secret for webhooks", func(c *edge.Config) { c.Site.Webhook = "http://x/sesame" }, "--webhook"},
		{"a short secret", func(c *edge.Config) { c.Site = edge.Site{Hook: "http://x/sesame", Secrets: [][]byte{[]byte("sesame")}} }, "--hook"},
		{"no address", func(c *edge.Config) { c.Site = edge.Site{Hook: "sesame", Secrets: siteSecrets} }, "--hook"},
		{"a password in the address", func(c *edge.Config) { c.Site = edge.Site{Webhook: "http://u:sesame@x/", Secrets: siteSecrets} }, "--webhook"},
		{"a negative time", func(c *edge.Config) { c.Site = edge.Site{Hook: "http://x/", Secrets: siteSecrets, Timeout: -1} }, "--hook"},
	} {
		config := edge.Defaults()
		config.Backend = "127.0.0.1:0"
		c.change(&config)
		_, err := edge.New(config)
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "sesame")) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
