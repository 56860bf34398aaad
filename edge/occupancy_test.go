package edge

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestOccupancy: a channel is told occupied with its first subscriber, and vacated when none came within the grace, as of the moment
// at which the last one left.
func TestOccupancy(t *testing.T) {
	var told []string
	o := newOccupancy(100, func(name string, occupied bool, at int64) {
		told = append(told, fmt.Sprint(name, " ", occupied, " ", at))
	})
	for i, c := range []struct {
		do   func()
		want []string
	}{
		{func() { o.sweep(0) }, nil},
		{func() { o.Occupied("a", 10) }, []string{"a true 10"}},
		{func() { o.Vacated("a", 20); o.sweep(119) }, nil},
		{func() { o.Occupied("a", 119); o.sweep(120); o.sweep(500) }, nil}, // came within the grace
		{func() { o.Vacated("a", 510); o.Occupied("a", 510); o.sweep(700) }, nil},
		{func() { o.Vacated("a", 700); o.Occupied("a", 750); o.Vacated("a", 760); o.sweep(800) }, nil}, // the first leave counts no more
		{func() { o.sweep(859) }, nil},
		{func() { o.sweep(860) }, []string{"a false 760"}},
		{func() { o.passing("b", 900); o.passing("c", 910); o.sweep(1009) }, []string{"b true 900", "c true 910", "b false 900"}},
		{func() { o.sweep(1000); o.sweep(1010) }, []string{"c false 910"}},
		{func() { o.passing("d", 2000); o.passing("d", 2000); o.sweep(2100) }, []string{"d true 2000", "d false 2000"}}, // twice in a moment
	} {
		told = nil
		c.do()
		if !slices.Equal(told, c.want) {
			t.Errorf("case %d: %v, want %v", i, told, c.want)
		}
	}
	if len(o.all) != 0 || o.leaves.len() != 0 {
		t.Errorf("%d channels, %d leaves are left", len(o.all), o.leaves.len())
	}
	var nobody *occupancy
	nobody.sweep(1)
}

// passing is a coming and going in one moment.
func (o *occupancy) passing(name string, now int64) {
	o.Occupied(name, now)
	o.Vacated(name, now)
}

// TestOccupancyAtRandom: whatever happens, a subject is told its states in turn, and in the end the true one.
func TestOccupancyAtRandom(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	is := map[string]bool{}
	o := newOccupancy(10, func(name string, occupied bool, _ int64) {
		if is[name] == occupied {
			t.Errorf("%s is told %v twice", name, occupied)
		}
		is[name] = occupied
	})
	var subscribers [5]int
	now := int64(0)
	for range 20_000 {
		now += rng.Int64N(4)
		c := rng.IntN(len(subscribers))
		name := fmt.Sprint(c)
		if rng.IntN(2) == 0 {
			if subscribers[c]++; subscribers[c] == 1 {
				o.Occupied(name, now)
			}
		} else if subscribers[c] > 0 {
			if subscribers[c]--; subscribers[c] == 0 {
				o.Vacated(name, now)
			}
		}
		if rng.IntN(5) == 0 {
			o.sweep(now)
		}
		if subscribers[c] > 0 && !is[name] {
			t.Fatalf("%s has subscribers and is not told so", name)
		}
	}
	o.sweep(now + 10)
	for c, n := range subscribers {
		if is[fmt.Sprint(c)] != (n > 0) {
			t.Errorf("%d has %d subscribers, told %v", c, n, is[fmt.Sprint(c)])
		}
	}
}
