package model

import (
	"bytes"
	"strconv"
)

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
	if v == nil || v.knows != exactly || v.gapDue || v.gen == nil || v.gen.epoch != v.at.epoch || v.stream.box != nil || v.stream.roster != nil {
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
