package main

import (
	"errors"
	"fmt"
	"os"

	"encke/tools/doctor"

	"github.com/spf13/pflag"
)

// diagnose compares this machine with what connections need.
func diagnose(args []string) int {
	f := pflag.NewFlagSet("doctor", pflag.ContinueOnError)
	f.SortFlags = false
	f.Usage = func() {
		fmt.Printf("Compare this machine's settings with what a number of connections needs. It changes nothing.\n"+
			"The status is 0 when nothing has to be raised (risks may remain), 1 when something has, 2 for wrong usage.\n\nFlags of encke doctor:\n%s", f.FlagUsages())
	}
	n := f.Int("connections", 0, "how many it is to hold; by default as many as its descriptors allow")
	asJSON := f.Bool("json", false, "print JSON")
	switch err := f.Parse(args); {
	case errors.Is(err, pflag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(os.Stderr, "encke doctor: %v\n", err)
		return 2
	case f.NArg() > 0:
		fmt.Fprintf(os.Stderr, "encke doctor: cannot use argument %q: flags only\n", f.Arg(0))
		return 2
	}
	if !f.Changed("connections") {
		*n = max(min(descriptors(), doctor.MaxConnections)-64, 1)
	}
	r, err := doctor.Examine(doctor.Here(), *n)
	if err != nil {
		fmt.Fprintf(os.Stderr, "encke doctor: %v\n", err)
		return 2
	}
	if *asJSON {
		if err := r.JSON(os.Stdout); err != nil {
			fmt.Fprintf(os.Stderr, "encke doctor: cannot print: %v\n", err)
			return 1
		}
		return r.Status()
	}
	if !f.Changed("connections") {
		fmt.Println("as many as a process may open here; --connections N asks about N")
	}
	r.Print(os.Stdout)
	return r.Status()
}
