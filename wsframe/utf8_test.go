package wsframe

import (
	"math/rand/v2"
	"testing"
	"unicode/utf8"

	"encke/codes"
)

// utf8Cases are after Markus Kuhn's decoder test: fails is the byte, from 0, at which the text cannot be text any more; -1
// when it may go on, and open when it must not end there.
var utf8Cases = []struct {
	name, text string
	fails      int
	open       bool
}{
	{"nothing", "", -1, false},
	{"1 some correct text", "κόσμε", -1, false},
	{"2.1.1 first of 1 byte", "\x00", -1, false},
	{"2.1.2 first of 2", "\u0080", -1, false},
	{"2.1.3 first of 3", "\u0800", -1, false},
	{"2.1.4 first of 4", "\U00010000", -1, false},
	{"2.1.5 first of 5", "\xf8\x88\x80\x80\x80", 0, false},
	{"2.1.6 first of 6", "\xfc\x84\x80\x80\x80\x80", 0, false},
	{"2.2.1 last of 1", "\x7f", -1, false},
	{"2.2.2 last of 2", "\u07ff", -1, false},
	{"2.2.3 last of 3", "\uffff", -1, false},
	{"2.2.4 last of 4 bytes of old", "\xf7\xbf\xbf\xbf", 0, false},
	{"2.3.1 U+D7FF", "\xed\x9f\xbf", -1, false},
	{"2.3.2 U+E000", "\xee\x80\x80", -1, false},
	{"2.3.3 U+FFFD", "\xef\xbf\xbd", -1, false},
	{"2.3.4 U+10FFFF", "\xf4\x8f\xbf\xbf", -1, false},
	{"2.3.5 U+110000", "\xf4\x90\x80\x80", 1, false},
	{"3.1.1 continuation 80", "\x80", 0, false},
	{"3.1.2 continuation bf", "a\xbf", 1, false},
	{"3.2.1 lonely start c3", "\xc3 ", 1, false},
	{"3.2.2 lonely start e1", "\xe1 ", 1, false},
	{"3.2.3 lonely start f1", "\xf1 ", 1, false},
	{"3.3.1 last byte missing of 2", "a\xc3", -1, true},
	{"3.3.2 last byte missing of 3", "a\xe1\x80", -1, true},
	{"3.3.3 last byte missing of 4", "a\xf1\x80\x80", -1, true},
	{"3.3.4 two bytes missing of 4", "a\xf1\x80", -1, true},
	{"3.3.5 three bytes missing of 4", "a\xf1", -1, true},
	{"3.3.6 missing, then text", "\xf1\x80\x80abc", 3, false},
	{"3.4 incomplete in a row", "\xe1\x80\xe1\x80", 2, false},
	{"3.5.1 fe", "\xfe", 0, false},
	{"3.5.2 ff", "\xff", 0, false},
	{"f5", "\xf5\x80\x80\x80", 0, false},
	{"4.1.1 overlong slash of 2", "\xc0\xaf", 0, false},
	{"4.1.2 overlong slash of 3", "\xe0\x80\xaf", 1, false},
	{"4.1.3 overlong slash of 4", "\xf0\x80\x80\xaf", 1, false},
	{"4.2.1 longest overlong of 2", "\xc1\xbf", 0, false},
	{"4.2.2 longest overlong of 3", "\xe0\x9f\xbf", 1, false},
	{"4.2.3 longest overlong of 4", "\xf0\x8f\xbf\xbf", 1, false},
	{"4.3 overlong NUL", "\xc0\x80", 0, false},
	{"5.1.1 surrogate D800", "\xed\xa0\x80", 1, false},
	{"5.1.2 surrogate DFFF", "\xed\xbf\xbf", 1, false},
	{"5.2 a pair of them", "\xed\xa0\x80\xed\xb0\x80", 1, false},
	{"5.3 noncharacters", "\ufffe\uffff\U0001fffe", -1, false},
	{"4 continuations in a row", "\U0001f600\x80", 4, false},
}

// TestUTF8 pushes each case byte by byte, whole, and as a message that would go on.
func TestUTF8(t *testing.T) {
	for _, c := range utf8Cases {
		var u utf8State
		fails := -1
		for i := range len(c.text) {
			if !u.push([]byte(c.text[i : i+1])) {
				fails = i
				break
			}
		}
		if fails != c.fails || fails < 0 && u.done() == c.open {
			t.Errorf("%s: byte by byte it fails at %d, want %d; open %v", c.name, fails, c.fails, !u.done())
		}
		var whole utf8State
		if ok := whole.push([]byte(c.text)); ok != (c.fails < 0) || ok && whole.done() == c.open {
			t.Errorf("%s: whole: %v", c.name, ok)
		}
		if c.fails >= 0 { // as a message that goes on: the failing byte must be enough
			s := stream{bytes: []byte(frame(0x81, c.text+"more")[:6+c.fails+1]), lim: testLimit}
			if _, code := feed(t, NewDecoder(), s, false); code != codes.InvalidUTF8 {
				t.Errorf("%s: the decoder says %v", c.name, code)
			}
		}
	}
}

// TestUTF8Random compares with the standard library at every split.
func TestUTF8Random(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 3000 {
		b := randomText(r)
		for i := range len(b) + 1 {
			var u utf8State
			ok := u.push(b[:i]) && u.push(b[i:])
			if ok != textPrefix(b) || ok && u.done() != utf8.Valid(b) {
				t.Fatalf("%x split at %d: %v", b, i, ok)
			}
		}
	}
}
