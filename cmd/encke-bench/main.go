// Command encke-bench measures Encke from the outside: every delivery verified, every run bounded.
package main

import (
	"errors"
	"fmt"
	"os"

	"encke/bench"

	"github.com/spf13/pflag"
)

const usage = `encke-bench measures an Encke server, which it starts itself, or any that runs.

Usage:
  encke-bench broadcast [flags]    one channel, many WebSocket subscribers
  encke-bench idle [flags]         memory of idle connections
  encke-bench targeted [flags]     many channels with one subscriber each
  encke-bench handshakes [flags]   WebSocket handshakes
  encke-bench http [flags]         small keep-alive requests
  encke-bench floor [flags]        what the kernel alone costs

encke-bench SCENARIO --help explains its flags. The status is 0 when all was well, 1 when a delivery was wrong or the
target failed, 2 for wrong usage.
`

func main() { os.Exit(run(os.Args[1:])) }

// runner is a scenario with its flags set.
type runner func() (*bench.Report, error)

func run(args []string) int {
	if len(args) == 0 || args[0] == "help" || args[0] == "--help" || args[0] == "-h" {
		fmt.Print(usage)
		return 0
	}
	if args[0] == bench.FloorCommand {
		if err := bench.FloorChild(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "encke-bench floor:", err)
			return 1
		}
		return 0
	}
	make, ok := scenarios[args[0]]
	if !ok {
		fmt.Fprintf(os.Stderr, "encke-bench: unknown scenario %q\n\n%s", args[0], usage)
		return 2
	}
	f := pflag.NewFlagSet(args[0], pflag.ContinueOnError)
	f.SortFlags = false
	f.Usage = func() { fmt.Printf("Flags of encke-bench %s:\n%s", args[0], f.FlagUsages()) }
	file := f.String("json", "", "also write the report as JSON to this `file`")
	measure := make(f)
	switch err := f.Parse(args[1:]); {
	case errors.Is(err, pflag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(os.Stderr, "encke-bench %s: %v\n", args[0], err)
		return 2
	case f.NArg() > 0:
		fmt.Fprintf(os.Stderr, "encke-bench %s: cannot use argument %q: flags only\n", args[0], f.Arg(0))
		return 2
	}
	return report(measure, *file)
}

func report(measure runner, file string) int {
	r, err := measure()
	if r != nil {
		r.Print(os.Stdout)
		if file != "" {
			err = errors.Join(err, r.Save(file))
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "encke-bench:", err)
		return 1
	}
	return 0
}
