package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// marked are the quantiles with a mark, the rightmost first: then no label crosses another's line.
var marked = []struct {
	name string
	part float64
}{{"p99.9", 0.999}, {"p99", 0.99}, {"p50", 0.5}}

// bars are the buckets that can be drawn, in order.
func (r *Report) bars() (good []Bucket) {
	for _, b := range r.Latency {
		if b.Count > 0 && b.From >= 0 && b.To >= 1e-6 && b.From < b.To && b.To <= biggest {
			good = append(good, b)
		}
	}
	slices.SortFunc(good, func(a, b Bucket) int { return cmp.Compare(a.From, b.From) })
	return good
}

// histogram draws the latency of all runs over a logarithmic axis; there is none without deliveries.
func (r *Report) histogram() (c chart, ok bool) {
	bars := r.bars()
	if len(bars) == 0 {
		return c, false
	}
	total, most := 0.0, 0.0
	for _, b := range bars {
		total += float64(b.Count)
		most = max(most, float64(b.Count))
	}
	across := decade(max(bars[0].From, bars[0].To/1.26), bars[len(bars)-1].To)
	var said []string
	for _, m := range slices.Backward(marked) {
		said = append(said, fmt.Sprintf("%s about %s ms", m.name, about(quantile(bars, m.part, total))))
	}
	d := draw(across, linear(0, most*1.04), 70, "Histogram of latency", strings.Join(said, ", "))
	d.frame("ms, logarithmic", "deliveries")
	d.bars(bars, total)
	d.marks(bars, total)
	return chart{Title: "latency", Legend: []entry{{Number(total) + " deliveries", 0}}, SVG: d.done()}, true
}

// bars draws each with what is read there. A bar of few among millions is a line still.
func (d *drawing) bars(bars []Bucket, total float64) {
	for _, b := range bars {
		from, to, y := d.x(b.From), d.x(b.To), min(d.y(float64(b.Count)), height-bottom-1)
		d.spot(from, to)
		d.put(`<rect class="bar" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, from, y, max(to-from-1, 1), height-bottom-y)
		d.read(fmt.Sprintf("%s … %s ms: %s, %.2g %%", Number(b.From), Number(b.To), Number(float64(b.Count)), float64(b.Count)/total*100))
	}
}

// marks draws where the quantiles are, each label on a row of its own.
func (d *drawing) marks(bars []Bucket, total float64) {
	for i, m := range marked {
		at := quantile(bars, m.part, total)
		x, y := d.x(at), 32+16*float64(i)
		d.put(`<g class="mark"><line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, x, x, y-8, height-bottom)
		anchor, gap := "end", -4.0
		if x < width/3 { // there is no room on its left
			anchor, gap = "start", 4.0
		}
		d.put(`<text x="%.1f" y="%.1f" text-anchor="%s">%s ≈ %s ms</text></g>`, x+gap, y, anchor, m.name, about(at))
	}
}

// quantile is where that part of the deliveries has arrived, ms, as if those of a bar were evenly spread over it.
func quantile(bars []Bucket, part, total float64) float64 {
	before := 0.0
	for _, b := range bars {
		if n := float64(b.Count); before+n >= part*total {
			return b.From + (b.To-b.From)*(part*total-before)/n
		}
		before += float64(b.Count)
	}
	return bars[len(bars)-1].To
}

// about is v with two digits, which is more than bars of a tenth of a decade know for sure.
func about(v float64) string {
	if v <= 0 {
		return "0"
	}
	digit := math.Floor(math.Log10(v)) - 1
	if digit < 0 {
		return brief(math.Round(v*math.Pow(10, -digit)) / math.Pow(10, -digit))
	}
	return brief(math.Round(v/math.Pow(10, digit)) * math.Pow(10, digit))
}
