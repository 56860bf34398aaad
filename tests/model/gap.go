package model

import (
	"fmt"
)

// The reasons of a gap that can be held against history.
var historic = map[string]bool{"expired": true, "epoch": true, "unknown": true}

// passed says whether everything up to p that history still has to keep had a time of its own.
func (v *view) passed(p place, g *generation) bool {
	after := v.stream.droppable(g)
	if v.knows == exactly && v.at.epoch == p.epoch {
		after = max(after, v.at.offset)
	}
	return allFleeting(v.channel, after, p.offset)
}

// gap checks that a gap goes forward, is none that history could have filled, and is of the epoch where that changes.
func (s *Session) gap(v *view, p place, o *object) error {
	g := v.generation(p.epoch)
	if err := v.stream.exists(p, g); err != nil {
		return err
	}
	was := v.generation(v.at.epoch)
	switch {
	case v.knows != exactly && historic[o.Reason]:
		return fmt.Errorf("false gap: %s to %s, and no position was given", o.Reason, p)
	case v.knows == exactly && p.epoch == v.at.epoch && p.offset <= v.at.offset:
		return fmt.Errorf("false gap: %s to %s, from %s", o.Reason, p, v.at)
	case v.knows == exactly && (p.epoch != v.at.epoch) != (o.Reason == "epoch"):
		return fmt.Errorf("false gap: %s to %s, from %s", o.Reason, p, v.at)
	case v.knows == exactly && was != nil && g != nil && g.number < was.number:
		return fmt.Errorf("false gap: to the older epoch %s, from %s", p, v.at)
	case historic[o.Reason] && p.offset > v.stream.droppable(g) && !v.passed(p, g):
		return fmt.Errorf("false gap: %s to %s, but everything after %d is kept", o.Reason, p, v.stream.droppable(g))
	case o.Reason == "":
		return fmt.Errorf("a gap without a reason, to %s", p)
	}
	delete(s.rolls, v.channel) // who is in is to be asked again
	v.gen, v.gapDue = g, false
	s.Gaps[o.Reason]++
	s.move(v, p, o.Position)
	return nil
}

// gaps counts those that the connection was told of.
func (s *Session) gaps() (n int64) {
	for _, each := range s.Gaps {
		n += each
	}
	return n
}
