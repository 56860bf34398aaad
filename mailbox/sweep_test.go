package mailbox

import (
	"fmt"
	"testing"
)

// TestSweepIsBoundedAndReachesAll: a call drops from no more boxes than it may look at, and all are reached in turn.
func TestSweepIsBoundedAndReachesAll(t *testing.T) {
	const users, visits = 1000, 10
	s := New(with(func(c *Config) { c.Age = 10 }))
	for i := range users {
		put(t, s, fmt.Sprint("user", i), 1, 1)
	}
	s.Sweep(10, users) // nothing is over yet
	calls := 0
	for before := s.Counts(); before.Boxes > 0; calls++ {
		s.Sweep(11, visits)
		after := s.Counts()
		if gone := before.Boxes - after.Boxes; gone > visits {
			t.Fatalf("%d boxes in one call", gone)
		}
		if before = after; calls > 2*users/visits {
			t.Fatalf("not all are reached: %+v", after)
		}
	}
	if got := s.Counts(); got.DroppedAge != users || got.Bytes != 0 || calls != users/visits {
		t.Errorf("%d calls, %+v", calls, got)
	}
}

// TestSweepOfNothing comes to an end.
func TestSweepOfNothing(t *testing.T) {
	s := New(roomy)
	s.Sweep(1, 1<<40)
	put(t, s, "ann", 1, 1)
	s.Sweep(1, 1<<40)
	if got := s.Counts(); got.Letters != 1 {
		t.Errorf("%+v", got)
	}
}
