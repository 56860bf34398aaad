package main

import (
	"errors"
	"fmt"
	"log"
	"os"
	"strings"

	"encke/bench"

	"github.com/spf13/pflag"
)

// secretVariable names where coordinator and workers find what they share: the secret, or with _FILE a file that holds it.
// It is no flag, since everybody on a machine can read those.
const secretVariable = "ENCKE_BENCH_SECRET"

// keyVariable names where the key of a target's backend listener is found.
const keyVariable = "ENCKE_BENCH_KEY"

func secret() (string, error) {
	if s := os.Getenv(secretVariable); s != "" {
		return s, nil
	}
	if file := os.Getenv(secretVariable + "_FILE"); file != "" {
		b, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("cannot read the secret: %w", err)
		}
		return strings.TrimSpace(string(b)), nil
	}
	return "", fmt.Errorf("set %s, or %s_FILE, to the secret that coordinator and workers share", secretVariable, secretVariable)
}

// worker lends this machine's connections.
func worker(args []string) int {
	f := pflag.NewFlagSet("worker", pflag.ContinueOnError)
	f.Usage = func() {
		fmt.Printf("Lend connections of this machine to coordinators that know the secret (%s).\n\nFlags of encke-bench worker:\n%s", secretVariable, f.FlagUsages())
	}
	listen := f.String("listen", "", "`address` for coordinators, host:port; on a network that is your own")
	switch err := f.Parse(args); {
	case errors.Is(err, pflag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(os.Stderr, "encke-bench worker:", err)
		return 2
	case *listen == "" || f.NArg() > 0:
		fmt.Fprintln(os.Stderr, "encke-bench worker: --listen HOST:PORT is needed, and nothing else")
		return 2
	}
	s, err := secret()
	if err == nil {
		err = bench.Listen(*listen, s, log.Printf)
	}
	fmt.Fprintln(os.Stderr, "encke-bench worker:", err)
	return 1
}
