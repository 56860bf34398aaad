package fleet

import (
	"testing"
	"time"
)

// TestBegun tells when those began to connect who are here, across the wrap of the fleet's clock.
func TestBegun(t *testing.T) {
	l := bare(1, Group{}, 0)
	l.fleet.began = time.Now().Add(-(1<<32 + 2_000_000) * time.Microsecond) // two seconds after it wrapped
	l.clients[0].began = l.clock() - 3_000_000
	b := Begun{}
	l.begun(b)
	ago := time.Duration(time.Now().UnixNano() - b[0])
	if ago < 3*time.Second || ago > 3500*time.Millisecond || len(b) != 1 {
		t.Errorf("it began %v ago, not 3 s: %v", ago, b)
	}
	l.clients[0].state = asking
	clear(b)
	if l.begun(b); len(b) != 0 {
		t.Errorf("one who is not here began at %v", b)
	}
}

// TestBelow lets clients come only up to a number.
func TestBelow(t *testing.T) {
	for below, want := range map[int]int{0: 5, 1: 1, 3: 3, 5: 5, 9: 5} {
		l := bare(1, Group{}, 0)
		l.clients = make([]client, 5)
		for i := range l.clients {
			l.clients[i].number = uint32(i)
		}
		l.fleet.loops = []*loop{l}
		l.call(Ramp{Concurrency: 1, Below: below})
		if got := len(l.ramp.queue); got != want {
			t.Errorf("%d come below %d, want %d", got, below, want)
		}
	}
}
