package editor

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The bounds. With all of them reached the shelf takes maxDocuments * 2 * maxState * 4/3 bytes: 128 MiB.
const (
	maxState     = 384 << 10          // bytes of a snapshot before base64; what a message of the channel may have is a little more
	maxDocuments = 128                // beyond them new ones are refused: nobody's text has to go for another's
	unused       = 7 * 24 * time.Hour // after which a document may go for a new one
	leastBetween = time.Second        // two snapshots of one document
	olderStays   = 10 * time.Minute   // at least, beside those newer than itself
)

// position is a place in a channel: epoch.offset, as PROTOCOL.md says.
type position struct {
	epoch  string
	offset uint64
}

func (p position) String() string { return p.epoch + "." + strconv.FormatUint(p.offset, 10) }

// readPosition reads the position of one channel.
func readPosition(text string) (p position, ok bool) {
	epoch, number, ok := strings.Cut(text, ".")
	n, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil || !goodEpoch.MatchString(epoch) {
		return position{}, false
	}
	return position{epoch, n}, true
}

var (
	goodEpoch = regexp.MustCompile(`^[0-9A-Za-z_-]{1,32}$`)
	names     = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)
)

func goodName(name string) bool { return names.MatchString(name) }

// goodState says whether a snapshot may be one. Whether it is one only Yjs knows: pages look before they merge it.
func goodState(state string) bool {
	bytes, err := base64.StdEncoding.Strict().DecodeString(state)
	return err == nil && len(bytes) >= 2 && len(bytes) <= maxState && !strings.ContainsAny(state, "\r\n")
}

// snapshot is a document as a page has had it: everything up to a position, and maybe more.
type snapshot struct {
	position position
	state    string // a Yjs update, base64
}

// tag names a snapshot, also beside others of the same position.
func (n snapshot) tag() string {
	sum := sha256.Sum256([]byte(n.state))
	return n.position.String() + "/" + hex.EncodeToString(sum[:6])
}

// document is what is kept of one: its newest snapshot, and an older one. The site cannot tell whether a snapshot is what it says, so
// that none is ever all that there is: a page merges both and takes the history from the older one's position on, which mends a newer one
// that leaves something out. The older one gives way when it has stood there for olderStays, and then to the newest: by then an honest
// page has put its own there (provider.js).
type document struct {
	newest, older snapshot // older.state is "" when there is none
	took          time.Time
	since         time.Time // when older came there
	used          time.Time
}

// shelf keeps the documents. A real site has a table in its database for that.
type shelf struct {
	mu   sync.Mutex
	docs map[string]*document // guarded by mu
}

func newShelf() *shelf { return &shelf{docs: map[string]*document{}} }

// get returns a document's snapshots, the newest first.
func (s *shelf) get(name string, now time.Time) (all []snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.docs[name]
	if d == nil {
		return nil
	}
	d.used = now
	if all = append(all, d.newest); d.older.state != "" {
		all = append(all, d.older)
	}
	return all
}

// refusal is why a snapshot is not taken: a status of HTTP, and words.
type refusal struct {
	status int
	words  string
}

// put takes a snapshot in place of the one with the tag after ("" where there is none), which whoever has made it has merged.
func (s *shelf) put(name, after string, n snapshot, now time.Time) *refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.docs[name]
	switch {
	case d == nil && after != "":
		return &refusal{http.StatusConflict, "There is no snapshot of this document."}
	case d == nil:
		if !s.room(now) {
			return &refusal{http.StatusInsufficientStorage, "There are as many documents as this site keeps."}
		}
		s.docs[name] = &document{newest: n, took: now, used: now}
		return nil
	case after != d.newest.tag():
		return &refusal{http.StatusConflict, "Somebody else has made a snapshot meanwhile."}
	case n.position.epoch == d.newest.position.epoch && n.position.offset < d.newest.position.offset:
		return &refusal{http.StatusConflict, "There is a newer snapshot."}
	case now.Sub(d.took) < leastBetween:
		return &refusal{http.StatusTooManyRequests, "This document was kept just now."}
	}
	if d.older.state == "" || now.Sub(d.since) >= olderStays {
		d.older, d.since = d.newest, now
	}
	d.newest, d.took, d.used = n, now, now
	return nil
}

// room makes room for one more document, where it can. The lock is held.
func (s *shelf) room(now time.Time) bool {
	if len(s.docs) < maxDocuments {
		return true
	}
	for name, d := range s.docs {
		if now.Sub(d.used) >= unused {
			delete(s.docs, name)
			return true
		}
	}
	return false
}
