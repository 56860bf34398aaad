package edge_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"
)

// seer follows who is in a channel: from an answer who is here, with what comes behind its position.
type seer struct {
	t         testing.TB
	r         *rig
	name      string
	transport string
	ticket    string

	mu          sync.Mutex
	here        map[string]bool // guarded by mu
	connections int             // guarded by mu
	offset      uint64          // guarded by mu
	parts       int             // guarded by mu: events that are not the last of a batch
	steady      string          // a user who must not leave
	epoch       string
	conn        net.Conn // guarded by mu: of now
	ended       bool     // guarded by mu
	done        sync.WaitGroup
}

// start begins anew.
func (s *seer) start(h hereNow) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	here := map[string]bool{}
	for _, m := range h.Members {
		here[m.User] = true
	}
	offset := offsetOf(h.Position)
	switch {
	case len(here) != h.Users && !h.TooMany || len(here) != len(h.Members):
		s.t.Errorf("%d users, members %v", h.Users, here)
	case offset == s.offset && s.here != nil && !maps.Equal(here, s.here):
		s.t.Errorf("%s: at %d it is told of %v, and had %v", s.transport, offset, here, s.here)
	}
	s.here, s.connections, s.offset = here, h.Connections, offset
	s.epoch, _, _ = strings.Cut(h.Position, ".")
}

// apply applies an event.
func (s *seer) apply(w wire) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var e presenceEvent
	if w.Gap || w.Offset != s.offset+1 || w.Event != "presence" || json.Unmarshal(w.Data, &e) != nil {
		s.t.Errorf("%s: %+v after %d", s.transport, w, s.offset)
		return
	}
	s.offset = w.Offset
	for _, j := range e.Join {
		if s.here[j.User] {
			s.t.Errorf("%s: %s joins who is here", s.transport, j.User)
		}
		s.here[j.User] = true
	}
	for _, l := range e.Leave {
		if !s.here[l] || l == s.steady {
			s.t.Errorf("%s: %s leaves: here %v", s.transport, l, s.here[l])
		}
		delete(s.here, l)
	}
	if len(w.Data) > 32<<10 {
		s.t.Errorf("an event of %d bytes", len(w.Data))
	}
	if e.Users == nil || e.Connections == nil {
		s.parts++
		return
	}
	if *e.Users != len(s.here) {
		s.t.Errorf("%s: %d users are told of, and %v are here", s.transport, *e.Users, s.here)
	}
	s.connections = *e.Connections
}

// holds takes note of the connection that it reads from now; it says false when all is over.
func (s *seer) holds(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn = c
	if s.ended {
		c.Close()
	}
	return !s.ended
}

// end ends it, which is to be done before the test ends.
func (s *seer) end() {
	s.mu.Lock()
	s.ended = true
	if s.conn != nil {
		s.conn.Close()
	}
	s.mu.Unlock()
	s.done.Wait()
}

// feed opens a connection that is told of what comes behind the position; next says false at its end.
func (s *seer) feed() (next func() (wire, bool), c net.Conn) {
	s.t.Helper()
	s.mu.Lock()
	since := fmt.Sprint(s.epoch, ".", s.offset)
	s.mu.Unlock()
	target := s.transport + "?channels=$presence:" + s.name + "&" + s.ticket
	switch s.transport {
	case "ws":
		p := newWS(s.t, s.r.public, "/"+target+"&since="+since)
		return func() (wire, bool) {
			for {
				m, ok := p.frame()
				if !ok || m.op != ws.OpText {
					return wire{}, false
				}
				if w := parseWire(s.t, []byte(m.data)); w.Channel != "" {
					return w, true
				}
			}
		}, p
	case "poll":
		p := newPeer(s.t, s.r.public)
		var more []wire
		return func() (wire, bool) {
			for len(more) == 0 {
				s.mu.Lock()
				since := fmt.Sprint(s.epoch, ".", s.offset)
				s.mu.Unlock()
				if _, err := fmt.Fprintf(p, "GET /%s&wait=%d&since=%s HTTP/1.1\r\nHost: localhost\r\n\r\n", target, s.offset%3, since); err != nil {
					return wire{}, false
				}
				res, err := http.ReadResponse(p.r, nil)
				if err != nil {
					return wire{}, false
				}
				var body bytes.Buffer
				if _, err := body.ReadFrom(res.Body); err != nil || res.StatusCode != 200 {
					return wire{}, false
				}
				more = parseWire(s.t, body.Bytes()).Publications
			}
			w := more[0]
			more = more[1:]
			return w, true
		}, p
	}
	p, _, body := openStream(s.t, s.r.public, "/"+target+"&since="+since)
	return func() (wire, bool) { return nextLine(s.t, body) }, p
}

// nextLine returns the next publication of a stream of lines or of events.
func nextLine(t testing.TB, body *bufio.Reader) (wire, bool) {
	for {
		line, err := body.ReadString('\n')
		if err != nil {
			return wire{}, false
		}
		if line = strings.TrimPrefix(line, "data: "); strings.HasPrefix(line, "{") {
			if w := parseWire(t, []byte(line)); w.Channel != "" {
				return w, true
			}
		}
	}
}

// ask asks who is here, in one of several ways.
func (s *seer) ask(way int) hereNow {
	s.t.Helper()
	switch way {
	case 0:
		return s.r.here(s.t, s.name)
	case 1:
		p := newPeer(s.t, s.r.public)
		defer p.Close()
		p.get("/presence?channel=" + s.name + "&" + s.ticket)
		return parseHere(s.t, p.want(200))
	}
	p := newWS(s.t, s.r.public, "/ws?"+s.ticket)
	defer p.Close()
	p.text()
	p.send(ws.OpText, `{"presence":{"channel":"`+s.name+`"}}`)
	m, _ := p.frame()
	return parseHere(s.t, strings.TrimSuffix(strings.TrimPrefix(m.data, `{"presence":`), "}"))
}

// watchOver follows a channel from a moment on until the test is over; with random, it goes away and comes back now and then, with
// its position or asking anew.
func watchOver(t testing.TB, r *rig, transport, name string, h hereNow, random *rand.Rand) *seer {
	s := &seer{t: t, r: r, name: name, transport: transport, ticket: ticketFor(t, "seer", "", rights{name: {"presence"}})}
	s.start(h)
	s.done.Go(func() {
		for {
			next, c := s.feed()
			if !s.holds(c) {
				return
			}
			for left := 1 << 30; left > 0; left-- {
				if random != nil && left > 100 {
					left = 1 + random.IntN(12)
				}
				w, ok := next()
				if !ok {
					break
				}
				s.apply(w)
			}
			c.Close()
			s.mu.Lock()
			ended := s.ended
			s.mu.Unlock()
			if ended {
				return
			}
			if random != nil && random.IntN(2) == 0 {
				s.start(s.ask(random.IntN(3)))
			}
		}
	})
	return s
}

// equals waits until so many are here.
func (s *seer) equals(users, connections int) {
	s.t.Helper()
	waitFor(s.t, fmt.Sprintf("%d users, %d connections", users, connections), func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.here) == users && s.connections == connections
	})
}
