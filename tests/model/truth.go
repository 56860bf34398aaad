package model

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Forever is a history length at which nothing expires.
const Forever = math.MaxUint64

// Truth is what has been pushed, as far as its publishers know: what was surely stored, and what may have been.
type Truth struct {
	keeps   uint64        // publications that every channel keeps at least
	age     time.Duration // for how long users' own channels keep them; 0: as long as all
	streams map[string]*Stream
	rosters map[string]*Roster // of channels whose presence is followed
	boxes   map[string]*Box    // by user

	starts atomic.Int64 // processes started; counted before they are
	mu     sync.Mutex
	epochs map[string]bool // guarded by mu
}

// NewTruth returns one without any publication. keeps is the history length.
func NewTruth(keeps uint64, channels []string) *Truth {
	t := &Truth{keeps: keeps, streams: map[string]*Stream{}, rosters: map[string]*Roster{}, boxes: map[string]*Box{}, epochs: map[string]bool{}}
	for _, name := range channels {
		t.add(name)
	}
	return t
}

func (t *Truth) add(name string) *Stream {
	s := &Stream{truth: t, name: name, byEpoch: map[string]*generation{}}
	t.streams[name] = s
	return s
}

// AddUser adds a user's own channel, and its mailbox.
func (t *Truth) AddUser(user string) {
	s := t.add(ownPrefix + user)
	s.box = &Box{truth: t, user: user, channel: s.name, byMail: map[uint64]*letter{}}
	t.boxes[user] = s.box
}

// AddRoster adds who is in a channel, and the channel that tells of it. infos are what tokens say of each user, grace is how
// long one stays who has gone.
func (t *Truth) AddRoster(channel string, infos map[string]string, grace time.Duration) {
	r := newRoster(channel, infos, grace)
	t.rosters[channel] = r
	t.add(companionPrefix + channel).roster = r
}

const (
	ownPrefix       = "user:"
	companionPrefix = "$presence:"
)

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

// Stream is what has been pushed to one channel. It has a single publisher; that of a companion is the server itself, of which
// nobody knows how far it is.
type Stream struct {
	truth  *Truth
	name   string
	box    *Box    // of a user's own channel
	roster *Roster // of a companion

	mu      sync.RWMutex
	all     []*generation          // guarded by mu; all[n-1] has the number n
	byEpoch map[string]*generation // guarded by mu
}

// generation is what has been pushed to one process: message n has the offset n. The first has base+1: where channels may be
// forgotten one begins behind others now and then.
type generation struct {
	number   uint64
	epoch    string
	base     atomic.Uint64 // set before anything is sent
	sent     atomic.Uint64 // the publisher may have pushed up to here; set before it does
	answered atomic.Uint64 // up to here it was answered; of a companion, up to here it was told

	mu    sync.Mutex
	away  map[uint64]uint64 // guarded by mu: what may be at an offset in place of the message of that number
	marks []mark            // guarded by mu: when which offset was sent, oldest first, where that matters
	past  uint64            // guarded by mu: of the newest mark that is old enough
}

// mark is the moment before a message was pushed first.
type mark struct {
	offset uint64
	at     time.Time
}

// Begin begins the next generation, in an epoch to which nothing was pushed yet. There the channel stands at base.
func (s *Stream) Begin(epoch string, base uint64) (*generation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.byEpoch[epoch]
	switch {
	case g == nil:
		g = &generation{number: uint64(len(s.all) + 1), epoch: epoch}
		s.all, s.byEpoch[epoch] = append(s.all, g), g
	case !s.truth.forgets() || g.answered.Load() != g.base.Load() || base < g.base.Load():
		return nil, fmt.Errorf("%s: epoch %s begins again at %d, stands at %d", s.name, epoch, base, g.answered.Load())
	}
	g.base.Store(base)
	g.sent.Store(base)
	g.answered.Store(base)
	return g, s.truth.epoch(epoch)
}

// forgets says whether channels are forgotten while the process lives: then another may begin where one has ended.
func (t *Truth) forgets() bool { return t.age > 0 }

// of returns the generation of an epoch, nil when none has begun.
func (s *Stream) of(epoch string) *generation {
	s.mu.RLock()
	g := s.byEpoch[epoch]
	s.mu.RUnlock()
	if g != nil || s.roster == nil || epoch == "" {
		return g
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if g = s.byEpoch[epoch]; g == nil {
		g = &generation{epoch: epoch}
		g.sent.Store(math.MaxUint64)
		s.all, s.byEpoch[epoch] = append(s.all, g), g
	}
	return g
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

// send is said before message n is pushed.
func (s *Stream) send(g *generation, n uint64) {
	if s.ages() {
		g.mu.Lock()
		g.marks = append(g.marks, mark{n, time.Now()})
		g.mu.Unlock()
	}
	g.sent.Store(n)
}

// ages says whether publications expire by their age.
func (s *Stream) ages() bool { return s.truth.age > 0 && s.box != nil }

// staleness is by how much the server's clock may be behind when it notes a time: it reads it ten times a second, on a machine
// that may be busy.
const staleness = 500 * time.Millisecond

// passed returns up to where publications may be too old by now.
func (g *generation) passed(age time.Duration) uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	for n := time.Now().Add(staleness - age); len(g.marks) > 0 && g.marks[0].at.Before(n); g.marks = g.marks[1:] {
		g.past = max(g.past, g.marks[0].offset)
	}
	return g.past
}

// mayBeAway says, before it is pushed, that the message at an offset may be one of those that become letters when the user is
// away; with 0 that it is not.
func (g *generation) mayBeAway(offset, letter uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.away == nil {
		g.away = map[uint64]uint64{}
	}
	g.away[offset] = letter
	if letter == 0 {
		delete(g.away, offset)
	}
}

// awayAt returns which of these is at an offset, 0 for none.
func (g *generation) awayAt(offset uint64) uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.away[offset]
}

// tell notes how far a companion is.
func (g *generation) tell(offset uint64) {
	for {
		if was := g.answered.Load(); was >= offset || g.answered.CompareAndSwap(was, offset) {
			return
		}
	}
}

// droppable is the offset up to which history may have passed at most, by now.
func (s *Stream) droppable(g *generation) uint64 {
	switch {
	case s.roster != nil && s.truth.forgets() && g != nil:
		return s.roster.before(g.epoch)
	case g == nil && s.truth.forgets():
		return math.MaxUint64
	case g == nil:
		return 0
	}
	dropped := g.base.Load()
	if sent := g.sent.Load(); sent > s.truth.keeps {
		dropped = max(dropped, sent-s.truth.keeps)
	}
	if s.ages() {
		dropped = max(dropped, g.passed(s.truth.age))
	}
	return dropped
}

// exists says whether a channel can be at p by now.
func (s *Stream) exists(p place, g *generation) error {
	switch {
	case g == nil && (p.offset == 0 || s.truth.forgets()):
		return s.truth.epoch(p.epoch)
	case g == nil:
		return fmt.Errorf("invented: %s, where nothing was pushed", p)
	case p.offset > g.sent.Load():
		return fmt.Errorf("invented: %s, where %d were pushed", p, g.sent.Load())
	case s.roster != nil:
		return s.truth.epoch(p.epoch)
	}
	return nil
}

// isCompanion says whether a channel tells of who is in another one, and of which.
func isCompanion(channel string) (of string, is bool) {
	return strings.CutPrefix(channel, companionPrefix)
}
