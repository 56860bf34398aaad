package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"os"
	"strings"
	"time"
)

//go:embed page.html.tmpl
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"number": Number,
	"join":   strings.Join,
	"time":   func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
	"spread": spreadBar,
}).Parse(pageText))

// HTML writes the report as one page that needs nothing else.
func (r *Report) HTML(w io.Writer) error {
	view := struct {
		*Report
		Verdict, Class string
		Charts         []chart
		Palette        [6]struct{}
	}{Report: r, Charts: r.charts()}
	switch err := r.Faults.Err(); {
	case r.Partial != "":
		view.Class, view.Verdict = "partial", "Partial: "+r.Partial
	case err != nil:
		view.Class, view.Verdict = "failed", "Failed: "+err.Error()
	default:
		view.Class, view.Verdict = "passed", "Passed: nothing was lost, duplicated, reordered or corrupted."
	}
	return pageTemplate.Execute(w, view)
}

// SaveHTML writes the page to a file.
func (r *Report) SaveHTML(file string) error {
	var b bytes.Buffer
	err := r.HTML(&b)
	if err == nil {
		err = os.WriteFile(file, b.Bytes(), 0o644)
	}
	if err != nil {
		return fmt.Errorf("cannot save the report: %w", err)
	}
	return nil
}

// spreadBar draws minimum, median and maximum of several runs between 0 and the maximum.
func spreadBar(f *Figure) template.HTML {
	if len(f.Runs) < 2 || f.Max <= 0 || f.Min < 0 {
		return ""
	}
	const width = 90.0
	x := func(v float64) float64 { return v / f.Max * width }
	return template.HTML(fmt.Sprintf(`<svg class="spread" width="%.0f" height="12" role="img" aria-label="%s to %s"><rect x="0" y="5" width="%.0f" height="2" class="rail"/><rect x="%.1f" y="3" width="%.1f" height="6" class="range"/><rect x="%.1f" y="1" width="2" height="10" class="median"/></svg>`,
		width, template.HTMLEscapeString(Number(f.Min)), template.HTMLEscapeString(Number(f.Max)), width, x(f.Min), max(x(f.Max)-x(f.Min), 1), min(x(f.Median), width-2)))
}
