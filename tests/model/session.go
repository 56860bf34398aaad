package model

import (
	"encoding/json"
	"fmt"
)

// Session is what one connection is given. Each method checks one thing that the server said; an error is a broken promise.
type Session struct {
	*Subscriber
	views   map[string]*view
	blind   bool // encke.raw: there are no positions to hold
	polls   bool // letters are given to one poll of a user, and not to every connection
	says    bool // unless each poll says which this client was given last
	post    post
	scratch []byte

	Checked int64 // publications, letters included
	Events  int64 // of those, events of companions
	Applied int64 // of those, events that were applied to a snapshot
	Letters int64
	Gaps    map[string]int64   // by reason
	Last    func(place, *view) // told of every step, for the journal
}

// view is one channel of a connection.
type view struct {
	ask
	stream *Stream
	held   *[]byte
	gen    *generation // of at.epoch; nil until one has begun
	gapDue bool        // the server said that there is one
}

// NewSession begins a connection.
func (s *Subscriber) NewSession(blind bool) *Session {
	return &Session{Subscriber: s, views: map[string]*view{}, blind: blind, Gaps: map[string]int64{}}
}

// Join begins a subscription.
func (s *Session) Join(a ask) error {
	if s.views[a.channel] != nil {
		return fmt.Errorf("%s: subscribed twice", a.channel)
	}
	held := s.held[a.channel]
	if held == nil {
		held = new([]byte)
		s.held[a.channel] = held
	}
	v := &view{ask: a, stream: s.truth.streams[a.channel], held: held}
	v.gen = v.stream.of(a.at.epoch)
	s.views[a.channel] = v
	return nil
}

// Leave ends a subscription.
func (s *Session) Leave(channel string) error {
	if s.views[channel] == nil {
		return fmt.Errorf("%s: unsubscribed, but was not subscribed", channel)
	}
	delete(s.views, channel)
	return nil
}

// At returns where the connection stands in a channel; ok is false when it does not know.
func (s *Session) At(channel string) (p place, ok bool) {
	v := s.views[channel]
	if v == nil || v.knows != exactly || v.gapDue {
		return place{}, false
	}
	return v.at, true
}

func (s *Session) view(channel string) (*view, error) {
	if v := s.views[channel]; v != nil {
		return v, nil
	}
	return nil, fmt.Errorf("%s: not subscribed", channel)
}

// move goes to p, which has been checked.
func (s *Session) move(v *view, p place, position string) {
	v.at, v.knows = p, exactly
	if !s.blind {
		*v.held = append((*v.held)[:0], position...)
	}
	if s.Last != nil {
		s.Last(p, v)
	}
}

// generation returns the generation of an epoch.
func (v *view) generation(epoch string) *generation {
	if v.gen == nil || v.gen.epoch != epoch {
		return v.stream.of(epoch)
	}
	return v.gen
}

// Take checks a publication or a gap.
func (s *Session) Take(text []byte) error {
	if s.quick(text) {
		return nil
	}
	var o object
	if err := json.Unmarshal(text, &o); err != nil {
		return fmt.Errorf("%.200q: %w", text, err)
	}
	return s.TakeObject(&o)
}

// TakeObject is Take for what has been read already.
func (s *Session) TakeObject(o *object) error {
	if o.Mail != 0 {
		return s.letter(o)
	}
	v, err := s.view(o.Channel)
	if err != nil {
		return err
	}
	p, err := readPlace(o.Position)
	if err != nil {
		return fmt.Errorf("%s: %w", o.Channel, err)
	}
	switch {
	case o.Gap:
		err = s.gap(v, p, o)
	case v.stream.roster != nil:
		err = s.attended(v, p, o)
	default:
		err = s.publication(v, p, o)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", o.Channel, err)
	}
	return nil
}

func (s *Session) publication(v *view, p place, o *object) error {
	if p.offset != o.Offset {
		return fmt.Errorf("offset %d at position %s", o.Offset, p)
	}
	g := v.generation(p.epoch)
	if err := v.follows(p, g); err != nil {
		return err
	}
	if err := v.content(o, g); err != nil {
		return fmt.Errorf("%s: %w", p, err)
	}
	v.gen = g
	s.Checked++
	s.move(v, p, o.Position)
	return nil
}

// content checks what a publication says: the message of its number, or one that could have become a letter.
func (v *view) content(o *object, g *generation) error {
	if v.stream.box == nil {
		return checkWire(o, g.number, o.Offset)
	}
	n := g.awayAt(o.Offset)
	if n == 0 {
		return checkWire(o, g.number, o.Offset)
	}
	return either(checkWire(o, 0, n), v.stream.box.Published(n))
}

// follows says whether p may be the next publication.
func (v *view) follows(p place, g *generation) error {
	if p.offset == 0 {
		return fmt.Errorf("a publication at %s", p)
	}
	if err := v.stream.exists(p, g); err != nil {
		return err
	}
	switch {
	case v.gapDue:
		return fmt.Errorf("%s, and not the gap that recovered:false announced", p)
	case v.knows == fromStart && p.offset-1 > v.stream.droppable(g) && !allFleeting(v.channel, v.stream.droppable(g), p.offset-1):
		return fmt.Errorf("lost: the beginning of what is kept is %s", p)
	case v.knows == fromNow && v.precedes(p.offset-1, g):
		return fmt.Errorf("repeated: %s is older than the subscription, which began at %d or later", p, v.least)
	case v.knows != exactly:
		return nil
	case p.epoch != v.at.epoch:
		return fmt.Errorf("another epoch without a gap: %s after %s", p, v.at)
	case p.offset <= v.at.offset:
		return fmt.Errorf("repeated: %s after %s", p, v.at)
	case p.offset > v.at.offset+1:
		return fmt.Errorf("lost: %s after %s", p, v.at)
	}
	return nil
}
