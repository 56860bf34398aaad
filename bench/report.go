package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
)

// Figure is one measured thing, once for each run.
type Figure struct {
	Name   string    `json:"name"`
	Unit   string    `json:"unit"`
	Median float64   `json:"median"`
	Min    float64   `json:"min"`
	Max    float64   `json:"max"`
	Runs   []float64 `json:"runs"`
}

// Report is what a scenario found.
type Report struct {
	Scenario string    `json:"scenario"`
	Figures  []*Figure `json:"figures"`
	Faults   Faults    `json:"faults"`
	Notes    []string  `json:"notes,omitempty"`
}

// add notes one run's value.
func (r *Report) add(name, unit string, value float64) {
	i := slices.IndexFunc(r.Figures, func(f *Figure) bool { return f.Name == name })
	if i < 0 {
		i = len(r.Figures)
		r.Figures = append(r.Figures, &Figure{Name: name, Unit: unit})
	}
	f := r.Figures[i]
	f.Runs = append(f.Runs, value)
	sorted := slices.Sorted(slices.Values(f.Runs))
	n := len(sorted)
	f.Median, f.Min, f.Max = (sorted[(n-1)/2]+sorted[n/2])/2, sorted[0], sorted[n-1]
}

func (r *Report) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(r.Notes, text) {
		r.Notes = append(r.Notes, text)
	}
}

// median returns a figure's median, 0 where it was not measured.
func (r *Report) median(name string) float64 {
	for _, f := range r.Figures {
		if f.Name == name {
			return f.Median
		}
	}
	return 0
}

// Print writes the table.
func (r *Report) Print(w io.Writer) {
	fmt.Fprintf(w, "%s\n", r.Scenario)
	for _, f := range r.Figures {
		fmt.Fprintf(w, "  %-44s %14s %-6s", f.Name, number(f.Median), f.Unit)
		if len(f.Runs) > 1 {
			fmt.Fprintf(w, " %s … %s of %d runs", number(f.Min), number(f.Max), len(f.Runs))
		}
		fmt.Fprintln(w)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(w, "  note: %s\n", n)
	}
	if err := r.Faults.Err(); err != nil {
		fmt.Fprintf(w, "  FAILED: %v\n", err)
	}
}

// Save writes the report as JSON.
func (r *Report) Save(file string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("cannot save the report: %w", err)
	}
	return nil
}

func number(v float64) string {
	switch {
	case v >= 1e4 || v <= -1e4 || v == float64(int64(v)):
		return fmt.Sprintf("%.0f", v)
	case v >= 100 || v <= -100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
