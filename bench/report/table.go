package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Print writes the report as a table for a terminal.
func (r *Report) Print(w io.Writer) {
	fmt.Fprintf(w, "%s\n", r.Scenario)
	if r.Target != "" {
		fmt.Fprintf(w, "%s, on %s\n", r.Target, r.Machine)
	}
	rows := [][]string{}
	for _, f := range r.Figures {
		rows = append(rows, f.cells())
	}
	widths := columnWidths(rows)
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 1 || i == 5 { // numbers
				b.WriteString("  " + pad + cell)
			} else {
				b.WriteString("  " + cell + pad)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
	for _, n := range r.Notes {
		fmt.Fprintf(w, "  note: %s\n", n)
	}
	if err := r.Faults.Err(); err != nil {
		fmt.Fprintf(w, "  FAILED: %v\n", err)
	}
	if r.Partial != "" {
		fmt.Fprintf(w, "  PARTIAL, the run is not whole: %s\n", r.Partial)
	}
}

// String says what the machine is in a few words.
func (m Machine) String() string {
	return fmt.Sprintf("%d cores, %.0f GiB, Linux %s, %s, %s", m.Cores, float64(m.Memory)/(1<<30), m.Kernel, m.Go, m.Commit)
}

// cells are name, median, unit, spread, the word floor, the floor and the ratio to it.
func (f *Figure) cells() []string {
	row := []string{f.Name, "", f.Unit, "", "", "", ""}
	if len(f.Runs) > 0 {
		row[1] = Number(f.Median)
	}
	if len(f.Runs) > 1 {
		row[3] = fmt.Sprintf("%s … %s of %d", Number(f.Min), Number(f.Max), len(f.Runs))
	}
	if f.Floor > 0 {
		row[4], row[5] = "floor", Number(f.Floor)
		if len(f.Runs) > 0 {
			row[6] = fmt.Sprintf("× %.2f", f.Ratio())
		}
	}
	return row
}

func columnWidths(rows [][]string) []int {
	widths := make([]int, 7)
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	return widths
}
