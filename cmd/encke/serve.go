package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/netip"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"encke/edge"

	"github.com/docker/go-units"
	"github.com/spf13/pflag"
)

// serve runs the server until it is told to end.
func serve(args []string) int {
	set, err := parseServe(args)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(os.Stderr, "encke serve: %v\n", err)
		return 2
	}
	logger := log.New(os.Stderr, "encke: ", log.LstdFlags)
	set.Log = logger.Printf
	server, err := edge.New(set.Config)
	if err != nil {
		logger.Print(err)
		return 1
	}
	if set.check {
		fmt.Println("the settings can be used")
		return 0
	}
	limitHeap(set.Memory)
	public, backend, err := server.Start()
	if err != nil {
		logger.Print(err)
		return 1
	}
	greet(public, backend, set)
	path, integrity := server.Script()
	fmt.Printf("JavaScript client: http://%s%s (integrity %s)\n", shown(public), path, integrity)

	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	got := <-signals
	logger.Printf("%v: ending connections, at most %v", got, set.drain)
	ctx, cancel := context.WithTimeout(context.Background(), set.drain)
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

// limitHeap has the garbage collector work harder when the heap comes near the half of the budget that is not the kernel's,
// unless GOMEMLIMIT says otherwise.
func limitHeap(memory int64) {
	if memory > 0 && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memory / 2)
	}
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
func greet(public, backend netip.AddrPort, c settings) {
	fmt.Printf("clients: http://%s/   backend: http://%s/   (%d loops, %d connections, %s of memory)\n",
		shown(public), shown(backend), c.Loops, c.MaxConnections, units.BytesSize(float64(c.Memory)))
	fmt.Printf("console: http://%s/\n", shown(backend))
	tokens := len(c.Tokens.Secrets) > 0 || len(c.Tokens.Keys) > 0 || c.Tokens.KeySet != ""
	switch {
	case c.dev:
		fmt.Println("--dev: anybody who reaches the public address may read every channel")
		fmt.Printf("open http://%s/ and try:\n  curl -d 'hello' http://%s/channels/demo\n", shown(public), shown(backend))
	case len(c.Anonymous) == 0 && !tokens && !slices.ContainsFunc(c.Rules, opens):
		fmt.Println("no channel is readable yet: name some with --anonymous, or try things out with --dev")
	case len(c.Anonymous) == 0: // tokens and rules say who may read what
	default:
		fmt.Printf("readable without a token: %s; try:\n  curl -d 'hello' http://%s/channels/%s\n",
			strings.Join(c.Anonymous, " "), shown(backend), strings.TrimSuffix(c.Anonymous[0], "*"))
	}
}

// opens says whether a rule lets clients without a token subscribe.
func opens(r edge.Rule) bool { return r.Subscribe != nil && *r.Subscribe == "anybody" }

// shown is an address as a person on this machine would type it.
func shown(a netip.AddrPort) string {
	if a.Addr().IsUnspecified() {
		return fmt.Sprintf("localhost:%d", a.Port())
	}
	return a.String()
}
