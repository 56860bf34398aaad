package presence

import "testing"

// TestNothingAllocates: connections of a member who is there, and what comes with every tick.
func TestNothingAllocates(t *testing.T) {
	b := silent(500)
	ch := b.Open("a", Members)
	info := []byte(`{"name":"Ann"}`)
	ch.Enter("ann", info)
	b.Flush(0)
	now := int64(0)
	none := func(what string, f func()) {
		t.Helper()
		if n := testing.AllocsPerRun(200, f); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
	none("another connection", func() {
		ch.Enter("ann", info)
		ch.Leave("ann", now, false)
	})
	none("coming back", func() { // but for the agenda's growth
		ch.Leave("ann", now, false)
		ch.Enter("ann", info)
	})
	none("nobody", func() {
		ch.Enter("", nil)
		ch.Leave("", now, false)
	})
	b.Flush(1000)
	none("flush of nothing", func() { b.Flush(1000) })
	none("published", func() { b.Published("a", Members, false) })
	none("totals", func() { b.Totals() })
}
