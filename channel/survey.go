package channel

// Sight is a channel as it stood when it was looked at.
type Sight struct {
	Channel     *Channel
	Head        uint64
	Subscribers int
}

// Survey looks at all channels, again and again, some at a time. It is owned by who uses it, which may be anybody: nobody waits for
// it, since it holds the lock of a part of the store for as long as surveyPiece names are copied, and of a channel for as long as two
// numbers are.
type Survey struct {
	store        *Store
	shard, place int
	piece        []*Channel
}

// surveyPiece is how many channels are taken out of a part of the store under its lock.
const surveyPiece = 512

// NewSurvey returns a survey that has seen nothing.
func (s *Store) NewSurvey() *Survey { return &Survey{store: s} }

// Next looks at the next n channels, at all of them where there are no more than n, and appends them to dst. One that is removed
// meanwhile may have another be left out until the next time round.
func (v *Survey) Next(dst []Sight, n int) []Sight {
	if v.store.count() <= n {
		v.shard, v.place = 0, 0
	}
	for shards := 0; n > 0 && shards < numShards; {
		sh := &v.store.shards[v.shard]
		v.piece = sh.some(v.piece[:0], v.place, min(n, surveyPiece))
		if len(v.piece) == 0 {
			v.shard, v.place = (v.shard+1)%numShards, 0
			shards++
			continue
		}
		v.place += len(v.piece)
		n -= len(v.piece)
		for _, ch := range v.piece {
			if sight, ok := ch.Sight(); ok {
				dst = append(dst, sight)
			}
		}
	}
	clear(v.piece)
	return dst
}

// Sight returns how the channel stands; ok is false when it has been removed.
func (ch *Channel) Sight() (sight Sight, ok bool) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	return Sight{ch, ch.head, int(ch.subs)}, !ch.dead
}

// some appends at most n of the shard's channels to dst, from a place on.
func (sh *shard) some(dst []*Channel, place, n int) []*Channel {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	if place >= len(sh.all) {
		return dst
	}
	return append(dst, sh.all[place:min(place+n, len(sh.all))]...)
}

// count returns how many channels are in memory.
func (s *Store) count() (n int) {
	for i := range s.shards {
		n += int(s.shards[i].channels.Load())
	}
	return n
}
