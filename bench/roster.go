package bench

import (
	"encoding/json"
	"fmt"
	"maps"
	"strconv"

	"encke/bench/report"
	"encke/bench/wire"
)

// told is what a follower of a channel's presence is sent, on any transport: a publication, a gap, or an answer.
type told struct {
	Channel    string          `json:"channel"`
	Offset     uint64          `json:"offset"`
	Position   string          `json:"position"`
	Gap        bool            `json:"gap"`
	Event      string          `json:"event"`
	Data       json.RawMessage `json:"data"`
	Recovered  *bool           `json:"recovered"` // an event stream's answer to since
	Subscribed *struct {
		Recovered *bool `json:"recovered"`
	} `json:"subscribed"`
	Presence *listing `json:"presence"`
	Error    *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// named is a user among others.
type named struct {
	User string `json:"user"`
}

// change is the data of a presence event.
type change struct {
	Join  []named  `json:"join"`
	Leave []string `json:"leave"`
	Users *int     `json:"users"`
}

// listing is the server's answer to who is here.
type listing struct {
	Users    int     `json:"users"`
	Position string  `json:"position"`
	Members  []named `json:"members"`
	TooMany  bool    `json:"too_many"`
}

// roster is who is in a channel as one follower has been told, and what was wrong with that.
type roster struct {
	channel string // whose events these are
	members map[string]bool
	epoch   string
	offset  uint64           // of the newest event
	counted int              // users, as the newest event with counts says; between two parts of a batch that is not yet all members
	past    []past           // the newest events, oldest first: a listing may be older than they are
	asked   int              // listings that have not come
	awaited *listing         // one that is ahead of the events
	changed int64            // when members changed, Unix ns
	seen    map[string]int64 // when a user was last seen to join, Unix ns
	bytes   uint64           // of events
	faults  report.Faults
	wrong   string // what was wrong first
}

// past is what an event changed.
type past struct {
	offset  uint64
	change  change
	counted int // before it
}

// keptPast is how many events a roster can go back.
const keptPast = 256

func newRoster(channel string) *roster {
	return &roster{channel: channel, members: map[string]bool{}, seen: map[string]int64{}}
}

// fault counts n faults of a kind.
func (r *roster) fault(kind *uint64, n uint64, format string, args ...any) {
	*kind += n
	if r.wrong == "" {
		r.wrong = fmt.Sprintf(format, args...)
	}
}

// adopt begins with a listing.
func (r *roster) adopt(l *listing, now int64) {
	epoch, offset, ok := wire.ParsePosition([]byte(l.Position))
	if !ok {
		r.fault(&r.faults.Corrupted, 1, "a list of who is here has the position %q", l.Position)
		return
	}
	before := r.members
	r.members, r.counted, r.past, r.asked, r.awaited = r.read(l), l.Users, nil, 0, nil
	r.epoch, r.offset, r.changed = string(epoch), offset, now
	for user := range r.members {
		if !before[user] {
			r.seen[user] = now
		}
	}
}

// read returns the members of a listing, each of whom is there once.
func (r *roster) read(l *listing) map[string]bool {
	members := make(map[string]bool, len(l.Members))
	for _, m := range l.Members {
		members[m.User] = true
	}
	if len(l.Members) != len(members) || l.TooMany {
		r.fault(&r.faults.Untrue, 1, "a list of %d users has %d members, of whom %d are not the same (too many: %v)", l.Users, len(l.Members), len(members), l.TooMany)
	}
	return members
}

// apply takes an event that came at now.
func (r *roster) apply(t *told, now int64) {
	var c change
	switch err := json.Unmarshal(t.Data, &c); {
	case t.Gap:
		r.fault(&r.faults.Lost, 1, "it was told of a gap after event %d", r.offset)
		return
	case t.Channel != r.channel || t.Event != "presence" || t.Position != r.epoch+"."+strconv.FormatUint(t.Offset, 10) || err != nil:
		r.fault(&r.faults.Corrupted, 1, "event %d is none of %s: channel %q, event %q, position %q, %v", t.Offset, r.channel, t.Channel, t.Event, t.Position, err)
		return
	case t.Offset <= r.offset:
		r.fault(&r.faults.Duplicated, 1, "event %d came after event %d", t.Offset, r.offset)
		return
	case t.Offset > r.offset+1:
		r.fault(&r.faults.Lost, t.Offset-r.offset-1, "event %d came after event %d", t.Offset, r.offset)
	}
	r.offset = t.Offset
	r.bytes += uint64(len(t.Data))
	r.past = append(r.past, past{t.Offset, c, r.counted})
	r.enter(&c, now)
	r.leave(&c, now)
	if c.Users != nil {
		if r.counted = *c.Users; r.counted != len(r.members) {
			r.fault(&r.faults.Untrue, 1, "event %d counts %d users, and %d have come and not left", t.Offset, r.counted, len(r.members))
		}
	}
	if len(r.past) > 2*keptPast {
		r.past = append(r.past[:0:0], r.past[keptPast:]...)
	}
	if r.awaited != nil {
		r.compare(r.awaited)
	}
}

func (r *roster) enter(c *change, now int64) {
	for _, m := range c.Join {
		if r.members[m.User] {
			r.fault(&r.faults.Untrue, 1, "event %d: %s joined, who was there", r.offset, m.User)
		}
		r.members[m.User], r.seen[m.User], r.changed = true, now, now
	}
}

func (r *roster) leave(c *change, now int64) {
	for _, user := range c.Leave {
		if !r.members[user] {
			r.fault(&r.faults.Untrue, 1, "event %d: %s left, who was not there", r.offset, user)
		}
		delete(r.members, user)
		r.changed = now
	}
}

// compare holds a listing against the events up to its position, those that are still to come too.
func (r *roster) compare(l *listing) {
	r.awaited = nil
	epoch, offset, ok := wire.ParsePosition([]byte(l.Position))
	switch {
	case !ok || string(epoch) != r.epoch:
		r.fault(&r.faults.Corrupted, 1, "a list of who is here has the position %q, and events are of %s", l.Position, r.epoch)
		return
	case offset > r.offset:
		r.awaited = l
		return
	}
	members, counted, ok := r.asOf(offset)
	if !ok {
		r.fault(&r.faults.Untrue, 1, "a list of who is here is as of event %d, and %d events have come since", offset, r.offset-offset)
		return
	}
	if text := differ(r.read(l), members); text != "" {
		r.fault(&r.faults.Untrue, 1, "a list of who is here is not what events up to %d say: it %s", offset, text)
	} else if l.Users != counted {
		r.fault(&r.faults.Untrue, 1, "a list of who is here counts %d users, and events up to %d counted %d", l.Users, offset, counted)
	}
}

// waits says whether a listing is still to be compared.
func (r *roster) waits() bool { return r.asked > 0 || r.awaited != nil }

// asOf returns the members, and how many were counted, after the event of that offset.
func (r *roster) asOf(offset uint64) (members map[string]bool, counted int, ok bool) {
	members, counted = maps.Clone(r.members), r.counted
	at := r.offset
	for i := len(r.past) - 1; at > offset; i-- {
		if i < 0 {
			return nil, 0, false
		}
		was := &r.past[i]
		for _, m := range was.change.Join {
			delete(members, m.User)
		}
		for _, user := range was.change.Leave {
			members[user] = true
		}
		at, counted = was.offset-1, was.counted
	}
	return members, counted, true
}

// differ says how a set is not what it should be, "" when it is.
func differ(got, want map[string]bool) string {
	for user := range want {
		if !got[user] {
			return fmt.Sprintf("has %d members where there are %d, and lacks %s", len(got), len(want), user)
		}
	}
	for user := range got {
		if !want[user] {
			return fmt.Sprintf("has %d members where there are %d, and %s is none", len(got), len(want), user)
		}
	}
	return ""
}
