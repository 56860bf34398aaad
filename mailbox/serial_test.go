package mailbox

import "testing"

// TestIDsRise: whatever the clock does, an id is above the one before; and with the clock it is that of its millisecond.
func TestIDsRise(t *testing.T) {
	s := New(roomy)
	for i, c := range []struct {
		now  int64
		want uint64
	}{
		{-5, 1}, // a clock that is not set
		{0, 2},
		{7, 7 * 1024},
		{7, 7*1024 + 1},
		{6, 7*1024 + 2}, // back
		{8, 8 * 1024},
		{1 << 42, 1 << 52},
	} {
		if got := put(t, s, "ann", 1, c.now); got != c.want {
			t.Errorf("case %d: %d, want %d", i, got, c.want)
		}
	}
}

// TestIDsRiseOverRestarts: a process that starts a millisecond after the last letter of another is above it, as long as
// the ids of a millisecond were not used up.
func TestIDsRiseOverRestarts(t *testing.T) {
	now, last := int64(1_795_224_000_000), uint64(0)
	for range 20 {
		s := New(roomy)
		for range 3 {
			for range idsPerMillisecond {
				id := put(t, s, "ann", 1, now)
				if id <= last {
					t.Fatalf("%d after %d", id, last)
				}
				last = id
			}
			now++
		}
	}
	if last >= 1<<53 {
		t.Errorf("%d is too large for JavaScript", last)
	}
}

// TestIDsLast says until when ids are exact in JavaScript.
func TestIDsLast(t *testing.T) {
	const end = 8_796_093_022_208 // 26 September 2248, 15:10:22 UTC
	if put(t, New(roomy), "ann", 1, end-1) >= 1<<53 || put(t, New(roomy), "ann", 1, end) < 1<<53 {
		t.Error("serial's comment is wrong")
	}
}
