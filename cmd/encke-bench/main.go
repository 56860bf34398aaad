// Command encke-bench measures Encke from the outside: every delivery verified, every run bounded.
package main

import (
	"fmt"
	"os"
	"runtime"

	"encke/bench"
	"encke/bench/fleet"
	"encke/bench/floor"
)

const usage = `encke-bench measures an Encke server, which it starts itself, or any that runs.

Usage:
  encke-bench run --scenario NAME [flags]   one scenario; encke-bench run --help lists them
  encke-bench million [flags]               fill this machine with connections, up to a million, and push to all of them
  encke-bench floor [flags]                 what the kernel alone costs
  encke-bench compare [flags]               measure encke and its peers side by side, and write BENCHMARKS.md
  encke-bench worker --listen HOST:PORT     lend this machine's connections to a coordinator on another one
  encke-bench version                       print the version

The status is 0 when all was well, 1 when a delivery was wrong or the run failed, 2 for wrong usage.
`

// version is set by the Makefile (-ldflags -X main.version=…).
var version = "unreleased"

func main() { os.Exit(command(os.Args[1:])) }

func command(args []string) int {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return 2
	}
	switch args[0] {
	case "run":
		return run("", args[1:])
	case "million", "floor":
		return run(args[0], args[1:])
	case "compare":
		return compare(args[1:])
	case "worker":
		return worker(args[1:])
	case bench.FloorCommand:
		return child(floor.Main(os.Args[2:], os.Stdin, os.Stdout))
	case bench.WorkerCommand:
		return child(fleet.Serve(os.Stdin, os.Stdout, runtime.NumCPU(), os.Getenv(bench.TokenSecretVariable)))
	case "version", "--version":
		fmt.Println("encke-bench", version)
		return 0
	case "help", "--help", "-h":
		fmt.Print(usage)
		return 0
	}
	fmt.Fprintf(os.Stderr, "encke-bench: unknown command %q\n\n%s", args[0], usage)
	return 2
}

// child ends a process that encke-bench started of itself.
func child(err error) int {
	if err != nil {
		fmt.Fprintln(os.Stderr, "encke-bench:", err)
		return 1
	}
	return 0
}
