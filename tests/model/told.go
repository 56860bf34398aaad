package model

import (
	"fmt"
)

// Told checks a position that was told of a channel: a place in a stream, an id, what a poll goes on from.
func (s *Session) Told(channel, position string) error {
	p, err := readPlace(position)
	if err != nil {
		return fmt.Errorf("%s: %w", channel, err)
	}
	return s.told(channel, p, position)
}

// ToldAll checks a list of positions. What a client holds after it is the item, with its epoch.
func (s *Session) ToldAll(channels []string, list string) error {
	places, err := readPlaces(list, len(channels))
	if err != nil {
		return err
	}
	for i, channel := range channels {
		if err := s.told(channel, places[i], places[i].String()); err != nil {
			return fmt.Errorf("%w, in %q", err, list)
		}
	}
	return nil
}

func (s *Session) told(channel string, p place, position string) error {
	v, err := s.view(channel)
	if err != nil {
		return err
	}
	if v.knows == exactly && !v.gapDue && p == v.at { // the usual case
		return nil
	}
	g := v.generation(p.epoch)
	err = v.stream.exists(p, g)
	switch {
	case err != nil:
	case v.gapDue:
		err = fmt.Errorf("told %s, and not the gap that recovered:false announced", p)
	case v.knows == exactly:
		err = fmt.Errorf("told %s, is at %s", p, v.at)
	case v.knows == fromStart && p.offset > v.stream.droppable(g) && !allFleeting(v.channel, v.stream.droppable(g), p.offset):
		err = fmt.Errorf("lost: told that %s is the beginning of what is kept", p)
	case v.knows == fromNow && v.precedes(p.offset, g):
		err = fmt.Errorf("told that now is %s, at least %d have been answered", p, v.least)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", channel, err)
	}
	if v.gen = g; v.stream.roster != nil {
		g.tell(p.offset)
	}
	s.move(v, p, position)
	return nil
}

// Resumed checks what a stream that resumes says of itself: it has told of a gap, or of none. Messages whose own time is over
// may be missing further on.
func (s *Session) Resumed(channels []string, recovered bool) error {
	told := s.gaps()
	for _, channel := range channels {
		if fleetingIn(channel) && !recovered {
			return nil
		}
	}
	if recovered != (told == 0) {
		return fmt.Errorf("recovered:%v after %d gaps", recovered, told)
	}
	return nil
}

// Subscribed checks the reply of a WebSocket to a subscription and begins it.
func (s *Session) Subscribed(a ask, position string, recovered *bool) error {
	if err := s.Join(a); err != nil {
		return err
	}
	switch {
	case (a.knows == fromNow) != (recovered == nil):
		return fmt.Errorf("%s: recovered is given, or missing", a.channel)
	case recovered != nil && !*recovered && fleetingIn(a.channel): // the gap may be further on, and what precedes it may have been evicted too
		p, err := readPlace(position)
		v := s.views[a.channel]
		v.gapDue = a.knows == exactly && p != v.at
		return err
	case a.knows == exactly && !*recovered:
		s.views[a.channel].gapDue = true
		_, err := readPlace(position)
		return err
	case recovered != nil && !*recovered:
		return fmt.Errorf("%s: recovered:false from the beginning", a.channel)
	}
	return s.Told(a.channel, position)
}
