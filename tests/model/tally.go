package model

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Tally counts what happened, by names like "checked/ws". It may be used by anybody.
type Tally struct {
	checked atomic.Int64 // deliveries, over every transport
	mu      sync.Mutex
	counts  map[string]int64 // guarded by mu
}

// NewTally returns an empty one.
func NewTally() *Tally { return &Tally{counts: map[string]int64{}} }

// Add counts n more of something.
func (t *Tally) Add(name string, n int64) {
	if n == 0 {
		return
	}
	t.mu.Lock()
	t.counts[name] += n
	t.mu.Unlock()
}

// Checked counts deliveries that were checked.
func (t *Tally) Checked(transport string, n int64) {
	t.checked.Add(n)
	t.Add("checked/"+transport, n)
}

// Sum returns the sum of all names with a prefix.
func (t *Tally) Sum(prefix string) (n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name, count := range t.counts {
		if strings.HasPrefix(name, prefix) {
			n += count
		}
	}
	return n
}

// Merge adds all of another's figures.
func (t *Tally) Merge(other *Tally) {
	t.checked.Add(other.checked.Load())
	for name, n := range other.counts {
		t.Add(name, n)
	}
}

// String lists the figures, those with one beginning in one line.
func (t *Tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(t.counts)) {
		head, tail, ok := strings.Cut(name, "/")
		if !ok {
			tail = "all"
		}
		lines[head] = append(lines[head], fmt.Sprintf("%s %d", tail, t.counts[name]))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d deliveries checked", t.checked.Load())
	for _, head := range slices.Sorted(maps.Keys(lines)) {
		fmt.Fprintf(&b, "\n  %s: %s", head, strings.Join(lines[head], ", "))
	}
	return b.String()
}
