package edge

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// A queue against a slice, by random pushes and pops; and one that is never empty stays as small as what is in it.
func TestQueue(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var q queue[int]
	var model []int
	for i := range 100_000 {
		if n := random.IntN(2000) + 1; len(model) < n && random.IntN(2) == 0 || len(model) == 0 {
			q.push(i)
			model = append(model, i)
		} else {
			if front, got := q.front(), q.pop(); got != model[0] || front != got {
				t.Fatalf("step %d: front %d, pop %d, want %d", i, front, got, model[0])
			}
			model = model[1:]
		}
		if q.len() != len(model) || !slices.Equal(q.items[q.head:], model) {
			t.Fatalf("step %d: %d in it, want %d", i, q.len(), len(model))
		}
	}
	var busy queue[int]
	busy.push(0)
	for i := range 1_000_000 {
		busy.push(i)
		busy.pop()
	}
	if c := cap(busy.items); c > 1024 {
		t.Errorf("a queue that held 2 at most has room for %d", c)
	}
}
