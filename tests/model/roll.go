package model

import (
	"fmt"
	"time"
)

// roll is who is in a channel as far as a follower of its companion knows: a snapshot and every event after it.
type roll struct {
	at          place
	members     map[string]bool
	users       int
	connections int
}

// Snapshot takes a list of who is in a channel. The follower goes on from its position, unless it is ahead of that.
func (s *Subscriber) Snapshot(o *snapshot) error {
	r := s.truth.rosters[o.Channel]
	if r == nil {
		return fmt.Errorf("a list of who is in %q, which was not asked for", o.Channel)
	}
	p, members, err := r.Snapshot(o)
	if err != nil {
		return fmt.Errorf("presence of %s: %w", o.Channel, err)
	}
	name := companionPrefix + o.Channel
	s.truth.streams[name].of(p.epoch).tell(p.offset)
	if was := s.rolls[name]; was == nil || was.at.epoch != p.epoch || was.at.offset < p.offset {
		s.rolls[name] = &roll{p, members, o.Users, o.Connections}
		s.hold(name, o.Position)
	}
	return s.truth.epoch(p.epoch)
}

// hold makes a follower resume from a snapshot.
func (s *Subscriber) hold(channel, position string) {
	b := []byte(position)
	if held := s.held[channel]; held != nil {
		*held = b
		return
	}
	s.held[channel] = &b
}

// attended checks an event of a companion. Whoever has no snapshot to which it could be applied looks at it alone.
func (s *Session) attended(v *view, p place, o *object) error {
	if p.offset != o.Offset || o.Event != "presence" {
		return fmt.Errorf("offset %d at position %s, event %q", o.Offset, p, o.Event)
	}
	g := v.generation(p.epoch)
	if err := v.follows(p, g); err != nil {
		return err
	}
	h, err := v.stream.roster.Event(p, o.Data, o.Time, time.Now())
	if err != nil {
		return err
	}
	g.tell(p.offset)
	if r := s.rolls[v.channel]; r != nil && r.at == (place{p.epoch, p.offset - 1}) {
		if err := r.apply(p, h); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		if err := v.stream.roster.Set(p, r.members); err != nil {
			return err
		}
		s.Applied++
	} else if r != nil && r.at.epoch == p.epoch && r.at.offset < p.offset {
		delete(s.rolls, v.channel)
	}
	v.gen = g
	s.Checked++
	s.Events++
	s.move(v, p, o.Position)
	return nil
}

// apply makes r what it is after an event.
func (r *roll) apply(p place, h *happening) error {
	for _, j := range h.Join {
		if r.members[j.User] {
			return fmt.Errorf("joins twice: %s, who is there", j.User)
		}
		r.members[j.User] = true
	}
	for _, user := range h.Leave {
		if !r.members[user] {
			return fmt.Errorf("leaves twice: %s, who is not there", user)
		}
		delete(r.members, user)
	}
	if len(h.Join)+len(h.Leave) == 0 && h.Users == nil || (h.Users == nil) != (h.Connections == nil) {
		return fmt.Errorf("an event that says nothing")
	}
	r.at = p
	if h.Users != nil {
		if r.users, r.connections = *h.Users, *h.Connections; r.users != len(r.members) {
			return fmt.Errorf("miscounted: %d users, the events make %d", r.users, len(r.members))
		}
	}
	return nil
}
