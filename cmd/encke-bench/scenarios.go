package main

import (
	"encke/bench"

	"github.com/spf13/pflag"
)

// scenarios make a runner and declare its flags.
var scenarios = map[string]func(*pflag.FlagSet) runner{
	"broadcast":  broadcast,
	"idle":       idle,
	"targeted":   targeted,
	"handshakes": handshakes,
	"http":       requests,
	"floor":      floor,
}

func target(f *pflag.FlagSet, t *bench.Target) {
	f.StringVar(&t.Kind, "target-kind", "encke", "what is measured: encke or uws")
	f.StringVar(&t.Server, "server", "bin/encke", "the server's `program`, started for each run")
	f.IntVar(&t.Loops, "loops", 4, "its loops or threads")
	f.StringSliceVar(&t.Args, "server-args", nil, "more `arguments` for it")
	f.StringVar(&t.Public, "target", "", "a server that runs: its `URL`, ws://host:port, for clients")
	f.StringVar(&t.Backend, "backend", "", "its `URL`, http://host:port, for pushes and figures")
	f.IntVar(&t.PID, "pid", 0, "its process, for processor time and memory")
}

func clientLoops(f *pflag.FlagSet, n *int) {
	f.IntVar(n, "client-loops", 2, "loops of this program that hold clients; one more makes requests")
}

func broadcast(f *pflag.FlagSet) runner {
	var b bench.Broadcast
	target(f, &b.Target)
	clientLoops(f, &b.ClientLoops)
	f.IntVar(&b.Subscribers, "subscribers", 10000, "WebSocket subscribers")
	f.IntVar(&b.Size, "size", 128, "bytes of a message")
	f.Float64Var(&b.Rate, "rate", 5, "messages a second")
	f.BoolVar(&b.Saturate, "saturate", false, "post as fast as the server acknowledges")
	f.IntVar(&b.Publishers, "publishers", 16, "with --saturate: connections that post")
	f.IntVar(&b.Window, "window", 256, "with --saturate: messages that may be under way to the average subscriber; 0: any number")
	f.Float64Var(&b.Seconds, "seconds", 10, "how long")
	f.StringVar(&b.Subprotocol, "subprotocol", "encke.raw", "encke.raw or encke.json")
	f.IntVar(&b.Runs, "runs", 1, "how often")
	f.BoolVar(&b.Floor, "floor", true, "measure the bare kernel before each run")
	return func() (*bench.Report, error) { return b.Run() } // b's flags are set by then
}

func targeted(f *pflag.FlagSet) runner {
	var t bench.Targeted
	target(f, &t.Target)
	clientLoops(f, &t.ClientLoops)
	f.IntVar(&t.Channels, "channels", 10000, "channels, each with one WebSocket subscriber")
	f.IntVar(&t.Connections, "connections", 32, "keep-alive connections that push, each one request at a time")
	f.IntVar(&t.Batch, "batch", 0, "push so many JSON lines in one POST /publish; 0: POST /channels/NAME")
	f.IntVar(&t.Size, "size", 128, "bytes of a message")
	f.Float64Var(&t.Seconds, "seconds", 5, "how long")
	f.IntVar(&t.Runs, "runs", 1, "how often")
	return func() (*bench.Report, error) { return t.Run() }
}

func handshakes(f *pflag.FlagSet) runner {
	var h bench.Handshakes
	target(f, &h.Target)
	clientLoops(f, &h.ClientLoops)
	f.IntVar(&h.Count, "count", 20000, "handshakes")
	f.IntVar(&h.Concurrency, "concurrency", 200, "how many at a time")
	f.IntVar(&h.Runs, "runs", 1, "how often")
	f.BoolVar(&h.Floor, "floor", true, "measure the bare kernel before each run")
	return func() (*bench.Report, error) { return h.Run() }
}

func requests(f *pflag.FlagSet) runner {
	var q bench.Requests
	target(f, &q.Target)
	f.IntVar(&q.Connections, "connections", 64, "keep-alive connections, each one request at a time")
	f.Float64Var(&q.Seconds, "seconds", 5, "how long each kind of request is made")
	f.IntVar(&q.Runs, "runs", 1, "how often")
	return func() (*bench.Report, error) { return q.Run() }
}

func idle(f *pflag.FlagSet) runner {
	var i bench.Idle
	target(f, &i.Target)
	clientLoops(f, &i.ClientLoops)
	f.StringVar(&i.Transport, "transport", "ws", "ws (no channel), ws1 (one shared channel), poll, sse or stream")
	f.IntVar(&i.From, "from", 1000, "connections at the first measurement")
	f.IntVar(&i.To, "to", 15000, "connections at the second")
	f.Float64Var(&i.Settle, "settle", 5, "seconds over which the smallest figures are taken")
	f.IntVar(&i.Runs, "runs", 1, "how often")
	return func() (*bench.Report, error) { return i.Run() }
}

func floor(f *pflag.FlagSet) runner {
	var l bench.Floor
	b, h := &l.Broadcast, &l.Handshakes
	clientLoops(f, &b.ClientLoops)
	f.IntVar(&b.Subscribers, "subscribers", 10000, "sockets that are written to")
	f.IntVar(&b.Size, "size", 128, "bytes of a message")
	f.Float64Var(&b.Rate, "rate", 5, "messages a second")
	f.BoolVar(&b.Saturate, "saturate", false, "write as fast as it goes, on --loops threads")
	f.IntVar(&b.Target.Loops, "loops", 4, "with --saturate: threads that write")
	f.Float64Var(&b.Seconds, "seconds", 10, "how long")
	f.IntVar(&h.Count, "count", 20000, "handshakes")
	f.IntVar(&h.Concurrency, "concurrency", 200, "how many at a time")
	f.IntVar(&b.Runs, "runs", 1, "how often")
	return func() (*bench.Report, error) {
		h.ClientLoops = b.ClientLoops
		return l.Run()
	}
}
