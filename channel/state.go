package channel

// State is how a channel stands.
type State struct {
	Offset      uint64 // of the newest publication
	Subscribers int
	Length      int   // publications kept
	Bytes       int64 // what they take in memory, without the encoded forms
}

// State returns how the channel stands at now. There is no channel when nobody is subscribed and nothing is kept.
func (s *Store) State(name []byte, now int64) (State, bool) {
	ch, head, latent := s.find(name)
	if ch == nil {
		return State{Offset: head, Subscribers: latent}, latent > 0
	}
	defer ch.mu.Unlock()
	state := State{Offset: ch.head, Subscribers: int(ch.subs)}
	if ch.kept.len() > 0 {
		gone := ch.kept.live(now, ch.settings.Age)
		state.Length, state.Bytes = ch.kept.n-gone, ch.kept.bytes
		for i := range ch.kept.n {
			p := ch.kept.at(i)
			if i < gone {
				state.Bytes -= int64(p.cost)
			} else if p.over(now) {
				state.Bytes -= int64(p.cost)
				state.Length--
			}
		}
	}
	return state, state.Subscribers > 0 || state.Length > 0
}

// Subscribers returns how many connections are subscribed to a channel.
func (s *Store) Subscribers(name []byte) int {
	ch, _, latent := s.find(name)
	if ch == nil {
		return latent
	}
	defer ch.mu.Unlock()
	return int(ch.subs)
}

// Delete forgets the channel's history and tells whether there was such a channel. Subscribers stay, and offsets go on.
func (s *Store) Delete(name []byte, now int64) bool {
	ch, _, latent := s.find(name)
	if ch == nil {
		return latent > 0
	}
	existed := ch.subs > 0 || ch.kept.len() > ch.kept.live(now, ch.settings.Age)
	for ch.kept.len() > 0 {
		ch.evict(byDelete)
	}
	ch.tidy()
	ch.mu.Unlock()
	ch.shard.remove(ch)
	return existed
}

// Totals are figures over all channels.
type Totals struct {
	Channels      int64 // in memory, empty ones that Sweep has not seen yet included
	Publications  int64 // kept
	Bytes         int64 // kept, encoded forms included
	Subscriptions int64 // a connection counts once for each of its channels

	// since the start
	Published     uint64
	EvictedLength uint64 // by Settings.Length
	EvictedAge    uint64 // by Settings.Age, or their own time
	EvictedMemory uint64 // by Config.Memory
	Deleted       uint64 // by Delete
	Repeated      uint64 // messages pushed again under their id
	IDsForgotten  uint64 // before their time, by Config.IDMemory
}

// Totals returns the figures. They are read one after the other: while others work, they need not fit each other.
func (s *Store) Totals() Totals {
	t := Totals{Bytes: s.bytes.Load()}
	for i := range s.shards {
		sh := &s.shards[i]
		t.Channels += sh.channels.Load()
		t.Publications += sh.kept.Load()
		t.Subscriptions += sh.subscriptions.Load()
		t.Published += sh.published.Load()
		t.EvictedLength += sh.evicted[byLength].Load()
		t.EvictedAge += sh.evicted[byAge].Load()
		t.EvictedMemory += sh.evicted[byMemory].Load()
		t.Deleted += sh.evicted[byDelete].Load()
		t.Repeated += sh.ids.repeated.Load()
		t.IDsForgotten += sh.ids.forgotten.Load()
	}
	return t
}
