package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// spots is at how many places of a chart values can be read; more would be narrower than a pointer.
const spots = 100

// together is what series of a unit are when they stand in one chart; the unit is on its axis.
var together = map[string]string{"ms": "latency over time", "MiB": "memory", "processors": "processors busy"}

// curves draws series of one unit over that time. Each has two points at least, all finite.
func curves(all []Series, across axis) chart {
	c := chart{Title: all[0].Name}
	if title := together[all[0].Unit]; title != "" && len(all) > 1 {
		c.Title = title
	}
	var said []string
	for i, s := range all {
		if len(all) > 1 {
			c.Legend = append(c.Legend, entry{s.Name, i % colors})
		}
		said = append(said, s.summary())
	}
	_, upwards := extent(all)
	d := draw(across, upwards, 26, c.Title, strings.Join(said, "; "))
	d.frame("seconds since the run began", all[0].Unit)
	for i, s := range all {
		d.curve(i, s.Points)
	}
	d.spots(all)
	c.SVG = d.done()
	return c
}

// extent is the axes that hold all points, and zero, since a curve's height is to be compared.
func extent(all []Series) (across, upwards axis) {
	x0, x1, y0, y1 := math.Inf(1), math.Inf(-1), 0.0, 0.0
	for _, s := range all {
		for _, p := range s.Points {
			x0, x1 = min(x0, p[0]), max(x1, p[0])
			y0, y1 = min(y0, p[1]), max(y1, p[1])
		}
	}
	return linear(x0, x1), linear(y0*1.05, y1*1.05)
}

// summary is what the curve says to those who cannot see it.
func (s *Series) summary() string {
	low, high := s.Points[0][1], s.Points[0][1]
	for _, p := range s.Points {
		low, high = min(low, p[1]), max(high, p[1])
	}
	last := s.Points[len(s.Points)-1]
	return fmt.Sprintf("%s: %s to %s %s, %s at the end (%s s)", s.Name, Number(low), Number(high), s.Unit, Number(last[1]), Number(last[0]))
}

func (d *drawing) curve(color int, points [][2]float64) {
	d.put(`<polyline class="curve c%d" points="`, color%colors)
	for i, p := range points {
		if i > 0 {
			d.put(" ")
		}
		d.put("%.1f,%.1f", d.x(p[0]), d.y(p[1]))
	}
	d.put(`"/>`)
}

// spots writes what is read at times evenly apart: the nearest point of each series.
func (d *drawing) spots(all []Series) {
	longest := slices.MaxFunc(all, func(a, b Series) int { return cmp.Compare(len(a.Points), len(b.Points)) })
	n := min(len(longest.Points), spots)
	step := (d.across.to - d.across.from) / float64(n)
	for i := range n {
		from := d.across.from + float64(i)*step
		d.spot(d.x(from), d.x(from+step))
		d.values(all, from+step/2, step)
	}
}

// values is the line at a time and what each series has within half of a step of it.
func (d *drawing) values(all []Series, at, step float64) {
	d.put(`<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>`, d.x(at), d.x(at), d.top, height-bottom)
	text := fmt.Sprintf("%.1f s:", at)
	for i, s := range all {
		p := nearest(s.Points, at)
		if math.Abs(p[0]-at) > step {
			continue
		}
		d.put(`<circle class="c%d" cx="%.1f" cy="%.1f" r="3.5"/>`, i%colors, d.x(p[0]), d.y(p[1]))
		text += fmt.Sprintf(` <tspan class="c%d">%s</tspan>`, i%colors, Number(p[1]))
	}
	d.read(text + " " + escape(all[0].Unit))
}

// nearest is the point closest in time; points are in the order of time.
func nearest(points [][2]float64, at float64) [2]float64 {
	i, _ := slices.BinarySearchFunc(points, at, func(p [2]float64, at float64) int { return cmp.Compare(p[0], at) })
	if i == len(points) || i > 0 && at-points[i-1][0] < points[i][0]-at {
		i--
	}
	return points[i]
}
