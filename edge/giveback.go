package edge

import (
	"runtime/debug"
	gauges "runtime/metrics"
)

// giveBackEvery is how often it is looked whether memory can be given back, in milliseconds.
const giveBackEvery = 2_000

// leftover is what a burst of work has left behind in the heap. The runtime keeps room for as much garbage as there is live memory,
// which is right while there is work and wrong for connections that stay and say nothing: their memory would count twice.
type leftover struct {
	at        int64  // when to look next, Unix time in milliseconds
	allocated uint64 // since the process began, as of the last look
	samples   []gauges.Sample
}

func newLeftover() leftover {
	return leftover{samples: []gauges.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}}}
}

// over says whether there has been little work for a while and more to give back than is worth keeping.
func (b *leftover) over(now int64) bool {
	if now < b.at {
		return false
	}
	b.at = now + giveBackEvery
	gauges.Read(b.samples)
	value := func(i int) uint64 { return b.samples[i].Value.Uint64() }
	return b.judge(value(0), value(1), value(2), value(3))
}

// judge is over for what was allocated since the process began, what was live at the last collection, what is free and has not been
// given back, and what objects take that are live or have not been swept; all in bytes.
func (b *leftover) judge(allocated, live, free, objects uint64) bool {
	lately := allocated - b.allocated
	b.allocated = allocated
	worth := live/8 + 1<<20
	return lately < worth && free+objects-min(live, objects) > worth
}

// giveBack gives the memory of a burst that is over back to the kernel. It waits for a whole collection.
func (s *Server) giveBack(now int64) {
	if s.leftover.over(now) {
		debug.FreeOSMemory()
	}
}
