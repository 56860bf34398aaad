package bench

import (
	"context"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"encke/bench/fleet"
	"encke/bench/floor"
	"encke/bench/report"
	"encke/edge"
)

// TestMain lets this binary be the processes too that a run starts of itself.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case FloorCommand:
			end(floor.Main(os.Args[2:], os.Stdin, os.Stdout))
		case WorkerCommand:
			end(fleet.Serve(os.Stdin, os.Stdout, runtime.NumCPU(), os.Getenv(TokenSecretVariable)))
		}
	}
	os.Exit(m.Run())
}

func end(err error) {
	if err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

// startEdge runs a server in this process.
func startEdge(t *testing.T, keys ...edge.BackendKey) Target {
	t.Helper()
	c := edge.Defaults()
	c.Anonymous, c.BackendKeys = []string{"*"}, keys
	return start(t, c)
}

func start(t *testing.T, c edge.Config) Target {
	t.Helper()
	c.Listen, c.Backend, c.Loops = "127.0.0.1:0", "127.0.0.1:0", 2
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

// small are options that take little time.
func small(t *testing.T, scenario string, target Target) Options {
	o := Defaults(scenario)
	o.Target, o.Clients, o.Channels, o.Seconds, o.Rate, o.Settle, o.From = target, 60, 50, 0.3, 30, 0.2, 20
	o.Publishers, o.Interval, o.ChurnRate, o.TimeLimit = 4, 50*time.Millisecond, 300, time.Minute
	if testing.Verbose() {
		o.Progress = os.Stderr
	}
	return o
}

// TestScenarios runs each against a real server.
func TestScenarios(t *testing.T) {
	for _, c := range []struct {
		scenario string
		change   func(o *Options)
		figures  string // that must have been measured
	}{
		{"broadcast", nil, "deliveries/s, server CPU per delivery, server sends per delivery, latency p99, latency max"},
		{"broadcast", func(o *Options) { o.Saturate = true }, "deliveries/s, messages/s"},
		{"broadcast", func(o *Options) { o.Saturate, o.JSON = true, true }, "deliveries/s"},
		{"broadcast", func(o *Options) { o.Workers, o.Runs = 3, 2 }, "deliveries/s"},
		{"broadcast", func(o *Options) { o.Sources = []string{"127.7.0.0/28", "127.8.0.1"} }, "deliveries/s"},
		{"sse", nil, "latency p50"},
		{"stream", nil, "latency p50"},
		{"longpoll", nil, "latency p50"},
		{"poll", nil, "latency p50"},
		{"mixed", nil, "latency p50"},
		{"slow", func(o *Options) { o.Floor = false }, "latency p99 alone, latency p99 beside slow clients"},
		{"targeted", nil, "deliveries/s, latency p99"},
		{"targeted", func(o *Options) { o.Batch = 5 }, "deliveries/s"},
		{"connect", nil, "handshakes/s, server CPU per handshake, time to connect p99"},
		{"idle", nil, "server memory at 60"},
		{"idle", func(o *Options) { o.Transport, o.Floor = "longpoll", false }, "server memory at 60"},
		{"storm", nil, "comebacks/s, messages while they were away"},
		{"churn", func(o *Options) { o.Target, o.Tolerance = Target{Kind: "encke", Server: build(t), Loops: 2}, 1 },
			"connections made while churning, server memory after"},
		{"http", nil, "POST /channels/x: requests/s, GET /healthz: requests/s, GET /poll wait=0: requests/s"},
		{"floor", nil, ""},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			t.Parallel()
			o := small(t, c.scenario, startEdge(t))
			if c.change != nil {
				c.change(&o)
			}
			r, err := Run(context.Background(), o)
			if err != nil || r.Partial != "" {
				t.Fatalf("%s: %v\n%s", r.Scenario, err, table(r))
			}
			for name := range strings.SplitSeq(c.figures, ", ") {
				if name != "" && r.Median(name) <= 0 {
					t.Errorf("%s: %s was not measured:\n%s", r.Scenario, name, table(r))
				}
			}
			if c.scenario == "floor" && r.Figure("handshakes/s").Floor <= 0 {
				t.Errorf("the floor was not measured:\n%s", table(r))
			}
		})
	}
}

func table(r *report.Report) string {
	var b strings.Builder
	r.Print(&b)
	return b.String()
}

// TestMillion fills a machine, in small: several server processes on one port, several workers.
func TestMillion(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the server")
	}
	o := small(t, "million", Target{Kind: "encke", Server: build(t)})
	o.Clients, o.Messages, o.Workers = 300, 2, 2
	plan := scenarios["million"].plan
	r := &report.Report{}
	if err := plan(&o, r); err != nil || o.Clients != 300 || o.Target.Processes != 1 || len(r.Notes) == 0 {
		t.Fatalf("%v: %d clients, %d processes, %v", err, o.Clients, o.Target.Processes, r.Notes)
	}
	s := scenarios["million"]
	s.plan = func(o *Options, _ *report.Report) error { o.Target.Processes, o.Target.Loops = 3, 1; return nil }
	scenarios["million"] = s
	defer func() { s.plan = plan; scenarios["million"] = s }()
	r, err := Run(context.Background(), o)
	if err != nil || r.Median("deliveries verified") != 600 || r.Median("connections") != 300 {
		t.Errorf("%v\n%s", err, table(r))
	}
}

// TestBackendKey pushes, in every way, to a server that asks for a key.
func TestBackendKey(t *testing.T) {
	const key = "a-key-of-some-length"
	k, err := edge.ParseBackendKey(key)
	if err != nil {
		t.Fatal(err)
	}
	target := startEdge(t, k)
	for _, scenario := range []string{"broadcast", "targeted", "http"} {
		target.Key = key
		o := small(t, scenario, target)
		o.Floor = false
		if r, err := Run(context.Background(), o); err != nil {
			t.Errorf("%s: %v\n%s", scenario, err, table(r))
		}
		o.Batch = 10
		if r, err := Run(context.Background(), o); err != nil {
			t.Errorf("%s, in batches: %v\n%s", scenario, err, table(r))
		}
		o.Target.Key = ""
		if _, err := Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), "401") {
			t.Errorf("%s without the key: %v", scenario, err)
		}
	}
}

// listen lends workers of this machine to whoever knows the secret.
func listen(t *testing.T, secret string) (address string) {
	t.Helper()
	at := make(chan string, 1)
	go func() { // ends with the test binary
		_ = Listen("127.0.0.1:0", secret, func(_ string, args ...any) {
			select {
			case at <- strings.TrimSpace(toString(args[0])):
			default:
			}
		})
	}()
	return <-at
}

// TestRemoteWorkers puts clients into workers that are reached over TCP.
func TestRemoteWorkers(t *testing.T) {
	const shared = "a secret of some length"
	address := listen(t, shared)
	o := small(t, "broadcast", startEdge(t))
	o.Remote, o.Secret, o.Floor = []string{address, address}, shared, false
	r, err := Run(context.Background(), o)
	if err != nil || r.Median("deliveries/s") <= 0 || !strings.Contains(strings.Join(r.Notes, " "), "clocks") {
		t.Errorf("%v\n%s", err, table(r))
	}
	o.Secret = "another secret, just as long"
	if _, err = Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), "secret") {
		t.Errorf("with the wrong secret: %v", err)
	}
	o.Remote = []string{strings.TrimPrefix(o.Target.Backend, "http://")}
	if _, err = Run(context.Background(), o); err == nil || !strings.Contains(err.Error(), "nothing was said") {
		t.Errorf("at a web server: %v", err)
	}
	if err := Listen("127.0.0.1:0", "short", nil); err == nil {
		t.Error("a short secret was taken")
	}
}
