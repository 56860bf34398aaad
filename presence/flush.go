package presence

// countsEvery is how many milliseconds lie at least between a publication and one by Flush that has nothing but counts.
const countsEvery = 1000

// Flush carries out the departures whose grace is over at now and publishes what has changed: joins and leaves each time,
// counts alone at most once a second in a channel. Call it from a timer, ten times a second. Its work is in proportion to the
// channels that have changed or have something to publish, to their changes, and to the departures that are due, not to how
// many channels and members there are.
//
// A channel whose record was removed begins anew: when it fills and empties all the time it may have two counts in a second.
func (b *Book) Flush(now int64) {
	b.flushing.Lock()
	defer b.flushing.Unlock()
	for i := range b.shards {
		b.depart(&b.shards[i], now-b.conf.Grace)
		b.publish(&b.shards[i], now)
	}
}

// depart carries out a shard's departures that were noted at until or before.
func (b *Book) depart(sh *shard, until int64) {
	for {
		d, ok := sh.agenda.due(until)
		if !ok {
			return
		}
		b.visits++
		d.ch.depart(d)
	}
}

// publish visits a shard's channels that have changed.
func (b *Book) publish(sh *shard, now int64) {
	changed := sh.agenda.take()
	later := changed[:0]
	for _, ch := range changed {
		b.visits++
		pending, empty := ch.visit(now)
		if pending {
			later = append(later, ch)
		} else if empty { // mostly not: then the shard need not be locked
			sh.remove(ch)
		}
	}
	clear(changed[len(later):])
	sh.agenda.giveBack(later)
}

// depart carries out a departure if it holds: the user has not come back, or is not in another grace that began later.
func (ch *Channel) depart(d departure) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if d.m.present && d.m.connections == 0 && d.m.left == d.left {
		ch.turn(d.m)
	}
}

// visit publishes what is due and tells whether there is more to publish, in which case the channel stays on the agenda, and
// whether the record can go.
func (ch *Channel) visit(now int64) (pending, empty bool) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.due(now) {
		ch.publish(now)
	}
	ch.marked = ch.pending()
	return ch.marked, ch.empty()
}

// due tells whether Flush is to publish.
func (ch *Channel) due(now int64) bool {
	ch.quiet = min(ch.quiet, now+countsEvery) // the clock may have been set back
	return len(ch.changes) > 0 || ch.counts != ch.told && now >= ch.quiet
}
