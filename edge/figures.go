package edge

import (
	"sync/atomic"

	"encke/channel"
	"encke/codes"
)

// figures are what the process counts besides the loops' own counts. All are atomic: the loops add, anybody reads.
type figures struct {
	connections    [numTransports]atomic.Int64
	refused        [256]atomic.Uint64 // by codes.Code: requests and commands answered with an error
	clients        atomic.Uint64      // connections of the public listener that were accepted
	requests       atomic.Uint64
	commands       atomic.Uint64
	bytesPublished atomic.Uint64
	gaps           atomic.Uint64    // subscribers told of a gap
	replayed       atomic.Uint64    // publications given from history
	stalls         atomic.Uint64    // times that a push had to wait
	published      atomic.Uint64    // by clients
	letters        atomic.Uint64    // given to connections
	partial        atomic.Int64     // bytes of WebSocket messages of which a part has come
	asked          atomic.Int64     // bytes of commands that wait for the site's backend
	shed           atomic.Uint64    // answers refused because the worker pool was full
	inconsistent   atomic.Uint64    // times that a loop had missed publications: a bug
	skipped        [3]atomic.Uint64 // by channel.Slow: publications that a slow reader was not given, and told so

	perLoop []loopFigures
}

// loopFigures are those of the hottest path, a cache line a loop.
type loopFigures struct {
	delivered atomic.Uint64
	_         [56]byte
}

func (f *figures) transport(t transport, delta int64) { f.connections[t].Add(delta) }

// delivered counts publications given to subscribers.
func (f *figures) delivered(loop, n int) {
	if n > 0 {
		f.perLoop[loop].delivered.Add(uint64(n))
	}
}

func (f *figures) refusedByCode() map[string]uint64 {
	return byCode(func(c codes.Code) uint64 { return f.refused[c].Load() })
}

func (f *figures) skippedByPolicy() map[string]uint64 {
	m := map[string]uint64{}
	for i := range f.skipped {
		m[channel.Slow(i).String()] = f.skipped[i].Load()
	}
	return m
}

// byCode collects counts by the codes' names, leaving out zeros.
func byCode(load func(c codes.Code) uint64) map[string]uint64 {
	m := map[string]uint64{}
	for _, c := range codes.All() {
		if n := load(c); n > 0 {
			m[c.String()] = n
		}
	}
	return m
}
