package channel

import (
	"math/bits"

	"encke/codes"
)

// Result is what a publisher is told.
type Result struct {
	Offset      uint64
	Subscribers int // connections subscribed when it was published
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
// EmptyMessage, MessageTooLarge, BadMessage or BadJSON what cannot be published, and with Overloaded when the sink is
// busy; nothing has happened then.
func (s *Store) Publish(name []byte, m *Message, now int64) (Result, *codes.Error) {
	if code := CheckName(name); code != codes.None {
		return Result{}, codes.New(code, "")
	}
	p, err := newPublication(len(name), s.epoch, m, s.conf.MaxMessage, now)
	if err != nil {
		return Result{}, err
	}
	ch := s.enter(name)
	if ch.loops != 0 && s.conf.Sink != nil && s.conf.Sink.Busy(ch.loops) {
		ch.mu.Unlock()
		return Result{}, codes.New(codes.Overloaded, "")
	}
	result := s.publish(ch, p, now)
	ch.mu.Unlock()
	s.makeRoom(roomPerByte * int64(p.cost))
	return result, nil
}

// publish does what needs the channel's lock, which the caller holds.
func (s *Store) publish(ch *Channel, p *Publication, now int64) Result {
	ch.head++
	p.seal(ch.name, s.epoch, ch.head)
	ch.shard.published.Add(1)
	if s.conf.Length > 0 {
		p.Forms.account = &s.bytes
		ch.expire(now, s.conf.Age, expirePerPublish)
		for ch.kept.len() >= s.conf.Length {
			ch.evict(byLength)
		}
		ch.keep(p, s.conf.Length)
	}
	if s.conf.Sink != nil {
		for loops := ch.loops; loops != 0; loops &= loops - 1 {
			s.conf.Sink.Deliver(bits.TrailingZeros64(loops), ch, p)
		}
	}
	return Result{Offset: ch.head, Subscribers: int(ch.subs)}
}

// makeRoom evicts the oldest publications, whatever their channel, while history takes more memory than it may, until
// it has freed budget bytes. The caller holds no lock; so the bound is exceeded for a moment by what is being published.
func (s *Store) makeRoom(budget int64) {
	if s.conf.Memory <= 0 {
		return
	}
	for budget > 0 && s.bytes.Load() > s.conf.Memory {
		sh := s.oldestShard()
		if sh == nil {
			return
		}
		budget -= int64(overhead) // also when somebody else was faster: this must end
		ch := sh.ledger.channelOfOldest()
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

// oldestShard returns the shard with the oldest publication, nil when nothing is kept.
func (s *Store) oldestShard() *shard {
	best, when := -1, int64(never)
	for i := range s.oldest {
		if t := s.oldest[i].Load(); t < when {
			best, when = i, t
		}
	}
	if best < 0 {
		return nil
	}
	return &s.shards[best]
}
