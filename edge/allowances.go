package edge

import (
	"crypto/sha256"
	"strings"
	"sync"
)

// allowances are polls that the site's backend has allowed lately: the same are not asked about again for a while, whichever loop
// they come to. Any loop may call. The zero value is an empty one.
type allowances struct {
	mu sync.Mutex
	by map[pollKey]int64 // guarded by mu: until when, Unix time in milliseconds
}

// pollKey stands for polls of the same client for the same channels: half of a SHA-256, so that the names take no memory.
type pollKey [sha256.Size / 2]byte

const (
	// pollAllowed is for how many milliseconds a poll that was allowed is not asked about again.
	pollAllowed = 30_000
	// maxAllowed is how many such polls are remembered; beyond it they are asked about each time.
	maxAllowed = 65536
)

func (x *allowances) has(key pollKey, now int64) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return now < x.by[key]
}

func (x *allowances) add(key pollKey, now int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.by == nil {
		x.by = map[pollKey]int64{}
	}
	if _, there := x.by[key]; there || len(x.by) < maxAllowed {
		x.by[key] = now + pollAllowed
	}
}

// sweep forgets those that are to be asked about again. Loop 0 calls it once a second.
func (x *allowances) sweep(now int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for key, until := range x.by {
		if now >= until {
			delete(x.by, key)
		}
	}
	if len(x.by) == 0 {
		x.by = nil // a map gives no memory back by itself
	}
}

// pollKey returns what a poll for r.names, of r.claims, is known by: all that would be asked. Commas are in none of it.
func (r *reactor) pollKey(q *request) (key pollKey) {
	var b strings.Builder
	b.WriteString(r.address(q.c).String())
	b.WriteByte(',')
	if r.claims != nil {
		b.WriteString(r.claims.Subject)
	}
	for _, name := range r.names {
		b.WriteByte(',')
		b.Write(name)
	}
	sum := sha256.Sum256([]byte(b.String()))
	copy(key[:], sum[:])
	return key
}
