package presence

import "unsafe"

// member is a user in a channel. It is guarded by the channel's mutex. It is in Channel.members while it is present or told,
// and in Channel.changes while it is one of these only, or renewed.
type member struct {
	user        string
	info        []byte
	left        int64  // when the last connection went; nothing while there is one
	connections uint32 // 0 during the grace
	place       uint32 // in Channel.changes; nothing while it is not there
	present     bool   // it has connections, or its grace is not over
	told        bool   // as published: followers have it. Where nobody is told of members, the same as present
	renewed     bool   // followers who have it are to be told of another info
	stale       bool   // they have another info than it, which is no event by itself
	changed     bool   // it is in Channel.changes
}

// memberCost is what a member takes without its strings: itself and its slot.
const memberCost = int64(unsafe.Sizeof(member{})) + slot

// add puts a user into members, absent so far.
func (ch *Channel) add(user string) *member {
	if ch.members == nil {
		ch.members = make(map[string]*member)
	}
	m := &member{user: user}
	ch.members[user] = m
	ch.peak = max(ch.peak, len(ch.members))
	ch.shard.bytes.Add(memberCost + int64(len(user)))
	return m
}

// inform keeps the info, where it will be shown and has room in an event.
func (ch *Channel) inform(m *member, info []byte) {
	if len(info) == 0 || ch.mode != Members || frame+joinFrame+maxEscape*len(m.user)+len(info) > ch.book.conf.MaxEvent {
		info = nil
	}
	if len(info) != len(m.info) {
		ch.shard.bytes.Add(int64(len(info) - len(m.info)))
	}
	m.info = info
}

// turn makes m present or absent. What is then as it was told is no change any more.
func (ch *Channel) turn(m *member) {
	m.present = !m.present
	n := 1
	if !m.present {
		n = -1
	}
	ch.counts.users += n
	ch.shard.members.Add(int64(n))
	ch.mark()
	if ch.mode != Members {
		m.told = m.present
	}
	ch.reckon(m)
	ch.forget(m)
}

// renew has followers told of m's info, which has changed, unless they have yet to be told of m.
func (ch *Channel) renew(m *member) {
	if m.told && ch.mode == Members {
		m.renewed = true
		ch.mark()
		ch.reckon(m)
	}
}

// reckon puts m into the changes or takes it out, as is right now.
func (ch *Channel) reckon(m *member) {
	switch is := m.present != m.told || m.renewed; {
	case is && !m.changed:
		m.changed, m.place = true, uint32(len(ch.changes))
		ch.changes = append(ch.changes, m)
	case !is && m.changed:
		ch.cancel(m)
	}
}

// cancel takes m out of the changes; the last of them gets its place.
func (ch *Channel) cancel(m *member) {
	m.changed = false
	last := len(ch.changes) - 1
	moved := ch.changes[last]
	ch.changes[m.place], moved.place = moved, m.place
	ch.changes[last] = nil
	ch.changes = ch.changes[:last]
}

// tell notes that m is published as it is.
func (ch *Channel) tell(m *member) {
	m.renewed, m.stale, m.changed = false, false, false
	switch {
	case m.present && !m.told:
		ch.listed++
	case !m.present:
		ch.listed--
	}
	m.told = m.present
	ch.forget(m)
}

// forget takes m out of members when it is neither present nor told.
func (ch *Channel) forget(m *member) {
	if m.present || m.told {
		return
	}
	delete(ch.members, m.user)
	ch.members = slim(ch.members, &ch.peak)
	ch.shard.bytes.Add(-memberCost - int64(len(m.user)+len(m.info)))
}
