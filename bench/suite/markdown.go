package suite

import (
	_ "embed"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"text/template"

	"encke/bench/report"
)

//go:embed benchmarks.md.tmpl
var page string

// Write writes BENCHMARKS.md.
func (r *Results) Write(w io.Writer) error {
	t, err := template.New("").Funcs(template.FuncMap{
		"table": r.table, "missed": r.missed, "losses": r.losses, "faults": r.faults, "million": r.million, "peer": peer,
		"gib": func(n int64) float64 { return float64(n) / (1 << 30) },
	}).Parse(page)
	if err != nil {
		return fmt.Errorf("cannot read the page's template: %w", err)
	}
	if err := t.Execute(w, r); err != nil {
		return fmt.Errorf("cannot write the benchmarks: %w", err)
	}
	return nil
}

func (r *Results) result(key string) *result {
	for i := range r.all {
		if r.all[i].row.key == key {
			return &r.all[i]
		}
	}
	return nil
}

// table tells rows, each as a block of lines, one column a server.
func (r *Results) table(keys ...string) string {
	var b strings.Builder
	columns, ground := []string{}, ""
	for _, key := range keys {
		if got := r.result(key); got != nil && len(got.row.kinds) > len(columns) {
			columns, ground = got.row.kinds, got.row.ground()
		}
	}
	if len(columns) == 0 {
		return "(not measured in this sitting)\n"
	}
	fmt.Fprintf(&b, "| | %s | %s | target |\n|---|%s---|---|\n", strings.Join(columns, " | "), ground, strings.Repeat("---|", len(columns)))
	for _, key := range keys {
		if got := r.result(key); got != nil {
			got.lines(&b, columns)
		}
	}
	return b.String()
}

func (g *result) lines(b *strings.Builder, columns []string) {
	fmt.Fprintf(b, "| **%s** `encke-bench run %s`", g.row.title, g.row.command())
	if g.row.beside != nil {
		fmt.Fprintf(b, " beside `%s`", g.row.beside.command())
	}
	fmt.Fprintf(b, " |%s |\n", strings.Repeat(" |", len(columns)+1))
	for _, f := range g.row.figures {
		fmt.Fprintf(b, "| %s |", f.text)
		var first *report.Figure
		for _, kind := range columns {
			rep := g.reports[kind]
			got := figureOf(rep, f.name)
			if kind == columns[0] {
				first = got
			}
			fmt.Fprintf(b, " %s |", cell(rep, got))
		}
		fmt.Fprintf(b, " %s | %s |\n", floorCell(first), f.verdict(first))
	}
}

func figureOf(rep *report.Report, name string) *report.Figure {
	if rep == nil {
		return nil
	}
	return rep.Figure(name)
}

func cell(rep *report.Report, f *report.Figure) string {
	switch {
	case f == nil && rep != nil && rep.Partial != "":
		return "failed"
	case f == nil || len(f.Runs) == 0:
		return ""
	}
	text := short(f.Median, f.Unit)
	if len(f.Runs) > 1 {
		text += fmt.Sprintf(" (%s … %s)", short(f.Min, ""), short(f.Max, ""))
	}
	if rep.Partial != "" || rep.Faults.Err() != nil {
		text += " ⚠"
	}
	return text
}

func floorCell(f *report.Figure) string {
	if f == nil || f.Floor == 0 {
		return ""
	}
	text := short(f.Floor, f.Unit)
	if len(f.Runs) > 0 {
		text += fmt.Sprintf(": %.2f ×", f.Ratio())
	}
	return text
}

func (f figure) verdict(got *report.Figure) string {
	switch {
	case f.target == "":
		return ""
	case !f.measured(got):
		return f.target + ": not measured"
	case f.met(got):
		return f.target
	}
	return f.target + ": **missed**"
}

// short is a number for a table, with its unit.
func short(v float64, unit string) string {
	unit = strings.TrimSuffix(unit, "/s")
	if unit == "ms" && v >= 1e4 {
		v, unit = v/1000, "s"
	}
	space := " "
	if unit == "" {
		space = ""
	}
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.2f M%s", v/1e6, unit)
	case v >= 1e4:
		return fmt.Sprintf("%.1f k%s", v/1e3, unit)
	case v >= 100:
		return fmt.Sprintf("%.0f%s%s", v, space, unit)
	}
	return fmt.Sprintf("%.3g%s%s", v, space, unit)
}

// missed lists targets that were not reached.
func (r *Results) missed() string {
	var b strings.Builder
	for _, g := range r.all {
		for _, f := range g.row.figures {
			got := figureOf(g.reports["encke"], f.name)
			if f.target == "" || !f.measured(got) || f.met(got) {
				continue
			}
			fmt.Fprintf(&b, "- %s, %s: %s, target %s", g.row.title, f.text, short(got.Median, got.Unit), f.target)
			if got.Floor > 0 {
				fmt.Fprintf(&b, " (%s %s: %.2f ×)", g.row.ground(), short(got.Floor, got.Unit), got.Ratio())
			}
			b.WriteString("\n")
		}
	}
	if b.Len() == 0 {
		return "None.\n"
	}
	return b.String()
}

// losses lists figures in which a peer was better than encke.
func (r *Results) losses() string {
	var b strings.Builder
	for _, g := range r.all {
		for _, f := range g.row.figures {
			ours := figureOf(g.reports["encke"], f.name)
			if ours == nil || len(ours.Runs) == 0 || strings.HasPrefix(f.text, "harness") || strings.HasPrefix(f.text, "kernel") {
				continue
			}
			for _, kind := range g.row.kinds[1:] {
				theirs := figureOf(g.reports[kind], f.name)
				if theirs == nil || len(theirs.Runs) == 0 || g.reports[kind].Faults.Err() != nil {
					continue
				}
				if f.lower && theirs.Median < ours.Median || !f.lower && theirs.Median > ours.Median {
					fmt.Fprintf(&b, "- %s, %s: %s %s, encke %s\n", g.row.title, f.text, kind, short(theirs.Median, theirs.Unit), short(ours.Median, ours.Unit))
				}
			}
		}
	}
	if b.Len() == 0 {
		return "Nowhere in these rows.\n"
	}
	return b.String()
}

// faults lists what went wrong, with whom.
func (r *Results) faults() string {
	var b strings.Builder
	for _, g := range r.all {
		for _, kind := range g.row.kinds {
			rep := g.reports[kind]
			if rep == nil {
				continue
			}
			if rep.Partial != "" {
				fmt.Fprintf(&b, "- %s, %s: %s\n", g.row.title, kind, oneLine(rep.Partial))
			} else if err := rep.Faults.Err(); err != nil {
				fmt.Fprintf(&b, "- %s, %s: %v\n", g.row.title, kind, err)
			}
		}
	}
	if b.Len() == 0 {
		return "Nothing was lost, duplicated, reordered or corrupted by anybody.\n"
	}
	return b.String()
}

func oneLine(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	return text
}

// million tells the large run as a table.
func (r *Results) million() string {
	if r.Million == nil {
		return "(not measured in this sitting)\n"
	}
	var b strings.Builder
	b.WriteString("| | |\n|---|---|\n")
	for _, f := range r.Million.Figures {
		fmt.Fprintf(&b, "| %s | %s |\n", f.Name, cell(r.Million, f))
	}
	if r.Million.Partial != "" {
		fmt.Fprintf(&b, "\nIt ended early: %s\n", r.Million.Partial)
	} else if err := r.Million.Faults.Err(); err != nil {
		fmt.Fprintf(&b, "\n%v\n", err)
	} else {
		b.WriteString("\nLost, duplicated, reordered or corrupted: 0.\n")
	}
	for _, n := range r.Million.Notes {
		fmt.Fprintf(&b, "\nPlan: %s.\n", n)
	}
	return b.String()
}

// peer is a peer's version, as its own start script tells.
func peer(kind string) string {
	out, err := exec.Command("bench/peers/run.sh", kind, "--version").Output()
	if err != nil {
		return kind + " (not installed)"
	}
	return strings.TrimSpace(string(out))
}
