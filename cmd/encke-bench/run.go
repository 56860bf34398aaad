package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"encke/bench"
	"encke/bench/report"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"
)

// run measures one scenario; scenario is empty where a flag names it.
func run(scenario string, args []string) int {
	o, files, err := parseRun(scenario, args)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(os.Stderr, "encke-bench: %v\n", err)
		return 2
	}
	if err := files.try(); err != nil {
		fmt.Fprintln(os.Stderr, "encke-bench:", err)
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	r, err := bench.Run(ctx, o)
	r.Print(os.Stdout)
	err = errors.Join(err, files.save(r))
	if err != nil {
		fmt.Fprintln(os.Stderr, "encke-bench:", err)
		return 1
	}
	return 0
}

// files are where the report goes too.
type files struct{ json, html string }

// try says at once what would otherwise show only when the run is over.
func (f files) try() error {
	for _, name := range []string{f.json, f.html} {
		if name == "" {
			continue
		}
		w, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o644)
		if err != nil {
			return fmt.Errorf("cannot save the report: %w", err)
		}
		_ = w.Close()
	}
	return nil
}

func (f files) save(r *report.Report) (err error) {
	if f.json != "" {
		err = r.Save(f.json)
	}
	if f.html != "" {
		err = errors.Join(err, r.SaveHTML(f.html))
	}
	return err
}

// scenarioOf finds --scenario before the other flags are read, since their defaults depend on it.
func scenarioOf(args []string) string {
	for i, a := range args {
		if v, ok := strings.CutPrefix(a, "--scenario="); ok {
			return v
		}
		if a == "--scenario" && i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}

func parseRun(scenario string, args []string) (o bench.Options, to files, err error) {
	named := scenario != ""
	if !named {
		scenario = scenarioOf(args)
	}
	o = bench.Defaults(scenario)
	f := pflag.NewFlagSet("run", pflag.ContinueOnError)
	f.SortFlags = false
	f.Usage = func() { help(scenario, f) }
	if !named {
		f.StringVar(&o.Scenario, "scenario", scenario, "what is measured: one of the above")
	}
	targetFlags(f, &o.Target)
	clientFlags(f, &o)
	loadFlags(f, &o)
	quiet := f.Bool("quiet", false, "no progress on standard error")
	f.IntVar(&o.Runs, "runs", o.Runs, "how often")
	f.BoolVar(&o.Floor, "floor", o.Floor, "measure the bare kernel before each run")
	f.DurationVar(&o.TimeLimit, "time-limit", o.TimeLimit, "of all runs together")
	f.StringVar(&to.json, "json", "", "also write the report as JSON to this `file`")
	f.StringVar(&to.html, "html", "", "also write it as one page of HTML with charts to this `file`")
	if err = f.Parse(args); err != nil {
		return
	}
	switch {
	case f.NArg() > 0:
		return o, to, fmt.Errorf("cannot use argument %q: flags only", f.Arg(0))
	case o.Scenario == "":
		return o, to, fmt.Errorf("name a --scenario:\n  %s", strings.Join(bench.Scenarios(), "\n  "))
	}
	if len(o.Remote) > 0 {
		if o.Secret, err = secret(); err != nil {
			return
		}
	}
	o.Target.Key, o.Target.TokenSecret = os.Getenv(keyVariable), os.Getenv(bench.TokenSecretVariable)
	if o.Users > 0 && !f.Changed("encke-json") {
		o.JSON = true // encke.raw has no channel of the user's own
	}
	o.Command, o.Commit = append([]string{"encke-bench"}, os.Args[1:]...), version
	if !*quiet {
		o.Progress, o.Terminal = os.Stderr, terminal(os.Stderr)
	}
	return o, to, o.Check()
}

func help(scenario string, f *pflag.FlagSet) {
	if scenario == "" {
		fmt.Printf("Scenarios:\n  %s\n\n", strings.Join(bench.Scenarios(), "\n  "))
	}
	fmt.Printf("Flags (defaults are those of the scenario named):\n%s", f.FlagUsages())
}

func targetFlags(f *pflag.FlagSet, t *bench.Target) {
	f.StringVar(&t.Kind, "kind", t.Kind, "what is measured: encke, or one of its peers: nchan, coder, ws, uws")
	f.StringVar(&t.Server, "server", t.Server, "the `program` to start for each run, instead of bin/encke or bench/peers/run.sh")
	f.IntVar(&t.Loops, "loops", t.Loops, "its loops, threads or workers")
	f.IntVar(&t.Processes, "processes", t.Processes, "encke: how many processes share the public port")
	f.StringSliceVar(&t.Args, "server-args", nil, "more `arguments` for it")
	f.StringVar(&t.Public, "target", "", "a server that runs: its `URL` for clients, ws://host:port")
	f.StringVar(&t.Backend, "backend", "", "its `URL` for pushes and figures, http://host:port; the key that it asks for is in "+keyVariable)
	f.IntVar(&t.PID, "pid", 0, "its process, for processor time and memory")
}

func clientFlags(f *pflag.FlagSet, o *bench.Options) {
	f.IntVarP(&o.Clients, "clients", "n", o.Clients, "simulated clients; connect: handshakes")
	f.StringVar(&o.Transport, "transport", o.Transport, "ws, ws0 (no channel), sse, stream, longpoll, poll; several with weights: ws=4,sse=1")
	f.BoolVar(&o.JSON, "encke-json", o.JSON, "WebSocket clients speak encke.json instead of encke.raw")
	f.Float64Var(&o.Ramp, "ramp", o.Ramp, "new connections a second; 0: as fast as handshakes are answered")
	f.IntVar(&o.Concurrency, "concurrency", o.Concurrency, "handshakes under way at a time")
	f.DurationVar(&o.Interval, "interval", o.Interval, "of interval polls")
	f.IntVar(&o.Users, "users", o.Users, "clients bring tokens of so many users, client i that of user i modulo so many, and WebSocket clients speak encke.json; 0: no tokens. The secret of a server that runs is in "+bench.TokenSecretVariable)
	f.IntVar(&o.From, "from", o.From, "idle: connections at the first measurement")
	f.Float64Var(&o.Settle, "settle", o.Settle, "idle, churn: seconds over which the smallest figures are taken; presence: over which the server rests")
	f.Float64Var(&o.Slow, "slow", o.Slow, "slow: share of the clients that never read")
	f.Float64Var(&o.ChurnRate, "churn", o.ChurnRate, "churn: arrivals, departures and subscriptions a second")
	f.Float64Var(&o.Tolerance, "tolerance", o.Tolerance, "churn: share by which the server's memory may have grown")
	f.StringVar(&o.Presence, "presence", o.Presence, "presence: what the server keeps of who is there: members, or off for the same storm without")
	f.DurationVar(&o.Grace, "user-grace", o.Grace, "presence: for how long users stay when their connections have gone; of a server that runs, as it was started")
	f.IntVar(&o.Followers, "followers", o.Followers, "presence: who are told of comings and goings")
	f.StringSliceVar(&o.Sources, "source", nil, "local `addresses` or prefixes of clients; towards loopback 127.0.0.0/8 by itself")
	f.IntVar(&o.Workers, "workers", o.Workers, "worker processes on this machine, at least; 0: as many as the load and descriptors ask for")
	f.IntVar(&o.WorkerLoops, "worker-loops", o.WorkerLoops, "event loops, and processors, of each; 0: one")
	f.StringSliceVar(&o.Remote, "worker", nil, "`addresses` of encke-bench worker on other machines, instead of workers here; the secret is in "+secretVariable)
}

func loadFlags(f *pflag.FlagSet, o *bench.Options) {
	f.IntVar(&o.Channels, "channels", o.Channels, "targeted: channels, each with one client")
	f.IntVar(&o.Size, "size", o.Size, "bytes of a message")
	f.Float64Var(&o.Rate, "rate", o.Rate, "messages a second")
	f.BoolVar(&o.Saturate, "saturate", o.Saturate, "push as fast as the server acknowledges")
	f.IntVar(&o.Publishers, "publishers", o.Publishers, "connections that push, with --saturate, targeted or http")
	f.IntVar(&o.Window, "window", o.Window, "with --saturate: messages that may be under way to the average client; 0: any number")
	f.IntVar(&o.Batch, "batch", o.Batch, "targeted: push so many JSON lines in one request; 0: a request for each message")
	f.IntVar(&o.Messages, "messages", o.Messages, "million: how many are pushed")
	f.Float64Var(&o.Seconds, "seconds", o.Seconds, "how long")
}

// terminal returns what tells the width of a terminal, nil where f is none.
func terminal(f *os.File) func() int {
	width := func() int {
		w, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
		if err != nil {
			return 0
		}
		return int(w.Col)
	}
	if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err != nil {
		return nil
	}
	return width
}
