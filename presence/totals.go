package presence

// Totals are figures over all channels.
type Totals struct {
	Channels    int64 `json:"channels"`    // with a record
	Members     int64 `json:"members"`     // a user counts once for each of its channels
	Connections int64 `json:"connections"` // likewise
	Bytes       int64 `json:"bytes"`       // of memory, estimated; ids and infos count in each channel even when they are shared

	// since the start
	Published uint64 `json:"published"` // events
	Refused   uint64 `json:"refused"`   // events that Publish did not take
}

// Bytes returns that figure of Totals alone.
func (b *Book) Bytes() (n int64) {
	for i := range b.shards {
		n += b.shards[i].bytes.Load() + b.shards[i].agenda.bytes()
	}
	return n
}

// Totals returns the figures. They are read one after the other: while others work, they need not fit each other.
func (b *Book) Totals() Totals {
	t := Totals{Bytes: b.Bytes()}
	for i := range b.shards {
		sh := &b.shards[i]
		sh.mu.RLock()
		t.Channels += int64(len(sh.byName))
		sh.mu.RUnlock()
		t.Members += sh.members.Load()
		t.Connections += sh.connections.Load()
		t.Published += sh.published.Load()
		t.Refused += sh.refused.Load()
	}
	return t
}
