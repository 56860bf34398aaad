package edge_test

import (
	"strings"
	"testing"
	"time"

	"encke/edge"

	"github.com/gobwas/ws"
)

// TestCommandRate: a burst of commands is carried out, what comes beyond it is refused, and who goes on is ended; others of
// the same server are not held up.
func TestCommandRate(t *testing.T) {
	r := newRig(t, func(c *edge.Config) { c.CommandRate, c.Loops = 0.5, 1 }) // 5 at once
	p, other := newWS(t, r.public, "/ws"), newWS(t, r.public, "/ws")
	for i := range 10 {
		p.send(ws.OpText, `{"id":1,"ping":{}}`)
		w := p.text()
		if refused := w.Error != nil && w.Error.Code == "too_many_commands"; refused != (i >= 5) {
			t.Errorf("command %d: %+v", i, w)
		}
	}
	p.write(strings.Repeat(masked(1, `{"id":1,"ping":{}}`), 5))
	p.closed(4107, "too_many_commands")
	if w := other.command(`{"id":2,"ping":{}}`); string(w.ID) != "2" {
		t.Errorf("the other got %+v", w)
	}
}

// TestPacesAreForgotten: who gives a command now and then leaves nothing behind.
func TestPacesAreForgotten(t *testing.T) {
	r := newRig(t, func(c *edge.Config) { c.CommandRate = 1000 })
	p := newWS(t, r.public, "/ws")
	p.command(`{"id":1,"ping":{}}`)
	waitFor(t, "the pace to be forgotten", func() bool { return r.Paces() == 0 })
}

// TestPing answers on every transport: by command, by control frame, and by request, on a poll's own connection too.
func TestPing(t *testing.T) {
	r := newRig(t, nil)
	p := newWS(t, r.public, "/ws")
	if w := p.command(`{"id":1,"ping":{}}`); string(w.ID) != "1" {
		t.Errorf("%+v", w)
	}
	for _, lines := range [][]string{nil, {"Sec-WebSocket-Protocol: encke.raw"}} {
		p := newWS(t, r.public, "/ws", lines...)
		p.send(ws.OpPing, "hello")
		if m, ok := p.frame(); !ok || m.op != ws.OpPong || m.data != "hello" {
			t.Errorf("%+v", m)
		}
	}
	q := newPeer(t, r.public)
	for range 2 {
		q.get("/ping")
		if text := q.want(200); !strings.HasPrefix(text, `{"pong":{"time":`) {
			t.Error(text)
		}
		q.get("/poll?channels=a&wait=0")
		q.want(200)
	}
}

// TestLowestRate: the slowest rate lets one command through, and binary frames count as commands.
func TestLowestRate(t *testing.T) {
	r := newRig(t, func(c *edge.Config) { c.CommandRate = 0.01 })
	p := newWS(t, r.public, "/ws")
	if w := p.command(`{"id":1,"ping":{}}`); string(w.ID) != "1" {
		t.Errorf("%+v", w)
	}
	p.send(ws.OpBinary, "x")
	if w := p.text(); w.Error == nil || w.Error.Code != "too_many_commands" {
		t.Errorf("%+v", w)
	}
}

// TestLongPingInterval: the kernel's own time-out has a bound; ours may be longer.
func TestLongPingInterval(t *testing.T) {
	newRig(t, func(c *edge.Config) { c.PingInterval = 1000 * time.Hour })
}
