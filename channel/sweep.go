package channel

// expirePerVisit bounds how many publications Sweep takes out while it holds a channel's lock.
const expirePerVisit = 256

// Sweep expires history by age and removes empty channels. It visits at most n channels, each at most once unless it
// has very many expired publications, and the next call goes on where this one stopped; so every channel is visited
// once in Channels/n calls. Each call also forgets message ids of one shard that are too old. Call it from a timer.
func (s *Store) Sweep(now int64, n int) {
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	s.idShard = (s.idShard + 1) % numShards
	s.expireIDs(&s.shards[s.idShard], now)
	visits := min(int64(n), s.Totals().Channels)
	for ; visits > 0; visits-- {
		ch := s.next()
		if ch == nil {
			break
		}
		if s.visit(ch, now) {
			s.sweepPlace++ // once more
		}
	}
	// Forms that were encoded for a replay count as well, and nobody may be publishing.
	s.makeRoom(int64(n) * int64(overhead))
}

// visit expires what a channel keeps and removes it when nothing is left. more tells that there is more to expire.
func (s *Store) visit(ch *Channel, now int64) (more bool) {
	ch.mu.Lock()
	more = ch.expire(now, expirePerVisit)
	ch.tidy()
	empty := ch.empty()
	ch.mu.Unlock()
	if empty { // mostly not: then the shard need not be locked
		ch.shard.remove(ch)
	}
	return more
}

// next returns the channel to visit next, nil when all shards are empty. It goes through a shard from the end: remove
// fills a place with the last channel, which then has been visited already.
func (s *Store) next() *Channel {
	for range numShards + 1 {
		sh := &s.shards[s.sweepShard]
		sh.mu.RLock()
		if place := min(s.sweepPlace, len(sh.all)) - 1; place >= 0 {
			ch := sh.all[place]
			s.sweepPlace = place
			sh.mu.RUnlock()
			return ch
		}
		sh.mu.RUnlock()
		s.sweepShard = (s.sweepShard + 1) % numShards
		following := &s.shards[s.sweepShard]
		following.mu.RLock()
		s.sweepPlace = len(following.all)
		following.mu.RUnlock()
	}
	return nil
}
