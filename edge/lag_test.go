package edge_test

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"encke/channel"
	"encke/edge"
)

// slowPeer reads publications and gaps of a connection, of which nothing is read until it is asked.
type slowPeer struct {
	*peer
	next func() wire // the next publication or gap, of any channel
}

func openSlow(t *testing.T, r *rig, transport, channels string) slowPeer {
	t.Helper()
	target := "/" + transport + "?channels=" + channels
	var p *peer
	var next func() wire
	switch transport {
	case "sse":
		q, _, body := openStream(t, r.public, target)
		p, next = q, func() wire { _, w := events{t, body}.publication(); return w }
	case "stream":
		q, _, body := openStream(t, r.public, target)
		p, next = q, lines{t, body}.next
	default:
		s := newWS(t, r.public, target)
		p, next = s.peer, s.text
	}
	_ = p.Conn.(*net.TCPConn).SetReadBuffer(128 << 10)
	_ = p.SetReadDeadline(time.Now().Add(20 * time.Second))
	return slowPeer{p, func() wire {
		for {
			if w := next(); w.Channel != "" {
				return w
			}
		}
	}}
}

// policies sets --slow-readers by channel: "old…" and "new…".
func policies(c *edge.Config) {
	oldest, latest := "drop-oldest", "latest"
	c.Rules = []edge.Rule{{Pattern: "old*", SlowReaders: &oldest}, {Pattern: "new*", SlowReaders: &latest}}
	c.HistoryLength, c.MaxPending = 20, 64<<10
}

// flood pushes n messages of 4 KB to a channel whose subscriber does not read, so that much of it has to wait.
func (r *rig) flood(t *testing.T, name string, n int) {
	t.Helper()
	for range n {
		r.fill(t, name, 1, 4000)
	}
}

// TestDropOldest: a reader that falls behind is told of the gap, goes on with what is kept, and stays connected.
func TestDropOldest(t *testing.T) {
	for _, transport := range []string{"ws", "sse", "stream"} {
		t.Run(transport, func(t *testing.T) {
			r := newRig(t, policies)
			p := openSlow(t, r, transport, "old")
			r.subscribers(t, "old", 1)
			const n = 3000
			r.flood(t, "old", n)
			if w := r.Stats().Bytes.Waiting; w > 64<<10 {
				t.Errorf("%d bytes wait", w)
			}
			last, gaps := uint64(0), 0
			for last < n {
				w := p.next()
				if w.Gap {
					gaps++
					if w.Reason != "expired" {
						t.Errorf("reason %q", w.Reason)
					}
					last = offsetIn(t, w.Position)
					continue
				}
				if w.Offset != last+1 {
					t.Fatalf("%d after %d", w.Offset, last)
				}
				last = w.Offset
			}
			r.push(t, "old", "live")
			if w := p.next(); w.Offset != n+1 || gaps == 0 {
				t.Errorf("%d gaps, then %d instead of %d", gaps, w.Offset, n+1)
			}
			st := r.Stats()
			if st.Skipped["drop-oldest"] == 0 || st.Ended["slow_consumer"] != 0 || st.Messages.Inconsistent != 0 {
				t.Errorf("skipped %v, ended %v, inconsistent %d", st.Skipped, st.Ended, st.Messages.Inconsistent)
			}
		})
	}
}

// TestLatest: a reader that falls behind gets the newest only, and is told; another channel of the same connection loses
// nothing that fits.
func TestLatest(t *testing.T) {
	for _, transport := range []string{"ws", "sse", "stream"} {
		t.Run(transport, func(t *testing.T) {
			r := newRig(t, policies)
			p := openSlow(t, r, transport, "new,other")
			r.subscribers(t, "new", 1)
			const n = 2000
			r.flood(t, "new", n)
			for i := range 5 {
				r.push(t, "other", fmt.Sprint(i))
			}
			last, others := uint64(0), uint64(0)
			for last < n || others < 5 {
				switch w := p.next(); {
				case w.Channel == "other":
					if w.Gap || w.Offset != others+1 {
						t.Fatalf("other: %+v after %d", w, others)
					}
					others++
				case w.Gap:
					if last = offsetIn(t, w.Position); w.Reason != "skipped" || last != n-1 {
						t.Errorf("a gap up to %d: %s", last, w.Reason)
					}
				default:
					if w.Offset != last+1 {
						t.Fatalf("%d after %d", w.Offset, last)
					}
					last = w.Offset
				}
			}
			if st := r.Stats(); st.Skipped["latest"] == 0 || st.Ended["slow_consumer"] != 0 {
				t.Errorf("skipped %v, ended %v", st.Skipped, st.Ended)
			}
		})
	}
}

// TestLatestRaw: a raw WebSocket has no words for gaps; of a channel of which it wants the newest it gets that.
func TestLatestRaw(t *testing.T) {
	r := newRig(t, policies)
	p := newWS(t, r.public, "/ws?channels=new", "Sec-WebSocket-Protocol: encke.raw")
	_ = p.Conn.(*net.TCPConn).SetReadBuffer(128 << 10)
	r.subscribers(t, "new", 1)
	r.flood(t, "new", 2000)
	r.push(t, "new", "the newest")
	n := 0
	for {
		m, ok := p.frame()
		if !ok {
			t.Fatal("ended")
		}
		if m.data == "the newest" {
			break
		}
		n++
	}
	if n == 0 || n >= 2000 {
		t.Errorf("%d before the newest", n)
	}
}

// TestLeavingWhileLagging: subscriptions that lag end like others.
func TestLeavingWhileLagging(t *testing.T) {
	r := newRig(t, policies)
	for _, transport := range []string{"ws", "sse", "stream"} {
		p := openSlow(t, r, transport, "old,new")
		r.subscribers(t, "old", 1)
		r.flood(t, "old", 1500)
		r.flood(t, "new", 10)
		p.Close()
		r.subscribers(t, "old", 0)
		r.subscribers(t, "new", 0)
	}
	r.leavesNothing(t)
}

// TestSlowIsNotStuck: output that waits longer than --write-timeout ends who takes nothing, not who takes a little.
func TestSlowIsNotStuck(t *testing.T) {
	r := newRig(t, func(c *edge.Config) { c.WriteTimeout, c.MaxMessage, c.MaxBody = time.Second, 16<<20, 17<<20 })
	r.fill(t, "a", 1, 12<<20)
	stuck, slow := newPeer(t, r.public), newPeer(t, r.public)
	for _, p := range []*peer{stuck, slow} {
		_ = p.Conn.(*net.TCPConn).SetReadBuffer(128 << 10)
		p.get("/poll?channels=a&since=0")
	}
	b := make([]byte, 128<<10)
	for got := 0; got < 12<<20; {
		n, err := slow.Read(b[:])
		if got += n; err != nil {
			t.Fatalf("the slow one: %v after %d bytes", err, got)
		}
		time.Sleep(20 * time.Millisecond)
	}
	waitFor(t, "the stuck one to be ended", func() bool { return r.Stats().Ended["write_timeout"] == 1 })
}

// TestLostInside: a publication that gets lost between the store and a loop is found, and the subscribers are given it from
// history, or told of the gap where history has it no more.
func TestLostInside(t *testing.T) {
	for _, history := range []int{100, 0} {
		var lose atomic.Uint64
		r := lossyRig(t, func(c *edge.Config) { c.HistoryLength = history }, func(p *channel.Publication) bool { return p.Offset == lose.Load() })
		for _, transport := range []string{"ws", "sse", "stream"} {
			t.Run(fmt.Sprint(transport, history), func(t *testing.T) {
				name := "lost-" + transport
				lose.Store(0)
				p := openSlow(t, r, transport, name)
				r.subscribers(t, name, 1)
				for i := range uint64(6) {
					if i == 2 || i == 5 { // one with another behind it, and the last
						lose.Store(i + 1)
					}
					r.push(t, name, "x")
				}
				before := r.Stats().Messages.Gaps
				for last := uint64(0); last < 6; {
					w := p.next()
					if w.Gap && history == 0 {
						last = offsetIn(t, w.Position)
						continue
					}
					if w.Gap || w.Offset != last+1 {
						t.Fatalf("%+v after %d", w, last)
					}
					last = w.Offset
				}
				if n := r.Stats().Messages.Gaps; history > 0 && n != before {
					t.Errorf("%d gaps", n-before)
				}
			})
		}
		if n := r.Stats().Messages.Inconsistent; n < 6 {
			t.Errorf("%d found, want 6", n)
		}
	}
}

// TestLostInsidePoll: a parked poll is answered with what its loop had lost.
func TestLostInsidePoll(t *testing.T) {
	r := lossyRig(t, nil, func(*channel.Publication) bool { return true })
	p := newPeer(t, r.public)
	p.get("/poll?channels=a")
	r.subscribers(t, "a", 1)
	r.push(t, "a", "lost")
	if text := p.want(200); !strings.Contains(text, `"data":"lost"`) {
		t.Error(text)
	}
}

func lossyRig(t *testing.T, change func(*edge.Config), lose func(*channel.Publication) bool) *rig {
	return newRigOf(t, change, func(c edge.Config) (*edge.Server, error) { return edge.NewLossy(c, lose) })
}

func TestBadRules(t *testing.T) {
	bad, minus, zero, latest, short := "sometimes", -1, 0, "latest", time.Microsecond
	for _, rule := range []edge.Rule{
		{Pattern: ""}, {Pattern: "a*b"}, {Pattern: "a", SlowReaders: &bad}, {Pattern: "a", HistoryLength: &minus},
		{Pattern: "a", HistoryLength: &zero, SlowReaders: &latest}, {Pattern: "a", HistoryAge: &short},
	} {
		c := edge.Defaults()
		c.Rules = []edge.Rule{rule}
		if _, err := edge.New(c); err == nil || !strings.Contains(err.Error(), "cannot use the rule for channels") {
			t.Errorf("%+v: %v", rule, err)
		}
	}
}

// offsetIn reads the offset of a position of one channel.
func offsetIn(t testing.TB, position string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(position[strings.LastIndexByte(position, '.')+1:], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestLostInsideWhileJoining: what is lost between a subscriber's joining and its first look into the mailbox it is given too.
func TestLostInsideWhileJoining(t *testing.T) {
	r := lossyRig(t, func(c *edge.Config) { c.Loops = 1 }, func(p *channel.Publication) bool { return p.Offset == 2 })
	old, young := newWS(t, r.public, "/ws?channels=a"), newWS(t, r.public, "/ws")
	old.text()
	r.push(t, "a", "1")
	r.JoinBetween("a", func() { r.PublishNow("a", "2"); r.PublishNow("a", "3") })
	r.push(t, "a", "4")
	for name, c := range map[string]struct {
		p    *wsPeer
		from uint64
	}{"old": {old, 1}, "young": {young, 2}} {
		for want := c.from; want <= 4; want++ {
			if w := c.p.text(); w.Offset != want {
				t.Fatalf("%s: got %+v, want %d", name, w, want)
			}
		}
	}
}

// TestReplayToManyChannelsIsInPieces: the ids of a stream with many channels count as well.
func TestReplayToManyChannelsIsInPieces(t *testing.T) {
	r := newRig(t, func(c *edge.Config) { c.HistoryLength = 100000; c.MaxBody = 64 << 20 })
	var names []string
	for i := range 128 {
		names = append(names, fmt.Sprintf("c%03d", i))
		r.fill(t, names[i], 1, 1)
	}
	r.fill(t, "c000", 30000, 1)
	p := openSlow(t, r, "sse", strings.Join(names, ",")+"&since=0"+strings.Repeat(",", 127))
	waitFor(t, "output to wait", func() bool { return r.Stats().Bytes.Waiting > 0 })
	if n := r.Stats().Bytes.Waiting; n > 300<<10 {
		t.Errorf("%d bytes wait", n)
	}
	r.push(t, "c001", "live")
	for last := uint64(0); last < 30001; {
		if w := p.next(); w.Channel == "c000" {
			if w.Offset != last+1 {
				t.Fatalf("%d after %d", w.Offset, last)
			}
			last++
		}
	}
}
