package edge_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"encke/edge"

	"github.com/gobwas/ws"
)

// budgeted is a rig with a budget for output and input.
func budgeted(t *testing.T, output, input int64, change func(*edge.Config)) *rig {
	return newRigOf(t, change, func(c edge.Config) (*edge.Server, error) {
		s, err := edge.New(c)
		if err == nil {
			s.SetBudget(output, input)
		}
		return s, err
	})
}

// TestOutputStaysWithinItsBudget: readers that never read, each on a channel of its own so that nothing is shared, are ended
// before they take more than output may; who reads is not.
func TestOutputStaysWithinItsBudget(t *testing.T) {
	const budget = 8 << 20
	r := budgeted(t, budget, 1<<30, func(c *edge.Config) { c.MaxPending = 4 << 20 })
	good := newWS(t, r.public, "/ws?channels=good")
	_ = good.SetDeadline(time.Now().Add(2 * time.Minute))
	good.text()
	const bad = 6
	for i := range bad {
		name := fmt.Sprint("bad", i)
		openSlow(t, r, "ws", name)
		r.subscribers(t, name, 1)
	}
	most := int64(0)
	for n := range 400 { // of 60 KB to each of them: some 24 MB, of which the kernel takes a part
		for i := range bad {
			r.fill(t, fmt.Sprint("bad", i), 1, 60_000)
		}
		most = max(most, r.Stats().Memory.Output)
		r.push(t, "good", fmt.Sprint(n))
		if w := good.text(); w.Offset != uint64(n+1) {
			t.Fatalf("the good one got %d after %d", w.Offset, n)
		}
	}
	if most > budget+bad*100_000 || most < budget/2 {
		t.Errorf("at most %d bytes waited, the budget is %d", most, budget)
	}
	waitFor(t, "the bad ones to be ended", func() bool { return r.Stats().Ended["slow_consumer"] > 0 })
}

// TestInputStaysWithinItsBudget: messages and requests of which a part has come are refused when they take too much.
func TestInputStaysWithinItsBudget(t *testing.T) {
	const budget = 2 << 20
	r := budgeted(t, 1<<30, budget, nil)
	good := newWS(t, r.public, "/ws?channels=good")
	good.text()
	part := string(ws.MustCompileFrame(ws.MaskFrame(ws.NewFrame(ws.OpText, false, make([]byte, 60_000)))))
	var all []*wsPeer
	for range 60 {
		all = append(all, newWS(t, r.public, "/ws"))
	}
	for _, p := range all { // 3.6 MB
		p.write(part)
	}
	waitFor(t, "the input", func() bool { return r.Stats().Memory.Input > budget-128<<10 })
	p := newPeer(t, r.backend) // the backend's pushes are not held up by clients
	p.write("POST /channels/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n\r\n" + strings.Repeat("x", 50_000))
	waitFor(t, "some to be refused", func() bool { return r.Stats().Ended["overloaded"] > 10 })
	p.write(strings.Repeat("x", 10_000))
	p.want(202)
	if n := r.Stats().Memory.Input; n > budget+128<<10 {
		t.Errorf("%d bytes of input, the budget is %d", n, budget)
	}
	if w := good.command(`{"id":1,"ping":{}}`); string(w.ID) != "1" {
		t.Errorf("%+v", w)
	}
	for _, p := range all {
		p.Close()
	}
	waitFor(t, "the input to be gone", func() bool { return r.Stats().Memory.Input == 0 })
	r.push(t, "good", "goes on")
	good.text()
}

// TestMemorySpent: when all of the budget is used, new connections are refused, and what is connected is served.
func TestMemorySpent(t *testing.T) {
	debug.FreeOSMemory()
	r := newRig(t, func(c *edge.Config) {
		c.Memory, c.HistoryMemory, c.IDMemory, c.MailboxMemory = int64(edge.RSS())+100<<20, 0, 0, 0
	})
	p := newWS(t, r.public, "/ws?channels=a")
	p.text()
	ballast := make([]byte, 300<<20)
	for i := 0; i < len(ballast); i += 4096 {
		ballast[i] = 1
	}
	status := func() int {
		res, err := http.Get("http://" + r.public + "/poll?channels=a&wait=0")
		if err != nil {
			return 0
		}
		defer res.Body.Close()
		if res.StatusCode == 503 && res.Header.Get("Retry-After") == "" {
			t.Error("503 without Retry-After")
		}
		return res.StatusCode
	}
	http.DefaultClient.CloseIdleConnections()
	waitFor(t, "503", func() bool { http.DefaultClient.CloseIdleConnections(); return status() == 503 })
	r.push(t, "a", "to who is connected")
	if w := p.text(); w.Offset != 1 {
		t.Errorf("%+v", w)
	}
	if ballast[4096] != 1 {
		t.Fatal()
	}
	if raceEnabled { // the detector's shadow of freed memory stays
		return
	}
	ballast = nil
	debug.FreeOSMemory()
	waitFor(t, "200 again", func() bool { http.DefaultClient.CloseIdleConnections(); return status() == 200 })
}

// TestPeopleSpent: who is in ever more channels spends what there is for what is known of people; then new connections are refused, those
// that are there are served, and when the grace is over there is room again.
func TestPeopleSpent(t *testing.T) {
	r := newRigOf(t, func(c *edge.Config) {
		c.Presence, c.MaxChannels, c.CommandRate, c.UserGrace, c.Tokens.Secrets = "members", 100, 0, 2*time.Second, [][]byte{tokenSecret}
	}, func(c edge.Config) (*edge.Server, error) {
		s, err := edge.New(c)
		if err == nil {
			s.SetPeople(200_000)
		}
		return s, err
	})
	ticket, p, n := ticketFor(t, "42", "", rights{"*": {"subscribe"}}), newPeer(t, r.public), 0
	strangers := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	status := func() int {
		res, err := strangers.Get("http://" + r.public + "/poll?channels=a&wait=0")
		if err != nil {
			return 0
		}
		defer res.Body.Close()
		return res.StatusCode
	}
	if got := status(); got != 200 {
		t.Fatal(got)
	}
	var most edge.Stats
	waitFor(t, "503", func() bool {
		for range 20 {
			var names []string
			for range 100 {
				n++
				names = append(names, fmt.Sprint("new", n))
			}
			p.get("/poll?wait=0&channels=" + strings.Join(names, ",") + "&" + ticket)
			p.want(200)
		}
		if s := r.Stats(); s.Memory.People > most.Memory.People {
			most = s
		}
		return status() == 503
	})
	if s := &most; s.Memory.People < 200_000 || s.Users.Bytes == 0 || s.Users.Presence.Bytes < 100_000 || s.Memory.People < s.Users.Bytes+s.Users.Presence.Bytes/2 {
		t.Errorf("%+v, %+v", s.Memory, s.Users)
	}
	waitFor(t, "200 again", func() bool { return status() == 200 })
}

func TestMostConnections(t *testing.T) {
	for memory, want := range map[int64]int{1 << 30: 65536, 16 << 30: 1 << 20} {
		if got := edge.MostConnections(memory); got != want {
			t.Errorf("%d connections in %d bytes, want %d", got, memory, want)
		}
	}
}

// TestLastWordsCountToo: who lets the end of its connection wait does not hold up publishers and newcomers either.
func TestLastWordsCountToo(t *testing.T) {
	r := budgeted(t, 4<<20, 1<<30, func(c *edge.Config) { c.PublishTimeout = 10 * time.Second })
	newWS(t, r.public, "/ws?channels=good").text()
	r.fill(t, "big", 20, 60_000)
	for range 12 {
		c := newPeer(t, r.public)
		_ = c.Conn.(*net.TCPConn).SetReadBuffer(8 << 10)
		c.write("GET /poll?channels=big&since=0&wait=0 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	}
	waitFor(t, "output to be within its budget", func() bool { n := r.Stats(); return n.Memory.Output < 4<<20 && n.Ended["peer"] > 0 })
	if w := r.push(t, "good", "x"); w.Offset != 1 {
		t.Errorf("%+v", w)
	}
	waitFor(t, "newcomers to be served", func() bool {
		p := newPeer(t, r.public)
		p.get("/ping")
		res, _ := p.answer()
		return res.StatusCode == 200
	})
}

// TestPipelinedInputIsGivenUp: who sends more while an answer is owed to it does not keep others' input out.
func TestPipelinedInputIsGivenUp(t *testing.T) {
	r := budgeted(t, 1<<30, 2<<20, nil)
	for range 40 {
		c := connect(t, r.public)
		_, _ = io.WriteString(c, "GET /poll?channels=a&wait=60s HTTP/1.1\r\nHost: localhost\r\n\r\n")
		go func() { _, _ = io.WriteString(c, strings.Repeat("x", 200_000)) }() // ends with the connection
	}
	waitFor(t, "some to be ended", func() bool { return r.Stats().Ended["overloaded"] > 0 })
	waitFor(t, "input to be within its budget", func() bool { return r.Stats().Memory.Input <= 2<<20 })
	p := newPeer(t, r.backend)
	p.write("POST /channels/b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nha")
	p.write("lf")
	p.want(202)
}

// TestMessageTimeout: a WebSocket message must be complete in time; a byte now and then buys none.
func TestMessageTimeout(t *testing.T) {
	r := newRig(t, func(c *edge.Config) { c.BodyTimeout = 300 * time.Millisecond })
	p := newWS(t, r.public, "/ws?channels=a")
	p.text()
	p.write(string(ws.MustCompileFrame(ws.MaskFrame(ws.NewFrame(ws.OpText, false, []byte(`{"id":1,`))))))
	p.write(string(ws.MustCompileFrame(ws.MaskFrame(ws.NewFrame(ws.OpContinuation, true, []byte(`"ping":{}}`))))))
	if w := p.text(); string(w.ID) != "1" {
		t.Errorf("%+v", w)
	}
	time.Sleep(400 * time.Millisecond) // the timer of the message that is complete must be stopped
	if w := p.command(`{"id":2,"ping":{}}`); string(w.ID) != "2" {
		t.Errorf("%+v", w)
	}
	p.write(string(ws.MustCompileFrame(ws.MaskFrame(ws.NewFrame(ws.OpText, false, []byte(`{"id":3,`))))))
	p.closed(4005, "message_timeout")
}

// TestBurstOfAnswers: requests that come between two ticks, each for a long answer that nobody reads, are given less and less, and
// then nothing.
func TestBurstOfAnswers(t *testing.T) {
	const budget = 8 << 20
	r := budgeted(t, budget, 1<<30, func(c *edge.Config) { c.Loops = 2 })
	r.fill(t, "big", 40, 50_000)
	var all []*peer
	for range 200 {
		p := newPeer(t, r.public)
		_ = p.Conn.(*net.TCPConn).SetReadBuffer(8 << 10)
		p.get("/ping")
		p.want(200)
		all = append(all, p)
	}
	for i, p := range all {
		p.get([]string{"/poll?channels=big&since=0&wait=0", "/stream?channels=big&since=0", "/sse?channels=big&since=0"}[i%3])
	}
	most := int64(0)
	for range 50 {
		most = max(most, r.Stats().Memory.Output)
		time.Sleep(5 * time.Millisecond)
	}
	if most > budget+2<<20 {
		t.Errorf("%d bytes wait, the budget is %d", most, budget)
	}
	r.push(t, "other", "x")
}

// TestManyWithALittleWaiting: readers each with less waiting than any of them may have do not hold up publishers for long either.
func TestManyWithALittleWaiting(t *testing.T) {
	const budget, readers = 2 << 20, 400 // 5 KB each
	r := budgeted(t, budget, 1<<30, func(c *edge.Config) { c.PublishTimeout = 15 * time.Second; c.Unsent = 4 << 10 })
	good := newWS(t, r.public, "/ws?channels=good")
	good.text()
	var all []slowPeer
	for range readers {
		p := openSlow(t, r, "sse", "busy,x") // two channels: each reader has a copy of its own
		_ = p.Conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		all = append(all, p)
	}
	r.subscribers(t, "busy", readers)
	waitFor(t, "some to be ended", func() bool {
		r.fill(t, "busy", 1, 12_000)
		st := r.Stats()
		return st.Ended["slow_consumer"] > 0
	})
	if w := r.push(t, "good", "x"); w.Offset != 1 {
		t.Errorf("%+v", w)
	}
	if w := good.text(); w.Offset != 1 {
		t.Errorf("%+v", w)
	}
	for _, p := range all {
		p.Close()
	}
}

// TestHalfSentHeadsKeepNobodyOut: who sends a whole request is served, however many send a half one.
func TestHalfSentHeadsKeepNobodyOut(t *testing.T) {
	r := budgeted(t, 1<<30, 1<<20, nil)
	for range 250 {
		p := newPeer(t, r.public)
		p.write("GET /poll HTTP/1.1\r\nHost: localhost\r\nA: " + strings.Repeat("a", 7000))
	}
	waitFor(t, "input to be spent, and given up", func() bool { return r.Stats().Ended["overloaded"] > 0 })
	for range 20 {
		p := newPeer(t, r.public)
		p.get("/ping")
		p.want(200)
	}
	p := newPeer(t, r.public) // in two pieces, but small
	p.write("GET /pi")
	time.Sleep(20 * time.Millisecond)
	p.write("ng HTTP/1.1\r\nHost: localhost\r\n\r\n")
	p.want(200)
}
