package report

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		name  string
		axis  axis
		about int
		want  []float64
	}{
		{"a minute", linear(0, 60), 6, []float64{0, 10, 20, 30, 40, 50, 60}},
		{"below zero", linear(-5, 5), 4, []float64{-5, 0, 5}},
		{"no length", linear(3, 3), 2, []float64{3, 3.5, 4}},
		{"a decade", decade(8, 30), 6, []float64{10, 20, 50}},
		{"many decades", decade(0.01, 1000), 6, []float64{0.01, 0.1, 1, 10, 100, 1000}},
	} {
		got := c.axis.ticks(c.about)
		if !slices.EqualFunc(got, c.want, func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestBrief(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.5: "0.5", 5000: "5000", 50000: "50k", 2.5e6: "2.5M", 3e9: "3G"} {
		if got := brief(v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
}

func TestQuantile(t *testing.T) {
	bars := []Bucket{{0, 10, 50}, {10, 20, 49}, {20, 40, 1}}
	for part, want := range map[float64]float64{0: 0, 0.25: 5, 0.5: 10, 0.99: 20, 0.995: 30, 1: 40} {
		if got := quantile(bars, part, 100); math.Abs(got-want) > 1e-9 {
			t.Errorf("%v: %v, want %v", part, got, want)
		}
	}
}

func TestAbout(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.04567: "0.046", 4.93: "4.9", 24.82: "25", 99.9: "100", 610.2: "610", 12345: "12k", 1e-6: "1e-06"} {
		if got := about(v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
}

// TestOneTime wants all curves over the same time, also where one begins late.
func TestOneTime(t *testing.T) {
	r := &Report{Series: []Series{{"whole", "", [][2]float64{{0, 1}, {50, 1}, {100, 1}}}, {"late", "ms", [][2]float64{{50, 1}, {100, 1}}}}}
	middle := fmt.Sprintf(`points="%.1f,`, (left+width-right)/2)
	if late := string(r.charts()[1].SVG); !strings.Contains(late, middle) {
		t.Errorf("the late curve does not begin in the middle: no %s in %s", middle, late)
	}
}

func TestReach(t *testing.T) {
	for _, c := range []struct {
		name string
		runs []float64
		want string
	}{
		{"close together", []float64{100, 101, 99}, "±5 %"},
		{"eight percent", []float64{100, 108, 99}, "±10 %"},
		{"far apart", []float64{100, 900, 1}, "±100 %"},
		{"one run", []float64{1}, "±5 %"},
		{"nothing", []float64{0, 0}, "±5 %"},
		{"endless", []float64{1, math.Inf(1), math.NaN()}, "±5 %"},
	} {
		r := &Report{}
		for _, v := range c.runs {
			r.Add("a", "", v)
		}
		if got := percent(r.reach()); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestHostile draws what no run should give.
func TestHostile(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	curve := func(points ...[2]float64) Report { return Report{Series: []Series{{"a", "ms", points}}} }
	bar := func(from, to float64) Report { return Report{Latency: []Bucket{{from, to, 5}}} }
	runs := func(v ...float64) Report {
		r := Report{}
		for _, v := range v {
			r.Add("a", "", v)
			r.AddFloor("a", "", v)
		}
		return r
	}
	for name, r := range map[string]Report{
		"a bar of NaN": bar(nan, nan), "an endless bar": bar(1, inf), "a bar from NaN": bar(nan, 1), "a bar below zero": bar(-1, 1),
		"a bar of nothing": bar(3, 3), "the smallest bar": bar(0, 5e-324), "the largest bar": bar(0, math.MaxFloat64), "a bar from 0": bar(0, 0.01),
		"no points": curve(), "a point": curve([2]float64{1, 1}), "points of NaN": curve([2]float64{nan, 1}, [2]float64{1, nan}),
		"endless points": curve([2]float64{0, inf}, [2]float64{inf, 1}, [2]float64{0, -inf}), "one time": curve([2]float64{1e15, 1}, [2]float64{1e15, 2}),
		"the largest points": curve([2]float64{0, math.MaxFloat64}, [2]float64{1, 1}, [2]float64{2, 1e15}), "the smallest points": curve([2]float64{0, 5e-324}, [2]float64{1, 0}),
		"below zero": curve([2]float64{-3, -1}, [2]float64{-1, -2}), "time goes back": curve([2]float64{2, 1}, [2]float64{1, 2}),
		"runs of NaN": runs(nan, 1, nan), "endless runs": runs(1, inf, -inf), "runs of nothing": runs(0, 0), "runs below zero": runs(-1, -2),
	} {
		var b, text bytes.Buffer
		if err := r.HTML(&b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		r.Print(&text)
		for _, bad := range []string{"NaN", "Inf"} {
			if strings.Contains(b.String(), bad) || strings.Contains(text.String(), bad) {
				t.Errorf("%s: it says %s", name, bad)
			}
		}
		drawings(t, name, b.String())
	}
}

func TestLeftOut(t *testing.T) {
	page := func(r *Report) string { var b bytes.Buffer; _ = r.HTML(&b); return b.String() }
	for heading, r := range map[string]*Report{"Figures": {}, "Charts": {Series: []Series{{Name: "empty"}}, Latency: []Bucket{{0, 1, 0}}}, "Notes": {}} {
		if strings.Contains(page(r), ">"+heading+"<") {
			t.Errorf("%s: a heading over nothing", heading)
		}
		if !strings.Contains(page(sample()), ">"+heading+"<") {
			t.Errorf("%s: no heading", heading)
		}
	}
}

func TestGroups(t *testing.T) {
	two := [][2]float64{{0, 1}, {1, 2}}
	r := &Report{Series: []Series{{"p50", "ms", two}, {"connections", "", two}, {"p99", "ms", two}, {"a/s", "/s", two}, {"b/s", "/s", two}, {"none", "ms", nil}}}
	var got []string
	for _, group := range r.groups() {
		names := ""
		for _, s := range group {
			names += s.Name + " "
		}
		got = append(got, strings.TrimSpace(names))
	}
	if want := []string{"p50 p99", "connections", "a/s", "b/s"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestNearest(t *testing.T) {
	points := [][2]float64{{0, 10}, {1, 11}, {3, 13}}
	for at, want := range map[float64]float64{-1: 10, 0: 10, 0.4: 10, 0.6: 11, 1.9: 11, 2.1: 13, 9: 13} {
		if got := nearest(points, at); got[1] != want {
			t.Errorf("at %v: %v, want %v", at, got[1], want)
		}
	}
}

func TestMachine(t *testing.T) {
	for want, m := range map[string]Machine{
		"":                            {},
		"8 cores":                     {Cores: 8},
		"2 GiB, Linux 6.1, go1.26, c": {Memory: 2 << 30, Kernel: "6.1", Go: "go1.26", Commit: "c"},
	} {
		if got := m.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
