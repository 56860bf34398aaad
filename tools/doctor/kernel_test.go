package doctor

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestKernelBytes measures what KernelBytes says, in a network namespace of its own:
//
//	ENCKE_MEASURE=1 go test -run TestKernelBytes -v ./tools/doctor      (as root; 18,000 descriptors, a few seconds)
//
// Each step adds one thing to 9,000 loopback connections: the client with the kernel's half of the server's end, accept,
// epoll, a message that stays unacknowledged. What a cache grew by is its objects times its share of a slab. The counts are
// those of the whole machine, so it is told as a median of rounds and judged by a person.
func TestKernelBytes(t *testing.T) {
	if os.Getenv("ENCKE_MEASURE") == "" {
		t.Skip("ENCKE_MEASURE is not set")
	}
	const rounds = 5
	var all [rounds][]growth
	for i := range all {
		done := make(chan error) // one goroutine a round: its thread ends with it, and so does the namespace
		go func() {
			runtime.LockOSThread()
			var err error
			all[i], err = measure(9000)
			done <- err
		}()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	for step := range all[0] {
		byCache := map[string][]float64{}
		for _, round := range all {
			for cache, bytes := range round[step].bytes {
				byCache[cache] = append(byCache[cache], bytes)
			}
		}
		t.Log(all[0][step].step + ", bytes a connection:")
		for _, line := range medians(byCache, rounds) {
			t.Log(line)
		}
	}
}

// growth is what one step added, in bytes a connection.
type growth struct {
	step  string
	bytes map[string]float64
}

// medians are the lines of a table, the largest first; caches that grew by less than 2 bytes are left out.
func medians(byCache map[string][]float64, rounds int) (lines []string) {
	type row struct {
		name          string
		low, mid, top float64
	}
	var rows []row
	for name, v := range byCache {
		for len(v) < rounds {
			v = append(v, 0)
		}
		slices.Sort(v)
		if mid := v[rounds/2]; mid > 2 || mid < -2 {
			rows = append(rows, row{name, v[0], mid, v[rounds-1]})
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(b.mid, a.mid) })
	for _, r := range rows {
		lines = append(lines, fmt.Sprintf("%10.0f  (%.0f … %.0f)  %s", r.mid, r.low, r.top, r.name))
	}
	return lines
}

// measure opens n connections, step by step, in a new network namespace.
func measure(n int) (steps []growth, err error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("cannot make a network namespace: %w", err)
	}
	if err := loopback(true); err != nil {
		return nil, err
	}
	p := pairs{n: n}
	defer p.close()
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"nothing, for the noise", func() error { return nil }},
		{"connect: client's end, and the server's before accept", p.connect},
		{"accept: the server's file", p.accept},
		{"epoll: the server's entry", p.watch},
		{"128 bytes sent and not read", p.send},
		{"128 bytes sent and not acknowledged", func() error { return cmp.Or(loopback(false), p.send()) }},
	} {
		before := snapshot()
		if err := step.do(); err != nil {
			return nil, fmt.Errorf("cannot %s: %w", step.name, err)
		}
		grown := map[string]float64{}
		for cache, bytes := range snapshot() {
			grown[cache] = (bytes - before[cache]) / float64(n)
		}
		steps = append(steps, growth{step.name, grown})
	}
	return steps, nil
}

// snapshot is the bytes of each slab cache, of all of them, and of TCP's pages.
func snapshot() map[string]float64 {
	runtime.GC()
	s := Here()
	bytes := map[string]float64{"= Slab of /proc/meminfo": float64(s.meminfo("Slab"))}
	text, _ := s.text("/proc/slabinfo")
	for line := range strings.Lines(text) {
		var name string
		var active, total, size, perSlab, pages float64
		if n, _ := fmt.Sscan(line, &name, &active, &total, &size, &perSlab, &pages); n == 6 && perSlab > 0 {
			bytes[fmt.Sprintf("%s, objects of %.0f", name, size)] = active * pages * 4096 / perSlab
		}
	}
	text, _ = s.text("/proc/net/sockstat")
	for line := range strings.Lines(text) {
		var pages float64
		if _, mem, ok := strings.Cut(line, " mem "); ok && strings.HasPrefix(line, "TCP:") {
			fmt.Sscan(mem, &pages)
			bytes["= charged to tcp_mem"] = pages * 4096
		}
	}
	return bytes
}
