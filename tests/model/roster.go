package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
)

// Presence has another truth than messages, since it is a set and not a log: nobody knows the moment at which the server notices
// that somebody has come or gone. A Roster knows between which moments it must have been. Beside that it holds what all followers
// were told against each other: the stream of events is one, and so is the set at each of its offsets.
type Roster struct {
	channel string
	infos   map[string]string // immutable: of users, "" for none
	grace   time.Duration     // immutable

	mu     sync.Mutex
	told   map[string]*chronicle // guarded by mu, by epoch
	visits map[string][]*visit   // guarded by mu, by user, those of the last seconds
	quits  map[string]time.Time  // guarded by mu: until when a user may be leaving by its own wish
	asked  map[string]bool       // guarded by mu: who has ever asked to be there
}

// chronicle is what was told in one epoch.
type chronicle struct {
	events map[uint64][]byte
	sets   map[uint64]string // who is there after the event of that offset
	lowest uint64            // offset of the first event known
}

// visit is a connection's being in a channel, as its client knows. Times are those of the moments at which the client did or heard
// something; what the server did lies between.
type visit struct {
	user      string
	epoch     string    // of the process that has confirmed it
	asked     time.Time // before the request
	confirmed time.Time // zero: not
	leaving   time.Time // before the client left or closed; zero: it has not
	gone      time.Time // when the server had answered that it has left as it asked to
	direct    bool      // nothing lies between: what the client does is heard at once
	stays     bool      // nothing but the client itself ends it: from confirmed to leaving it was there all the time
}

// snapshot is who is in a channel, as the server answers.
type snapshot struct {
	Channel            string
	Users, Connections int
	Position           string
	TooMany            bool `json:"too_many"`
	Members            []struct {
		User        string
		Connections int
		Info        json.RawMessage
	}
}

// happening is the data of an event of a companion.
type happening struct {
	Join []struct {
		User string
		Info json.RawMessage
	}
	Leave       []string
	Users       *int
	Connections *int
}

func newRoster(channel string, infos map[string]string, grace time.Duration) *Roster {
	return &Roster{channel: channel, infos: infos, grace: grace, told: map[string]*chronicle{}, visits: map[string][]*visit{},
		quits: map[string]time.Time{}, asked: map[string]bool{}}
}

// remembered is for how long a visit that is over is of any interest; anything that was on its way arrives in this time.
const remembered = 10 * time.Second

// Ask is said before a request that subscribes a user. direct and stays are what visit says of them.
func (r *Roster) Ask(user string, direct, stays bool, now time.Time) *visit {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := &visit{user: user, asked: now, direct: direct, stays: stays}
	r.visits[user] = append(slices.DeleteFunc(r.visits[user], func(v *visit) bool {
		return !v.leaving.IsZero() && now.Sub(v.leaving) > remembered
	}), v)
	r.asked[user] = true
	return v
}

// Confirm is said when the server has answered that it is so.
func (r *Roster) Confirm(v *visit, epoch string, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v.confirmed.IsZero() {
		v.epoch, v.confirmed = epoch, now
	}
}

// Leave is said before a client leaves or closes; quits says that it wants to be gone at once.
func (r *Roster) Leave(v *visit, quits bool, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v.leaving.IsZero() {
		v.leaving = now
	}
	if quits {
		r.quits[v.user] = now.Add(remembered)
	}
}

// Gone is said when the server has answered that the client has left.
func (r *Roster) Gone(v *visit, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v.gone = now
}

// surelyOut says whether a user cannot be listed any more from a moment on: its last visit has ended by its own wish, and all others
// long before that. The caller holds mu.
func (r *Roster) surelyOut(user string, from time.Time) bool {
	var last *visit
	for _, v := range r.visits[user] {
		if !v.gone.IsZero() && v.gone.Before(from) && (last == nil || v.leaving.After(last.leaving)) {
			last = v
		}
	}
	for _, v := range r.visits[user] {
		heard := remembered
		if v.direct {
			heard = 4 * staleness
		}
		if last == nil || v.leaving.IsZero() || v != last && v.leaving.Add(heard).After(last.leaving) {
			return false
		}
	}
	return last != nil
}

// surelyIn says whether a user must be listed at some moment between from and to, whichever that is: it was there for all of the
// time, or it was not long before and has not left by its own wish. The caller holds mu.
func (r *Roster) surelyIn(user, epoch string, from, to time.Time) bool {
	graceful := r.quits[user].Before(from.Add(-r.grace))
	since := to.Add(staleness - r.grace) // who was there after that is in its grace, at least
	for _, v := range r.visits[user] {
		switch {
		case v.confirmed.IsZero() || v.epoch != epoch:
		case v.stays && !v.confirmed.After(from) && (v.leaving.IsZero() || v.leaving.After(to)):
			return true
		case !graceful:
		case v.asked.After(since) && v.confirmed.Before(from): // came between
			return true
		case v.stays && v.confirmed.Before(from) && (v.leaving.IsZero() || v.leaving.After(since)) && from.After(since):
			return true
		}
	}
	return false
}

// chronicle returns that of an epoch. The caller holds mu.
func (r *Roster) chronicle(epoch string) *chronicle {
	c := r.told[epoch]
	if c == nil {
		c = &chronicle{events: map[uint64][]byte{}, sets: map[uint64]string{}, lowest: math.MaxUint64}
		r.told[epoch] = c
	}
	return c
}

// before returns the offset before the first event that was told in an epoch.
func (r *Roster) before(epoch string) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.chronicle(epoch).lowest - 1
}

// Event checks an event that somebody was told, stamped by the server: it is the same for everybody, has joined only who has asked
// for it, and left only who may be gone.
func (r *Roster) Event(p place, data []byte, stamp int64, now time.Time) (*happening, error) {
	h := new(happening)
	if err := json.Unmarshal(data, h); err != nil {
		return nil, fmt.Errorf("%.200q: %w", data, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.chronicle(p.epoch)
	if was := c.events[p.offset]; was != nil {
		if !bytes.Equal(was, data) {
			return nil, fmt.Errorf("altered: %s is %.300q, and was %.300q", p, data, was)
		}
		return h, nil
	}
	c.events[p.offset], c.lowest = bytes.Clone(data), min(c.lowest, p.offset)
	for _, j := range h.Join {
		if err := r.known(j.User, j.Info); err != nil {
			return nil, fmt.Errorf("%s: %w", p, err)
		}
	}
	for _, user := range h.Leave {
		if r.surelyIn(user, p.epoch, time.UnixMilli(stamp), now) {
			return nil, fmt.Errorf("false leave: %s says at %d, heard at %d, that %s has left\n%s", p, stamp, now.UnixMilli(), user, r.story(user))
		}
	}
	return h, nil
}

// known checks that a user who is said to be there has asked for it, and what is said of it. The caller holds mu.
func (r *Roster) known(user string, info []byte) error {
	if !r.asked[user] {
		return fmt.Errorf("invented: %q has never been here", user)
	}
	if string(info) != r.infos[user] {
		return fmt.Errorf("altered: info %.200q of %s, want %q", info, user, r.infos[user])
	}
	return nil
}

// Set checks who is there at an offset, which is the same for everybody.
func (r *Roster) Set(p place, members map[string]bool) error {
	set := strings.Join(slices.Sorted(maps.Keys(members)), " ")
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.chronicle(p.epoch)
	if was, there := c.sets[p.offset]; there && was != set {
		return fmt.Errorf("not the same for all: at %s there are %q, and were %q", p, set, was)
	}
	c.sets[p.offset] = set
	return nil
}

// Snapshot checks a list of who is here, and returns it as a set.
func (r *Roster) Snapshot(s *snapshot) (place, map[string]bool, error) {
	p, err := readPlace(s.Position)
	if err != nil {
		return p, nil, err
	}
	members := map[string]bool{}
	for _, m := range s.Members {
		if members[m.User] {
			return p, nil, fmt.Errorf("at %s %s is listed twice", p, m.User)
		}
		members[m.User] = true
		r.mu.Lock()
		err := r.known(m.User, m.Info)
		r.mu.Unlock()
		if err != nil {
			return p, nil, fmt.Errorf("at %s: %w", p, err)
		}
	}
	if s.Channel != r.channel || s.Users != len(members) {
		return p, nil, fmt.Errorf("at %s %d users, %d members, of %q", p, s.Users, len(members), s.Channel)
	}
	return p, members, r.Set(p, members)
}

// Census checks a list that the backend was given of this moment, which was between from and to: whoever must be there is, and
// whoever has left by its own wish is not.
func (r *Roster) Census(s *snapshot, from, to time.Time) error {
	p, members, err := r.Snapshot(s)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for user := range members {
		if r.surelyOut(user, from) {
			return fmt.Errorf("still there: %s is listed at %s, between %d and %d\n%s", user, p, from.UnixMilli(), to.UnixMilli(), r.story(user))
		}
	}
	for user := range r.asked {
		if !members[user] && r.surelyIn(user, p.epoch, from, to) {
			return fmt.Errorf("missing: %s is not listed at %s, between %d and %d\n%s", user, p, from.UnixMilli(), to.UnixMilli(), r.story(user))
		}
	}
	return nil
}

// story tells what is known of a user, for the report. The caller holds mu.
func (r *Roster) story(user string) string {
	var b strings.Builder
	ms := func(t time.Time) string {
		if t.IsZero() {
			return "-"
		}
		return fmt.Sprint(t.UnixMilli())
	}
	for _, v := range r.visits[user] {
		fmt.Fprintf(&b, "    visit in %q: asked %s, confirmed %s, leaving %s, gone %s, direct %v, stays %v\n", v.epoch, ms(v.asked), ms(v.confirmed), ms(v.leaving), ms(v.gone), v.direct, v.stays)
	}
	fmt.Fprintf(&b, "    may have quit until %s", ms(r.quits[user]))
	return b.String()
}
