package report

import (
	"html/template"
	"slices"
)

// chart is a drawing with a title and a legend.
type chart struct {
	Title  string
	Legend []entry
	SVG    template.HTML
}

// entry is a line of a legend.
type entry struct {
	Text  string
	Color int // 0 to 5
}

// colors is how many the template has.
const colors = 6

// charts draws what there is: the histogram, and curves of the same unit together.
func (r *Report) charts() (all []chart) {
	if c, ok := r.histogram(); ok {
		all = append(all, c)
	}
	groups := r.groups()
	across, _ := extent(slices.Concat(groups...)) // the same for all, so that what happened at a time stands above each other
	for _, group := range groups {
		all = append(all, curves(group, across))
	}
	return all
}

// groups puts series together that are read together. Counts and rates stand alone: connections and deliveries a second
// are of sizes that would flatten each other.
func (r *Report) groups() (all [][]Series) {
	at := map[string]int{}
	for _, s := range r.Series {
		if s.Points = finite(s.Points); len(s.Points) < 2 {
			continue
		}
		key := "unit " + s.Unit
		if s.Unit == "" || s.Unit == "/s" {
			key = "name " + s.Name
		}
		i, ok := at[key]
		if !ok {
			i = len(all)
			at[key], all = i, append(all, nil)
		}
		all[i] = append(all[i], s)
	}
	return all
}

// finite leaves out points that have no place.
func finite(points [][2]float64) (good [][2]float64) {
	for _, p := range points {
		if drawable(p[0]) && drawable(p[1]) {
			good = append(good, p)
		}
	}
	return good
}
