package presence

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestEventJSON: what is given to Publish, byte for byte.
func TestEventJSON(t *testing.T) {
	a, info := &member{user: "42", present: true}, &member{user: "x", info: []byte(`{"name":"Ann"}`), present: true}
	other := &member{user: "8", info: []byte(`{"name":"Bo"}`), present: true, told: true, renewed: true}
	gone, odd := &member{user: "7"}, &member{user: "a\"\\\n\x01é\xff<"}
	for _, c := range []struct {
		changes []*member
		last    bool
		want    string
	}{
		{nil, true, `{"users":12,"connections":15}`},
		{[]*member{a}, true, `{"join":[{"user":"42"}],"users":12,"connections":15}`},
		{[]*member{gone}, true, `{"leave":["7"],"users":12,"connections":15}`},
		{[]*member{gone, a}, false, `{"join":[{"user":"42"}],"leave":["7"]}`},
		{[]*member{other, a}, true, `{"join":[{"user":"42"}],"update":[{"user":"8","info":{"name":"Bo"}}],"users":12,"connections":15}`},
		{[]*member{a, info}, false, `{"join":[{"user":"42"},{"user":"x","info":{"name":"Ann"}}]}`},
		{[]*member{odd, gone}, false, `{"leave":["a\"\\\u000a\u0001é` + "\ufffd" + `<","7"]}`},
	} {
		var b batch
		if n := b.fill(c.changes, 1000); n != len(c.changes) {
			t.Errorf("%d of %d", n, len(c.changes))
		}
		got := b.event(counts{12, 15}, c.last)
		if string(got) != c.want || !json.Valid(got) {
			t.Errorf("%s; want %s", got, c.want)
		}
	}
}

// TestParts: a batch that does not fit into an event becomes several, none of them too large, with the counts in the last.
func TestParts(t *testing.T) {
	for _, limit := range []int{1, 120, 150, 1000, 5000} {
		streams := &companions{}
		conf := streams.config(0)
		conf.MaxEvent = limit
		b := New(conf)
		ch := b.Open("a", Members)
		for i := range 100 {
			ch.Enter(fmt.Sprint("leaver", i), nil)
		}
		b.Flush(0)
		begun := streams.head("a")
		for i := range 100 {
			ch.Enter(fmt.Sprint("joiner", i), []byte(`{"name":"J"}`))
			ch.Leave(fmt.Sprint("leaver", i), 0, false)
		}
		b.Flush(0)
		f := begin("a", Snapshot{})
		f.follow(t, streams, streams.head("a"))
		if len(f.users) != 100 || f.counts != (counts{100, 100}) {
			t.Errorf("%d: %+v", limit, f)
		}
		parts := streams.events["a"][begun:]
		size := 0
		for i, e := range parts {
			size += len(e.raw)
			if len(e.raw) > limit && len(e.Join)+len(e.Leave) > 1 {
				t.Errorf("%d: %s", limit, e.raw)
			}
			if (e.Users != nil) != (i == len(parts)-1) {
				t.Errorf("%d: counts in part %d of %d", limit, i, len(parts))
			}
		}
		if most := min(200, 1+size/max(1, limit-frame-joinFrame-30)); len(parts) > most {
			t.Errorf("%d: %d bytes in %d parts, at most %d expected", limit, size, len(parts), most)
		}
	}
}

// TestInfoMustFit: an info for which an event has no room is left out; with the largest that has, the event is at its limit.
func TestInfoMustFit(t *testing.T) {
	const limit = 300
	user := strings.Repeat("\x01", 10)
	fits := limit - frame - joinFrame - 10*maxEscape
	for size, want := range map[int]int{0: 0, 1: 1, fits: fits, fits + 1: 0, 1000: 0} {
		streams := &companions{}
		conf := streams.config(0)
		conf.MaxEvent = limit
		b := New(conf)
		b.Open("a", Members).Enter(user, []byte(strings.Repeat("1", size)))
		got := b.Snapshot("a", Members, 0, true)
		if e := streams.events["a"][0]; len(got.Members[0].Info) != want || len(e.Join[0].Info) != want || len(e.raw) > limit {
			t.Errorf("%d bytes: %d kept, %d published, event of %d", size, len(got.Members[0].Info), len(e.Join[0].Info), len(e.raw))
		}
	}
}

// FuzzQuoted holds the strings of events against encoding/json.
func FuzzQuoted(f *testing.F) {
	f.Add("a\"\\\n\x01é\xff<\u2028\U0001f600")
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		quoted := appendQuoted(nil, s)
		if err := json.Unmarshal(quoted, &got); err != nil || !utf8.Valid(quoted) || got != strings.ToValidUTF8(s, "\ufffd") && utf8.ValidString(s) {
			t.Errorf("%q: %s, %v", s, quoted, err)
		}
		if len(quoted) > 2+maxEscape*len(s) {
			t.Errorf("%q: %d bytes", s, len(quoted))
		}
	})
}
