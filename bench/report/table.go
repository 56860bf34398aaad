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
	r.printFigures(w)
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

// printFigures aligns by characters: µ and × are one each.
func (r *Report) printFigures(w io.Writer) {
	var rows [][]string
	var widths [7]int
	for _, f := range r.Figures {
		cells := f.row().cells()
		rows = append(rows, cells)
		for i, cell := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, cells := range rows {
		var b strings.Builder
		for i, cell := range cells {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 1 || i == 5 { // numbers
				b.WriteString("  " + pad + cell)
			} else {
				b.WriteString("  " + cell + pad)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}

// String says what is known of the machine in a few words.
func (m Machine) String() string {
	var known []string
	say := func(is bool, format string, arg any) {
		if is {
			known = append(known, fmt.Sprintf(format, arg))
		}
	}
	say(m.Cores > 0, "%d cores", m.Cores)
	say(m.Memory > 0, "%.0f GiB", float64(m.Memory)/(1<<30))
	say(m.Kernel != "", "Linux %s", m.Kernel)
	say(m.Go != "", "%s", m.Go)
	say(m.Commit != "", "%s", m.Commit)
	return strings.Join(known, ", ")
}

// row is a figure in words, for the table and for the page. What was not measured is empty.
type row struct{ Name, Median, Unit, Runs, Floor, Ratio string }

func (f *Figure) row() row {
	w := row{Name: f.Name, Unit: f.Unit}
	if len(f.Runs) > 0 {
		w.Median = Number(f.Median)
	}
	if len(f.Runs) > 1 {
		w.Runs = fmt.Sprintf("%s … %s of %d", Number(f.Min), Number(f.Max), len(f.Runs))
	}
	if !(f.Floor > 0) { // nor for NaN
		return w
	}
	w.Floor = Number(f.Floor)
	if ratio := f.Ratio(); len(f.Runs) > 0 && drawable(ratio) {
		w.Ratio = fmt.Sprintf("× %.2f", ratio)
	}
	return w
}

// cells are name, median, unit, spread, the word floor, the floor and the ratio to it.
func (w row) cells() []string {
	word := ""
	if w.Floor != "" {
		word = "floor"
	}
	return []string{w.Name, w.Median, w.Unit, w.Runs, word, w.Floor, w.Ratio}
}
