package edge_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"

	"encke/edge"
	"encke/wsframe"

	"bufio"
	"bytes"

	"github.com/gobwas/ws"
)

// mallocs returns how many objects the whole process has allocated, clients of the test included.
func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

// TestDeliveryAllocatesNothingForASubscriber compares the same pushes with few and with many subscribers: the difference
// is what the subscribers cost.
func TestDeliveryAllocatesNothingForASubscriber(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	const pushes = 200
	cost := func(subscribers int) float64 {
		r := newRig(t, func(c *edge.Config) { c.Loops = 2 })
		var all []net.Conn
		for range subscribers {
			all = append(all, openWS(t, r.public, "/ws?channels=a", "").Conn)
		}
		c := connect(t, r.backend)
		answers, buf := bufio.NewReader(c), make([]byte, 4096)
		push := func() {
			_, _ = io.WriteString(c, "POST /channels/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello")
			res, err := http.ReadResponse(answers, nil)
			if err != nil || res.StatusCode != 201 {
				t.Fatal(res, err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
		}
		drain := func() {
			for _, s := range all {
				for got := 0; got == 0 || !bytes.HasSuffix(buf[:got], []byte("}")); {
					n, err := s.Read(buf[got:])
					if err != nil {
						t.Fatal(err)
					}
					got += n
				}
			}
		}
		for range 20 { // until buffers have their size
			push()
		}
		drain()
		before := mallocs()
		for range pushes {
			push()
		}
		after := mallocs()
		delivered := uint64(0)
		waitFor(t, "all delivered", func() bool {
			delivered = r.Stats().Messages.Delivered
			return delivered == uint64((pushes+20)*subscribers)
		})
		return float64(after-before) / pushes
	}
	few, many := cost(5), cost(305)
	if each := (many - few) / 300; each > 0.05 {
		t.Errorf("a push allocates %.1f objects with 5 subscribers and %.1f with 305: %.2f for each", few, many, each)
	}
	if few > 120 { // the test's own client is in this figure too
		t.Errorf("a push allocates %.1f objects", few)
	}
}

// TestReceivedFrameAllocatesNothing echoes frames; the client reuses its buffers.
func TestReceivedFrameAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	r := newRig(t, func(c *edge.Config) { c.Loops = 1 })
	s := openWS(t, r.public, "/echo", "")
	frame := wsframe.AppendMasked(nil, ws.OpText, []byte("the same over and over"), [4]byte{1, 2, 3, 4}, true)
	buf := make([]byte, 24)
	echo := func() {
		_, _ = s.Write(frame)
		if _, err := io.ReadFull(s.r, buf); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		echo()
	}
	const n = 2000
	before := mallocs()
	for range n {
		echo()
	}
	if each := float64(mallocs()-before) / n; each > 0.05 {
		t.Error(fmt.Sprintf("%.2f objects a frame", each))
	}
}
