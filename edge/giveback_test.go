package edge

import (
	"runtime"
	"testing"
)

// Memory is given back when a burst is over: neither in the middle of it, nor when there is nothing to give.
func TestGiveBack(t *testing.T) {
	const mega = 1 << 20
	var l leftover
	for _, c := range []struct {
		name                           string
		allocated, live, free, objects uint64 // MiB
		want                           bool
	}{
		{"begun", 80, 80, 0, 80, false},
		{"nothing has happened", 80, 80, 1, 80, false},
		{"a burst", 180, 80, 0, 180, false},
		{"the burst goes on, and a collection has been", 280, 100, 90, 100, false},
		{"it is over", 281, 100, 90, 100, true},
		{"it is over, and its garbage is not swept", 282, 100, 0, 190, true},
		{"given back", 283, 100, 2, 101, false},
		{"a little garbage now and then", 290, 100, 8, 104, false},
		{"more than is worth keeping", 297, 100, 12, 107, true},
		{"as much work as there is to give", 320, 100, 12, 107, false},
	} {
		if got := l.judge(c.allocated*mega, c.live*mega, c.free*mega, c.objects*mega); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	runtime.GC()
	real := newLeftover()
	if real.over(giveBackEvery); real.over(2*giveBackEvery - 1) {
		t.Error("it was looked a moment ago")
	}
	if real.samples[0].Value.Uint64() == 0 || real.samples[1].Value.Uint64() == 0 {
		t.Error("the runtime tells nothing under these names")
	}
}
