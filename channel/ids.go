package channel

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"unsafe"

	"encke/codes"
)

// maxID is the longest message id in bytes.
const maxID = 128

// ids remembers which message ids were published, for a time and in a bounded memory: a publisher that did not hear the
// answer may push again. There is one in each shard, for its channels; it outlives a channel that was removed.
type ids struct {
	mu    sync.Mutex
	known map[idKey]idRecord // guarded by mu
	queue []idPlace          // guarded by mu: oldest first, from first on
	first int                // guarded by mu

	forgotten atomic.Uint64 // before their time, for want of memory
	repeated  atomic.Uint64
}

type idKey struct{ channel, id string }

type idRecord struct {
	result Result
	digest uint64 // of the message
	time   int64
}

// idPlace is an id's place in the order of time.
type idPlace struct {
	key  idKey
	time int64
}

// idCost is what an id takes besides its bytes: its key and its place, its record, and the map's share.
const idCost = int64(unsafe.Sizeof(idKey{})+unsafe.Sizeof(idPlace{})+unsafe.Sizeof(idRecord{})) + 48

// checkID refuses an id that is not 1 to maxID printable ASCII characters.
func checkID(id []byte) *codes.Error {
	if len(id) > maxID {
		return codes.New(codes.BadID, "")
	}
	for _, c := range id {
		if c <= ' ' || c > '~' {
			return codes.New(codes.BadID, "")
		}
	}
	return nil
}

// digest tells messages apart that were given the same id.
func (s *Store) digest(m *Message) uint64 {
	var h maphash.Hash
	h.SetSeed(s.seed)
	_, _ = h.WriteString(m.Event)
	_ = h.WriteByte(0)
	_, _ = h.WriteString(m.User)
	_ = h.WriteByte(0)
	_, _ = h.Write(m.Type)
	_ = h.WriteByte(0)
	_, _ = h.Write(m.Data)
	return h.Sum64()
}

// seen returns what the publisher of that id was told. It refuses with IDReused when the message was another one. The
// caller holds the channel's lock, so that two pushes of one id follow each other.
func (x *ids) seen(ch *Channel, id []byte, digest uint64, now, age int64) (r Result, known bool, err *codes.Error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	record, known := x.known[idKey{ch.name, string(id)}]
	switch {
	case !known || now-record.time > age:
		return Result{}, false, nil
	case record.digest != digest:
		return Result{}, false, codes.New(codes.IDReused, "")
	}
	x.repeated.Add(1)
	record.result.Repeated = true
	return record.result, true, nil
}

// remember notes a publication's id, and forgets those that are too old or too many.
func (x *ids) remember(ch *Channel, id []byte, record idRecord, age, memory int64) {
	all := &ch.shard.store.idBytes
	x.mu.Lock()
	defer x.mu.Unlock()
	x.expire(record.time, age, 4, all) // more than one, so that it gets ahead
	if x.known == nil {
		x.known = map[idKey]idRecord{}
	}
	key := idKey{ch.name, string(id)}
	x.known[key] = record
	x.queue = append(x.queue, idPlace{key, record.time})
	all.Add(key.cost())
	for all.Load() > memory && x.first < len(x.queue)-1 { // a busy channel's own are nearly always the oldest of all
		x.forget(all)
		x.forgotten.Add(1)
	}
}

func (k idKey) cost() int64 { return idCost + int64(len(k.id)) }

// expire forgets at most n ids that are too old. The caller holds mu.
func (x *ids) expire(now, age int64, n int, all *atomic.Int64) {
	for ; n > 0 && x.first < len(x.queue) && now-x.queue[x.first].time > age; n-- {
		x.forget(all)
	}
}

// forget takes out the oldest id, unless it was given anew after it had expired. all counts the bytes of every shard.
func (x *ids) forget(all *atomic.Int64) {
	oldest := x.queue[x.first]
	x.queue[x.first] = idPlace{}
	x.first++
	all.Add(-oldest.key.cost())
	if x.known[oldest.key].time == oldest.time {
		delete(x.known, oldest.key)
	}
	if x.first*2 > len(x.queue) && x.first > 16 {
		x.queue = append(make([]idPlace, 0, len(x.queue)-x.first+16), x.queue[x.first:]...)
		x.first = 0
	}
}

// expireIDs forgets a shard's ids that are too old.
func (s *Store) expireIDs(sh *shard, now int64) {
	sh.ids.mu.Lock()
	sh.ids.expire(now, s.conf.IDAge, expirePerVisit, &s.idBytes)
	sh.ids.mu.Unlock()
}
