package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// object is everything that the server says in JSON.
type object struct {
	ID       json.RawMessage
	Channel  string
	Offset   uint64
	Position string
	Event    string
	Type     string
	Encoding string
	Data     json.RawMessage

	Gap    bool
	Reason string

	Subscribed *struct {
		Channel, Position string
		Recovered         *bool
	}
	Unsubscribed *struct{ Channel string }
	Pong         *struct{ Time int64 }
	Error        *struct{ Code, Message string }

	Recovered *bool // of a stream's beginning
	Closing   string
	Retry     *int64
}

// Subscriber is a client's memory between its connections: the position that it holds of each channel, "" before the first.
type Subscriber struct {
	truth *Truth
	held  map[string]*[]byte
}

// NewSubscriber returns one that holds nothing.
func NewSubscriber(truth *Truth) *Subscriber {
	return &Subscriber{truth, map[string]*[]byte{}}
}

// Holds returns the position that it holds of a channel.
func (s *Subscriber) Holds(channel string) string {
	if p := s.held[channel]; p != nil {
		return string(*p)
	}
	return ""
}

// knowledge is what a connection knows of its place in a channel.
type knowledge uint8

const (
	exactly   knowledge = iota // at is where it stands
	fromNow                    // it has asked for what comes, and was not told yet where that is
	fromStart                  // it has asked for everything kept
)

// ask is a subscription as it was asked for, with what the model knew when it was.
type ask struct {
	channel string
	knows   knowledge
	at      place
	floor   *generation // fromNow: at least the offset least of this generation had been reached
	least   uint64
}

// precedes says whether an offset is before what had been reached when a subscription from now on was asked for.
func (a *ask) precedes(offset uint64, g *generation) bool {
	return g != nil && a.floor != nil && (g.number < a.floor.number || g == a.floor && offset < a.least)
}

// Ask is said before the request is sent: since is a position, "0" or "".
func (s *Subscriber) Ask(channel, since string) (ask, error) {
	switch since {
	case "0":
		return ask{channel: channel, knows: fromStart}, nil
	case "":
		a := ask{channel: channel, knows: fromNow}
		if g := s.truth.streams[channel].current(); g != nil {
			a.floor, a.least = g, g.answered.Load()
		}
		return a, nil
	}
	p, err := readPlace(since)
	return ask{channel: channel, at: p}, err
}

// Session is what one connection is given. Each method checks one thing that the server said; an error is a broken promise.
type Session struct {
	*Subscriber
	views   map[string]*view
	blind   bool // encke.raw: there are no positions to hold
	scratch []byte

	Checked int64              // publications
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
	v, err := s.view(o.Channel)
	if err != nil {
		return err
	}
	p, err := readPlace(o.Position)
	if err != nil {
		return fmt.Errorf("%s: %w", o.Channel, err)
	}
	if o.Gap {
		err = s.gap(v, p, o)
	} else {
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
	if err := checkWire(o, g.number); err != nil {
		return fmt.Errorf("%s: %w", p, err)
	}
	v.gen = g
	s.Checked++
	s.move(v, p, o.Position)
	return nil
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

func fleetingIn(channel string) bool { return channel[0] == brief }

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
	v.gen, v.gapDue = g, false
	s.Gaps[o.Reason]++
	s.move(v, p, o.Position)
	return nil
}

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
	v.gen = g
	s.move(v, p, position)
	return nil
}

// gaps counts those that the connection was told of.
func (s *Session) gaps() (n int64) {
	for _, each := range s.Gaps {
		n += each
	}
	return n
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

// TakeRaw checks a frame of encke.raw, which has no position but what its payload says.
func (s *Session) TakeRaw(payload []byte, binary bool) error {
	channel, number, sequence, err := readRaw(payload)
	if err != nil {
		return err
	}
	v, err := s.view(channel)
	if err != nil {
		return err
	}
	g := v.stream.numbered(number)
	if v.knows == exactly {
		g = v.generation(v.at.epoch)
	}
	if g == nil || g.number != number {
		return fmt.Errorf("%s: invented, or another epoch without an end: generation %d, at %s", channel, number, v.at)
	}
	p := place{g.epoch, sequence}
	if v.knows == exactly && sequence > 0 && allFleeting(channel, v.at.offset, sequence-1) {
		v.at.offset = max(v.at.offset, sequence-1) // it is not told of those
	}
	if err := v.follows(p, g); err != nil {
		return fmt.Errorf("%s: %w", channel, err)
	}
	s.scratch = appendPayload(s.scratch[:0], channel, number, sequence)
	if !bytes.Equal(payload, s.scratch) || binary != (kindOf(channel, sequence) == asBinary) {
		return fmt.Errorf("%s: altered: got %.200q, want %.200q", channel, payload, s.scratch)
	}
	v.gen = g
	s.Checked++
	s.move(v, p, "")
	return nil
}

// GapOfRaw checks that a raw connection that was closed for a gap has one: it began before what history keeps, or, where
// readers may fall behind, is there now.
func (s *Session) GapOfRaw(asks []ask, lags bool) error {
	for _, a := range asks {
		stream := s.truth.streams[a.channel]
		if v := s.views[a.channel]; lags && v != nil && v.at.offset < stream.droppable(stream.current()) {
			s.Gaps["close 4004"]++
			return nil
		}
		if a.knows != exactly {
			continue
		}
		if g := stream.of(a.at.epoch); a.at.offset < stream.droppable(g) || s.truth.starts.Load() > 1 || fleeting(a.channel, a.at.offset+1) {
			s.Gaps["close 4004"]++
			return nil
		}
	}
	return fmt.Errorf("false gap: closed with 4004, and nothing has expired")
}

// quick accepts what most publications are: the next of the channel, JSON, with exactly the fields of today. What it does not
// accept is looked at in full.
func (s *Session) quick(text []byte) bool {
	const head = `{"channel":"`
	if !bytes.HasPrefix(text, []byte(head)) {
		return false
	}
	end := bytes.IndexByte(text[len(head):], '"')
	if end < 0 {
		return false
	}
	v := s.views[string(text[len(head):len(head)+end])]
	if v == nil || v.knows != exactly || v.gapDue || v.gen == nil || v.gen.epoch != v.at.epoch {
		return false
	}
	next := v.at.offset + 1
	if next > v.gen.sent.Load() || kindOf(v.channel, next) != asJSON || eventOf(next) != "" {
		return false
	}
	b := append(append(s.scratch[:0], head...), v.channel...)
	b = strconv.AppendUint(append(b, `","offset":`...), next, 10)
	b = append(b, `,"position":"`...)
	position := len(b)
	b = append(append(b, v.at.epoch...), '.')
	b = strconv.AppendUint(b, next, 10)
	until := len(b)
	b = append(b, `","time":`...)
	time := len(b)
	b = appendPayload(append(b, `,"data":`...), v.channel, v.gen.number, next)
	b = append(b, '}')
	s.scratch = b
	if !bytes.HasPrefix(text, b[:time]) || !bytes.Equal(bytes.TrimLeft(text[time:], "0123456789"), b[time:]) {
		return false
	}
	v.at.offset = next
	if !s.blind {
		*v.held = append((*v.held)[:0], text[position:until]...)
	}
	s.Checked++
	if s.Last != nil {
		s.Last(v.at, v)
	}
	return true
}
