package mailbox

// minRing is the smallest ring: most users have few letters waiting.
const minRing = 2

// ring is a row of letters in id order. Those in its middle can be taken, which leaves gaps; whoever takes some closes the
// gaps with shift or squeeze before anybody else looks. Places not in use are nil, so that nothing taken stays in memory.
type ring struct {
	places []*Letter
	first  int // index of the oldest
	n      int
}

// at returns the i-th letter, 0 being the oldest.
func (r *ring) at(i int) *Letter { return r.places[r.index(i)] }

func (r *ring) index(i int) int {
	i += r.first
	if i >= len(r.places) {
		i -= len(r.places)
	}
	return i
}

// push appends l. The ring doubles as needed up to limit; the caller has made sure that it holds less than that.
func (r *ring) push(l *Letter, limit int) {
	if r.n == len(r.places) {
		r.resize(min(max(minRing, 2*len(r.places)), limit))
	}
	r.places[r.index(r.n)] = l
	r.n++
}

// take returns the i-th letter and leaves a gap in its place.
func (r *ring) take(i int) *Letter {
	place := &r.places[r.index(i)]
	l := *place
	*place = nil
	return l
}

// shift closes the gap that the n oldest have left.
func (r *ring) shift(n int) {
	r.first = r.index(n)
	r.n -= n
}

// squeeze closes all gaps from place i on.
func (r *ring) squeeze(i int) {
	to := i
	for ; i < r.n; i++ {
		if l := r.take(i); l != nil {
			r.places[r.index(to)] = l
			to++
		}
	}
	r.n = to
}

// fit gives memory back when a quarter of the ring would do; then both directions stay O(1) on average.
func (r *ring) fit() {
	if len(r.places) > 2*minRing && r.n < len(r.places)/4 {
		r.resize(max(minRing, 2*r.n))
	}
}

func (r *ring) resize(size int) {
	places := make([]*Letter, size)
	for i := range r.n {
		places[i] = r.at(i)
	}
	r.places, r.first = places, 0
}

// above returns the place of the oldest letter with an id above id: how many are not.
func (r *ring) above(id uint64) int {
	low, high := 0, r.n // every id before low is at most id, every one from high on is above
	for low < high {
		if mid := (low + high) / 2; r.at(mid).ID > id {
			high = mid
		} else {
			low = mid + 1
		}
	}
	return low
}

// find returns the place of the letter with that id, -1 when there is none.
func (r *ring) find(id uint64) int {
	if i := r.above(id) - 1; i >= 0 && r.at(i).ID == id {
		return i
	}
	return -1
}
