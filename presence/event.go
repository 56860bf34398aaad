package presence

import (
	"strconv"
	"unicode/utf8"
)

const (
	// frame is what an event has besides its joins and leaves, at most.
	frame = len(`{"join":[],"leave":[],"update":[],"users":,"connections":}`) + 2*20
	// joinFrame is what a join has besides user and info, the quotation marks included.
	joinFrame = len(`{"user":"","info":},`)
	// maxEscape is how many bytes a byte takes in a JSON string at most.
	maxEscape = len(`\u0000`)
)

// batch turns changes into an event:
//
//	{"join":[{"user":"42","info":{"name":"Ann"}}],"leave":["7"],"update":[{"user":"8","info":{"name":"Bo"}}],"users":12,"connections":15}
//
// join, leave and update are left out when they are empty, info when there is none. A large batch becomes several events: each has
// its own joins, leaves and updates, and the counts stand in the last one only. Nobody is in a batch twice, so the order within it
// does not matter.
type batch struct {
	joins, leaves, updates []byte // elements, a comma after each
	out                    []byte
}

// fill takes as many changes as fit into an event of at most limit bytes, but at least one, and returns how many.
func (b *batch) fill(changes []*member, limit int) int {
	b.joins, b.leaves, b.updates = b.joins[:0], b.leaves[:0], b.updates[:0]
	for i, m := range changes {
		joins, leaves, updates := len(b.joins), len(b.leaves), len(b.updates)
		b.add(m)
		if i > 0 && frame+len(b.joins)+len(b.leaves)+len(b.updates) > limit {
			b.joins, b.leaves, b.updates = b.joins[:joins], b.leaves[:leaves], b.updates[:updates]
			return i
		}
	}
	return len(changes)
}

// add takes one change.
func (b *batch) add(m *member) {
	switch {
	case !m.present:
		b.leaves = append(appendQuoted(b.leaves, m.user), ',')
	case m.told:
		b.updates = appendNamed(b.updates, m)
	default:
		b.joins = appendNamed(b.joins, m)
	}
}

// appendNamed appends who m is, and a comma.
func appendNamed(dst []byte, m *member) []byte {
	dst = appendQuoted(append(dst, `{"user":`...), m.user)
	if len(m.info) > 0 {
		dst = append(append(dst, `,"info":`...), m.info...)
	}
	return append(dst, `},`...)
}

// event returns the JSON of what was taken, with the counts if it is the last part. It is valid until the next fill.
func (b *batch) event(c counts, last bool) []byte {
	b.out = append(b.out[:0], '{')
	b.list(`"join":[`, b.joins)
	b.list(`"leave":[`, b.leaves)
	b.list(`"update":[`, b.updates)
	if last {
		b.out = strconv.AppendInt(append(b.out, `"users":`...), int64(c.users), 10)
		b.out = strconv.AppendInt(append(b.out, `,"connections":`...), int64(c.connections), 10)
		b.out = append(b.out, ',')
	}
	b.out[len(b.out)-1] = '}' // instead of the comma
	return b.out
}

// list appends an array and a comma, unless the array is empty.
func (b *batch) list(begin string, elements []byte) {
	if len(elements) > 0 {
		b.out = append(append(b.out, begin...), elements[:len(elements)-1]...)
		b.out = append(b.out, `],`...)
	}
}

// appendQuoted appends s as a JSON string (RFC 8259 section 7); what is not UTF-8 becomes U+FFFD. encoding/json would do, but
// allocates and escapes for HTML.
func appendQuoted(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}
