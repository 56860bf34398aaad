package model

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
)

// Forever is a history length at which nothing expires.
const Forever = math.MaxUint64

// Truth is what has been pushed, as far as its publishers know: what was surely stored, and what may have been.
type Truth struct {
	keeps   uint64 // publications that every channel keeps at least
	streams map[string]*Stream

	starts atomic.Int64 // processes started; counted before they are
	mu     sync.Mutex
	epochs map[string]bool // guarded by mu
}

// NewTruth returns one without any publication. keeps is the history length.
func NewTruth(keeps uint64, channels []string) *Truth {
	t := &Truth{keeps: keeps, streams: map[string]*Stream{}, epochs: map[string]bool{}}
	for _, name := range channels {
		t.streams[name] = &Stream{truth: t, name: name, byEpoch: map[string]*generation{}}
	}
	return t
}

// Starting is said before a process is started.
func (t *Truth) Starting() { t.starts.Add(1) }

// epoch notes an epoch that was seen; there cannot be more of them than processes.
func (t *Truth) epoch(e string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.epochs[e] = true
	if n := t.starts.Load(); int64(len(t.epochs)) > n {
		return fmt.Errorf("epoch %s is the %dth of %d processes", e, len(t.epochs), n)
	}
	return nil
}

// Stream is what has been pushed to one channel. It has a single publisher.
type Stream struct {
	truth *Truth
	name  string

	mu      sync.RWMutex
	all     []*generation          // guarded by mu; all[n-1] has the number n
	byEpoch map[string]*generation // guarded by mu
}

// generation is what has been pushed to one process: message n has the offset n.
type generation struct {
	number   uint64
	epoch    string
	sent     atomic.Uint64 // the publisher may have pushed up to here; set before it does
	answered atomic.Uint64 // up to here it was answered
}

// Begin begins the next generation, in an epoch to which nothing was pushed yet.
func (s *Stream) Begin(epoch string) (*generation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byEpoch[epoch] != nil {
		return nil, fmt.Errorf("%s: epoch %s begins again", s.name, epoch)
	}
	g := &generation{number: uint64(len(s.all) + 1), epoch: epoch}
	s.all, s.byEpoch[epoch] = append(s.all, g), g
	return g, s.truth.epoch(epoch)
}

// of returns the generation of an epoch, nil when none has begun.
func (s *Stream) of(epoch string) *generation {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.byEpoch[epoch]
}

// current returns the newest generation, nil when none has begun.
func (s *Stream) current() *generation {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if len(s.all) == 0 {
		return nil
	}
	return s.all[len(s.all)-1]
}

// numbered returns the generation of a number, nil when there is none.
func (s *Stream) numbered(n uint64) *generation {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if n == 0 || n > uint64(len(s.all)) {
		return nil
	}
	return s.all[n-1]
}

// droppable is the offset up to which history may have passed at most, by now.
func (s *Stream) droppable(g *generation) uint64 {
	if g == nil {
		return 0
	}
	if sent := g.sent.Load(); sent > s.truth.keeps {
		return sent - s.truth.keeps
	}
	return 0
}

// exists says whether a channel can be at p by now.
func (s *Stream) exists(p place, g *generation) error {
	switch {
	case g == nil && p.offset == 0:
		return s.truth.epoch(p.epoch)
	case g == nil:
		return fmt.Errorf("invented: %s, where nothing was pushed", p)
	case p.offset > g.sent.Load():
		return fmt.Errorf("invented: %s, where %d were pushed", p, g.sent.Load())
	}
	return nil
}
