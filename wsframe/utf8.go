package wsframe

import "unicode/utf8"

// utf8State checks text that arrives in pieces and fails at the first byte that no continuation can make valid
// (RFC 6455 section 8.1, RFC 3629 section 4). The zero value is between two characters.
type utf8State struct {
	need   uint8 // continuation bytes still to come
	lo, hi uint8 // bounds of the next of them
}

// done says whether text may end here.
func (u *utf8State) done() bool { return u.need == 0 }

// push checks the next piece. After false the state is of no more use.
func (u *utf8State) push(b []byte) bool {
	for u.need > 0 && len(b) > 0 {
		if !u.step(b[0]) {
			return false
		}
		b = b[1:]
	}
	cut := len(b) - openTail(b)
	if !utf8.Valid(b[:cut]) {
		return false
	}
	for _, c := range b[cut:] {
		if !u.step(c) {
			return false
		}
	}
	return true
}

// openTail returns how many bytes at the end of b, up to 3, begin a character that is not complete.
func openTail(b []byte) int {
	for n := 1; n <= 3 && n <= len(b); n++ {
		c := b[len(b)-n]
		switch {
		case c >= 0xc0 && n < 2, c >= 0xe0 && n < 3, c >= 0xf0: // a first byte that wants more than n
			return n
		case c < 0x80 || c >= 0xc0:
			return 0
		}
	}
	return 0
}

// step takes one byte, by the table of RFC 3629 section 4.
func (u *utf8State) step(c byte) bool {
	if u.need > 0 {
		if c < u.lo || c > u.hi {
			return false
		}
		u.need--
		u.lo, u.hi = 0x80, 0xbf
		return true
	}
	u.lo, u.hi = 0x80, 0xbf
	switch {
	case c < 0x80:
	case c < 0xc2: // a continuation, or overlong
		return false
	case c < 0xe0:
		u.need = 1
	case c < 0xf0:
		u.need = 2
		switch c {
		case 0xe0: // below is overlong
			u.lo = 0xa0
		case 0xed: // above are surrogates
			u.hi = 0x9f
		}
	case c < 0xf5:
		u.need = 3
		switch c {
		case 0xf0: // below is overlong
			u.lo = 0x90
		case 0xf4: // above is beyond U+10FFFF
			u.hi = 0x8f
		}
	default:
		return false
	}
	return true
}
