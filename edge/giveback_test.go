package edge

import (
	"runtime"
	"runtime/debug"
	"testing"
)

// Memory is given back when a burst is over: neither in the middle of it, nor when there is nothing to give.
func TestGiveBack(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	debug.FreeOSMemory()
	l := newLeftover()
	l.over(0)
	if l.over(giveBackEvery) {
		t.Error("nothing has happened, and memory is to be given back")
	}
	kept := make([][]byte, 0, 1<<10)
	for range 1 << 10 {
		kept = append(kept, make([]byte, 64<<10))
	}
	clear(kept)
	runtime.GC()
	if l.over(2 * giveBackEvery) {
		t.Error("in the middle of a burst memory is to be given back")
	}
	if l.over(2*giveBackEvery + 1) {
		t.Error("it was looked a millisecond ago")
	}
	if !l.over(3 * giveBackEvery) {
		t.Error("after 64 MiB of garbage there is nothing to give back")
	}
	debug.FreeOSMemory()
	if l.over(4 * giveBackEvery) {
		t.Error("there is still something to give back")
	}
}
