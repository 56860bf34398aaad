package report

import (
	"fmt"
	"html/template"
	"math"
)

// deviation is how far runs are from their median, as a part of it; NaN where that says nothing.
func (f *Figure) deviation() float64 {
	if len(f.Runs) < 2 || !(f.Median > 0) || !drawable(f.Min) || !drawable(f.Max) {
		return math.NaN()
	}
	return max(f.Max-f.Median, f.Median-f.Min) / f.Median
}

// reach is what the spread bars' ends stand for, as a part of the median: the same for all figures, so that bars compare.
func (r *Report) reach() float64 {
	widest := 0.05
	for _, f := range r.Figures {
		if d := f.deviation(); d > widest { // not for NaN
			widest = d
		}
	}
	return min(niceStep(widest-1e-9), 1)
}

// spreadBar draws the runs of a figure around their median.
func spreadBar(f *Figure, reach float64) template.HTML {
	if math.IsNaN(f.deviation()) {
		return ""
	}
	const half, width = 48.0, 96.0
	x := func(v float64) float64 { return half + min(max((v/f.Median-1)/reach, -1), 1)*(half-3) }
	d := &drawing{}
	d.put(`<svg class="spread" viewBox="0 0 %.0f 14" role="img" aria-label="from %+.1f %% to %+.1f %% of the median">`,
		width, (f.Min/f.Median-1)*100, (f.Max/f.Median-1)*100)
	d.put(`<rect class="rail" x="0" y="6.5" width="%.0f" height="1"/><rect class="range" x="%.1f" y="4" width="%.1f" height="6" rx="2"/>`,
		width, x(f.Min), max(x(f.Max)-x(f.Min), 1))
	for _, v := range f.Runs {
		if drawable(v) {
			d.put(`<circle class="run" cx="%.1f" cy="7" r="2"/>`, x(v))
		}
	}
	d.put(`<rect class="median" x="%.1f" y="1" width="2" height="12"/>`, half-1)
	return d.done()
}

// percent is the reach as it is said: ±10 %.
func percent(reach float64) string { return fmt.Sprintf("±%.3g %%", reach*100) }
