package notifications

import (
	"errors"
	"slices"
	"sync"
	"time"
)

// How far a note has come. A note only ever goes forward.
const (
	kept      = "kept"      // by the site and in Encke's mailbox; no device of the recipient was there
	delivered = "delivered" // at least one device was
	read      = "read"
)

var order = []string{kept, delivered, read}

// note is one from somebody to somebody.
type note struct {
	ID        string `json:"id"` // the sender and a key of the sender's: also the id of the push
	N         uint64 `json:"n"`  // grows from note to note
	From      string `json:"from"`
	To        string `json:"to"`
	Text      string `json:"text"`
	Important bool   `json:"important"`
	Time      int64  `json:"time"` // Unix time in milliseconds
	State     string `json:"state"`
}

// keep is how many notes a person has at most; the oldest go. atOnce and every bound how fast a person may send.
const (
	keep   = 100
	atOnce = 20
	every  = 2 * time.Second
)

var (
	errTooMany = errors.New("too many notes at once")
	errOther   = errors.New("this id is another note's")
)

// notes are those of everybody, by recipient, oldest first. A real site has a database. Anybody may call its methods.
type notes struct {
	now func() time.Time // immutable

	mu   sync.Mutex
	last uint64                 // guarded by mu
	to   map[string][]note      // guarded by mu
	rest map[string][]time.Time // guarded by mu: by sender, when the last notes were sent, at most atOnce
}

func newNotes(now func() time.Time) *notes {
	return &notes{now: now, to: map[string][]note{}, rest: map[string][]time.Time{}}
}

// add keeps a note and returns it with number, time and state. One with an id that is there already is not added again: fresh is false,
// or the error errOther where it says something else. errTooMany when the sender sends faster than allowed.
func (s *notes) add(n note) (_ note, fresh bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, all := range s.to {
		for _, was := range all {
			if was.ID != n.ID {
				continue
			}
			if was.To != n.To || was.Text != n.Text || was.Important != n.Important {
				return note{}, false, errOther
			}
			return was, false, nil
		}
	}
	now := s.now()
	lately := slices.DeleteFunc(s.rest[n.From], func(t time.Time) bool { return now.Sub(t) >= atOnce*every })
	if len(lately) >= atOnce {
		return note{}, false, errTooMany
	}
	s.rest[n.From] = append(lately, now)
	s.last++
	n.N, n.Time, n.State = s.last, now.UnixMilli(), kept
	all := append(s.to[n.To], n)
	s.to[n.To] = all[max(0, len(all)-keep):]
	return n, true, nil
}

// of returns what a person has got and has sent, oldest first, at most keep of each.
func (s *notes) of(id string) (got, sent []note) {
	s.mu.Lock()
	defer s.mu.Unlock()
	got, sent = slices.Clone(s.to[id]), []note{}
	for _, all := range s.to {
		for _, n := range all {
			if n.From == id {
				sent = append(sent, n)
			}
		}
	}
	slices.SortFunc(sent, func(a, b note) int { return int(a.N) - int(b.N) })
	return append([]note{}, got...), sent[max(0, len(sent)-keep):]
}

// raise brings notes to a person as far as state, and returns those that were not so far.
func (s *notes) raise(to string, ids []string, state string) (changed []note) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.to[to] {
		n := &s.to[to][i]
		if slices.Contains(ids, n.ID) && slices.Index(order, n.State) < slices.Index(order, state) {
			n.State = state
			changed = append(changed, *n)
		}
	}
	return changed
}

func ids(of []note) []string {
	all := make([]string, len(of))
	for i, n := range of {
		all[i] = n.ID
	}
	return all
}
