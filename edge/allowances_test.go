package edge

import (
	"fmt"
	"testing"
)

// TestAllowances: what was allowed is so for a while, and no more is remembered than there may be.
func TestAllowances(t *testing.T) {
	var x allowances
	key := func(i int) (k pollKey) { copy(k[:], fmt.Sprint(i)); return k }
	x.sweep(0)
	if x.has(key(1), 0) {
		t.Error("allowed before anything")
	}
	x.add(key(1), 1000)
	x.add(key(2), 2000)
	for _, c := range []struct {
		key  int
		now  int64
		want bool
	}{{1, 1000, true}, {1, 1000 + pollAllowed - 1, true}, {1, 1000 + pollAllowed, false}, {2, 1000 + pollAllowed, true}, {3, 1000, false}} {
		if got := x.has(key(c.key), c.now); got != c.want {
			t.Errorf("%d at %d: %v", c.key, c.now, got)
		}
	}
	x.sweep(1000 + pollAllowed)
	if len(x.by) != 1 || !x.has(key(2), 1000+pollAllowed) {
		t.Errorf("%d are left", len(x.by))
	}
	for i := range maxAllowed + 100 {
		x.add(key(i), 3000)
	}
	if len(x.by) != maxAllowed {
		t.Errorf("%d are remembered", len(x.by))
	}
	if x.add(key(2), 5000); !x.has(key(2), 5000+pollAllowed-1) {
		t.Error("one that is known was not prolonged")
	}
	if x.sweep(5000 + pollAllowed); x.by != nil {
		t.Errorf("%d are left in the end", len(x.by))
	}
}
