package report

import "slices"

// Merge adds another run's figures to the report, name by name.
func (r *Report) Merge(o *Report) {
	for _, f := range o.Figures {
		for _, v := range f.Runs {
			r.Add(f.Name, f.Unit, v)
		}
		for _, v := range f.Floors {
			r.AddFloor(f.Name, f.Unit, v)
		}
	}
	r.Faults.Add(o.Faults)
	for _, n := range o.Notes {
		if !slices.Contains(r.Notes, n) {
			r.Notes = append(r.Notes, n)
		}
	}
	r.Seconds += o.Seconds
	if r.Partial == "" {
		r.Partial = o.Partial
	}
}
