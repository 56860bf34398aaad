package presence

import (
	"slices"
	"sync"
)

// keptChanges is how many changes a channel has room for while it has none.
const keptChanges = 64

var batches = sync.Pool{New: func() any { return new(batch) }}

// publish publishes what is pending, until all is or Publish refuses. The caller holds mu.
func (ch *Channel) publish(now int64) {
	b := batches.Get().(*batch)
	defer batches.Put(b)
	done := 0
	for last := false; !last; {
		n := b.fill(ch.changes[done:], ch.book.conf.MaxEvent)
		last = done+n == len(ch.changes)
		if !ch.send(b.event(ch.counts, last), now) {
			break
		}
		for _, m := range ch.changes[done : done+n] {
			ch.tell(m)
		}
		done += n
		if last {
			ch.told, ch.quiet = ch.counts, now+countsEvery
		}
	}
	ch.settle(done)
}

// send hands an event to Config.Publish.
func (ch *Channel) send(event []byte, now int64) bool {
	ok := ch.book.conf.Publish(ch.name, event, now)
	if ok {
		ch.shard.published.Add(1)
	} else {
		ch.shard.refused.Add(1)
	}
	return ok
}

// settle takes the first n changes out, which are published.
func (ch *Channel) settle(n int) {
	if n == 0 {
		return
	}
	if n == len(ch.changes) && cap(ch.changes) > keptChanges {
		ch.changes = nil
		return
	}
	ch.changes = slices.Delete(ch.changes, 0, n)
	for i, m := range ch.changes {
		m.place = uint32(i)
	}
}
