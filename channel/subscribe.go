package channel

import (
	"fmt"

	"encke/codes"
)

// The reasons of a gap (PROTOCOL.md "A publication").
const (
	GapExpired = "expired" // history has passed
	GapEpoch   = "epoch"   // the position is of another process
	GapUnknown = "unknown" // the position is ahead of the channel
)

// Joined is what a subscriber is given at the moment it joins.
type Joined struct {
	Channel   *Channel       // nil from Read
	Head      uint64         // offset of the newest publication; for a subscriber, Deliver brings all after it
	Replay    []*Publication // what was missed, oldest first, appended to the caller's slice
	Recovered bool           // from was a position or FromStart, and nothing is missing
	Gap       string         // "" or why something is
	GapAt     uint64         // with Gap: the offset before the first publication replayed, Head when there is none
}

// Subscribe makes one more connection of the loop a subscriber of the channel, which is made when there is none, and
// returns what it has missed, in one step: Replay ends at Head, and everything after Head comes through Sink.Deliver.
// Deliver is called once for all connections of a loop, and what it brought for earlier ones may still be waiting there:
// each connection skips what is not above its own Head.
func (s *Store) Subscribe(name []byte, loop int, from From, now int64, replay []*Publication) (Joined, *codes.Error) {
	s.checkLoop(loop)
	if code := CheckName(name); code != codes.None {
		return Joined{Replay: replay}, codes.New(code, "")
	}
	ch := s.enter(name)
	ch.join(loop, s.conf.Loops)
	ch.shard.subscriptions.Add(1)
	joined := s.since(ch.head, ch.kept, from, now, s.conf.Length, replay)
	ch.mu.Unlock()
	joined.Channel = ch
	return joined, nil
}

// Unsubscribe takes back one Subscribe of the loop. An empty channel stays until Sweep comes by.
func (s *Store) Unsubscribe(ch *Channel, loop int, now int64) {
	s.checkLoop(loop)
	ch.mu.Lock()
	ch.leave(loop)
	ch.mu.Unlock()
	ch.shard.subscriptions.Add(-1)
}

// Read is Subscribe without subscribing: what follows from, at most limit publications, the oldest of them. With that
// limit reached, go on from the last one replayed. It makes no channel; where there is none, Head is the offset after
// which a new one would begin.
func (s *Store) Read(name []byte, from From, limit int, now int64, replay []*Publication) (Joined, *codes.Error) {
	if code := CheckName(name); code != codes.None {
		return Joined{Replay: replay}, codes.New(code, "")
	}
	ch, floor := s.find(name)
	if ch == nil {
		return s.since(floor, nil, from, now, limit, replay), nil
	}
	defer ch.mu.Unlock()
	return s.since(ch.head, ch.kept, from, now, limit, replay), nil
}

// since answers from for a channel that stands at head and keeps h.
func (s *Store) since(head uint64, h *history, from From, now int64, limit int, replay []*Publication) Joined {
	j := Joined{Head: head, Replay: replay}
	first, n := h.live(now, s.conf.Age), h.len()
	before := head - uint64(n-first) // offset before the first that can be given
	switch {
	case from.Kind == FromStart:
		j.Recovered = true
	case from.Kind != FromPosition:
		return j
	case from.Epoch != s.conf.Epoch:
		j.Gap, j.GapAt = GapEpoch, before
	case from.Offset > head:
		j.Gap, j.GapAt = GapUnknown, before
	case from.Offset < before:
		j.Gap, j.GapAt = GapExpired, before
	default:
		j.Recovered = true
		first += int(from.Offset - before)
	}
	for i := first; i < n && i-first < limit; i++ {
		j.Replay = append(j.Replay, h.at(i))
	}
	return j
}

func (s *Store) checkLoop(loop int) {
	if loop < 0 || loop >= s.conf.Loops {
		panic(fmt.Sprintf("BUG: loop %d of %d", loop, s.conf.Loops))
	}
}
