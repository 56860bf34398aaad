package model

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"sync"
	"time"
)

// When nothing is pushed any more and nothing disturbs, most clients stay connected: then who is in a channel is known exactly, and
// the server's lists, counts and all followers have to say the same.

// present is where the clients are that stay.
type present struct {
	mu          sync.Mutex
	members     map[string]map[string]int // guarded by mu: connections by channel and user
	connections map[string]int            // guarded by mu: by channel, those without a token included
	users       map[string]int            // guarded by mu: connections by user
}

// enter notes a connection that stays.
func (p *present) enter(user *person, channels []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, channel := range channels {
		if p.connections[channel]++; user != nil {
			if p.members[channel] == nil {
				p.members[channel] = map[string]int{}
			}
			p.members[channel][user.name]++
		}
	}
	if user != nil {
		p.users[user.name]++
	}
}

// stay connects once more, for as long as it takes to call the roll. Some clients are gone by then.
func (c *client) stay() error {
	if len(c.run.people) == 0 || c.run.failed() || c.rng.IntN(4) == 0 {
		return nil
	}
	c.staying = true
	transport := []string{"ws", "ws", "sse", "stream", "longpoll"}[c.rng.IntN(5)]
	err := c.connection(transport, liveness)
	select {
	case <-c.run.called:
		return err
	default:
		return either(err, fmt.Errorf("%s over %s: was cut off at rest", c.name, transport))
	}
}

// await waits for something to read; false says that the roll has been called and nothing more is to come.
func (l *link) await(r *bufio.Reader) bool {
	for {
		l.arrive()
		_ = l.conn.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
		_, err := r.Peek(1)
		var timeout net.Error
		if err == nil || !errors.As(err, &timeout) || !timeout.Timeout() {
			_ = l.conn.SetReadDeadline(time.Now().Add(liveness))
			return true
		}
		select {
		case <-l.run.called:
			if l.dismissed() == nil || time.Since(l.run.calledAt) > liveness {
				return false
			}
		default:
		}
	}
}

// arrive says that the connection is where it wants to be.
func (l *link) arrive() {
	if l.entered {
		return
	}
	var channels []string
	for _, channel := range l.channels {
		if isPoll := l.transport == "longpoll"; l.run.truth.streams[channel].roster == nil || !isPoll {
			if _, ok := l.s.At(channel); !ok && !isPoll {
				return
			}
			channels = append(channels, channel)
		}
	}
	l.entered = true
	l.run.present.enter(l.user, channels)
	l.settled()
}

// dismissed says whether all that the connection follows is as the roll was called.
func (l *link) dismissed() error {
	for channel := range l.s.views {
		of, is := isCompanion(channel)
		final := l.run.final[of]
		if !is || final == nil { // the roll could not be called: that has been said
			continue
		}
		at, _ := l.s.At(channel)
		if at.epoch != final.at.epoch || at.offset < final.at.offset {
			return fmt.Errorf("%s over %s: is at %s of %s, which ends at %s", l.name, l.transport, at, channel, final.at)
		}
		switch r := l.s.rolls[channel]; {
		case r == nil || r.at != at:
			return fmt.Errorf("%s over %s: %s: has no snapshot", l.name, l.transport, channel)
		case at == final.at && (!maps.Equal(r.members, final.members) || r.connections != final.connections):
			return fmt.Errorf("%s over %s: %s: follower has %v and %d connections, there are %v and %d", l.name, l.transport, at,
				slices.Sorted(maps.Keys(r.members)), r.connections, slices.Sorted(maps.Keys(final.members)), final.connections)
		}
	}
	return nil
}

// callRoll waits until the server's lists are those of the clients that stay.
func (r *Run) callRoll() error {
	if len(r.people) == 0 {
		return nil
	}
	var err error
	for end := time.Now().Add(liveness); time.Now().Before(end) && !r.failed() && !r.gone(); pause(nil, 50*time.Millisecond) {
		if err = r.count(); err == nil {
			return nil
		}
	}
	return err
}

// count compares once.
func (r *Run) count() error {
	for channel, roster := range r.truth.rosters {
		s, err := r.census(channel, roster)
		if err != nil {
			return err
		}
		p, members, err := roster.Snapshot(s)
		if err != nil {
			return err
		}
		want := r.present.members[channel]
		for _, m := range s.Members {
			if m.Connections != want[m.User] {
				return fmt.Errorf("%s: %d connections of %s, there are %d", channel, m.Connections, m.User, want[m.User])
			}
		}
		if len(members) != len(want) || s.Connections != r.present.connections[channel] {
			return fmt.Errorf("%s: %d users, %d connections, there are %d, %d", channel, s.Users, s.Connections, len(want), r.present.connections[channel])
		}
		r.final[channel] = &roll{p, members, s.Users, s.Connections}
	}
	for _, p := range r.people {
		var state struct {
			Online      bool
			Connections int
		}
		_, err := r.server.get("/users/"+url.PathEscape(p.name), &state)
		if n := r.present.users[p.name]; err != nil || state.Connections != n || state.Online != (n > 0) {
			return fmt.Errorf("user %s: %+v, has %d connections: %v", p.name, state, n, err)
		}
	}
	return nil
}

// census asks the backend who is in a channel, and checks the answer.
func (r *Run) census(channel string, roster *Roster) (*snapshot, error) {
	s := new(snapshot)
	from := time.Now()
	status, err := r.server.get("/channels/"+url.PathEscape(channel)+"/presence", s)
	if err != nil || status != 200 {
		return nil, fmt.Errorf("presence of %s: status %d, %w", channel, status, errors.Join(errCut, err))
	}
	r.tally.Add("people/census", 1)
	return s, roster.Census(s, from, time.Now())
}

// censor takes a census of some channel now and then until the run stops.
func (r *Run) censor() error {
	rng := r.rng(4)
	for len(r.people) > 0 && !pause(r.stop, between(rng, 0, 60*time.Millisecond)) {
		channel := r.scenario.Channels[rng.IntN(len(r.scenario.Channels))]
		if _, err := r.census(channel, r.truth.rosters[channel]); err != nil && !isCut(err) {
			return err
		}
	}
	return nil
}

// mailbox asks the backend for all of a user's letters.
func (r *Run) mailbox(user string) (letters []object, err error) {
	for after := uint64(0); ; {
		var page struct {
			Total   int
			More    bool
			Letters []json.RawMessage
		}
		status, err := r.server.get(fmt.Sprintf("/users/%s/mailbox?limit=1000&after=%d", url.PathEscape(user), after), &page)
		if err != nil || status != 200 {
			return nil, fmt.Errorf("mailbox of %s: status %d, %w", user, status, err)
		}
		for _, text := range page.Letters {
			var o object
			if err := json.Unmarshal(text, &o); err != nil {
				return nil, err
			}
			letters = append(letters, o)
			after = o.Mail
		}
		if !page.More {
			if page.Total != len(letters) {
				return nil, fmt.Errorf("mailbox of %s: %d of %d letters", user, len(letters), page.Total)
			}
			return letters, nil
		}
	}
}

// oweLetters notes which letters everybody who connects has to be given.
func (r *Run) oweLetters() error {
	for _, p := range r.people {
		letters, err := r.mailbox(p.name)
		if err != nil {
			return err
		}
		r.owed[p.name] = r.truth.boxes[p.name].Owed(letters)
	}
	return nil
}

// letters holds all mailboxes against what was put and acknowledged, and demands that none was dropped.
func (r *Run) letters() error {
	kept := 0
	for _, p := range r.people {
		letters, err := r.mailbox(p.name)
		if err = either(err, r.truth.boxes[p.name].Listed(letters)); err != nil {
			return err
		}
		kept += len(letters)
	}
	r.tally.Add("people/letters left", int64(kept))
	f, err := r.server.figures()
	m := &f.Users.Mailboxes
	r.tally.Add("people/letters put", m.Put)
	if lost := m.Deleted + m.DroppedLength + m.DroppedBytes + m.DroppedAge + m.DroppedMemory; err == nil && (lost > 0 || m.Put != m.Acknowledged+int64(kept)) {
		err = fmt.Errorf("letters: %+v, and %d are left", *m, kept)
	}
	return err
}
