// Package report is what a run of the load harness says: figures with their spread and their ratio to the floor, faults,
// series over time; as a table, as JSON and as one page of HTML.
package report

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"
)

// Figure is one measured thing, once for each run.
type Figure struct {
	Name   string    `json:"name"`
	Unit   string    `json:"unit"`
	Median float64   `json:"median"`
	Min    float64   `json:"min"`
	Max    float64   `json:"max"`
	Runs   []float64 `json:"runs"`
	// Floor is the median of the same thing done with bare system calls in the same runs; 0: there is no such thing.
	Floor  float64   `json:"floor,omitempty"`
	Floors []float64 `json:"floors,omitempty"`
}

// Ratio returns Median / Floor, 0 where there is no floor.
func (f *Figure) Ratio() float64 {
	if f.Floor == 0 {
		return 0
	}
	return f.Median / f.Floor
}

// Series is a figure over time.
type Series struct {
	Name   string       `json:"name"`
	Unit   string       `json:"unit"`
	Points [][2]float64 `json:"points"` // seconds since the run began, value
}

// Bucket is a bar of the latency histogram.
type Bucket struct {
	From  float64 `json:"from"` // ms
	To    float64 `json:"to"`   // ms
	Count int64   `json:"count"`
}

// Machine says where it was measured.
type Machine struct {
	Cores  int    `json:"cores"`
	Memory int64  `json:"memory"` // bytes
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
	Commit string `json:"commit"`
}

// Report is what a scenario found.
type Report struct {
	Scenario string    `json:"scenario"`
	Target   string    `json:"target"` // what was measured
	Command  []string  `json:"command,omitempty"`
	Started  time.Time `json:"started"`
	Seconds  float64   `json:"seconds"` // of all runs together
	Machine  Machine   `json:"machine"`
	// Partial says why the run ended before its time; empty when it was whole.
	Partial string    `json:"partial,omitempty"`
	Figures []*Figure `json:"figures"`
	Faults  Faults    `json:"faults"`
	Notes   []string  `json:"notes,omitempty"`
	Series  []Series  `json:"series,omitempty"`  // of the last run
	Latency []Bucket  `json:"latency,omitempty"` // of all runs; empty bars are left out
}

// Add notes one run's value.
func (r *Report) Add(name, unit string, value float64) { r.figure(name, unit).add(value) }

// AddFloor notes one run's value of the same thing at the floor.
func (r *Report) AddFloor(name, unit string, value float64) {
	f := r.figure(name, unit)
	f.Floors = append(f.Floors, value)
	f.Floor, _, _ = spread(f.Floors)
}

func (f *Figure) add(value float64) {
	f.Runs = append(f.Runs, value)
	f.Median, f.Min, f.Max = spread(f.Runs)
}

func (r *Report) figure(name, unit string) *Figure {
	if f := r.Figure(name); f != nil {
		return f
	}
	f := &Figure{Name: name, Unit: unit}
	r.Figures = append(r.Figures, f)
	return f
}

// Figure returns the figure of that name, nil where it was not measured.
func (r *Report) Figure(name string) *Figure {
	if i := slices.IndexFunc(r.Figures, func(f *Figure) bool { return f.Name == name }); i >= 0 {
		return r.Figures[i]
	}
	return nil
}

// Median returns a figure's median, 0 where it was not measured.
func (r *Report) Median(name string) float64 {
	if f := r.Figure(name); f != nil {
		return f.Median
	}
	return 0
}

// Note adds a remark, once.
func (r *Report) Note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(r.Notes, text) {
		r.Notes = append(r.Notes, text)
	}
}

// Save writes the report as JSON.
func (r *Report) Save(file string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err == nil {
		err = os.WriteFile(file, append(b, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("cannot save the report: %w", err)
	}
	return nil
}

func spread(runs []float64) (median, low, high float64) {
	sorted := slices.Sorted(slices.Values(runs))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2, sorted[0], sorted[n-1]
}
