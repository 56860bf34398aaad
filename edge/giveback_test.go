package edge

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// Memory is given back when a burst is over: neither in the middle of it, nor when there is nothing to give. Servers of other tests may
// still be at work in this process; so what must come to be is waited for.
func TestGiveBack(t *testing.T) {
	l, now := newLeftover(), int64(0)
	look := func() bool {
		now += giveBackEvery
		return l.over(now)
	}
	until := func(what string, want bool, prepare func()) {
		t.Helper()
		for range 100 {
			if prepare(); look() == want {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Error("never: ", what)
	}
	look()
	until("nothing to give back", false, debug.FreeOSMemory)
	kept := make([][]byte, 0, 1<<10)
	for range 1 << 10 {
		kept = append(kept, make([]byte, 64<<10))
	}
	clear(kept)
	runtime.GC()
	if look() {
		t.Error("in the middle of a burst memory is to be given back")
	}
	if l.over(now + 1) {
		t.Error("it was looked a millisecond ago")
	}
	until("64 MiB of garbage to give back", true, runtime.GC)
	until("nothing to give back any more", false, debug.FreeOSMemory)
}
