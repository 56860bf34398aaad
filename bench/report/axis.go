package report

import (
	"fmt"
	"math"
)

// biggest is the largest value that is drawn; nothing that a machine does is larger, and sums of such values are exact
// enough to have ticks.
const biggest = 1e15

// drawable says whether v has a place on an axis: NaN and the infinities have none.
func drawable(v float64) bool { return v >= -biggest && v <= biggest }

// axis maps values to parts of a length.
type axis struct {
	from, to float64
	log      bool
}

// linear is an axis that holds both ends, with a length even where they are the same.
func linear(from, to float64) axis {
	if to-from < 1e-9 {
		to = from + 1
	}
	return axis{from: from, to: to}
}

// decade is a logarithmic axis of at least a factor of ten. from is above 0.
func decade(from, to float64) axis { return axis{from: from, to: max(to, from*10), log: true} }

// part is how far along the axis v is, never outside 0 to 1.
func (a axis) part(v float64) float64 {
	part := (v - a.from) / (a.to - a.from)
	if a.log {
		part = math.Log(max(v, a.from)/a.from) / math.Log(a.to/a.from)
	}
	return min(max(part, 0), 1)
}

// ticks are round values along the axis.
func (a axis) ticks(about int) []float64 {
	if a.log {
		return a.decades()
	}
	step := niceStep((a.to - a.from) / float64(about))
	var all []float64
	for n := math.Ceil(a.from / step); n*step <= a.to && len(all) < 20; n++ {
		all = append(all, n*step)
	}
	return all
}

// decades are the powers of ten, and 2 and 5 times each where there are few.
func (a axis) decades() (all []float64) {
	times := []float64{1}
	if a.to/a.from < 1000 {
		times = []float64{1, 2, 5}
	}
	for p := math.Floor(math.Log10(a.from)); math.Pow(10, p) <= a.to; p++ {
		for _, m := range times {
			if v := m * math.Pow(10, p); v >= a.from && v <= a.to {
				all = append(all, v)
			}
		}
	}
	return all
}

// niceStep is the 1, 2 or 5 times a power of ten that is no less than v.
func niceStep(v float64) float64 {
	ten := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if ten*m >= v {
			return ten * m
		}
	}
	return ten * 10
}

// brief is a tick's label.
func brief(v float64) string {
	switch a := math.Abs(v); {
	case a >= 1e9:
		return fmt.Sprintf("%.4gG", v/1e9)
	case a >= 1e6:
		return fmt.Sprintf("%.4gM", v/1e6)
	case a >= 1e4:
		return fmt.Sprintf("%.4gk", v/1e3)
	}
	return fmt.Sprintf("%.4g", v)
}
