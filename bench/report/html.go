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
}).Parse(pageText))

// view is what the template sees.
type view struct {
	*Report
	Verdicts []verdict
	Rows     []barRow
	Reach    string // what the ends of the spread bars stand for; empty when there is no bar
	Charts   []chart
}

// verdict is a banner: class passed, failed or partial.
type verdict struct{ Class, Text string }

// barRow is a figure as the page has it.
type barRow struct {
	row
	Bar template.HTML
}

// HTML writes the report as one page that needs nothing else.
func (r *Report) HTML(w io.Writer) error {
	v := view{Report: r, Verdicts: r.verdicts(), Charts: r.charts()}
	reach := r.reach()
	for _, f := range r.Figures {
		bar := spreadBar(f, reach)
		if bar != "" {
			v.Reach = percent(reach)
		}
		v.Rows = append(v.Rows, barRow{f.row(), bar})
	}
	return pageTemplate.Execute(w, v)
}

// verdicts says both when a run was cut short and had faults: neither may hide the other.
func (r *Report) verdicts() (all []verdict) {
	if r.Partial != "" {
		all = append(all, verdict{"partial", "Partial: " + r.Partial})
	}
	if err := r.Faults.Err(); err != nil {
		all = append(all, verdict{"failed", "Failed: " + err.Error()})
	}
	if all == nil {
		all = append(all, verdict{"passed", "Passed: nothing was lost, duplicated, reordered or corrupted."})
	}
	return all
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
