package bitset

import (
	"maps"
	"math/rand"
	"slices"
	"testing"
)

// members walks the set by Next, as a fan-out does.
func members(s *Set) []uint32 {
	var all []uint32
	for x, ok := s.Next(0); ok; x, ok = s.Next(x + 1) {
		all = append(all, x)
	}
	return all
}

func TestAgainstAMap(t *testing.T) {
	for _, span := range []int{10, 100, 5000, 1 << 20} {
		rng := rand.New(rand.NewSource(int64(span)))
		var s Set
		model := map[uint32]bool{}
		for step := range 20000 {
			x := uint32(rng.Intn(span))
			if rng.Intn(5000) == 0 { // now and then empty it
				for _, y := range members(&s) {
					s.Remove(y)
				}
				clear(model)
			}
			switch add := rng.Intn(3) > 0; {
			case add && s.Add(x) == model[x]:
				t.Fatalf("span %d step %d: Add(%d) says it was there: %v", span, step, x, model[x])
			case add:
				model[x] = true
			case s.Remove(x) != model[x]:
				t.Fatalf("span %d step %d: Remove(%d) disagrees", span, step, x)
			default:
				delete(model, x)
			}
			if s.Len() != len(model) || s.Has(x) != model[x] {
				t.Fatalf("span %d step %d: len %d, want %d", span, step, s.Len(), len(model))
			}
			if step%997 != 0 {
				continue
			}
			want := slices.Sorted(maps.Keys(model))
			clone := s.Clone()
			if got := members(&clone); !slices.Equal(got, want) {
				t.Fatalf("span %d step %d: walk differs", span, step)
			}
			if len(want) > 0 && clone.Remove(want[0]) && !s.Has(want[0]) {
				t.Fatal("a clone shares memory with its origin")
			}
		}
	}
}

func TestWalkAllocatesNothing(t *testing.T) {
	var s Set
	for x := uint32(0); x < 100000; x += 3 {
		s.Add(x)
	}
	if n := testing.AllocsPerRun(10, func() {
		for x, ok := s.Next(0); ok; x, ok = s.Next(x + 1) {
		}
	}); n != 0 {
		t.Errorf("a walk allocates %v times", n)
	}
}
