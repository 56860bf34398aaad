package webhook

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

// newAsker returns an Asker of a backend, and its log.
func newAsker(t testing.TB, b *backend, change func(*AskConfig)) (*Asker, *journal) {
	t.Helper()
	j := &journal{}
	c := AskConfig{URL: b.URL + "/ask?key=hidden", Secrets: secrets, Timeout: 20 * time.Second, Log: j.log, Now: b.at}
	if change != nil {
		change(&c)
	}
	a, err := NewAsker(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a, j
}

// still is a clock for signatures that stands still.
func still() time.Time { return begin }

func text(code int, body string) reply {
	return func(_ int, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

var connect = Question{Hook: HookConnect, User: "42"}

// TestAnswers gives every answer over a socket.
func TestAnswers(t *testing.T) {
	long := strings.Repeat("é", 150)
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   string // allow, allow <data>, refuse: <reason>, or a part of the error
	}{
		{"allowed", 200, `{"allow":true}`, "allow"},
		{"allowed, with more", 200, ` {"x":[1], "allow" : true } `, "allow"},
		{"with data", 200, `{"allow":true,"data":{"a":[1.0,"é"]}}`, `allow {"a":[1.0,"é"]}`},
		{"with a string as data", 200, `{"allow":true,"data":"x"}`, `allow "x"`},
		{"with no data", 200, `{"allow":true,"data":null,"reason":null}`, "allow"},
		{"a reason to allow", 200, `{"allow":true,"reason":"because"}`, "allow"},
		{"no content", 204, "", "allow"},
		{"refused", 200, `{"allow":false}`, "refuse: "},
		{"refused, with a reason", 200, `{"allow":false,"reason":"too late"}`, "refuse: too late"},
		{"refused, with data", 200, `{"allow":false,"data":1}`, "refuse: "},
		{"a long reason", 200, `{"allow":false,"reason":"` + long + `"}`, "refuse: " + long[:200]},
		{"a reason that is not UTF-8", 200, "{\"allow\":false,\"reason\":\"a\xff\"}", "refuse: a\uFFFD"},
		{"forbidden", 403, "", "refuse: "},
		{"forbidden, in HTML", 403, "<html>", "refuse: "},
		{"forbidden, and allowed", 403, `{"allow":true}`, "refuse: "},
		{"forbidden, with a reason", 403, `{"reason":"banned"}`, "refuse: banned"},
		{"forbidden, refused, with a reason", 403, `{"allow":false,"reason":"banned"}`, "refuse: banned"},
		{"nothing said", 200, `{}`, "does not say allow"},
		{"in other letters", 200, `{"Allow":true}`, "does not say allow"},
		{"null", 200, `{"allow":null}`, "does not say allow"},
		{"a number", 200, `{"allow":1}`, "does not say allow"},
		{"a string", 200, `{"allow":"true"}`, "does not say allow"},
		{"a number as reason", 200, `{"allow":false,"reason":7}`, "not a string"},
		{"an empty answer", 200, "", "not a JSON object"},
		{"an array", 200, `[{"allow":true}]`, "not a JSON object"},
		{"just true", 200, `true`, "not a JSON object"},
		{"just null", 200, `null`, "does not say allow"},
		{"half an object", 200, `{"allow":true`, "not a JSON object"},
		{"more than an object", 200, `{"allow":true}{}`, "not a JSON object"},
		{"HTML", 200, "<html>", "not a JSON object"},
		{"another success", 201, `{"allow":true}`, "the answer was 201"},
		{"unauthorized", 401, `{"allow":true}`, "the answer was 401"},
		{"not found", 404, `{"allow":true}`, "the answer was 404"},
		{"a failure", 500, `{"allow":true}`, "the answer was 500"},
		{"a redirect", 302, `{"allow":true}`, "the answer was 302"},
	} {
		a, _ := newAsker(t, newBackend(t, still, text(c.status, c.body)), nil)
		answer, err := a.Ask(connect)
		x := a.Counts()
		switch {
		case strings.HasPrefix(c.want, "allow"):
			if got := strings.TrimSpace("allow " + string(answer.Data)); err != nil || !answer.Allow || answer.Reason != "" || got != c.want || x.Allowed != 1 {
				t.Errorf("%s: %+v, %v, %+v", c.name, answer, err, x)
			}
		case strings.HasPrefix(c.want, "refuse: "):
			if err != nil || answer.Allow || "refuse: "+answer.Reason != c.want || answer.Data != nil || x.Refused != 1 {
				t.Errorf("%s: %+v, %v, %+v", c.name, answer, err, x)
			}
		default:
			if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), c.want) || answer.Allow || x.Failed != 1 || !strings.Contains(x.LastError, c.want) {
				t.Errorf("%s: %+v, %v, %+v", c.name, answer, err, x)
			}
		}
		if x.Asked != 1 || x.Asked != x.Allowed+x.Refused+x.Failed {
			t.Errorf("%s: %+v", c.name, x)
		}
	}
}

// TestQuestion is what PROTOCOL promises, to the byte; the backend has verified the signature.
func TestQuestion(t *testing.T) {
	b := newBackend(t, still, func(_ int, w http.ResponseWriter, q *http.Request) {
		if q.RequestURI != "/ask?key=hidden" || q.Host != q.Context().Value(http.LocalAddrContextKey).(fmt.Stringer).String() {
			t.Error(q.RequestURI, q.Host)
		}
		w.WriteHeader(204)
	})
	a, _ := newAsker(t, b, nil)
	for _, c := range []struct {
		q    Question
		want string
	}{
		{Question{Hook: HookConnect, User: "42", Address: "::1", Transport: "ws", Channels: []string{"a", "b"}},
			`{"hook":"connect","user":"42","address":"::1","transport":"ws","channels":["a","b"]}`},
		{Question{Hook: HookSubscribe, Channel: "a"}, `{"hook":"subscribe","channel":"a"}`},
		{Question{Hook: HookPublish, User: "é", Channel: "a", Event: "e", Data: json.RawMessage(`{"n":12345678901234567890.0}`)},
			`{"hook":"publish","user":"é","channel":"a","event":"e","data":{"n":12345678901234567890.0}}`},
	} {
		if answer, err := a.Ask(c.q); err != nil || !answer.Allow {
			t.Error(answer, err)
		}
		if got := get(t, "a question", b.bodies); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// TestNoPath: an address without a path is asked at its root, one with strange slashes as it is written.
func TestNoPath(t *testing.T) {
	for path, want := range map[string]string{"": "/", "/": "/", "?a=%20b": "/?a=%20b", "/a//b/../c": "/a//b/../c", "/%C3%A9/": "/%C3%A9/"} {
		b := newBackend(t, still, func(_ int, w http.ResponseWriter, q *http.Request) {
			if q.RequestURI != want {
				t.Errorf("%q: %q", path, q.RequestURI)
			}
			w.WriteHeader(204)
		})
		a, _ := newAsker(t, b, func(c *AskConfig) { c.URL = b.URL + path })
		if _, err := a.Ask(connect); err != nil {
			t.Error(err)
		}
	}
}

// TestUnavailable: whatever goes wrong is an error, nothing is allowed, and the backend is asked once.
func TestUnavailable(t *testing.T) {
	const short = 300 * time.Millisecond
	allow := `{"allow":true}`
	drip := func(_ int, w http.ResponseWriter, q *http.Request) {
		for q.Context().Err() == nil {
			_, _ = io.WriteString(w, " ")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-time.After(10 * time.Millisecond):
			case <-q.Context().Done():
			}
		}
	}
	elsewhere := newBackend(t, still, func(int, http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") })
	for _, c := range []struct {
		name    string
		answer  reply
		timeout time.Duration // 0: long
		why     string
	}{
		{"no answer", hang, short, "no answer within"},
		{"a slow answer", drip, short, "no answer within"},
		{"reset", reset, 0, "without an answer"},
		{"closed", raw(""), 0, "without an answer"},
		{"no HTTP", raw("hello\r\n\r\n"), 0, ""},
		{"half a header", raw("HTTP/1.1 200 OK\r\n"), 0, ""},
		{"half a body", raw("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" + allow), 0, ""},
		{"half a chunk", raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n" + allow), 0, ""},
		{"no last chunk", raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ne\r\n" + allow + "\r\n"), 0, ""},
		{"a huge body", text(200, allow+strings.Repeat(" ", maxAnswer)), 0, "exceeds"},
		{"a huge refusal", text(403, strings.Repeat(" ", maxAnswer+1)), 0, "exceeds"},
		{"a body without end", endless(200), 0, "exceeds"},
		{"a huge header", raw("HTTP/1.1 204 OK\r\n" + strings.Repeat("A: b\r\n", 10000) + "\r\n"), 0, ""},
		{"a redirect", func(_ int, w http.ResponseWriter, q *http.Request) { http.Redirect(w, q, elsewhere.URL, 308) }, 0, "the answer was 308"},
	} {
		b := newBackend(t, still, c.answer)
		a, _ := newAsker(t, b, func(x *AskConfig) { x.Timeout = cmp.Or(c.timeout, x.Timeout) })
		answer, err := a.Ask(connect)
		if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), c.why) || answer.Allow {
			t.Errorf("%s: %+v, %v", c.name, answer, err)
		}
		if x := a.Counts(); x.Failed != 1 || x.LastError == "" || strings.Contains(x.LastError, "hidden") || len(x.LastError) > 200 {
			t.Errorf("%s: %+v", c.name, x)
		}
		if n := b.count.Load(); n != 1 {
			t.Errorf("%s: asked %d times", c.name, n)
		}
	}
}

// TestLargestAnswer: 64 KiB are read.
func TestLargestAnswer(t *testing.T) {
	const allow = `{"allow":true}`
	a, _ := newAsker(t, newBackend(t, still, text(200, allow+strings.Repeat(" ", maxAnswer-len(allow)))), nil)
	if answer, err := a.Ask(connect); err != nil || !answer.Allow {
		t.Error(answer, err)
	}
}

// TestInterimAnswers are passed over (RFC 9110 section 15.2), and not taken for the answer to the next question.
func TestInterimAnswers(t *testing.T) {
	a, _ := newAsker(t, newBackend(t, still, func(n int, w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(103)
		text(200, fmt.Sprintf(`{"allow":%v}`, n%2 == 0))(n, w, nil)
	}), nil)
	for i := range 4 {
		if answer, err := a.Ask(connect); err != nil || answer.Allow != (i%2 == 1) {
			t.Error(i, answer, err)
		}
	}
}

// TestNobodyThere: a refused connection.
func TestNobodyThere(t *testing.T) {
	b := newBackend(t, still, status(204))
	b.Server.Close()
	a, _ := newAsker(t, b, nil)
	if _, err := a.Ask(connect); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "refused") {
		t.Error(err)
	}
}

// TestBadData is refused before anybody is asked, and says nothing of the backend.
func TestBadData(t *testing.T) {
	b := newBackend(t, still, status(204))
	a, _ := newAsker(t, b, func(c *AskConfig) { c.Failures = 1 })
	for range 3 {
		if _, err := a.Ask(Question{Hook: HookPublish, Data: json.RawMessage(`{`)}); !errors.Is(err, ErrUnavailable) {
			t.Error(err)
		}
	}
	if c := a.Counts(); c.Breaker != "closed" || c.Failed != 3 || b.count.Load() != 0 {
		t.Errorf("%+v", c)
	}
}

// TestBreakerOpens after as many failures in a row as it may, which answers of any kind break.
func TestBreakerOpens(t *testing.T) {
	var next atomic.Int64
	b := newBackend(t, still, func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(next.Load())) })
	a, j := newAsker(t, b, func(c *AskConfig) { c.Failures, c.OpenFor = 3, time.Hour })
	ask := func(status int) error {
		next.Store(int64(status))
		_, err := a.Ask(connect)
		return err
	}
	for _, status := range []int{500, 500, 403, 500, 500, 204, 403, 403, 403, 403, 500, 500} {
		_ = ask(status)
	}
	if c := a.Counts(); c.Breaker != "closed" || j.text() != "" {
		t.Fatalf("%+v, %s", c, j.text())
	}
	_ = ask(500)
	asked := b.count.Load()
	for range 5 {
		if err := ask(204); !errors.Is(err, ErrUnavailable) {
			t.Error(err)
		}
	}
	if c := a.Counts(); c.Breaker != "open" || c.Shorted != 5 || c.Failed != 7 || c.Refused != 5 || c.Allowed != 1 || c.Asked != 18 {
		t.Errorf("%+v", c)
	}
	if n := b.count.Load(); n != asked {
		t.Errorf("asked %d times although the breaker is open", n-asked)
	}
	if text := j.text(); strings.Count(text, "\n") != 0 || !strings.Contains(text, "3 questions in a row failed: the answer was 500") || strings.Contains(text, "hidden") {
		t.Error(text)
	}
}

// TestBreakerCloses: when OpenFor is over one question is let through, while it is under way no other; if it fails that begins
// anew, if not all are asked again. The clock is synthetic, the backend is outside of it.
func TestBreakerCloses(t *testing.T) {
	var fails atomic.Bool
	came, release := make(chan struct{}), make(chan struct{})
	b := newBackend(t, func() time.Time { return begin }, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n == 4 {
			came <- struct{}{}
			<-release
		}
		if fails.Load() {
			w.WriteHeader(500)
			return
		}
		w.WriteHeader(204)
	})
	synctest.Test(t, func(t *testing.T) {
		a, j := newAsker(t, b, func(c *AskConfig) { c.Failures, c.OpenFor = 2, 5*time.Second })
		defer time.Sleep(2 * idle) // until fasthttp has seen that all connections are closed
		defer a.Close()
		want := func(state string, asked int64) {
			t.Helper()
			if c := a.Counts(); c.Breaker != state || b.count.Load() != asked {
				t.Errorf("%s, asked %d times, want %s, %d", c.Breaker, b.count.Load(), state, asked)
			}
		}
		fails.Store(true)
		for range 3 {
			_, _ = a.Ask(connect)
		}
		want("open", 2)
		time.Sleep(5 * time.Second)
		_, _ = a.Ask(connect)
		want("open", 2)
		time.Sleep(1)
		want("half-open", 2)
		_, _ = a.Ask(connect)
		want("open", 3)
		time.Sleep(5*time.Second + 1)
		fails.Store(false)
		done := make(chan error)
		go func() { // ends with the answer
			_, err := a.Ask(connect)
			done <- err
		}()
		<-came
		for range 3 {
			if _, err := a.Ask(connect); !errors.Is(err, ErrUnavailable) {
				t.Error(err)
			}
		}
		want("half-open", 4)
		close(release)
		if err := <-done; err != nil {
			t.Error(err)
		}
		want("closed", 4)
		for range 5 {
			if _, err := a.Ask(connect); err != nil {
				t.Error(err)
			}
		}
		want("closed", 9)
		if lines := strings.Split(j.text(), "\n"); len(lines) != 2 || !strings.Contains(lines[0], "not asked any more") || !strings.Contains(lines[1], "asked again") {
			t.Errorf("%q", lines)
		}
	})
}

// TestMaxConns: so many are asked at once, and no more; the others wait.
func TestMaxConns(t *testing.T) {
	const most, all = 3, 20
	var under, highest atomic.Int64
	full, release := make(chan struct{}), make(chan struct{})
	b := newBackend(t, still, func(_ int, w http.ResponseWriter, _ *http.Request) {
		n := under.Add(1)
		for h := highest.Load(); n > h && !highest.CompareAndSwap(h, n); h = highest.Load() {
		}
		if n == most {
			select {
			case <-full:
			default:
				close(full)
			}
		}
		<-release
		under.Add(-1)
		w.WriteHeader(204)
	})
	a, _ := newAsker(t, b, func(c *AskConfig) { c.MaxConns = most })
	var wait sync.WaitGroup
	for range all {
		wait.Go(func() {
			if _, err := a.Ask(connect); err != nil {
				t.Error(err)
			}
		})
	}
	get(t, "as many as may be", full)
	close(release)
	wait.Wait()
	if c := a.Counts(); highest.Load() != most || c.Allowed != all {
		t.Errorf("%d at once, %+v", highest.Load(), c)
	}
}

// TestWaitsForAConnection no longer than Timeout.
func TestWaitsForAConnection(t *testing.T) {
	came := make(chan struct{}, 2)
	b := newBackend(t, still, func(n int, w http.ResponseWriter, q *http.Request) {
		came <- struct{}{}
		hang(n, w, q)
	})
	a, _ := newAsker(t, b, func(c *AskConfig) { c.MaxConns, c.Timeout = 1, 300*time.Millisecond })
	var wait sync.WaitGroup
	for range 10 {
		wait.Go(func() {
			if _, err := a.Ask(connect); !errors.Is(err, ErrUnavailable) {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if c := a.Counts(); c.Failed != 10 {
		t.Errorf("%+v", c)
	}
}

// TestAskTLS: a backend with a certificate that is trusted, and one that is not; the connection is kept.
func TestAskTLS(t *testing.T) {
	var conns atomic.Int64
	plain := newBackend(t, still, status(204))
	server := httptest.NewUnstartedServer(plain.Config.Handler)
	server.Config.ErrorLog = quietLog
	server.Config.ConnState = func(_ connection, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	a, _ := newAsker(t, plain, func(c *AskConfig) { c.URL, c.TLS = server.URL, &tls.Config{RootCAs: roots} })
	a.client.MaxIdleConnDuration = time.Hour
	for range 20 {
		if answer, err := a.Ask(connect); err != nil || !answer.Allow {
			t.Fatal(answer, err)
		}
	}
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections for 20 questions", n)
	}
	a, _ = newAsker(t, plain, func(c *AskConfig) { c.URL = server.URL })
	if _, err := a.Ask(connect); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "certificate") {
		t.Error(err)
	}
}

// FuzzAnswer: nothing but true allows, and what is passed on is fit for it.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{`{"allow":true}`, `{"allow":false,"reason":"é"}`, `{"allow":true,"data":[1]}`, `{"allow":true,"allow":false}`, `null`, `{"reason":"\ud800"}`} {
		f.Add(200, []byte(seed))
		f.Add(403, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		a, err := parseAnswer(status, body)
		var exact map[string]any
		_ = json.Unmarshal(body, &exact)
		if a.Allow && (err != nil || status != 204 && (status != 200 || exact["allow"] != true)) {
			t.Errorf("%d %q was taken for an allowance", status, body)
		}
		if !utf8.ValidString(a.Reason) || len(a.Reason) > 200 || a.Data != nil && (!json.Valid(a.Data) || !a.Allow) {
			t.Errorf("%d %q: %+v", status, body, a)
		}
	})
}
