package presence

import (
	"slices"
	"strings"
)

// Member is a user in a channel.
type Member struct {
	User        string
	Info        []byte // JSON, immutable; nil when there is none
	Connections int    // now: no event tells of it; 0 during the grace
}

// Snapshot is how a channel was at an offset of its companion.
type Snapshot struct {
	Users       int // those in their grace included
	Connections int // anonymous ones included
	Offset      uint64
	Members     []Member // by user; not nil where they are listed
	TooMany     bool     // they were to be listed, but are more than Config.MaxListed
}

// Snapshot publishes what is pending in the channel and returns how it is: whoever had entered before is in it. When Publish
// refuses, what is pending is not in it (Published). Members are listed where that is wanted and both mode and the channel's
// are Members. A channel without a record has zero counts.
//
// In a storm each Enter and Snapshot is a publication to all followers: who takes one for every connection that comes had
// better take Published.
func (b *Book) Snapshot(name string, mode Mode, now int64, listed bool) Snapshot {
	return b.look(name, mode, listed, func(ch *Channel) {
		if ch.pending() {
			ch.publish(now)
		}
	})
}

// Published returns the same without publishing anything: how the channel is for those who follow its companion, as of the
// newest event there. Joins and leaves come by the next Flush, counts within a second. While Offset stays, only Info and
// Connections of members may change: who encodes it for many may keep that.
//
// Users and Connections are of the newest event that has counts; when a batch is published in part only, Members are ahead
// of them.
func (b *Book) Published(name string, mode Mode, listed bool) Snapshot {
	return b.look(name, mode, listed, func(*Channel) {})
}

// look returns how a channel is published, after first has been called with its lock held.
func (b *Book) look(name string, mode Mode, listed bool, first func(*Channel)) Snapshot {
	listed = listed && mode == Members
	ch, head := b.shard(name).findOrHead(name)
	if ch == nil {
		s := Snapshot{Offset: head}
		if listed {
			s.Members = []Member{}
		}
		return s
	}
	first(ch)
	s := ch.snapshot(listed)
	ch.mu.Unlock()
	slices.SortFunc(s.Members, func(a, b Member) int { return strings.Compare(a.User, b.User) })
	return s
}

// findOrHead returns the record of that name with its lock held, or nil and the head of its companion. The head is read while
// the shard is locked: nobody can make a record meanwhile and publish what zero counts do not have.
func (sh *shard) findOrHead(name string) (*Channel, uint64) {
	for {
		sh.mu.RLock()
		ch := sh.byName[name]
		if ch == nil {
			defer sh.mu.RUnlock()
			return nil, sh.book.conf.Head(name)
		}
		sh.mu.RUnlock()
		ch.mu.Lock()
		if !ch.dead {
			return ch, 0
		}
		ch.mu.Unlock()
	}
}

// snapshot returns what is published, members in any order. The caller holds mu. The offset is asked for each time: a
// companion that was removed for want of use may begin anew at a higher one.
func (ch *Channel) snapshot(listed bool) Snapshot {
	s := Snapshot{Users: ch.told.users, Connections: ch.told.connections, Offset: ch.book.conf.Head(ch.name)}
	if !listed || ch.mode != Members {
		return s
	}
	if ch.listed > ch.book.conf.MaxListed {
		s.TooMany = true
		return s
	}
	s.Members = make([]Member, 0, ch.listed)
	for _, m := range ch.members {
		if m.told {
			s.Members = append(s.Members, Member{m.user, m.info, int(m.connections)})
		}
	}
	return s
}
