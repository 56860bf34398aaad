package channel

import (
	"math/bits"

	"encke/codes"
)

// Result is what a publisher is told.
type Result struct {
	Offset      uint64
	Subscribers int  // connections subscribed when it was published
	Repeated    bool // it had been published before, and this is what was said then
}

const (
	// expirePerPublish bounds how many expired publications one publish takes out: more than one, so that the history
	// gets ahead of it; few, so that nobody pays for a long silence.
	expirePerPublish = 16
	// roomPerByte bounds what one publish frees: this many bytes for each that it added. A publication with all its
	// forms is about that much larger than it was when it came, so memory cannot grow away from the bound.
	roomPerByte = 16
)

// Publish takes a message into the channel of that name at now, Unix time in milliseconds, and hands it to every
// interested loop. now should not go back: then the publications before it expire late. It refuses with BadChannel,
// EmptyMessage, MessageTooLarge, BadMessage, BadJSON or BadID what cannot be published, with IDReused an id that was given
// to another message, with Conflict what expects another position, and with Overloaded when the sink is busy; nothing has
// happened then.
func (s *Store) Publish(name []byte, m *Message, now int64) (Result, *codes.Error) {
	if code := CheckName(name); code != codes.None {
		return Result{}, codes.New(code, "")
	}
	p, err := newPublication(len(name), s.epoch, m, s.conf.MaxMessage, now)
	if err != nil {
		return Result{}, err
	}
	digest := uint64(0)
	if len(m.ID) > 0 {
		if err := checkID(m.ID); err != nil {
			return Result{}, err
		}
		digest = s.digest(m)
	}
	ch := s.enter(name)
	if len(m.ID) > 0 || m.Expect != nil {
		if result, done, err := s.condition(ch, m, digest, now); done {
			ch.mu.Unlock()
			return result, err
		}
	}
	if ch.loops != 0 && s.conf.Sink != nil && s.conf.Sink.Busy(ch.loops) {
		ch.mu.Unlock()
		return Result{}, codes.New(codes.Overloaded, "")
	}
	result := s.publish(ch, p, now)
	if len(m.ID) > 0 && s.conf.IDAge > 0 {
		ch.shard.ids.remember(ch, m.key(), idRecord{result, digest, now}, s.conf.IDAge, s.conf.IDMemory)
	}
	ch.mu.Unlock()
	s.makeRoom(roomPerByte * int64(p.cost))
	return result, nil
}

// condition answers a message that was published before, and refuses one that expects another position. done says that the
// message is not to be stored. The caller holds the channel's lock.
func (s *Store) condition(ch *Channel, m *Message, digest uint64, now int64) (r Result, done bool, err *codes.Error) {
	if len(m.ID) > 0 && s.conf.IDAge > 0 {
		r, done, err = ch.shard.ids.seen(ch, m.key(), digest, now, s.conf.IDAge)
		if done || err != nil {
			return r, true, err
		}
	}
	if m.Expect != nil && !s.at(ch, *m.Expect) {
		return r, true, codes.New(codes.Conflict, "it is at "+string(AppendPosition(nil, s.conf.Epoch, ch.head)))
	}
	return r, false, nil
}

// at says whether the channel is at that position. FromStart means that nothing was ever published.
func (s *Store) at(ch *Channel, p From) bool {
	if p.Kind == FromStart {
		return ch.head == 0
	}
	return p.Kind == FromPosition && p.Epoch == s.conf.Epoch && p.Offset == ch.head
}

// publish does what needs the channel's lock, which the caller holds.
func (s *Store) publish(ch *Channel, p *Publication, now int64) Result {
	ch.head++
	p.seal(ch.name, s.epoch, ch.head)
	ch.shard.published.Add(1)
	if set := ch.settings; set.Length > 0 {
		p.Forms.account = &s.bytes
		ch.expire(now, expirePerPublish)
		for ch.kept.len() >= set.Length {
			ch.evict(byLength)
		}
		ch.keep(p, set.Length)
	}
	if s.conf.Sink != nil {
		for loops := ch.loops; loops != 0; loops &= loops - 1 {
			s.conf.Sink.Deliver(bits.TrailingZeros64(loops), ch, p)
		}
	}
	return Result{Offset: ch.head, Subscribers: int(ch.subs)}
}

// makeRoom evicts the oldest publications while history takes more memory than it may, until it has freed budget bytes: whatever
// their channel, but those that are aside first where these have more than their part. The caller holds no lock; so the bound is
// exceeded for a moment by what is being published.
func (s *Store) makeRoom(budget int64) {
	for budget > 0 {
		l := s.ledgerToTrim()
		if l == nil {
			return
		}
		budget -= int64(overhead) // also when somebody else was faster: this must end
		ch := l.channelOfOldest()
		if ch == nil {
			continue
		}
		ch.mu.Lock()
		if ch.kept.len() > 0 {
			budget -= ch.evict(byMemory)
			ch.tidy()
		}
		ch.mu.Unlock()
	}
}

// ledgerToTrim returns the ledger whose oldest publication has to go, nil when none has to.
func (s *Store) ledgerToTrim() *ledger {
	switch c := &s.conf; {
	case c.AsideMax > 0 && s.aside.Load() > c.AsideMax:
		return s.oldestLedger(aside, aside)
	case c.Memory > 0 && s.bytes.Load() > c.Memory:
		return s.oldestLedger(common, aside)
	}
	return nil
}

// oldestLedger returns the ledger with the oldest publication of the kinds from first to last, nil when nothing is kept.
func (s *Store) oldestLedger(first, last kind) (oldest *ledger) {
	when := int64(never)
	for k := first; k <= last; k++ {
		for i := range s.oldest[k] {
			if t := s.oldest[k][i].Load(); t < when {
				oldest, when = &s.shards[i].ledgers[k], t
			}
		}
	}
	return oldest
}
