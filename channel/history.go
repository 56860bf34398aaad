package channel

// minRing is the smallest ring: most channels keep few publications.
const minRing = 4

// history is what a channel keeps: a ring of publications with consecutive offsets, the newest of which is the
// channel's head. It is guarded by the channel's mutex. A nil history is empty.
type history struct {
	ring  []*Publication // entries not in use are nil, so that nothing evicted stays in memory
	first int            // index of the oldest
	n     int
	bytes int64 // costs of those kept, without their forms
}

func (h *history) len() int {
	if h == nil {
		return 0
	}
	return h.n
}

// at returns the i-th publication, 0 being the oldest.
func (h *history) at(i int) *Publication { return h.ring[h.index(i)] }

func (h *history) index(i int) int {
	i += h.first
	if i >= len(h.ring) {
		i -= len(h.ring)
	}
	return i
}

// push appends p. The ring doubles as needed up to limit; the caller has made sure that it holds less than that.
func (h *history) push(p *Publication, limit int) {
	if h.n == len(h.ring) {
		h.resize(min(max(minRing, 2*len(h.ring)), limit))
	}
	h.ring[h.index(h.n)] = p
	h.n++
	h.bytes += int64(p.cost)
}

// pop takes the oldest publication out. The ring halves when a quarter of it would do, so that both directions stay
// O(1) on average.
func (h *history) pop() *Publication {
	p := h.ring[h.first]
	h.ring[h.first] = nil
	h.first = h.index(1)
	h.n--
	h.bytes -= int64(p.cost)
	if len(h.ring) > 2*minRing && h.n < len(h.ring)/4 {
		h.resize(len(h.ring) / 2)
	}
	return p
}

func (h *history) resize(size int) {
	ring := make([]*Publication, size)
	for i := range h.n {
		ring[i] = h.at(i)
	}
	h.ring, h.first = ring, 0
}

// live returns the place of the oldest publication that has not expired at now; age 0 is no limit. It does not take the
// expired ones out: that is done a few at a time, whoever reads need not wait for it.
func (h *history) live(now, age int64) int {
	if h.len() == 0 || age <= 0 || !expired(h.at(0), now, age) {
		return 0
	}
	low, high := 1, h.n // everything before low has expired, nothing from high on (times rise with offsets)
	for low < high {
		mid := (low + high) / 2
		if expired(h.at(mid), now, age) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

func expired(p *Publication, now, age int64) bool { return age > 0 && now-p.Time > age }
