package mailbox

// Counts are figures over all boxes. In each, Put = Acknowledged + Deleted + Dropped() + Letters.
type Counts struct {
	Boxes   int64 `json:"boxes"`    // users who have letters
	Letters int64 `json:"letters"`  // in their boxes; those that are over and that nobody has looked at are included
	Bytes   int64 `json:"bytes"`    // that letters and boxes take in memory
	IDs     int64 `json:"ids"`      // message ids that are remembered
	IDBytes int64 `json:"id_bytes"` // that they take in memory

	// since the start
	Put           uint64 `json:"put"`            // letters, without those repeated or refused
	Repeated      uint64 `json:"repeated"`       // messages put again under their id
	Acknowledged  uint64 `json:"acknowledged"`   // letters, by Ack or AckOnly
	Deleted       uint64 `json:"deleted"`        // letters, by Delete or DeleteAll
	DroppedLength uint64 `json:"dropped_length"` // letters, by Config.Length
	DroppedBytes  uint64 `json:"dropped_bytes"`  // letters, by Config.Bytes
	DroppedAge    uint64 `json:"dropped_age"`    // letters, by Config.Age or their own time
	DroppedMemory uint64 `json:"dropped_memory"` // letters, by Config.Memory
	IDsForgotten  uint64 `json:"ids_forgotten"`  // before their time, by Config.IDMemory
}

// Dropped is how many letters were lost to their users: neither acknowledged nor deleted.
func (c *Counts) Dropped() uint64 {
	return c.DroppedLength + c.DroppedBytes + c.DroppedAge + c.DroppedMemory
}

// Counts returns the figures. Each shard is read in one step, and so the equation above holds also while others work; Bytes
// and IDBytes are of a moment of their own.
func (s *Boxes) Counts() Counts {
	var c Counts
	for i := range s.shards {
		s.shards[i].count(&c)
	}
	c.Bytes, c.IDBytes = s.bytes.Load(), s.keyBytes.Load()
	return c
}

// count adds the shard's figures to c.
func (sh *shard) count(c *Counts) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	c.Boxes += int64(len(sh.all))
	c.Letters += sh.letters
	c.IDs += sh.keys.n
	c.Put += sh.accepted
	c.Repeated += sh.keys.repeated
	c.Acknowledged += sh.gone[byAcknowledgement]
	c.Deleted += sh.gone[byDelete]
	c.DroppedLength += sh.gone[byLength]
	c.DroppedBytes += sh.gone[byBytes]
	c.DroppedAge += sh.gone[byAge]
	c.DroppedMemory += sh.gone[byMemory]
	c.IDsForgotten += sh.keys.forgotten
}
