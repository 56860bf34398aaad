package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"encke/bench/suite"

	"github.com/spf13/pflag"
)

// compare measures encke and its peers, and writes BENCHMARKS.md.
func compare(args []string) int {
	s := suite.Settings{Progress: os.Stderr, Commit: version}
	f := pflag.NewFlagSet("compare", pflag.ContinueOnError)
	f.SortFlags = false
	f.Usage = func() {
		fmt.Printf("Measure encke and its peers side by side and write BENCHMARKS.md.\n\nFlags of encke-bench compare:\n%s", f.FlagUsages())
	}
	out := f.String("out", "", "the `file` to write; empty: standard output")
	f.IntVar(&s.Runs, "runs", 3, "of each row, the servers taking turns")
	f.StringSliceVar(&s.Only, "only", nil, "`rows`: "+fmt.Sprint(suite.Keys()))
	f.StringSliceVar(&s.Kinds, "kinds", nil, "`servers`: encke, nchan, coder, ws")
	f.Float64Var(&s.Scale, "scale", 1, "of times and numbers of clients, for trying out")
	switch err := f.Parse(args); {
	case errors.Is(err, pflag.ErrHelp):
		return 0
	case err != nil || f.NArg() > 0 || s.Runs < 1 || s.Scale <= 0 || s.Scale > 1:
		fmt.Fprintln(os.Stderr, "encke-bench compare: at least one run, a scale above 0 and at most 1, flags only:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	res, err := suite.Measure(ctx, s)
	var page bytes.Buffer
	if err == nil {
		err = res.Write(&page)
	}
	if err == nil && *out == "" {
		_, err = os.Stdout.Write(page.Bytes())
	} else if err == nil {
		err = os.WriteFile(*out, page.Bytes(), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "encke-bench compare:", err)
		return 1
	}
	return 0
}
