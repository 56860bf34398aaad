package channel

import (
	"fmt"

	"encke/codes"
)

// The reasons of a gap (PROTOCOL.md "A publication").
const (
	GapExpired = "expired" // history has passed, or a publication's own time
	GapEpoch   = "epoch"   // the position is of another process
	GapUnknown = "unknown" // the position is ahead of the channel
	GapSkipped = "skipped" // the subscriber was too slow, and the channel gives the newest only
)

// Limit bounds what is given at once. The zero Limit does not.
type Limit struct {
	Publications int  // at most so many; 0: any number, less than 0: none
	Bytes        int  // with so many bytes of wire objects no further one is added; 0: any number
	Each         int  // what is reckoned for each of them besides
	Newest       bool // only the newest; what precedes it is skipped
}

// Joined is what a subscriber is given at the moment it joins. Where publications are missing from the middle of Replay or
// from its end, a publication of KindGap stands in their place: its Wire is the gap object, its Offset the last one missing.
type Joined struct {
	Channel   *Channel       // nil from Read
	Head      uint64         // offset of the newest publication; for a subscriber, Deliver brings all after it
	Begin     uint64         // offset after which Replay begins
	Next      uint64         // offset up to which Replay goes: Head, unless More
	More      bool           // the limit was reached: go on after Next
	Replay    []*Publication // what was missed, oldest first, appended to the caller's slice
	Recovered bool           // from was a position or FromStart, and nothing is missing from Replay
	Gap       string         // "" or why something before Replay is missing; Begin is where it ends
}

// Missing says whether publications are missing that were asked for.
func (j *Joined) Missing() bool {
	if j.Gap != "" {
		return true
	}
	for _, p := range j.Replay {
		if p.Kind == KindGap {
			return true
		}
	}
	return false
}

// Subscribe makes one more connection of the loop a subscriber of the channel, which is made when there is none, and
// returns what it has missed, in one step: everything after Head comes through Sink.Deliver, and Replay ends at Head unless
// there is More. Deliver is called once for all connections of a loop, and what it brought for earlier ones may still be
// waiting there: each connection skips what is not above its own Head.
func (s *Store) Subscribe(name []byte, loop int, from From, limit Limit, now int64, replay []*Publication) (Joined, *codes.Error) {
	s.checkLoop(loop)
	if code := CheckName(name); code != codes.None {
		return Joined{Replay: replay}, codes.New(code, "")
	}
	ch := s.enter(name)
	ch.join(loop, s.conf.Loops)
	if ch.subs == 1 && s.conf.Watcher != nil {
		s.conf.Watcher.Occupied(ch.name, now)
	}
	ch.shard.subscriptions.Add(1)
	joined := s.since(ch, ch.head, from, limit, now, replay)
	ch.mu.Unlock()
	return joined, nil
}

// Resume returns what follows an offset for one who has subscribed and is fed from history, as Subscribe does.
func (s *Store) Resume(ch *Channel, offset uint64, limit Limit, now int64, replay []*Publication) Joined {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return s.since(ch, ch.head, From{FromPosition, s.conf.Epoch, offset}, limit, now, replay)
}

// Head returns the offset of the channel's newest publication.
func (s *Store) Head(ch *Channel) uint64 {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return ch.head
}

// Where returns the offset of a channel's newest publication; where there is no channel, that after which it would go on.
func (s *Store) Where(name []byte) uint64 {
	ch, floor, _ := s.find(name)
	if ch == nil {
		return floor
	}
	defer ch.mu.Unlock()
	return ch.head
}

// UnsubscribeFrom is Unsubscribe by name, for a subscriber whom Latent.Wake has counted and whose loop has not heard of it yet.
func (s *Store) UnsubscribeFrom(name []byte, loop int) {
	ch, _, _ := s.find(name)
	if ch == nil {
		panic("BUG: a latent subscriber leaves a channel that is not there")
	}
	ch.mu.Unlock()
	s.Unsubscribe(ch, loop, 0)
}

// Unsubscribe takes back one Subscribe of the loop. An empty channel stays until Sweep comes by.
func (s *Store) Unsubscribe(ch *Channel, loop int, now int64) {
	s.checkLoop(loop)
	ch.mu.Lock()
	ch.leave(loop)
	if ch.subs == 0 && s.conf.Watcher != nil {
		s.conf.Watcher.Vacated(ch.name, now)
	}
	ch.mu.Unlock()
	ch.shard.subscriptions.Add(-1)
}

// Read is Subscribe without subscribing. It makes no channel; where there is none, Head is the offset after which a new one
// would begin.
func (s *Store) Read(name []byte, from From, limit Limit, now int64, replay []*Publication) (Joined, *codes.Error) {
	if code := CheckName(name); code != codes.None {
		return Joined{Replay: replay}, codes.New(code, "")
	}
	ch, floor, _ := s.find(name)
	if ch == nil {
		return s.since(nil, floor, from, limit, now, replay), nil
	}
	defer ch.mu.Unlock()
	joined := s.since(ch, ch.head, from, limit, now, replay)
	joined.Channel = nil
	return joined, nil
}

// since answers from for a channel that stands at head; without ch there is none.
func (s *Store) since(ch *Channel, head uint64, from From, limit Limit, now int64, replay []*Publication) Joined {
	j := Joined{Channel: ch, Head: head, Begin: head, Next: head, Replay: replay}
	first, n := 0, 0
	if ch != nil {
		first, n = ch.kept.live(now, ch.settings.Age), ch.kept.len()
	}
	before := head - uint64(n-first) // offset before the first that can be given
	switch {
	case from.Kind == FromStart:
		for first < n && ch.kept.at(first).over(now) { // the beginning of what is kept comes after these
			first++
			before++
		}
		j.Recovered = true
	case from.Kind != FromPosition:
		return j
	case from.Epoch != s.conf.Epoch:
		j.Gap = GapEpoch
	case from.Offset > head:
		j.Gap = GapUnknown
	case from.Offset >= before:
		j.Recovered = true
		first += int(from.Offset - before)
		before = from.Offset
	case limit.Newest && ch != nil: // one gap up to the newest
		before = from.Offset
	default:
		j.Gap = GapExpired
	}
	j.Begin, j.Next = before, before
	if ch != nil {
		j.replay(ch, first, limit, now)
	}
	return j
}

// replay appends what is kept from first on.
func (j *Joined) replay(ch *Channel, first int, limit Limit, now int64) {
	why, n, size, given := GapExpired, ch.kept.len(), 0, 0
	if limit.Newest {
		why, first = GapSkipped, max(first, n-1)
	}
	for i := first; i < n; i++ {
		p := ch.kept.at(i)
		if p.over(now) {
			continue
		}
		if limit.Publications < 0 || limit.Publications > 0 && given == limit.Publications || limit.Bytes > 0 && size >= limit.Bytes {
			j.More = true
			return
		}
		j.hole(ch, p.Offset-1, why)
		j.Replay = append(j.Replay, p)
		j.Next = p.Offset
		size += len(p.Wire) + limit.Each
		given++
	}
	j.hole(ch, j.Head, why)
}

// hole puts a gap into Replay where it does not reach up to an offset.
func (j *Joined) hole(ch *Channel, upTo uint64, why string) {
	if j.Next >= upTo {
		return
	}
	j.Recovered = false
	j.Replay = append(j.Replay, newGap(ch.name, ch.shard.store.epoch, why, upTo))
	j.Next = upTo
}

func (s *Store) checkLoop(loop int) {
	if loop < 0 || loop >= s.conf.Loops {
		panic(fmt.Sprintf("BUG: loop %d of %d", loop, s.conf.Loops))
	}
}
