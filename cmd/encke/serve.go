package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/netip"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"encke/edge"
	"encke/page"

	"github.com/spf13/pflag"
)

// serve runs the server until it is told to end.
func serve(args []string) int {
	config, dev, drain, err := parseServe(args)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(os.Stderr, "encke serve: %v\n", err)
		return 2
	}
	logger := log.New(os.Stderr, "encke: ", log.LstdFlags)
	config.Log = logger.Printf
	server, err := edge.New(config)
	if err != nil {
		logger.Print(err)
		return 1
	}
	public, backend, err := server.Start()
	if err != nil {
		logger.Print(err)
		return 1
	}
	greet(public, backend, dev, config)

	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	got := <-signals
	logger.Printf("%v: ending connections, at most %v", got, drain)
	ctx, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	go func() { // ends with the process: a second signal does not wait
		<-signals
		cancel()
	}()
	if err := server.Stop(ctx); err != nil {
		logger.Print(err)
		return 1
	}
	logger.Print("ended")
	return 0
}

// parseServe reads flags into a configuration.
func parseServe(args []string) (c edge.Config, dev bool, drain time.Duration, err error) {
	c = edge.Defaults()
	c.Loops = min(runtime.GOMAXPROCS(0), 64)
	c.MaxConnections = descriptors() - 64
	f := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	f.SortFlags = false
	f.Usage = func() {
		fmt.Printf("Run the server. Clients connect to --listen, the backend pushes to --backend.\n\nFlags of encke serve:\n%s", f.FlagUsages())
	}
	f.StringVar(&c.Listen, "listen", c.Listen, "public `address` for clients, host:port; without a host every IPv4 and IPv6 address")
	f.StringVar(&c.Backend, "backend", c.Backend, "backend `address` for pushes, figures and health; keep it away from clients")
	f.BoolVar(&dev, "dev", false, "for trying out: clients without a token may read every channel, and / shows the live page")
	f.StringSliceVar(&c.Anonymous, "anonymous", nil, "`channels` that clients without a token may read: names, or a prefix and *; none by default")
	f.IntVar(&c.Loops, "loops", c.Loops, "event loops, 1 to 64; by default one for each processor")
	f.IntVar(&c.MaxConnections, "max-connections", c.MaxConnections, "connections held at once; more get 503. By default the descriptor limit less 64")
	f.IntVar(&c.MaxPerAddress, "max-connections-per-address", c.MaxPerAddress, "connections of one address (of IPv6 the first 64 bits); more get 429; 0: any number")
	f.Float64Var(&c.ConnectionRate, "connection-rate", c.ConnectionRate, "new connections a second that are served; more get 429; 0: any number")
	f.Float64Var(&c.ConnectionRatePerAddress, "connection-rate-per-address", c.ConnectionRatePerAddress, "new connections a second of one address; 0: any number")
	f.IntVar(&c.MaxMessage, "max-message-size", c.MaxMessage, "bytes of one message, from clients or the backend")
	f.IntVar(&c.MaxBody, "max-body-size", c.MaxBody, "bytes of one backend request's body, e.g. a batch")
	f.IntVar(&c.MaxHeader, "max-header-size", c.MaxHeader, "bytes of request line and headers together")
	f.IntVar(&c.MaxChannels, "max-channels", c.MaxChannels, "channels of one connection")
	f.IntVar(&c.MaxPending, "max-pending", c.MaxPending, "bytes that may wait for one slow reader before it is disconnected")
	f.IntVar(&c.MaxBacklog, "max-backlog", c.MaxBacklog, "bytes of publications that may wait in one loop before pushes have to wait")
	f.DurationVar(&c.HeaderTimeout, "header-timeout", c.HeaderTimeout, "time for a request's headers to arrive")
	f.DurationVar(&c.BodyTimeout, "body-timeout", c.BodyTimeout, "time for a request's body to arrive")
	f.DurationVar(&c.IdleTimeout, "idle-timeout", c.IdleTimeout, "time that a keep-alive connection may be idle between requests")
	f.DurationVar(&c.WriteTimeout, "write-timeout", c.WriteTimeout, "time that output may wait for a slow reader before it is disconnected")
	f.DurationVar(&c.PublishTimeout, "publish-timeout", c.PublishTimeout, "time that a push may wait for loops that are behind before it gets 503")
	f.DurationVar(&c.PingInterval, "ping-interval", c.PingInterval, "silence after which a WebSocket is pinged, and interval of the heartbeats of streams")
	f.DurationVar(&c.ReturnWithin, "return-within", c.ReturnWithin, "at shutdown clients are told to come back at a random time within this; 0: as long as 5,000 a second take")
	f.IntVar(&c.HistoryLength, "history-length", c.HistoryLength, "publications kept in each channel; 0 keeps none")
	f.DurationVar(&c.HistoryAge, "history-age", c.HistoryAge, "how long publications are kept")
	f.Int64Var(&c.HistoryMemory, "history-memory", c.HistoryMemory, "bytes of all history together; the oldest goes first")
	f.DurationVar(&c.IDAge, "message-id-age", c.IDAge, "how long ids given by publishers are remembered, so that a push made again is stored once; 0: not at all")
	f.Int64Var(&c.IDMemory, "message-id-memory", c.IDMemory, "bytes of all such ids together; beyond it the oldest are forgotten")
	f.DurationVar(&drain, "drain-timeout", 10*time.Second, "time for connections to end in order at SIGTERM or SIGINT")
	f.BoolVar(&c.Echo, "echo", false, "serve /echo, a WebSocket echo for conformance suites and latency probes")
	f.BoolVar(&c.SharePort, "share-port", false, "let several encke processes listen on the same ports (SO_REUSEPORT)")
	if err = f.Parse(args); err != nil {
		return
	}
	if f.NArg() > 0 {
		err = fmt.Errorf("cannot use argument %q: flags only", f.Arg(0))
	}
	if dev {
		c.Page = page.HTML
		c.Anonymous = append(c.Anonymous, "*")
	}
	return
}

// descriptors returns how many descriptors this process may open, after raising its soft limit to the hard one.
func descriptors() int {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 1024
	}
	if l.Cur < l.Max {
		raised := syscall.Rlimit{Cur: l.Max, Max: l.Max}
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) == nil {
			l.Cur = l.Max
		}
	}
	return int(min(l.Cur, 1<<30))
}

// greet says where to go and what to try.
func greet(public, backend netip.AddrPort, dev bool, c edge.Config) {
	fmt.Printf("clients: http://%s/   backend: http://%s/   (%d loops, %d connections)\n", shown(public), shown(backend), c.Loops, c.MaxConnections)
	switch {
	case dev:
		fmt.Println("--dev: anybody who reaches the public address may read every channel")
		fmt.Printf("open http://%s/ and try:\n  curl -d 'hello' http://%s/channels/demo\n", shown(public), shown(backend))
	case len(c.Anonymous) == 0:
		fmt.Println("no channel is readable yet: name some with --anonymous, or try things out with --dev")
	default:
		fmt.Printf("readable without a token: %s; try:\n  curl -d 'hello' http://%s/channels/%s\n",
			strings.Join(c.Anonymous, " "), shown(backend), strings.TrimSuffix(c.Anonymous[0], "*"))
	}
}

// shown is an address as a person on this machine would type it.
func shown(a netip.AddrPort) string {
	if a.Addr().IsUnspecified() {
		return fmt.Sprintf("localhost:%d", a.Port())
	}
	return a.String()
}
