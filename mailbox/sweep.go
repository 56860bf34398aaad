package mailbox

// Sweep drops what is over from at most n boxes, and forgets at most n message ids that are too old. The next call goes on
// where this one stopped; so every box is visited about once in Boxes/n calls, and in
// one call when n is larger by the boxes of one shard. Call it at every tick.
func (s *Boxes) Sweep(now int64, n int) {
	s.sweeping.Lock()
	defer s.sweeping.Unlock()
	for visits, passed := 0, 0; visits < n && passed <= numShards; {
		if s.shards[s.sweepShard].visit(&s.sweepPlace, now) {
			visits++
			continue
		}
		passed++
		s.sweepShard = (s.sweepShard + 1) % numShards
		s.sweepPlace = s.shards[s.sweepShard].size()
	}
	s.forgetKeys(now, n)
}

// visit looks at the box before that place and moves place to it; false says that there is none. So a shard is gone
// through from its end: remove fills a place with the last box, which then has been visited already.
func (sh *shard) visit(place *int, now int64) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	*place = min(*place, len(sh.all)) - 1
	if *place < 0 {
		return false
	}
	b := sh.all[*place]
	if sh.expire(b, now) {
		sh.settle(b)
	}
	return true
}

func (sh *shard) size() int {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return len(sh.all)
}
