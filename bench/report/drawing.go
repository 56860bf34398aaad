package report

import (
	"fmt"
	"html/template"
	"strings"
)

// The size of a drawing in its own units, and what is left for labels. On a telephone it is shown at about two thirds,
// with larger letters (see the template).
const (
	width, height       = 480.0, 240.0
	left, right, bottom = 54.0, 14.0, 44.0
	ticksX, ticksY      = 6, 5
)

// drawing is a chart's SVG in the making.
type drawing struct {
	strings.Builder
	across, upwards axis
	top             float64 // where the plot begins; above it are the units and what is pointed at
}

// draw opens a drawing that reads itself out and writes its frame.
func draw(across, upwards axis, top float64, title, text string) *drawing {
	d := &drawing{across: across, upwards: upwards, top: top}
	d.put(`<svg viewBox="0 0 %.0f %.0f" role="img"><title>%s</title><desc>%s</desc>`, width, height, escape(title), escape(text))
	return d
}

// put writes a piece. Texts must be escaped.
func (d *drawing) put(format string, args ...any) { fmt.Fprintf(d, format, args...) }

func (d *drawing) x(v float64) float64 { return left + d.across.part(v)*(width-left-right) }
func (d *drawing) y(v float64) float64 {
	return height - bottom - d.upwards.part(v)*(height-bottom-d.top)
}

// frame draws gridlines, their labels and the units.
func (d *drawing) frame(across, upwards string) {
	d.put(`<g class="grid">`)
	for _, v := range d.upwards.ticks(ticksY) {
		d.put(`<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/><text x="%.1f" y="%.1f" text-anchor="end">%s</text>`,
			left, width-right, d.y(v), d.y(v), left-6, d.y(v)+4, brief(v))
	}
	for _, v := range d.across.ticks(ticksX) {
		d.put(`<line x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/><text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`,
			d.x(v), d.x(v), d.top, height-bottom, d.x(v), height-bottom+17, brief(v))
	}
	d.put(`<text x="%.1f" y="%.1f" text-anchor="middle">%s</text>`, (left+width-right)/2, height-5, escape(across))
	d.put(`<text x="2" y="14">%s</text></g>`, escape(upwards))
}

// spot opens a group that shows what it holds only while one points at the place from x0 to x1.
func (d *drawing) spot(x0, x1 float64) {
	d.put(`<g class="spot"><rect class="hit" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, x0, d.top, max(x1-x0, 1), height-bottom-d.top)
}

// read writes what is read while one points there, and closes the group. The text may hold elements.
func (d *drawing) read(text string) {
	d.put(`<text class="read" x="%.1f" y="14" text-anchor="end">%s</text></g>`, width-right, text)
}

// done closes the drawing.
func (d *drawing) done() template.HTML {
	d.put(`</svg>`)
	return template.HTML(d.String())
}

func escape(text string) string { return template.HTMLEscapeString(text) }
