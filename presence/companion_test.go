package presence

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
)

// companions are the streams beside the channels, as the server's channels would be: events with offsets from 1 on.
type companions struct {
	mu     sync.Mutex
	events map[string][]event
	refuse func() bool // nil: never
}

// event is one as a client reads it.
type event struct {
	Join []struct {
		User string          `json:"user"`
		Info json.RawMessage `json:"info"`
	} `json:"join"`
	Update []struct {
		User string          `json:"user"`
		Info json.RawMessage `json:"info"`
	} `json:"update"`
	Leave       []string `json:"leave"`
	Users       *int     `json:"users"`
	Connections *int     `json:"connections"`

	raw  string
	time int64
}

func (c *companions) publish(name string, raw []byte, now int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuse != nil && c.refuse() {
		return false
	}
	if c.events == nil {
		c.events = map[string][]event{}
	}
	e := event{raw: string(raw), time: now}
	if err := json.Unmarshal(raw, &e); err != nil {
		panic(fmt.Sprintf("%v: %s", err, raw))
	}
	c.events[name] = append(c.events[name], e)
	return true
}

func (c *companions) head(name string) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return uint64(len(c.events[name]))
}

func (c *companions) from(name string, offset, to uint64) []event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.events[name][offset:to]
}

// config is one whose events go into c.
func (c *companions) config(grace int64) Config {
	return Config{Grace: grace, Publish: c.publish, Head: c.head}
}

func (e event) onlyCounts() bool { return len(e.Join)+len(e.Leave)+len(e.Update) == 0 }

// String is an event in short: +joined -left ~updated users/connections.
func (e event) String() string {
	var words []string
	for _, j := range e.Join {
		words = append(words, "+"+j.User)
	}
	for _, user := range e.Leave {
		words = append(words, "-"+user)
	}
	for _, x := range e.Update {
		words = append(words, "~"+x.User)
	}
	slices.Sort(words)
	if e.Users != nil {
		words = append(words, fmt.Sprint(*e.Users, "/", *e.Connections))
	}
	return strings.Join(words, " ")
}

// follower is a client that knows how a channel was at an offset of its companion. It is strict about what it is told.
type follower struct {
	name   string
	offset uint64
	users  map[string]bool
	counts counts
}

// begin returns a follower that starts with a snapshot.
func begin(name string, s Snapshot) *follower {
	f := &follower{name, s.Offset, map[string]bool{}, counts{s.Users, s.Connections}}
	for _, m := range s.Members {
		f.users[m.User] = true
	}
	return f
}

// follow applies the events up to an offset.
func (f *follower) follow(t *testing.T, c *companions, to uint64) {
	t.Helper()
	for _, e := range c.from(f.name, f.offset, to) {
		f.offset++
		f.apply(t, e)
	}
}

func (f *follower) apply(t *testing.T, e event) {
	t.Helper()
	for _, j := range e.Join {
		if f.users[j.User] {
			t.Errorf("%s, event %d: %s joins who is there", f.name, f.offset, j.User)
		}
		f.users[j.User] = true
	}
	for _, user := range e.Leave {
		if !f.users[user] {
			t.Errorf("%s, event %d: %s leaves who is not there", f.name, f.offset, user)
		}
		delete(f.users, user)
	}
	for _, x := range e.Update {
		if !f.users[x.User] {
			t.Errorf("%s, event %d: %s is not there and has another info", f.name, f.offset, x.User)
		}
	}
	if e.Users != nil {
		f.counts = counts{*e.Users, *e.Connections}
	}
}

// agree wants two who have come to the same offset to know the same.
func (f *follower) agree(t *testing.T, other *follower) {
	t.Helper()
	if f.offset != other.offset || f.counts != other.counts || !maps.Equal(f.users, other.users) {
		t.Errorf("%s: %+v after following, %+v from the snapshot", f.name, *f, *other)
	}
}
