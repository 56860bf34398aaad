package bench

import (
	"context"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"encke/edge"
)

// TestMain lets this binary be the floor's process too.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == FloorCommand {
		if FloorChild(os.Stdin, os.Stdout) != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// startEdge runs a server in this process.
func startEdge(t *testing.T) Target {
	t.Helper()
	c := edge.Defaults()
	c.Listen, c.Backend, c.Loops, c.Anonymous = "127.0.0.1:0", "127.0.0.1:0", 2, []string{"*"}
	s, err := edge.New(c)
	if err != nil {
		t.Fatal(err)
	}
	public, backend, err := s.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return Target{Kind: "encke", Public: "ws://" + public.String(), Backend: "http://" + backend.String(), PID: os.Getpid()}
}

// well fails the test unless the scenario ran and measured something.
func well(t *testing.T, r *Report, err error, figures ...string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	r.Print(&table)
	for _, name := range figures {
		if r.median(name) <= 0 {
			t.Errorf("%s was not measured:\n%s", name, table.String())
		}
	}
}

func TestBroadcast(t *testing.T) {
	b := Broadcast{Target: startEdge(t), Subscribers: 50, Size: 128, Rate: 50, Publishers: 4, Seconds: 0.2,
		Window: 64, ClientLoops: 2}
	for _, b.Subprotocol = range []string{"encke.raw", "encke.json"} {
		for _, b.Saturate = range []bool{false, true} {
			r, err := b.Run()
			well(t, r, err, "deliveries/s", "server sends per delivery", "latency p99")
			if n := r.median("messages/s"); n < 20 {
				t.Errorf("%s: only %v messages a second", r.Scenario, n)
			}
		}
	}
}

func TestFloor(t *testing.T) {
	for _, b := range []Broadcast{{Rate: 50, Seconds: 0.2}, {Saturate: true, Seconds: 0.2}} {
		b.Subscribers, b.Size, b.ClientLoops, b.Target.Loops = 50, 128, 1, 3
		r := &Report{}
		well(t, r, b.floor(r), "floor writes/s")
	}
}

func TestTargeted(t *testing.T) {
	l := Targeted{Target: startEdge(t), Channels: 50, Connections: 4, Size: 64, Seconds: 0.2, ClientLoops: 1}
	for _, l.Batch = range []int{0, 5} {
		r, err := l.Run()
		well(t, r, err, "publishes/s")
	}
}

func TestHandshakesAndRequests(t *testing.T) {
	target := startEdge(t)
	r, err := Handshakes{Target: target, Count: 200, Concurrency: 20, ClientLoops: 2, Floor: true}.Run()
	well(t, r, err, "server handshakes/s", "floor handshakes/s")
	r, err = Requests{Target: target, Connections: 4, Seconds: 0.1}.Run()
	well(t, r, err, "GET /healthz: requests/s", "GET /poll wait=0: requests/s", "POST /channels/x: requests/s")
}

func TestIdle(t *testing.T) {
	for _, transport := range []string{"ws", "ws1", "poll", "sse", "stream"} {
		r, err := Idle{Target: startEdge(t), Transport: transport, From: 10, To: 30, ClientLoops: 1}.Run()
		well(t, r, err, "server RSS at 30")
	}
}

// TestWrongDeliveriesFail lets a server that loses every third message be measured.
func TestWrongDeliveriesFail(t *testing.T) {
	target := startEdge(t)
	s, err := target.open()
	if err != nil {
		t.Fatal(err)
	}
	f, err := newFleet(1)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	subs := newSubscribers(3, upgrade("/ws?channels=b", "encke.raw"), 64, 1, false)
	if err := f.connect(f.subscribers(), s.public, peersOf(subs)); err != nil {
		t.Fatal(err)
	}
	lossy := newPublisher(0, "b", 64, new(atomic.Int64), new(atomic.Int64), new(atomic.Int64))
	whole := lossy.poster.next
	lossy.poster.next = func(b []byte) ([]byte, bool) {
		b, ok := whole(b)
		if ok && lossy.acked == 2 { // the third goes elsewhere
			b = []byte(strings.Replace(string(b), "/channels/b", "/channels/x", 1))
		}
		return b, ok
	}
	if err := f.connect(f.workers[:1], s.backend, peersOf([]*publisher{lossy})); err != nil {
		t.Fatal(err)
	}
	b := Broadcast{Rate: 100, Seconds: 0.06}
	if err := b.pace(f, lossy); err != nil {
		t.Fatal(err)
	}
	_ = f.wait("deliveries", 5*time.Second, func() bool { return f.delivered() == 15 })
	pubs := []*publisher{lossy}
	if got := verify(f, subs, pubs, true); got != (Faults{Lost: 3}) || got.Err() == nil {
		t.Errorf("three subscribers missed one of six: %+v", got)
	}
}

func TestBadTargets(t *testing.T) {
	slam, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer slam.Close()
	go func() { // ends with slam
		for {
			c, err := slam.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	shut, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = shut.Close()
	good := startEdge(t)
	at := func(l net.Listener) Target {
		return Target{Kind: "uws", Public: "ws://" + l.Addr().String(), Backend: "http://" + l.Addr().String()}
	}
	for _, c := range []struct {
		name   string
		target Target
		subs   int
		want   string
	}{
		{"unreachable", at(shut), 5, "cannot reach the server"},
		{"closes at once", at(slam), 5, "closed the connection"},
		{"no URL", Target{Kind: "encke", Public: "nonsense"}, 5, "a URL such as"},
		{"no program", Target{Kind: "encke", Server: "/nonexistent", Loops: 1}, 5, "cannot start the server"},
		{"program ends", Target{Kind: "encke", Server: "/bin/false", Loops: 1}, 5, "ended at once"},
		{"unknown kind", Target{Kind: "apache"}, 5, "encke or uws"},
		{"descriptors", good, 1 << 30, "ulimit -n"},
	} {
		if c.subs > 1<<20 {
			if err := needDescriptors(c.subs); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		_, err := Broadcast{Target: c.target, Subscribers: c.subs, Size: 64, Rate: 10, Publishers: 1, Seconds: 0.1,
			Subprotocol: "encke.raw", ClientLoops: 1}.Run()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
