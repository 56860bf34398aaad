package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestBatch is what PROTOCOL promises, to the byte.
func TestBatch(t *testing.T) {
	epoch := make(chan string, 1)
	r := newRig(t, func(_ int, w http.ResponseWriter, q *http.Request) {
		epoch <- q.Header.Get("Encke-Epoch") + " " + q.RequestURI
	}, nil)
	r.Add(UserOnline, "42", 1700000000000)
	r.Add(ChannelOccupied, "chat", 1700000000001)
	r.Add(UserOffline, "chat", 1700000000002) // a user is not a channel
	r.Start()
	const want = `{"epoch":"e1","batch":1,"events":[{"n":1,"event":"user_online","user":"42","time":1700000000000},` +
		`{"n":2,"event":"channel_occupied","channel":"chat","time":1700000000001},` +
		`{"n":3,"event":"user_offline","user":"chat","time":1700000000002}]}`
	if got := get(t, "a batch", r.bodies); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := <-epoch; got != "e1 /hook?key=hidden" {
		t.Error(got)
	}
	if c := r.finish(); c.Sent != 3 || c.Batches != 1 {
		t.Errorf("%+v", c)
	}
}

// TestOrder: batches go one after the other, full where they can be, and numbers ascend.
func TestOrder(t *testing.T) {
	var under atomic.Int64
	r := newRig(t, func(int, http.ResponseWriter, *http.Request) {
		if under.Add(1) > 1 {
			t.Error("two batches are under way")
		}
		under.Add(-1)
	}, func(c *Config) { c.MaxBatch = 100 })
	for i := range 250 {
		r.Add(UserOnline, fmt.Sprint(i), 0)
	}
	r.Start()
	n := uint64(0)
	for i, size := range []int{100, 100, 50} {
		b := r.batch()
		if b.Number != uint64(i+1) || len(b.Events) != size {
			t.Errorf("batch %d of %d, want %d of %d", b.Number, len(b.Events), i+1, size)
		}
		for _, e := range b.Events {
			if n++; e.N != n || e.User != fmt.Sprint(n-1) {
				t.Fatalf("%+v, want number %d", e, n)
			}
		}
	}
	r.Add(UserOffline, "0", 0) // wakes one that has nothing to do
	r.want("4: 251 user_offline 0")
	r.finish()
}

// TestFailures: whatever goes wrong, the events are sent again, in a new batch with a new time, and the reason is told.
func TestFailures(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") }))
	t.Cleanup(elsewhere.Close)
	redirect := func(_ int, w http.ResponseWriter, q *http.Request) { http.Redirect(w, q, elsewhere.URL, 307) }
	for _, c := range []struct {
		name   string
		answer reply
		why    string
	}{
		{"500", status(500), "the answer was 500"},
		{"410", status(410), "the answer was 410"},
		{"401", status(401), "the answer was 401"},
		{"304", status(304), "the answer was 304"},
		{"redirect", redirect, "the answer was 307"},
		{"time-out", hang, "no answer within 1s"},
		{"reset", reset, "reset by peer"},
		{"no HTTP", raw("hello\r\n\r\n"), "malformed HTTP"},
		{"no answer", raw(""), "EOF"},
		{"half a header", raw("HTTP/1.1 200 OK\r\n"), "EOF"},
		{"endless header", raw("HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 50000)), "exceeded"},
		{"long words", raw("HTTP/1.1 2" + strings.Repeat("x", 5000) + "\r\n\r\n"), "malformed HTTP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, first(c.answer, status(204)), func(x *Config) {
				if x.Timeout = time.Minute; c.name == "time-out" {
					x.Timeout = time.Second
				}
			})
			r.Start()
			r.Add(UserOnline, "a", 0)
			r.want("1: 1 user_online a")
			r.pause()
			if c1 := r.Counts(); !strings.Contains(c1.LastError, c.why) || len(c1.LastError) > 200 || c1.Failing != 1 || c1.Waiting != 1 {
				t.Errorf("%+v", c1)
			}
			r.pass(time.Minute) // the backend wants a signature of this time, to the second
			r.proceed()
			r.want("2: 1 user_online a")
			if c2 := r.finish(); c2.Failures < 1 || c2.Failing != 0 || c2.Batches != 1 || c2.Sent != 1 {
				t.Errorf("%+v", c2)
			}
		})
	}
}

// TestRefusedConnection: a backend that is not there yet is told when it is.
func TestRefusedConnection(t *testing.T) {
	r := newRig(t, status(200), nil)
	address := r.Listener.Addr().String()
	r.Server.Close()
	r.Start()
	r.Add(UserOnline, "a", 0)
	r.pause()
	if c := r.Counts(); !strings.Contains(c.LastError, "refused") {
		t.Errorf("%+v", c)
	}
	back := httptest.NewUnstartedServer(r.Config.Handler)
	back.Listener.Close()
	l, err := listen(address)
	if err != nil {
		t.Skip("somebody else has the port now: ", err)
	}
	back.Listener = l
	back.Start()
	t.Cleanup(back.Close)
	r.proceed()
	r.want("2: 1 user_online a")
	r.finish()
}

// TestBackOff: waits are drawn from a range that doubles up to a minute, and begins anew after a success.
func TestBackOff(t *testing.T) {
	r := newRig(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n != 31 {
			w.WriteHeader(500)
		}
	}, nil)
	r.Start()
	r.Add(UserOnline, "a", 0)
	longest, different := time.Duration(0), map[time.Duration]bool{}
	for i := range 30 {
		d := r.pause()
		if most := min(time.Second<<i, time.Minute); d < 0 || d > most {
			t.Errorf("wait %d lasts %v, at most %v was wanted", i, d, most)
		}
		longest, different[d] = max(longest, d), true
		r.proceed()
	}
	if longest < 15*time.Second { // all of some 24 waits in the first quarter of their range: 4^-24
		t.Errorf("no wait was longer than %v", longest)
	}
	if len(different) < 25 {
		t.Errorf("only %d waits differ", len(different))
	}
	for range 31 {
		r.batch()
	}
	r.Add(UserOnline, "b", 0)
	if d := r.pause(); d > time.Second {
		t.Errorf("the first wait after a success lasts %v", d)
	}
}

func TestRetryAfter(t *testing.T) {
	for _, c := range []struct {
		text string
		want time.Duration
	}{
		{"", 0},
		{"0", 0},
		{"30", 30 * time.Second},
		{"60", time.Minute},
		{"61", time.Minute},
		{"99999999999999999999999", time.Minute},
		{"-5", 0},
		{"soon", 0},
		{"1.5", 0},
		{begin.Add(20 * time.Second).UTC().Format(http.TimeFormat), 20 * time.Second},
		{begin.Add(time.Hour).UTC().Format(http.TimeFormat), time.Minute},
		{begin.Add(-time.Minute).UTC().Format(http.TimeFormat), -time.Minute},
		{"Fri, 31 Dec 9999 23:59:59 GMT", time.Minute},
	} {
		if got := retryAfter(c.text, begin); got != c.want {
			t.Errorf("%q: %v, want %v", c.text, got, c.want)
		}
	}
}

// TestRetryAfterIsHonoured: the wait is as long as was asked for, within the limit, and never negative.
func TestRetryAfterIsHonoured(t *testing.T) {
	texts := []string{"30", "3600", "Thu, 01 Jan 1970 00:00:00 GMT"}
	r := newRig(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", texts[n-1])
		w.WriteHeader(503)
	}, nil)
	r.Start()
	r.Add(UserOnline, "a", 0)
	for i, want := range []struct{ least, most time.Duration }{{30 * time.Second, 30 * time.Second}, {time.Minute, time.Minute}, {0, 4 * time.Second}} {
		if d := r.pause(); d < want.least || d > want.most {
			t.Errorf("%s: %v", texts[i], d)
		}
		if i < 2 {
			r.proceed()
		}
	}
}

// TestSuperseded: what waits for one subject is its newest state, in the place of its first.
func TestSuperseded(t *testing.T) {
	r := newRig(t, first(status(500), status(200)), nil)
	r.Add(UserOnline, "a", 0)
	r.Add(UserOnline, "b", 0)
	r.Start()
	r.want("1: 1 user_online a, 2 user_online b")
	r.pause()
	r.Add(ChannelOccupied, "a", 0)
	r.Add(UserOffline, "a", 0)
	r.Add(UserOnline, "a", 0)
	r.proceed()
	r.want("2: 5 user_online a, 2 user_online b, 3 channel_occupied a")
	if c := r.finish(); c.Superseded != 2 || c.Sent != 3 || c.Added != 5 {
		t.Errorf("%+v", c)
	}
}

// TestSupersededUnderWay: what comes of a subject whose event is under way is told next, whatever becomes of that.
func TestSupersededUnderWay(t *testing.T) {
	for _, c := range []struct {
		name             string
		status           int
		next             string
		sent, superseded uint64
	}{
		{"arrived", 200, "2: 3 user_online a", 3, 1},
		{"failed", 500, "2: 3 user_online a, 4 user_online b", 2, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			release := make(chan struct{})
			r := newRig(t, first(func(n int, w http.ResponseWriter, _ *http.Request) {
				<-release
				w.WriteHeader(c.status)
			}, status(200)), nil)
			r.Add(UserOnline, "a", 0)
			r.Start()
			r.want("1: 1 user_online a")
			r.Add(UserOffline, "a", 0)
			r.Add(UserOnline, "a", 0)
			r.sums(r.Sender)
			if c.status == 500 {
				r.Add(UserOnline, "b", 0)
				close(release)
				r.pause()
				r.proceed()
			} else {
				close(release)
			}
			r.want(c.next)
			if c.status == 200 {
				r.Add(UserOnline, "b", 0)
				r.want("3: 4 user_online b")
			}
			if x := r.finish(); x.Sent != c.sent || x.Superseded != c.superseded {
				t.Errorf("%+v", x)
			}
		})
	}
}

// site is what a backend knows, by the rule of Batch.
type site struct {
	mu    sync.Mutex
	known map[subject]Event // guarded by mu
	late  int               // guarded by mu
}

func (s *site) learn(b Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range b.Events {
		if e.N < s.known[e.subject()].N {
			s.late++
			continue
		}
		s.known[e.subject()] = e
	}
}

// TestLateAttempt: an attempt that was given up, and arrives after the one that followed, turns nothing back.
func TestLateAttempt(t *testing.T) {
	told, done, site := make(chan struct{}), make(chan struct{}), &site{known: map[subject]Event{}}
	var batches [2]chan Batch
	for i := range batches {
		batches[i] = make(chan Batch, 1)
	}
	r := newRig(t, func(n int, w http.ResponseWriter, q *http.Request) {
		b := <-batches[n-1]
		if n == 1 { // the Sender gives up, the site goes on, more slowly than with the next attempt
			reset(n, w, q)
			<-told
			site.learn(b)
			close(done)
			return
		}
		site.learn(b)
		close(told)
	}, nil)
	r.Start()
	r.Add(UserOnline, "a", 0)
	batches[0] <- r.batch()
	r.pause()
	r.Add(UserOffline, "a", 1)
	r.proceed()
	batches[1] <- r.batch()
	get(t, "the late attempt", done)
	if e := site.known[subject{user: "a"}]; e.Kind != UserOffline || site.late != 1 {
		t.Errorf("the site knows %+v, %d were late", e, site.late)
	}
}

// TestMaxAge: an event is tried for as long as MaxAge, counted from when it was added.
func TestMaxAge(t *testing.T) {
	r := newRig(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n < 4 {
			w.WriteHeader(500)
		}
	}, func(c *Config) { c.MaxAge = time.Hour })
	r.Start()
	r.Add(UserOnline, "a", 0)
	r.want("1: 1 user_online a")
	r.pause()
	r.pass(40 * time.Minute)
	r.Add(UserOnline, "b", 0)
	r.Add(UserOnline, "c", 0)
	r.pass(20 * time.Minute) // a is an hour old, not older
	r.proceed()
	r.want("2: 1 user_online a, 2 user_online b, 3 user_online c")
	r.pause()
	r.pass(time.Second)
	r.proceed()
	r.want("3: 2 user_online b, 3 user_online c")
	r.pause()
	r.Add(UserOffline, "b", 0) // its place is older than c's, its state is not
	r.pass(59 * time.Minute)
	r.proceed()
	r.want("4: 4 user_offline b")
	if c := r.finish(); c.DroppedAge != 2 || c.Superseded != 1 || c.Sent != 1 {
		t.Errorf("%+v", c)
	}
}

// TestMaxAgeOfMany: more than one piece of them.
func TestMaxAgeOfMany(t *testing.T) {
	r := newRig(t, status(200), nil)
	for i := range 2*expirePiece + 1 {
		r.Add(UserOnline, fmt.Sprint(i), 0)
	}
	r.pass(2 * time.Hour)
	r.Add(ChannelOccupied, "a", 0)
	r.Start()
	r.want("1: 2002 channel_occupied a")
	if c := r.finish(); c.DroppedAge != 2*expirePiece+1 {
		t.Errorf("%+v", c)
	}
}

// TestMaxPending: when as many subjects wait as may, events of others are dropped, those of the same are not.
func TestMaxPending(t *testing.T) {
	r := newRig(t, status(200), func(c *Config) { c.MaxPending = 2 })
	r.Add(UserOnline, "a", 0)
	r.Add(UserOnline, "b", 0)
	r.Add(UserOnline, "c", 0)
	r.Add(UserOffline, "a", 0)
	r.Start()
	r.want("1: 3 user_offline a, 2 user_online b")
	if c := r.finish(); c.DroppedFull != 1 || c.Superseded != 1 || c.Sent != 2 {
		t.Errorf("%+v", c)
	}
}

// TestMaxPendingOfAKind: as many channels as may wait keep no user's event out, and the other way round; what has been sent makes room.
func TestMaxPendingOfAKind(t *testing.T) {
	r := newRig(t, status(200), func(c *Config) { c.MaxPending = 2 })
	for _, name := range []string{"a", "b", "c"} {
		r.Add(ChannelOccupied, name, 0)
	}
	for _, name := range []string{"a", "b", "c"} {
		r.Add(UserOnline, name, 0)
	}
	r.Start()
	r.want("1: 1 channel_occupied a, 2 channel_occupied b, 3 user_online a, 4 user_online b")
	for r.Counts().Sent < 4 { // the answer may be on its way
		time.Sleep(time.Millisecond)
	}
	r.Add(ChannelOccupied, "d", 0)
	r.want("2: 5 channel_occupied d")
	if c := r.finish(); c.DroppedFull != 2 || c.Sent != 5 {
		t.Errorf("%+v", c)
	}
}

// TestCloseSends: what waits is sent, also by a backend that fails once more, and what comes later is not.
func TestCloseSends(t *testing.T) {
	r := newRig(t, first(status(500), status(200)), func(c *Config) { c.MaxBatch = 2 })
	for i := range 5 {
		r.Add(UserOnline, fmt.Sprint(i), 0)
	}
	r.Start()
	done := make(chan int)
	go func() { done <- r.Sender.Close(context.Background()) }() // ends when the Sender has
	r.pause()
	r.proceed()
	if n := get(t, "Close", done); n != 0 {
		t.Errorf("%d are left", n)
	}
	r.Add(UserOnline, "late", 0)
	if c := r.Counts(); c.Sent != 5 || c.Batches != 3 || c.DroppedClosed != 1 || c.Waiting != 0 {
		t.Errorf("%+v", c)
	}
}

// TestCloseCutsAWaitShort: one that waits for a minute tries at once.
func TestCloseCutsAWaitShort(t *testing.T) {
	r := newRig(t, first(status(500), status(200)), nil)
	r.Add(UserOnline, "a", 0)
	r.Start()
	r.pause()
	if c := r.finish(); c.Sent != 1 { // without proceed
		t.Errorf("%+v", c)
	}
}

// TestCloseHasADeadline: whatever the backend does, Close returns when its context is done, with how many are left.
func TestCloseHasADeadline(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer reply
	}{
		{"no answer", hang},
		{"failures", status(500)},
		{"endless failures", endless(500)},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, c.answer, nil)
			r.Add(UserOnline, "a", 0)
			r.Add(UserOnline, "b", 0)
			r.Start()
			r.want("1: 1 user_online a, 2 user_online b")
			r.Add(UserOffline, "b", 0)
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			defer cancel()
			go func() { // ends with the test's Sender
				for range r.waits {
				}
			}()
			defer close(r.waits)
			for range 2 {
				if n := r.Sender.Close(ctx); n != 2 {
					t.Errorf("%d are left", n)
				}
			}
			r.Add(UserOnline, "c", 0)
			if x := r.Counts(); x.Waiting != 2 || x.Superseded != 1 || x.DroppedClosed != 1 || x.Sent != 0 {
				t.Errorf("%+v", x)
			}
		})
	}
}

// TestCloseWithoutStart sends nothing and does not hang.
func TestCloseWithoutStart(t *testing.T) {
	r := newRig(t, func(int, http.ResponseWriter, *http.Request) { t.Error("something was sent") }, nil)
	r.Add(UserOnline, "a", 0)
	for range 2 {
		if n := r.Sender.Close(context.Background()); n != 1 {
			t.Errorf("%d are left", n)
		}
	}
}

// TestLog: a time of trouble is two lines, and shows neither the secret nor the address, which may have a key in it.
func TestLog(t *testing.T) {
	r := newRig(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n < 4 {
			w.WriteHeader(500)
		}
	}, nil)
	r.Start()
	r.Add(UserOnline, "a", 0)
	for range 3 {
		r.pause()
		r.proceed()
	}
	r.finish()
	text := r.text()
	if lines := strings.Split(text, "\n"); len(lines) != 2 || !strings.Contains(lines[0], "the answer was 500") || !strings.Contains(lines[1], "after 3 failures") {
		t.Error(text)
	}
	if strings.Contains(text, "hidden") || strings.Contains(text, string(secret)) {
		t.Error(text)
	}
}

// TestErrorsHideTheAddress: the port is shown, the query is not.
func TestErrorsHideTheAddress(t *testing.T) {
	for name, answer := range map[string]reply{"reset": reset, "no HTTP": raw("x\r\n\r\n"), "no answer": raw("")} {
		r := newRig(t, answer, nil)
		r.Start()
		r.Add(UserOnline, "a", 0)
		r.pause()
		if c := r.Counts(); strings.Contains(c.LastError, "hidden") || c.LastError == "" {
			t.Errorf("%s: %q", name, c.LastError)
		}
	}
}

// TestEndlessAnswer: a body is not read to its end, and the status counts. The time-out is an hour.
func TestEndlessAnswer(t *testing.T) {
	r := newRig(t, first(endless(500), endless(200)), nil)
	r.Start()
	r.Add(UserOnline, "a", 0)
	r.pause()
	r.proceed()
	if c := r.finish(); c.Failures != 1 || c.Batches != 1 {
		t.Errorf("%+v", c)
	}
}

// TestTLS: a backend with a certificate that is trusted, and one that is not.
func TestTLS(t *testing.T) {
	r := newRig(t, status(200), nil)
	server := httptest.NewTLSServer(r.Config.Handler)
	server.Config.ErrorLog = quietLog
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	at := func(trust *tls.Config) *Sender {
		s := r.sender(func(c *Config) { c.URL, c.TLS = server.URL, trust })
		s.Add(UserOnline, "a", 0)
		s.Start()
		return s
	}
	at(&tls.Config{RootCAs: roots})
	r.want("1: 1 user_online a")
	other := at(nil)
	r.pause()
	if c := other.Counts(); !strings.Contains(c.LastError, "certificate") {
		t.Errorf("%+v", c)
	}
}

// TestUnknownKind: a kind that there is not is a mistake of ours.
func TestUnknownKind(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("taken")
		}
	}()
	newRig(t, status(200), nil).Add("user_asleep", "a", 0)
}

// TestManyAtOnce adds from many goroutines while a backend fails now and then, and loses answers: in the end the site knows
// the last state of every subject, and at every moment the counts add up.
func TestManyAtOnce(t *testing.T) {
	const subjects, rounds = 50, 200
	site := &site{known: map[subject]Event{}}
	r := &rig{}
	r.backend = &backend{Server: httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		var b Batch
		if err := json.NewDecoder(q.Body).Decode(&b); err != nil {
			t.Error(err)
		}
		_, _ = io.Copy(io.Discard, q.Body)
		fate := rand.IntN(4)
		if fate > 0 {
			site.learn(b)
		}
		if fate < 2 {
			w.WriteHeader(503)
		}
	})), t: t}
	t.Cleanup(r.Server.Close)
	s := r.sender(func(c *Config) {
		c.MaxBatch, c.Wait = 20, func(ctx context.Context, _ time.Duration) error { return ctx.Err() }
	})
	s.Start()
	var all sync.WaitGroup
	for i := range subjects {
		all.Go(func() {
			for at := range rounds {
				s.Add([]string{UserOnline, UserOffline}[rand.IntN(2)], fmt.Sprint(i), int64(at))
				r.sums(s)
			}
		})
	}
	all.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if n := s.Close(ctx); n != 0 {
		t.Errorf("%d are left: %+v", n, s.Counts())
	}
	for i := range subjects {
		if e := site.known[subject{user: fmt.Sprint(i)}]; e.Time != rounds-1 {
			t.Errorf("%d: the site knows %+v", i, e)
		}
	}
	if c := s.Counts(); c.Added != subjects*rounds || c.Failures == 0 {
		t.Errorf("%+v", c)
	}
}

// TestWait is the wait that is not synthetic.
func TestWait(t *testing.T) {
	if err := wait(context.Background(), time.Microsecond); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if wait(ctx, time.Hour) == nil {
		t.Error("the wait was not cut short")
	}
}
