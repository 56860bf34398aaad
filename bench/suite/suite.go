// Package suite measures Encke and its peers side by side, in the same sitting, and writes BENCHMARKS.md from that.
package suite

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"encke/bench"
	"encke/bench/report"
)

// row is a scenario with its settings, and what is told of it.
type row struct {
	key, title string
	scenario   string
	args       string // as they are given on the command line, for the reader
	change     func(o *bench.Options)
	beside     *row // scenario and settings that are measured before it, in each run, instead of the floor; nil: none
	kinds      []string
	figures    []figure
}

// command is what measures it alone, after encke-bench run.
func (w *row) command() string {
	if w.args == "" {
		return "--scenario " + w.scenario
	}
	return "--scenario " + w.scenario + " " + w.args
}

// ground is what its figures are compared with.
func (w *row) ground() string {
	if w.beside != nil {
		return "beside"
	}
	return "floor"
}

// figure is a line of a row's table.
type figure struct {
	name   string // as the report calls it
	text   string // as the table calls it
	lower  bool   // less is better
	target string // in words; empty: none
	bound  float64
	ratio  bool // the bound is of the ratio to the floor, or to what is beside the row
}

// measured says whether there is what the target is about.
func (f figure) measured(got *report.Figure) bool {
	return got != nil && len(got.Runs) > 0 && (!f.ratio || got.Floor > 0)
}

// met says whether the target was reached.
func (f figure) met(got *report.Figure) bool {
	v := got.Median
	if f.ratio {
		v = got.Ratio()
	}
	if f.lower {
		return v <= f.bound
	}
	return v >= f.bound
}

// Settings say how much is measured.
type Settings struct {
	Runs     int
	Only     []string // keys of rows; none: all
	Kinds    []string // none: all
	Server   string   // encke's program; empty: bin/encke
	Scale    float64  // of times and numbers of clients, for trying out; 1: as published
	Progress io.Writer
	Commit   string
}

// result is a row as it was measured.
type result struct {
	row     row
	reports map[string]*report.Report // by kind
}

// Results are all rows.
type Results struct {
	Began   time.Time
	Machine report.Machine
	Runs    int
	all     []result
	Million *report.Report // nil: not measured
}

// Measure runs everything: each row --runs times, the kinds taking turns, so that what else the machine does falls on all
// of them alike. What fails is told in its row, and the rest is measured all the same; only an interruption ends it.
func Measure(ctx context.Context, s Settings) (*Results, error) {
	res := &Results{Began: time.Now(), Runs: s.Runs}
	for _, w := range rows {
		if len(s.Only) > 0 && !slices.Contains(s.Only, w.key) {
			continue
		}
		got := result{row: w, reports: map[string]*report.Report{}}
		for n := range s.Runs {
			for _, kind := range w.kinds {
				if len(s.Kinds) > 0 && !slices.Contains(s.Kinds, kind) {
					continue
				}
				r, err := s.one(ctx, w, kind)
				if ctx.Err() != nil {
					return res, ctx.Err()
				}
				fmt.Fprintf(s.Progress, "%s  %s, run %d: %s\n", time.Now().Format(time.TimeOnly), r.Scenario, n+1, verdict(kind, w, r, err))
				res.Machine = r.Machine
				if have := got.reports[kind]; have != nil {
					have.Merge(r)
				} else {
					got.reports[kind] = r
				}
			}
		}
		res.all = append(res.all, got)
	}
	if len(s.Only) == 0 || slices.Contains(s.Only, "million") {
		r, err := s.million(ctx)
		if err != nil {
			fmt.Fprintf(s.Progress, "million: %v\n", err)
		}
		res.Million, res.Machine = r, r.Machine
	}
	return res, ctx.Err()
}

func verdict(kind string, w row, r *report.Report, err error) string {
	if err != nil {
		return kind + " FAILED: " + err.Error()
	}
	f := r.Figure(w.figures[0].name)
	if f == nil {
		return kind + ": nothing measured"
	}
	return fmt.Sprintf("%s: %s %s %s", kind, w.figures[0].text, report.Number(f.Median), f.Unit)
}

// one measures a row of a kind once, and before it what is beside it: that stands where otherwise the floor does.
func (s *Settings) one(ctx context.Context, w row, kind string) (*report.Report, error) {
	if w.beside == nil {
		return s.alone(ctx, w, kind, kind == w.kinds[0])
	}
	beside, err := s.alone(ctx, *w.beside, kind, false)
	if err != nil {
		beside.Partial = fmt.Sprintf("beside it, %s: %v", beside.Scenario, err)
		beside.Figures = nil
		return beside, err
	}
	r, err := s.alone(ctx, w, kind, false)
	for _, f := range w.figures {
		if was := beside.Figure(f.name); was != nil {
			r.AddFloor(f.name, was.Unit, was.Median)
		}
	}
	return r, err
}

// alone measures a scenario of a kind once. The floor is measured beside encke.
func (s *Settings) alone(ctx context.Context, w row, kind string, floor bool) (*report.Report, error) {
	o := bench.Defaults(w.scenario)
	o.Target.Kind = kind
	if w.change != nil {
		w.change(&o)
	}
	if kind != "encke" {
		o.JSON = false // their own form
	}
	o.Floor = floor
	if kind == "encke" {
		o.Target.Server = s.Server
	}
	o.Commit = s.Commit
	o.TimeLimit = 5 * time.Minute
	s.scale(&o)
	return bench.Run(ctx, o)
}

func (s *Settings) scale(o *bench.Options) {
	if s.Scale == 1 {
		return
	}
	shrink := func(n int) int { return max(int(float64(n)*s.Scale), 50) }
	o.Clients, o.Channels, o.From = shrink(o.Clients), shrink(o.Channels), min(shrink(o.From), o.From)
	if o.Users > 0 {
		o.Users = shrink(o.Users)
	}
	if o.From >= o.Clients {
		o.From = o.Clients / 2
	}
	o.Seconds = max(o.Seconds*s.Scale, 1)
	o.Settle = max(o.Settle*s.Scale, 0.2)
}

func (s *Settings) million(ctx context.Context) (*report.Report, error) {
	o := bench.Defaults("million")
	o.Progress, o.Commit, o.Target.Server = s.Progress, s.Commit, s.Server
	o.Clients = int(float64(o.Clients) * min(s.Scale, 1))
	return bench.Run(ctx, o)
}
