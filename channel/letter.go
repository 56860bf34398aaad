package channel

import (
	"strconv"

	"encke/codes"
)

const headMail = `","mail":`

// Letter is a message that goes to a user's mailbox and not into a stream: its wire object has a number of its own in place of an
// offset and a position.
type Letter struct {
	name string
	rest []byte // of the wire object, from behind its head
	ends int64
}

// NewLetter encodes a message at now for one whose own channel has that name, which must be one. It refuses what Publish would.
func (s *Store) NewLetter(name string, m *Message, now int64) (Letter, *codes.Error) {
	if len(m.ID) > 0 {
		if err := checkID(m.ID); err != nil {
			return Letter{}, err
		}
	}
	p, err := newPublication(len(name), s.epoch, m, s.conf.MaxMessage, now)
	if err != nil {
		return Letter{}, err
	}
	return Letter{name, p.Wire[headLen(len(name), len(s.epoch), maxDigits):], p.ends}, nil
}

// Ends returns when the letter's own time is over, Unix time in milliseconds; 0: never.
func (l *Letter) Ends() int64 { return l.ends }

// Wire returns the wire object of the letter under a number.
func (l *Letter) Wire(number uint64) []byte {
	b := make([]byte, 0, len(headChannel)+len(l.name)+len(headMail)+maxDigits+len(l.rest))
	b = append(append(append(b, headChannel...), l.name...), headMail...)
	return append(strconv.AppendUint(b, number, 10), l.rest...)
}

// Digest tells messages apart that were given the same id.
func (s *Store) Digest(m *Message) uint64 { return s.digest(m) }

// Knows says whether a message was published in that channel under an id that is remembered at now.
func (s *Store) Knows(name, id []byte, now int64) bool {
	sh, _ := s.place(name)
	sh.ids.mu.Lock()
	defer sh.ids.mu.Unlock()
	record, known := sh.ids.known[idKey{string(name), string(id)}]
	return known && now-record.time <= s.conf.IDAge
}
