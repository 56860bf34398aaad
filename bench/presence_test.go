package bench

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"encke/bench/report"
	"encke/edge"
)

const shortGrace = 200 * time.Millisecond

// startWatched runs a server in this process that keeps who is there.
func startWatched(t *testing.T) Target {
	t.Helper()
	c := edge.Defaults()
	c.Tokens.Secrets = [][]byte{[]byte(tokenSecret)}
	c.Presence, c.UserGrace = "members", shortGrace
	target := start(t, c)
	target.TokenSecret = tokenSecret
	return target
}

func gatheringOf(t *testing.T, n int, target Target) Options {
	o := small(t, "presence", target)
	o.Clients, o.Users, o.Grace, o.Floor = n, n, shortGrace, false
	return o
}

// TestPresence lets a few come and go.
func TestPresence(t *testing.T) {
	for _, c := range []struct {
		name    string
		n       int
		change  func(o *Options)
		figures string // that must have been measured
	}{
		{"forty", 40, nil, "time until all are seen, time from join to being seen p99, presence events per storm, presence bytes per join+leave, presence events that would do"},
		{"one", 1, nil, "presence events per storm"},
		{"several parts", 3000, func(o *Options) { o.Followers = 6 }, "presence events per storm"},
		{"several clients a user", 40, func(o *Options) { o.Users = 7 }, "time from join to being seen p99"},
		{"all transports", 40, func(o *Options) { o.Transport = "ws,sse,stream,longpoll" }, "presence events per storm"},
		{"one follower", 10, func(o *Options) { o.Followers, o.Workers = 1, 3 }, "presence events per storm"},
		{"off", 10, func(o *Options) { o.Presence = "off" }, "time until all are seen"},
		{"without its process", 10, func(o *Options) { o.Target.PID = 0 }, "presence events per storm"},
		{"a server of its own, and one without", 30, func(o *Options) { o.Target, o.Floor = Target{Kind: "encke", Server: build(t), Loops: 2}, true },
			"presence events per storm, server CPU per join+leave"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := gatheringOf(t, c.n, startWatched(t))
			if c.change != nil {
				c.change(&o)
			}
			r, err := Run(context.Background(), o)
			if err != nil || r.Partial != "" {
				t.Fatalf("%s: %v\n%s", r.Scenario, err, table(r))
			}
			for name := range strings.SplitSeq(c.figures, ", ") {
				if r.Median(name) <= 0 {
					t.Errorf("%s: %s was not measured:\n%s", r.Scenario, name, table(r))
				}
			}
			if o.Floor && r.Figure("server CPU per join+leave").Floor <= 0 {
				t.Errorf("nothing was measured beside it:\n%s", table(r))
			}
		})
	}
}

// proxy is a way to a server on which what followers are told can be changed.
type proxy struct {
	to    string
	twist func(b []byte) []byte // of what is sent to followers; as many bytes
	mu    sync.Mutex            // of twist
}

// startProxy runs it. Who asks for anything with presence in it is a follower.
func startProxy(t *testing.T, url string, twist func(b []byte) []byte) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	_, to, _ := strings.Cut(url, "://")
	p := &proxy{to: to, twist: twist}
	go func() { // ends with l
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c) // ends with c, or the server's connection
		}
	}()
	return l.Addr().String()
}

func (p *proxy) serve(c net.Conn) {
	defer c.Close()
	s, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer s.Close()
	b := make([]byte, 64<<10)
	n, err := c.Read(b)
	if err != nil {
		return
	}
	line, _, _ := bytes.Cut(b[:n], []byte("\r\n"))
	follower := bytes.Contains(line, []byte("presence"))
	if _, err := s.Write(b[:n]); err != nil {
		return
	}
	go func() { // ends with c
		_, _ = io.Copy(s, c)
		_ = s.Close()
	}()
	for err == nil {
		n, err = s.Read(b)
		text := b[:n]
		if follower {
			p.mu.Lock()
			text = p.twist(text)
			p.mu.Unlock()
		}
		if _, failed := c.Write(text); failed != nil {
			return
		}
	}
}

// TestUntruePresenceFails measures a server that lies about who is there, to 10 users.
func TestUntruePresenceFails(t *testing.T) {
	instead := func(old, new string) func(b []byte) []byte {
		return func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(old), []byte(new)) }
	}
	leave := func(b []byte, old, new string) []byte {
		head, tail, is := bytes.Cut(b, []byte(`"leave":[`))
		if !is {
			return b
		}
		tail = bytes.ReplaceAll(tail, []byte(old), []byte(new))
		return append(append(bytes.Clone(head), `"leave":[`...), tail...)
	}
	for _, c := range []struct {
		name    string
		public  func(b []byte) []byte
		backend func(b []byte) []byte
		want    string // "" when all is true
	}{
		{"honest", nil, nil, ""},
		{"one joins twice, another never", instead(`{"user":"u7"}`, `{"user":"u8"}`), nil, "u8 joined, who was there"},
		{"a stranger", instead(`{"user":"u7"}`, `{"user":"x7"}`), nil, "and lacks u7"},
		{"one leaves twice, another never", func(b []byte) []byte { return leave(b, `"u7"`, `"u8"`) }, nil, "u8 left, who was not there"},
		{"a stranger leaves", func(b []byte) []byte { return leave(b, `"u7"`, `"x7"`) }, nil, "x7 left, who was not there"},
		{"a wrong count", instead(`"users":10`, `"users":11`), nil, "counts 11 users"},
		{"a wrong list", instead(`{"user":"u7","connections"`, `{"user":"u8","connections"`), nil, "of whom 9 are not the same"},
		{"the backend lists another", nil, instead(`{"user":"u7","connections"`, `{"user":"x7","connections"`), "backend listener: the list counts 10 users and has 10 members where there are 10, and lacks u7"},
		{"the backend counts wrong", nil, instead(`"users":10`, `"users":11`), "backend listener: the list counts 11 users"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			target := startWatched(t)
			if c.public != nil {
				target.Public = "ws://" + startProxy(t, target.Public, c.public)
			}
			if c.backend != nil {
				target.Backend = "http://" + startProxy(t, target.Backend, c.backend)
			}
			r, err := Run(context.Background(), gatheringOf(t, 10, target))
			notes := strings.Join(r.Notes, "\n")
			if r.Partial != "" || (err == nil) != (c.want == "") || (r.Faults == report.Faults{}) != (c.want == "") || !strings.Contains(notes, c.want) {
				t.Errorf("%v, want %q\n%s", err, c.want, table(r))
			}
		})
	}
}

// TestBadPresence wants clear messages.
func TestBadPresence(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(o *Options)
		want   string
	}{
		{"no users", func(o *Options) { o.Users = 0 }, "--users"},
		{"too many", func(o *Options) { o.Clients, o.Users = 10_001, 20_000 }, "more than 10000 members"},
		{"counts", func(o *Options) { o.Presence = "counts" }, "members or off"},
		{"no grace", func(o *Options) { o.Grace = 0 }, "--user-grace"},
		{"no followers", func(o *Options) { o.Followers = 0 }, "0 followers"},
		{"processes", func(o *Options) { o.Target.Processes = 2 }, "several processes"},
		{"a peer", func(o *Options) { o.Target.Kind = "ws" }, "only encke"},
		{"not kept", func(o *Options) { o.Target = startGuarded(t) }, "no_presence"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := gatheringOf(t, 10, Target{Kind: "encke", Public: "ws://127.0.0.1:1", Backend: "http://127.0.0.1:1", TokenSecret: tokenSecret})
			c.change(&o)
			if _, err := Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// TestBoundOfEvents is about a server that published an event for each who came or went.
func TestBoundOfEvents(t *testing.T) {
	one := round{n: 1000, seen: 150 * time.Millisecond, gone: 50 * time.Millisecond, bytes: 65 << 10, events: 10}
	one.most = one.bound(300 * time.Millisecond)
	g := gathering{r: &run{o: &Options{Grace: 300 * time.Millisecond}}}
	if one.most != 5+2+4 || g.bounded(&one) != nil {
		t.Errorf("%d would do", one.most)
	}
	one.events = 2000
	if err := g.bounded(&one); err == nil || !strings.Contains(err.Error(), "published 2000 presence events") {
		t.Errorf("%v", err)
	}
}
