package notifications

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"encke/examples/site"
)

// backend is an Encke that takes pushes, some of them not at first.
type backend struct {
	mu          sync.Mutex
	failures    int // pushes that are yet to fail
	subscribers int
	tries       int
	got         []site.Message
}

func (b *backend) push(_ context.Context, m site.Message) (site.Pushed, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tries++
	if b.failures > 0 {
		b.failures--
		return site.Pushed{}, errors.New("not there")
	}
	b.got = append(b.got, m)
	return site.Pushed{Subscribers: b.subscribers}, nil
}

func (b *backend) pushed() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	for _, m := range b.got {
		all = append(all, m.Event+":"+m.User)
	}
	return strings.Join(all, " ")
}

// theOffice starts a site over a backend; its outbox ends with the test's context.
func theOffice(t *testing.T, b *backend) *httptest.Server {
	encke := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m site.Message
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Error(err)
		}
		p, err := b.push(r.Context(), m)
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		site.Answer(w, p)
	}))
	t.Cleanup(encke.Close)
	mux := http.NewServeMux()
	Register(t.Context(), &site.Site{Backend: encke.URL, Secret: []byte(strings.Repeat("s", 32))}, mux)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

// request asks the site with a cookie, and returns status, answer and the cookie that was set.
func request(t *testing.T, server *httptest.Server, method, path, cookie, body string) (int, string, string) {
	t.Helper()
	req, err := http.NewRequest(method, server.URL+"/notifications/people/"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Cookie", cookieName+"="+cookie)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range res.Cookies() {
		return res.StatusCode, string(text), c.Value
	}
	return res.StatusCode, string(text), ""
}

func TestRefused(t *testing.T) {
	server := theOffice(t, &backend{})
	status, _, mara := request(t, server, "POST", "mara/session", "", "")
	if status != 204 || mara == "" {
		t.Fatal(status, mara)
	}
	send := func(to, text, key string) string {
		b, _ := json.Marshal(map[string]any{"to": to, "text": text, "key": key, "from": "jonas", "id": "jonas.1"})
		return string(b)
	}
	long := strings.Repeat("ä", textLength)
	for _, c := range []struct {
		method, path, cookie, body string
		status                     int
	}{
		{"POST", "nobody/session", "", "", 404},
		{"GET", "mara/inbox", "", "", 401},
		{"GET", "mara/inbox", mara + "0", "", 401},
		{"GET", "jonas/inbox", mara, "", 401},
		{"POST", "jonas/token", mara, "", 401},
		{"POST", "jonas/notes", mara, send("priya", "forged", "12345678"), 401},
		{"POST", "jonas/read", mara, `{"ids":["a"]}`, 401},
		{"GET", "nobody/inbox", mara, "", 401},
		{"POST", "mara/token", mara, "", 200},
		{"POST", "mara/notes", mara, "{", 400},
		{"POST", "mara/notes", mara, send("nobody", "x", "12345678"), 400},
		{"POST", "mara/notes", mara, send("jonas", " \n\u202e\u0000 ", "12345678"), 400},
		{"POST", "mara/notes", mara, send("jonas", long+"ä", "12345678"), 400},
		{"POST", "mara/notes", mara, send("jonas", "x", "1234567"), 400},
		{"POST", "mara/notes", mara, send("jonas", "x", "1234 5678"), 400},
		{"POST", "mara/notes", mara, send("jonas", long, "12345678"), 200},
		{"POST", "mara/notes", mara, send("jonas", long, "12345678"), 200},
		{"POST", "mara/notes", mara, send("jonas", "another", "12345678"), 409},
		{"POST", "mara/read", mara, `{}`, 400},
		{"POST", "mara/read", mara, `{"ids":["nowhere"]}`, 200},
	} {
		if status, text, _ := request(t, server, c.method, c.path, c.cookie, c.body); status != c.status {
			t.Errorf("%s %s %.60s: %d %s, not %d", c.method, c.path, c.body, status, text, c.status)
		}
	}
	_, text, _ := request(t, server, "GET", "mara/inbox", mara, "")
	var got struct{ Sent []note }
	if err := json.Unmarshal([]byte(text), &got); err != nil || len(got.Sent) != 1 || got.Sent[0].From != "mara" || got.Sent[0].Text != long {
		t.Error(err, text)
	}
}

// TestWhatIsPushed sends and reads, and looks at what everybody is told.
func TestWhatIsPushed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{subscribers: 1}
		n := newNotes(time.Now)
		o := newOutbox(b.push, n)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go o.work(ctx)
		one, _, err := n.add(note{ID: "mara.1", From: "mara", To: "jonas", Text: "x"})
		if err != nil {
			t.Fatal(err)
		}
		b.failures = 3
		o.note(one)
		synctest.Wait()
		if b.pushed() != "" {
			t.Error("pushed too early:", b.pushed())
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got, want := b.pushed(), "sent:mara note:jonas state:mara"; got != want {
			t.Errorf("%s, not %s", got, want)
		}
		if m := b.got[1]; m.Mailbox != "always" || m.ID != "mara.1" {
			t.Errorf("not a letter that is kept once: %+v", m)
		}
		o.tellSenders(n.raise("jonas", []string{"mara.1"}, read), read)
		o.tellSenders(n.raise("jonas", []string{"mara.1"}, read), read) // once is enough
		synctest.Wait()
		if got, want := b.pushed(), "sent:mara note:jonas state:mara state:mara"; got != want {
			t.Errorf("%s, not %s", got, want)
		}

		b.failures, b.tries = 1<<30, 0
		o.push(site.Message{User: "mara"})
		time.Sleep(2 * patience)
		synctest.Wait()
		if b.tries < 5 || b.tries > 50 {
			t.Errorf("tried %d times in a minute", b.tries)
		}
		b.failures = 0
		o.push(site.Message{User: "mara", Event: "after"})
		synctest.Wait()
		if !strings.HasSuffix(b.pushed(), " after:mara") {
			t.Error("one push that is given up holds others up:", b.pushed())
		}
	})
}

func TestOutboxIsBounded(t *testing.T) {
	o := newOutbox((&backend{}).push, newNotes(time.Now))
	for range 2 * waiting {
		o.push(site.Message{User: "mara"})
	}
	if !o.full() || len(o.queue) != waiting {
		t.Error(len(o.queue))
	}
}

func TestNotes(t *testing.T) {
	now := time.UnixMilli(1000)
	s := newNotes(func() time.Time { return now })
	for i := range 3 * keep {
		n, fresh, err := s.add(note{ID: fmt.Sprint("mara.", i), From: "mara", To: "jonas", Text: "x"})
		if err != nil || !fresh || n.N != uint64(i+1) || n.State != kept || n.Time != now.UnixMilli() {
			t.Fatal(i, n, fresh, err)
		}
		if again, fresh, err := s.add(note{ID: n.ID, From: "mara", To: "jonas", Text: "x"}); err != nil || fresh || again != n {
			t.Fatal("kept twice", again, err)
		}
		now = now.Add(every)
	}
	got, sent := s.of("jonas")
	if len(got) != keep || got[0].N != 2*keep+1 || len(sent) != 0 {
		t.Error(len(got), got[0], len(sent))
	}
	if _, sent = s.of("mara"); len(sent) != keep || sent[0].N != 2*keep+1 {
		t.Error(len(sent), sent[0])
	}

	// how far
	id := got[0].ID
	for _, c := range []struct {
		to, state string
		changed   int
	}{{"mara", read, 0}, {"jonas", delivered, 1}, {"jonas", delivered, 0}, {"jonas", read, 1}, {"jonas", kept, 0}, {"jonas", delivered, 0}} {
		if changed := s.raise(c.to, []string{id, "other"}, c.state); len(changed) != c.changed {
			t.Errorf("%v: %v", c, changed)
		}
	}
	if got, _ := s.of("jonas"); got[0].State != read || got[1].State != kept {
		t.Error(got[:2])
	}

	// how fast
	for i := range atOnce {
		if _, _, err := s.add(note{ID: fmt.Sprint("priya.", i), From: "priya", To: "mara", Text: "x"}); err != nil {
			t.Fatal(i, err)
		}
	}
	if _, _, err := s.add(note{ID: "priya.more", From: "priya", To: "mara", Text: "x"}); !errors.Is(err, errTooMany) {
		t.Error(err)
	}
	if _, _, err := s.add(note{ID: "priya.0", From: "priya", To: "mara", Text: "x"}); err != nil {
		t.Error("one that is there already is refused:", err)
	}
	now = now.Add(atOnce * every)
	if _, _, err := s.add(note{ID: "priya.more", From: "priya", To: "mara", Text: "x"}); err != nil {
		t.Error(err)
	}
}

func TestClean(t *testing.T) {
	for _, c := range [][2]string{{" a\r\nb ", "a\nb"}, {"a\u0000\u0007b\u202ec\u2066", "abc"}, {"👩‍🔧", "👩‍🔧"}, {"<b>", "<b>"}, {"\xff", ""}} {
		if got := clean(c[0]); got != c[1] {
			t.Errorf("%q: %q, not %q", c[0], got, c[1])
		}
	}
}
