package edge_test

import (
	"fmt"
	"math/rand"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"encke/edge"

	"github.com/gobwas/ws"
)

// wanderer is a WebSocket client that subscribes and unsubscribes in mid-stream, many commands at once, and is cut off at
// random. It holds every frame against what the commands and the publications before it allow.
type wanderer struct {
	t   *testing.T
	r   *rig
	rng *rand.Rand

	at       map[string]uint64 // offset of what was last given or announced, by channel; kept over connections
	position map[string]string
	on       map[string]bool // subscribed on this connection
	gapDue   string          // the channel whose gap must come next
	pending  []string        // commands sent and not answered, as the replies should look
	checked  int
	gaps     int
}

func wanderSeed(t *testing.T) int64 {
	seed := time.Now().UnixNano()
	if s := os.Getenv("SEED"); s != "" {
		seed, _ = strconv.ParseInt(s, 10, 64)
	}
	t.Logf("SEED=%d", seed)
	return seed
}

func TestWanderersMissNothing(t *testing.T) {
	seed := wanderSeed(t)
	for _, history := range []int{1 << 20, 10} {
		t.Run(fmt.Sprintf("history %d", history), func(t *testing.T) {
			r := newRig(t, func(c *edge.Config) { c.HistoryLength = history })
			names := []string{"w0", "w1", "w2"}
			var pushed atomic.Int64
			var publishers sync.WaitGroup
			stop := make(chan struct{})
			for i, name := range names {
				publishers.Add(1)
				go func() {
					defer publishers.Done()
					pushAll(t, r, name, rand.New(rand.NewSource(seed+int64(i))), stop, &pushed)
				}()
			}
			t.Cleanup(func() { close(stop); publishers.Wait() })
			t.Run("clients", func(t *testing.T) {
				for i := range 8 {
					t.Run(strconv.Itoa(i), func(t *testing.T) {
						t.Parallel()
						w := &wanderer{t: t, r: r, rng: rand.New(rand.NewSource(seed + 100 + int64(i))), at: map[string]uint64{}, position: map[string]string{}}
						for end := time.Now().Add(1200 * time.Millisecond); time.Now().Before(end); {
							w.connection(names, i%2 == 0)
						}
						if w.checked < 10 {
							t.Errorf("only %d publications checked", w.checked)
						}
						if w.gaps > 0 && history > 1000 {
							t.Errorf("%d gaps although everything is kept", w.gaps)
						}
					})
				}
			})
			if n := r.Stats().Messages.Inconsistent; n > 0 {
				t.Errorf("%d inconsistencies inside the server", n)
			}
		})
	}
}

// connection lives through one connection.
func (w *wanderer) connection(names []string, deflate bool) {
	w.on, w.gapDue, w.pending = map[string]bool{}, "", nil
	var extra []string
	if deflate {
		extra = append(extra, "Sec-WebSocket-Extensions: permessage-deflate")
	}
	target := "/ws"
	if w.rng.Intn(2) == 0 { // begins with channels in the URL
		var list, since []string
		for _, k := range w.rng.Perm(len(names))[:1+w.rng.Intn(len(names))] {
			list, since = append(list, names[k]), append(since, w.position[names[k]])
			w.pending = append(w.pending, "subscribed "+names[k]+" "+w.position[names[k]])
		}
		target += "?channels=" + strings.Join(list, ",") + "&since=" + strings.Join(since, ",")
	}
	p := newWS(w.t, w.r.public, target, extra...)
	defer p.Close()
	planned := map[string]bool{}
	for _, reply := range w.pending {
		planned[strings.Fields(reply)[1]] = true
	}
	for range 2 + w.rng.Intn(8) {
		w.commands(p, names, planned)
		for range w.rng.Intn(60) {
			if !w.somethingComes() {
				break
			}
			w.frame(p)
		}
	}
	switch w.rng.Intn(3) {
	case 0: // cut off in mid-frame
		half := masked(ws.OpText, `{"subscribe":{"channel":"w0"}}`)
		p.write(half[:1+w.rng.Intn(len(half)-1)])
	case 1: // every command is answered
		for len(w.pending) > 0 {
			w.frame(p)
		}
	}
}

// somethingComes says whether a frame is sure to come.
func (w *wanderer) somethingComes() bool {
	for _, on := range w.on {
		if on {
			return true
		}
	}
	return len(w.pending) > 0
}

// commands sends some commands in one piece.
func (w *wanderer) commands(p *wsPeer, names []string, planned map[string]bool) {
	var b strings.Builder
	for range w.rng.Intn(4) {
		name := names[w.rng.Intn(len(names))]
		if planned[name] {
			b.WriteString(masked(ws.OpText, fmt.Sprintf(`{"id":7,"unsubscribe":{"channel":%q}}`, name)))
			w.pending = append(w.pending, "unsubscribed "+name)
			planned[name] = false
			continue
		}
		since := ""
		// Where the position will be when the command is carried out is known only if nothing is under way.
		if len(w.pending) == 0 || w.rng.Intn(2) == 0 {
			since = w.position[name]
		}
		b.WriteString(masked(ws.OpText, fmt.Sprintf(`{"id":"x","subscribe":{"channel":%q,"since":%q}}`, name, since)))
		w.pending = append(w.pending, "subscribed "+name+" "+since)
		planned[name] = true
	}
	if b.Len() > 0 {
		p.write(b.String())
	}
}

// frame takes one frame and checks it.
func (w *wanderer) frame(p *wsPeer) {
	w.t.Helper()
	m, ok := p.frame()
	if !ok || m.op == ws.OpClose {
		w.t.Fatalf("the server ended the connection: %q", m.data)
	}
	if m.op != ws.OpText {
		return
	}
	got := parseWire(w.t, []byte(m.data))
	if w.gapDue != "" && !got.Gap {
		w.t.Fatalf("after recovered:false of %s came %s", w.gapDue, m.data)
	}
	switch {
	case got.Subscribed != nil:
		w.subscribed(got, m.data)
	case got.Unsubscribed != nil:
		if name := got.Unsubscribed.Channel; !w.expect("unsubscribed "+name) || !w.on[name] {
			w.t.Fatalf("not expected: %s", m.data)
		}
		w.on[got.Unsubscribed.Channel] = false
	case got.Gap:
		if w.gapDue != got.Channel || offsetOf(got.Position) < w.at[got.Channel] {
			w.t.Fatalf("a gap that is not due: %s, at %d", m.data, w.at[got.Channel])
		}
		w.gapDue, w.at[got.Channel], w.position[got.Channel] = "", offsetOf(got.Position), got.Position
		w.gaps++
	case got.Channel != "":
		if !w.on[got.Channel] || got.Offset != w.at[got.Channel]+1 || string(got.Data) != fmt.Sprintf(`"%s %d"`, got.Channel, got.Offset) {
			w.t.Fatalf("%s: subscribed %v, after %d", m.data, w.on[got.Channel], w.at[got.Channel])
		}
		w.at[got.Channel], w.position[got.Channel] = got.Offset, got.Position
		w.checked++
	default:
		w.t.Fatalf("not expected: %s", m.data)
	}
}

// subscribed checks the reply: with since, the place is that of since unless a gap is told.
func (w *wanderer) subscribed(got wire, text string) {
	w.t.Helper()
	name := got.Subscribed.Channel
	if len(w.pending) == 0 || w.on[name] {
		w.t.Fatalf("not expected: %s", text)
	}
	since := strings.TrimPrefix(w.pending[0], "subscribed "+name+" ")
	if since == w.pending[0] {
		w.t.Fatalf("got %s, want %s", text, w.pending[0])
	}
	w.pending = w.pending[1:]
	w.on[name] = true
	at := offsetOf(got.Subscribed.Position)
	switch {
	case since == "":
		if strings.Contains(text, "recovered") {
			w.t.Fatalf("without since: %s", text)
		}
	case strings.Contains(text, `"recovered":true`):
		if at != offsetOf(since) {
			w.t.Fatalf("since %s: %s", since, text)
		}
	case strings.Contains(text, `"recovered":false`):
		w.gapDue = name
	default:
		w.t.Fatalf("since %s: %s", since, text)
	}
	if w.gapDue == "" {
		w.at[name], w.position[name] = at, got.Subscribed.Position
	} else {
		w.at[name] = offsetOf(since)
	}
}

func (w *wanderer) expect(reply string) bool {
	if len(w.pending) == 0 || w.pending[0] != reply {
		return false
	}
	w.pending = w.pending[1:]
	return true
}

func offsetOf(position string) uint64 {
	_, text, _ := strings.Cut(position, ".")
	n, _ := strconv.ParseUint(text, 10, 64)
	return n
}
