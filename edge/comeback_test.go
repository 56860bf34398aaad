package edge_test

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"testing"
	"time"

	"encke/edge"

	"github.com/gobwas/ws"
)

// TestAdviceWhenToComeBack shuts down with clients of each transport: all are told a time within the window, and not all
// the same.
func TestAdviceWhenToComeBack(t *testing.T) {
	const each, window = 8, 60 * time.Second
	r := newRig(t, func(c *edge.Config) { c.ReturnWithin = window })
	told := map[string][]int{}
	note := func(name, text, pattern string) {
		t.Helper()
		m := regexp.MustCompile(pattern).FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("%s: no advice in %q", name, text)
		}
		if again := m[len(m)-1]; again != m[1] {
			t.Errorf("%s: %s ms, and %s ms", name, m[1], again)
		}
		n, _ := strconv.Atoi(m[1])
		told[name] = append(told[name], n)
	}
	var wait []func()
	for range each {
		socket := newWS(t, r.public, "/ws?channels=a")
		_, _, sse := openStream(t, r.public, "/sse?channels=a")
		_, _, stream := openStream(t, r.public, "/stream?channels=a")
		poll := newPeer(t, r.public)
		poll.get("/poll?channels=a")
		rest := func(read func([]byte) (int, error)) (text string) {
			b := make([]byte, 4096)
			for {
				n, err := read(b)
				text += string(b[:n])
				if err != nil {
					return text
				}
			}
		}
		wait = append(wait,
			func() {
				for m, ok := socket.frame(); ok; m, ok = socket.frame() {
					if m.op == ws.OpClose {
						note("ws", m.data[2:], `^going_away retry=(\d+)$`)
					}
				}
				socket.Close()
			},
			func() {
				note("sse", rest(sse.Read), `\n\nevent: closing\ndata: \{"closing":"going_away","retry":(\d+)\}\nretry: (\d+)\n\n`)
			},
			func() { note("stream", rest(stream.Read), `\{"closing":"going_away","retry":(\d+)\}\n`) },
			func() { note("poll", poll.want(200), `"position":"\w+\.\d+","recovered":true,"retry":(\d+)\}$`) })
	}
	waitFor(t, "polls to park", func() bool { return r.Stats().Connections["poll"] == each })
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		done <- r.Stop(ctx)
	}()
	for _, f := range wait {
		f()
	}
	for name, times := range told {
		different := map[int]bool{}
		for _, n := range times {
			different[n] = true
			if n < 1 || n > int(window.Milliseconds()) {
				t.Errorf("%s: %d ms", name, n)
			}
		}
		if len(times) != each || len(different) < each/2 {
			t.Errorf("%s: %v", name, fmt.Sprint(times))
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
