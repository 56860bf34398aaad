package presence

import (
	"bytes"
	"sync"
)

// Channel is the presence of one channel. It is made and removed by the Book; while somebody has it open it stays. Every
// method may be called by anybody who has it open, at any time; those of a nil Channel do nothing.
type Channel struct {
	// immutable
	book  *Book
	shard *shard
	name  string
	mode  Mode

	// guarded by mu
	mu        sync.Mutex
	dead      bool // removed from the book: look again
	marked    bool // on the shard's agenda
	opens     int  // holders
	anonymous int  // connections without a user
	counts    counts
	told      counts             // as last published
	quiet     int64              // until then no event has nothing but counts
	members   map[string]*member // those present or told; nil until there is one
	peak      int                // the most that members held since it was made
	listed    int                // members told
	changes   []*member          // those present but not told, told but not present, or told and renewed
}

// counts are the figures of an event.
type counts struct {
	users       int // members, those in their grace included
	connections int // anonymous ones included
}

// hold counts one more holder, unless the record is dead.
func (ch *Channel) hold() bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.dead {
		return false
	}
	ch.opens++
	return true
}

// Close gives back one Open. Each Enter of the holder has had its Leave by then. Members stay for their grace: when the
// channel is opened again before that is over, they are still there.
func (ch *Channel) Close() {
	if ch != nil && ch.release() {
		ch.shard.remove(ch)
	}
}

// release counts one holder less and tells whether the record can go.
func (ch *Channel) release() bool {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.opens == 0 || ch.opens == 1 && ch.counts.connections > 0 {
		panic("BUG: Close without Open, or with connections left")
	}
	ch.opens--
	return ch.empty()
}

// Enter counts one more connection, of that user or, with user "", of nobody known. The first of a user makes it a member;
// during its grace it still is one, and nothing is published.
//
// info is a JSON text in one line, shown beside the user, or empty; it is kept as it is and must not be changed any more.
// That of the newest connection counts. An info that changes by a connection more is no event: only snapshots have it.
func (ch *Channel) Enter(user string, info []byte) {
	if ch == nil {
		return
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.connected(+1)
	if user == "" {
		ch.anonymous++
		return
	}
	m := ch.members[user]
	if m == nil {
		m = ch.add(user)
	}
	m.connections++
	was := m.info
	ch.inform(m, info)
	m.stale = m.stale || m.told && !bytes.Equal(was, m.info)
	if !m.present {
		ch.turn(m)
	}
}

// Inform gives a user another info, like Enter's, that has at least one connection, and has followers told.
func (ch *Channel) Inform(user string, info []byte) {
	if ch == nil || user == "" {
		return
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	m := ch.members[user]
	if m == nil || m.connections == 0 {
		panic("BUG: Inform without Enter")
	}
	was := m.info
	if ch.inform(m, info); m.stale || !bytes.Equal(was, m.info) {
		ch.renew(m)
	}
}

// Leave takes back one Enter of that user at now. After its last connection a member stays for its grace, unless it is to
// go atOnce: then it wanted to. The other connections' ways of going do not matter. Leave panics without an Enter.
func (ch *Channel) Leave(user string, now int64, atOnce bool) {
	if ch == nil {
		return
	}
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if user == "" {
		ch.leaveUnknown()
		return
	}
	m := ch.members[user]
	if m == nil || m.connections == 0 {
		panic("BUG: Leave without Enter")
	}
	ch.connected(-1)
	m.connections--
	switch {
	case m.connections > 0:
	case atOnce || ch.book.conf.Grace <= 0:
		ch.turn(m)
	default:
		m.left = now
		ch.shard.agenda.expect(departure{ch, m, now})
	}
}

func (ch *Channel) leaveUnknown() {
	if ch.anonymous == 0 {
		panic("BUG: Leave without Enter")
	}
	ch.anonymous--
	ch.connected(-1)
}

// connected counts n connections more, and has Flush look at the channel.
func (ch *Channel) connected(n int) {
	ch.counts.connections += n
	ch.shard.connections.Add(int64(n))
	ch.mark()
}

// mark puts the channel on the agenda.
func (ch *Channel) mark() {
	if !ch.marked {
		ch.marked = true
		ch.shard.agenda.mark(ch)
	}
}

// pending tells whether there is anything to publish.
func (ch *Channel) pending() bool { return len(ch.changes) > 0 || ch.counts != ch.told }

// empty tells whether the record can go.
func (ch *Channel) empty() bool { return ch.opens == 0 && len(ch.members) == 0 && !ch.pending() }
