package report

import (
	"fmt"
	"io"
)

// Print writes the table.
func (r *Report) Print(w io.Writer) {
	fmt.Fprintln(w, r.Scenario, r.Target)
	for _, f := range r.Figures {
		fmt.Fprintf(w, "  %-60s %14s %-6s [%s … %s] floor %s x%.2f\n", f.Name, Number(f.Median), f.Unit, Number(f.Min), Number(f.Max), Number(f.Floor), f.Ratio())
	}
	for _, n := range r.Notes {
		fmt.Fprintln(w, "  note:", n)
	}
	fmt.Fprintln(w, r.Faults.Err(), r.Partial)
}

// SaveHTML is to come.
func (r *Report) SaveHTML(string) error { return nil }
