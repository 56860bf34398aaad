package edge

import (
	"math/rand/v2"
	"testing"

	"encke/netloop"
)

// handles against a map, by random operations that make it small and large.
func TestHandles(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var x handles
	model := map[netloop.Handle]bool{} // marked
	for i := range 200_000 {
		most := 1 << (i / 20_000 % 6) // 1 to 32
		h := netloop.Handle(random.IntN(2*most) + 1)
		if random.IntN(2) == 0 {
			h |= 63 << 56
		}
		_, there := model[h]
		switch at := x.find(h); {
		case (at != nil) != there:
			t.Fatalf("step %d: %x found %v, want %v", i, h, at != nil, there)
		case !there && len(model) < most:
			x.add(h)
			model[h] = false
		case !there || random.IntN(3) > 0 && len(model) <= most:
			if there {
				*at ^= marked
				model[h] = !model[h]
			} else if x.remove(h) {
				t.Fatalf("step %d: %x was removed", i, h)
			}
		default:
			if !x.remove(h) {
				t.Fatalf("step %d: %x was not removed", i, h)
			}
			delete(model, h)
		}
		seen := 0
		x.all(func(h *netloop.Handle) {
			seen++
			if mark, there := model[*h&^marked]; !there || mark != (*h&marked != 0) {
				t.Fatalf("step %d: %x: there %v, marked %v", i, *h, there, mark)
			}
		})
		if x.len() != len(model) || seen != len(model) {
			t.Fatalf("step %d: %d, seen %d, want %d", i, x.len(), seen, len(model))
		}
	}
}
