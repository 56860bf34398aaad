package model

import (
	"bytes"
	"fmt"
)

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
