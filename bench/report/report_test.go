package report

import (
	"bytes"
	"encoding/xml"
	"io"
	"math"
	"path/filepath"
	"strings"
	"testing"
)

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 8.414: "8.41", 0.2: "0.200", 0.0336: "0.0336", 0.0021: "0.0021", 123.45: "123.5", 5: "5",
		2104.3: "2\u202f104", 9999.5: "10\u202f000", 102300: "102\u202f300", 1e6: "1\u202f000\u202f000", -12345: "-12\u202f345", math.Inf(1): "–"} {
		if got := Number(v); got != want {
			t.Errorf("%v: %q, want %q", v, got, want)
		}
	}
	if got := Number(math.NaN()); got != "–" {
		t.Errorf("NaN: %q", got)
	}
}

// sample has some of everything, and what should not be there.
func sample() *Report {
	r := &Report{Scenario: "broadcast <script>alert(1)</script>", Target: "encke", Command: []string{"encke-bench", "run", "--target", "\"&"}}
	for _, v := range []float64{8, 9, 10} {
		r.Add("server CPU per delivery", "µs", v)
		r.AddFloor("server CPU per delivery", "µs", v/2)
	}
	r.Add("deliveries/s", "/s", 1234567)
	r.AddFloor("only at the floor", "µs", 3)
	r.Note("<b>a note</b> %d", 1)
	r.Note("<b>a note</b> %d", 1)
	r.Latency = []Bucket{{0, 0.01, 5}, {1, 1.25, 100}, {1.25, 1.6, 0}, {10, 12.5, 7}, {3, 3, 9}}
	r.Series = []Series{{"latency p50", "ms", [][2]float64{{0, 1}, {1, 2}, {2, math.NaN()}}}, {"latency p99", "ms", [][2]float64{{0, 5}, {1, 7}}},
		{"nothing", "", nil}, {"one point", "", [][2]float64{{1, 1}}}, {"zeros", "", [][2]float64{{1, 0}, {1, 0}}}, {"endless", "", [][2]float64{{0, math.Inf(1)}}}}
	return r
}

func TestFigures(t *testing.T) {
	r := sample()
	f := r.Figure("server CPU per delivery")
	if f.Median != 9 || f.Min != 8 || f.Max != 10 || f.Floor != 4.5 || f.Ratio() != 2 || len(r.Notes) != 1 || r.Median("nothing of the kind") != 0 {
		t.Errorf("%+v, %v", f, r.Notes)
	}
	r.Merge(sample())
	if n := len(r.Figure("deliveries/s").Runs); n != 2 || len(r.Notes) != 1 {
		t.Errorf("after a merge: %d runs, %v", n, r.Notes)
	}
}

func TestPrint(t *testing.T) {
	r := sample()
	text := func() string { var b strings.Builder; r.Print(&b); return b.String() }
	for _, want := range []string{"server CPU per delivery", "8 … 10 of 3", "floor", "× 2.00", "1\u202f234\u202f567", "note: "} {
		if !strings.Contains(text(), want) {
			t.Errorf("no %q in:\n%s", want, text())
		}
	}
	if strings.Contains(text(), "FAILED") || strings.Contains(text(), "PARTIAL") {
		t.Errorf("all was well:\n%s", text())
	}
	r.Faults.Lost, r.Partial = 3, "the power went"
	if !strings.Contains(text(), "FAILED: deliveries were wrong: 3 lost") || !strings.Contains(text(), "PARTIAL, the run is not whole: the power went") {
		t.Errorf("it was not told:\n%s", text())
	}
}

func TestHTML(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(r *Report)
		want   string
	}{
		{"passed", func(*Report) {}, `class="verdict passed"`},
		{"failed", func(r *Report) { r.Faults.Duplicated = 1 }, `class="verdict failed"`},
		{"partial", func(r *Report) { r.Partial = "<i>killed</i>" }, `Partial: &lt;i&gt;killed`},
		{"partial, and wrong", func(r *Report) { r.Partial, r.Faults.Lost = "killed", 3 }, `Failed: deliveries were wrong: 3 lost`},
		{"wrong, and partial", func(r *Report) { r.Partial, r.Faults.Lost = "killed", 3 }, `class="verdict partial"`},
		{"a figure", func(*Report) {}, `<b>1 234 567</b>`},
		{"a name", func(*Report) {}, `broadcast &lt;script&gt;`},
		{"a note", func(*Report) {}, `&lt;b&gt;a note&lt;/b&gt; 1`},
		{"a ratio", func(*Report) {}, `× 2.00`},
		{"a spread", func(*Report) {}, `from -11.1 % to +11.1 % of the median`},
		{"a series' name", func(r *Report) { r.Series[0].Name = "<script>" }, `&lt;script&gt;`},
		{"empty", func(r *Report) { *r = Report{} }, `class="verdict passed"`},
	} {
		r := sample()
		c.change(r)
		var b bytes.Buffer
		if err := r.HTML(&b); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		page := b.String()
		if !strings.Contains(page, c.want) {
			t.Errorf("%s: no %q", c.name, c.want)
		}
		for _, bad := range []string{"<script", "<b>a note", "NaN", "Inf", "://"} {
			if strings.Contains(page, bad) {
				t.Errorf("%s: the page has %q", c.name, bad)
			}
		}
		drawings(t, c.name, page)
	}
}

// drawings wants every SVG of the page to be well-formed.
func drawings(t *testing.T, name, page string) {
	for rest := page; ; {
		i := strings.Index(rest, "<svg")
		if i < 0 {
			return
		}
		j := strings.Index(rest[i:], "</svg>")
		d := xml.NewDecoder(strings.NewReader(rest[i : i+j+6]))
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Errorf("%s: %v in %.200s", name, err, rest[i:])
				break
			}
		}
		rest = rest[i+j+6:]
	}
}

func TestSave(t *testing.T) {
	r := sample()
	file := filepath.Join(t.TempDir(), "report")
	r.Series = nil // JSON knows no NaN
	if err := r.Save(file + ".json"); err != nil {
		t.Error(err)
	}
	if err := r.SaveHTML(file + ".html"); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"/dev/full", filepath.Join(file, "nowhere", "report")} {
		for _, save := range []func(string) error{r.Save, r.SaveHTML} {
			if err := save(bad); err == nil || !strings.HasPrefix(err.Error(), "cannot save the report: ") {
				t.Errorf("%s: %v", bad, err)
			}
		}
	}
}
