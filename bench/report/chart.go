package report

import (
	"fmt"
	"html/template"
	"math"
	"strings"
)

// chart is a drawing with a title and a legend.
type chart struct {
	Title  string
	Legend []string
	SVG    template.HTML
}

// The drawing's size, in its own units, and what is left for axes.
const (
	width, height               = 720.0, 240.0
	left, right, top, bottom    = 64.0, 12.0, 12.0, 36.0
	plotWidth, plotHeight       = width - left - right, height - top - bottom
	labelsAcross, labelsUpwards = 6, 4
)

// axis maps values to places.
type axis struct {
	from, to float64
	log      bool
}

// part is how far along the axis v is, 0 to 1.
func (a axis) part(v float64) float64 {
	if a.log {
		return math.Log(v/a.from) / math.Log(a.to/a.from)
	}
	return (v - a.from) / (a.to - a.from)
}

func (a axis) x(v float64) float64 { return left + a.part(v)*plotWidth }
func (a axis) y(v float64) float64 { return top + (1-a.part(v))*plotHeight }

// ticks are round values along the axis.
func (a axis) ticks(about int) (all []float64) {
	if a.log {
		for v := math.Pow(10, math.Ceil(math.Log10(a.from)-1e-9)); v <= a.to*1.0001; v *= 10 {
			all = append(all, v)
		}
		return all
	}
	step := math.Pow(10, math.Floor(math.Log10((a.to-a.from)/float64(about))))
	for _, m := range []float64{1, 2, 5, 10} {
		if (a.to-a.from)/(step*m) <= float64(about) {
			step *= m
			break
		}
	}
	for v := math.Ceil(a.from/step) * step; v <= a.to+step/1e6; v += step {
		all = append(all, v)
	}
	return all
}

// charts draws what there is: the histogram, and curves of the same unit together.
func (r *Report) charts() (all []chart) {
	if c, ok := r.histogram(); ok {
		all = append(all, c)
	}
	groups := map[string][]Series{}
	var order []string
	for _, s := range r.Series {
		s.Points = finite(s.Points)
		if len(s.Points) < 2 {
			continue
		}
		key := s.Unit
		if key == "" || key == "/s" {
			key = s.Name
		}
		if groups[key] == nil {
			order = append(order, key)
		}
		groups[key] = append(groups[key], s)
	}
	for _, key := range order {
		all = append(all, curves(groups[key]))
	}
	return all
}

func finite(points [][2]float64) (good [][2]float64) {
	for _, p := range points {
		if !math.IsNaN(p[0]+p[1]) && !math.IsInf(p[0]+p[1], 0) {
			good = append(good, p)
		}
	}
	return good
}

// frame draws gridlines and labels.
func frame(b *strings.Builder, x, y axis, xs, ys string) {
	fmt.Fprintf(b, `<g class="grid">`)
	for _, v := range y.ticks(labelsUpwards) {
		fmt.Fprintf(b, `<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/><text x="%.1f" y="%.1f" text-anchor="end">%s</text>`,
			left, width-right, y.y(v), y.y(v), left-6, y.y(v)+4, brief(v))
	}
	for _, v := range x.ticks(labelsAcross) {
		fmt.Fprintf(b, `<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/><text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`,
			x.x(v), x.x(v), top, height-bottom, x.x(v), height-bottom+16, brief(v))
	}
	fmt.Fprintf(b, `</g><text x="%.1f" y="%.1f" text-anchor="end" class="unit">%s</text><text x="%.1f" y="%.1f" class="unit">%s</text>`,
		width-right, height-4, template.HTMLEscapeString(xs), 2.0, top-2, template.HTMLEscapeString(ys))
}

// brief is a tick's label.
func brief(v float64) string {
	switch a := math.Abs(v); {
	case a >= 1e6:
		return fmt.Sprintf("%.3gM", v/1e6)
	case a >= 1e3:
		return fmt.Sprintf("%.3gk", v/1e3)
	}
	return fmt.Sprintf("%.3g", v)
}

// begin opens a drawing that reads itself out.
func begin(title, text string) *strings.Builder {
	b := &strings.Builder{}
	fmt.Fprintf(b, `<svg viewBox="0 0 %.0f %.0f" role="img"><title>%s</title><desc>%s</desc>`, width, height,
		template.HTMLEscapeString(title), template.HTMLEscapeString(text))
	return b
}

// together is what series of a unit are when they stand in one chart; the unit is on its axis.
var together = map[string]string{"ms": "latency over time", "MiB": "memory", "processors": "processors busy"}

// curves draws series of one unit over time.
func curves(all []Series) chart {
	x, y := axis{from: math.Inf(1), to: math.Inf(-1)}, axis{}
	for _, s := range all {
		for _, p := range s.Points {
			x.from, x.to = min(x.from, p[0]), max(x.to, p[0])
			y.to = max(y.to, p[1])
		}
	}
	if x.to <= x.from {
		x.to = x.from + 1
	}
	if y.to <= 0 {
		y.to = 1
	}
	y.to *= 1.05
	c := chart{Title: all[0].Name}
	if title := together[all[0].Unit]; title != "" && len(all) > 1 {
		c.Title = title
	}
	for _, s := range all {
		c.Legend = append(c.Legend, s.Name)
	}
	b := begin(strings.Join(c.Legend, ", "), "over the seconds of the run")
	frame(b, x, y, "s", all[0].Unit)
	for i, s := range all {
		fmt.Fprintf(b, `<polyline class="curve c%d" points="`, i%6)
		for _, p := range s.Points {
			fmt.Fprintf(b, "%.1f,%.1f ", x.x(p[0]), y.y(p[1]))
		}
		b.WriteString(`"/>`)
		for _, p := range s.Points {
			fmt.Fprintf(b, `<circle class="dot c%d" cx="%.1f" cy="%.1f" r="4"><title>%s: %s %s at %.1f s</title></circle>`,
				i%6, x.x(p[0]), y.y(p[1]), template.HTMLEscapeString(s.Name), Number(p[1]), template.HTMLEscapeString(s.Unit), p[0])
		}
	}
	b.WriteString(`</svg>`)
	c.SVG = template.HTML(b.String())
	return c
}

// histogram draws the latency of all runs, with a logarithmic axis.
func (r *Report) histogram() (c chart, ok bool) {
	x, y := axis{log: true}, axis{}
	total := int64(0)
	for _, bar := range r.Latency {
		if bar.To <= 0 || bar.Count <= 0 || bar.To <= bar.From {
			continue
		}
		if x.from == 0 || bar.To/1.26 < x.from {
			x.from = bar.To / 1.26
		}
		x.to = max(x.to, bar.To)
		y.to = max(y.to, float64(bar.Count))
		total += bar.Count
	}
	if total == 0 {
		return c, false
	}
	if x.to < x.from*10 {
		x.to = x.from * 10
	}
	y.to *= 1.08
	c = chart{Title: "Latency", Legend: []string{fmt.Sprintf("%s deliveries", Number(float64(total)))}}
	b := begin("Histogram of latency", "deliveries by milliseconds, logarithmic, of all runs")
	frame(b, x, y, "ms", "deliveries")
	for _, bar := range r.Latency {
		if bar.To <= 0 || bar.Count <= 0 || bar.To <= bar.From {
			continue
		}
		from := x.x(max(bar.From, x.from))
		fmt.Fprintf(b, `<rect class="bar" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s … %s ms: %s</title></rect>`,
			from, y.y(float64(bar.Count)), max(x.x(bar.To)-from-1, 1), top+plotHeight-y.y(float64(bar.Count)), Number(bar.From), Number(bar.To), Number(float64(bar.Count)))
	}
	for i, q := range []float64{50, 99, 99.9} {
		at := r.quantile(q/100, total)
		fmt.Fprintf(b, `<line class="mark" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/><text class="mark" x="%.1f" y="%.1f" text-anchor="end">p%g</text>`,
			x.x(at), x.x(at), top, top+plotHeight, x.x(at)-3, top+10+14*float64(i), q)
	}
	b.WriteString(`</svg>`)
	c.SVG = template.HTML(b.String())
	return c, true
}

// quantile is the upper end of the bar in which it falls, ms.
func (r *Report) quantile(q float64, total int64) (at float64) {
	sum := int64(0)
	for _, bar := range r.Latency {
		if bar.Count <= 0 || bar.To <= bar.From {
			continue
		}
		sum += bar.Count
		at = bar.To
		if float64(sum) >= q*float64(total) {
			return at
		}
	}
	return at
}
