package edge

import "encke/netloop"

// handles is a set of connections, each with a mark. Most users have one, which then takes no memory of its own; some have a few;
// and a token that many people share may have them all, so nothing here takes longer the more there are.
type handles struct {
	one  netloop.Handle // 0 when there is none, or more has them
	more *moreHandles   // nil until there have been two at once
}

type moreHandles struct {
	list  []netloop.Handle
	place map[netloop.Handle]int // in list; nil while there are few
}

// marked is the bit of a handle that no handle has: loops are at most 64.
const marked netloop.Handle = 1 << 63

// manyHandles is from how many on looking through them is dearer than a map.
const manyHandles = 16

func (x *handles) len() int {
	switch {
	case x.more != nil:
		return len(x.more.list)
	case x.one != 0:
		return 1
	}
	return 0
}

// add adds a handle that is not in the set, without a mark.
func (x *handles) add(h netloop.Handle) {
	if x.more == nil {
		if x.one == 0 {
			x.one = h
			return
		}
		x.more = &moreHandles{list: []netloop.Handle{x.one}}
		x.one = 0
	}
	m := x.more
	m.list = append(m.list, h)
	switch {
	case m.place != nil:
		m.place[h] = len(m.list) - 1
	case len(m.list) == manyHandles:
		m.place = make(map[netloop.Handle]int, 2*manyHandles)
		for i, h := range m.list {
			m.place[h&^marked] = i
		}
	}
}

// find returns where a handle is kept, nil when it is not in the set.
func (x *handles) find(h netloop.Handle) *netloop.Handle {
	switch {
	case x.more == nil && x.one&^marked == h:
		return &x.one
	case x.more == nil:
		return nil
	}
	if i := x.more.index(h); i >= 0 {
		return &x.more.list[i]
	}
	return nil
}

func (m *moreHandles) index(h netloop.Handle) int {
	if m.place != nil {
		if i, there := m.place[h]; there {
			return i
		}
		return -1
	}
	for i, x := range m.list {
		if x&^marked == h {
			return i
		}
	}
	return -1
}

// remove takes a handle out; it says false when it is not in the set.
func (x *handles) remove(h netloop.Handle) bool {
	if x.more == nil {
		there := x.one&^marked == h && h != 0
		if there {
			x.one = 0
		}
		return there
	}
	m := x.more
	i := m.index(h)
	if i < 0 {
		return false
	}
	last := len(m.list) - 1
	moved := m.list[last]
	m.list[i], m.list = moved, m.list[:last]
	if m.place != nil {
		m.place[moved&^marked] = i
		delete(m.place, h)
	}
	if last == 0 {
		x.more = nil
	}
	return true
}

// all calls f for each, with its mark. f may change it through the pointer.
func (x *handles) all(f func(h *netloop.Handle)) {
	if x.more == nil {
		if x.one != 0 {
			f(&x.one)
		}
		return
	}
	for i := range x.more.list {
		f(&x.more.list[i])
	}
}
