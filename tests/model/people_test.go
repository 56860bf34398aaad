package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// ghosts are the users of the tests of judges.
func ghosts(grace time.Duration) (*Truth, *Roster) {
	truth := NewTruth(Forever, []string{"a"})
	truth.Starting()
	truth.AddRoster("a", map[string]string{"u2": `{"n":1}`}, grace)
	r := truth.rosters["a"]
	for _, user := range []string{"u1", "u2", "u3"} {
		r.Leave(r.Ask(user, false, false, time.Now().Add(-time.Hour)), false, time.Now().Add(-time.Hour))
	}
	return truth, r
}

// look tells a follower something, in words: "look e1.5 u1 u2" is a snapshot, "since e1.5" a subscription, "6 +u3 -u1 2/2" an event.
func look(s *Session, words string) error {
	word := strings.Fields(words)
	infos := s.truth.rosters["a"].infos
	member := func(user string) string {
		if infos[user] != "" {
			return fmt.Sprintf(`{"user":%q,"info":%s}`, user, infos[user])
		}
		return fmt.Sprintf(`{"user":%q}`, user)
	}
	switch word[0] {
	case "look":
		var members []string
		for _, user := range word[2:] {
			members = append(members, member(user))
		}
		var o snapshot
		err := json.Unmarshal(fmt.Appendf(nil, `{"channel":"a","users":%d,"connections":9,"position":%q,"members":[%s]}`,
			len(members), word[1], strings.Join(members, ",")), &o)
		return either(err, s.Snapshot(&o))
	case "since":
		a, err := s.Ask("$presence:a", word[1])
		return either(err, s.Join(a))
	case "gap":
		return s.Take(fmt.Appendf(nil, `{"channel":"$presence:a","gap":true,"reason":%q,"position":%q}`, word[1], word[2]))
	}
	var join, leave, data []string
	counts := ""
	for _, w := range word[1:] {
		switch {
		case w[0] == '+':
			join = append(join, member(w[1:]))
		case w[0] == '-':
			leave = append(leave, fmt.Sprintf("%q", w[1:]))
		default:
			users, connections, _ := strings.Cut(w, "/")
			counts = fmt.Sprintf(`"users":%s,"connections":%s`, users, connections)
		}
	}
	if len(join) > 0 {
		data = append(data, `"join":[`+strings.Join(join, ",")+"]")
	}
	if len(leave) > 0 {
		data = append(data, `"leave":[`+strings.Join(leave, ",")+"]")
	}
	if counts != "" {
		data = append(data, counts)
	}
	return s.Take(fmt.Appendf(nil, `{"channel":"$presence:a","offset":%s,"position":"e1.%s","event":"presence","time":%d,"data":{%s}}`,
		word[0], word[0], time.Now().UnixMilli(), strings.Join(data, ",")))
}

// TestFollowers tells followers of right and wrong changes. Two histories, with a bar between, are of two followers of one stream.
func TestFollowers(t *testing.T) {
	for _, c := range []struct{ history, wrong string }{
		{"look e1.5 u1; since e1.5; 6 +u2 2/2; 7 -u1 1/1; 8 1/4", ""},
		{"look e1.5; since e1.5; 6 +u1; 7 +u2 2/2", ""}, // a batch in two parts
		{"look e1.5 u1; since e1.5; 6 +u2 2/2; gap epoch e2.0", "2th of 1"},
		{"look e1.5 u1 u2; since e1.5; 6 -u1 +u3 2/2 | look e1.5 u1 u2; since e1.5; 6 -u1 +u3 2/2", ""},
		{"look e1.5 u1 u2; since e1.5; 6 -u1 +u3 2/2 | look e1.6 u3 u2", ""},
		{"since e1.5; 6 +u1 3/3; 7 +u2 4/4", ""}, // without a snapshot it is only looked at

		{"look e1.5 u1; since e1.5; 7 +u2 2/2", "lost"},
		{"look e1.5 u1; since e1.5; 6 +u2 2/2; 6 +u2 2/2", "repeated"},
		{"look e1.5 u1; since e1.5; 6 +u1 1/2", "joins twice"},
		{"look e1.5 u1; since e1.5; 6 +u2 +u2 2/2", "joins twice"},
		{"look e1.5 u1; since e1.5; 6 -u2 0/0", "leaves twice"},
		{"look e1.5 u1; since e1.5; 6 -u1 0/0; 7 -u1 0/0", "leaves twice"},
		{"look e1.5 u1; since e1.5; 6 +u2 1/1", "miscounted"},
		{"look e1.5 u1; since e1.5; 6 +u4 2/2", "invented"},
		{"look e1.5 u4", "invented"},
		{"look e1.5 u1 u1", "listed twice"},
		{"look e1.5 u1; since e1.5; 6", "says nothing"},
		{"look e1.5 u1; since e1.5; gap expired e1.7", "false gap"},
		{"look e1.5 u1 u2; since e1.5; 6 -u1 +u3 2/2 | look e1.5 u1 u2; since e1.5; 6 -u1 1/1", "altered"},
		{"look e1.5 u1 u2; since e1.5; 6 -u1 +u3 2/2 | look e1.5 u1", "not the same"},
		{"look e1.5 u1 u2; since e1.5; 6 -u1 +u3 2/2 | look e1.6 u2", "not the same"},
		{"look e1.6 u2 | look e1.5 u1 u2; since e1.5; 6 -u1 +u3 2/2", "not the same"},
	} {
		truth, _ := ghosts(time.Second)
		var err error
		for _, history := range strings.Split(c.history, " | ") {
			s := NewSubscriber(truth).NewSession(false)
			for _, words := range strings.Split(history, "; ") {
				if err != nil {
					t.Errorf("%s: goes on after %v", c.history, err)
				}
				err = look(s, words)
			}
		}
		if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: %v, want %q", c.history, err, c.wrong)
		}
	}
}

// TestAltered tells infos of users that are not those of their tokens.
func TestAltered(t *testing.T) {
	for _, info := range []string{`,"info":{"n":2}`, ``} {
		truth, _ := ghosts(time.Second)
		s := NewSubscriber(truth).NewSession(false)
		var o snapshot
		err := json.Unmarshal([]byte(`{"channel":"a","users":1,"connections":1,"position":"e1.1","members":[{"user":"u2"`+info+`}]}`), &o)
		if err := either(err, s.Snapshot(&o)); err == nil || !strings.Contains(err.Error(), "altered") {
			t.Errorf("%s: %v", info, err)
		}
	}
}

// TestVisits: who must be there, and who may be gone. Times are milliseconds; the grace is 2000 and clocks may be 500 behind. A visit is
// asked for, confirmed, left (0: not), and may end otherwise (!) or not. At 10000 to 10010 the user is said to be gone.
func TestVisits(t *testing.T) {
	for _, c := range []struct {
		visits string
		quits  int
		in     bool
	}{
		{"", 0, false},
		{"9000 9001 0", 0, true},
		{"9000 9001 9900", 0, true},
		{"9000 9001 9900!", 0, true}, // came, at the latest at 9001: cannot have been gone for 1500
		{"8000 8001 0", 0, true},
		{"8000 8001 0!", 0, false}, // it may have been cut off at 8002
		{"8000 8001 9900", 0, true},
		{"8000 8001 8400", 0, false},
		{"8000 8001 8600", 0, true},
		{"8000 8001 8600!", 0, false},
		{"8000 8001 9900", 9950, false}, // it had itself unsubscribed
		{"8000 8001 0", 9950, true},     // but this one is still there
		{"9000 0 0", 0, false},
		{"9000 10005 0", 0, false}, // may have come later
		{"9000 9001 10005", 0, true},
	} {
		_, r := ghosts(2 * time.Second)
		at := func(ms int) time.Time { return time.UnixMilli(int64(ms)) }
		clear(r.visits)
		if c.visits != "" {
			var asked, confirmed, left int
			_, _ = fmt.Sscanf(c.visits, "%d %d %d", &asked, &confirmed, &left)
			v := r.Ask("u1", false, !strings.HasSuffix(c.visits, "!"), at(asked))
			if confirmed > 0 {
				r.Confirm(v, "e1", at(confirmed))
			}
			if left > 0 {
				r.Leave(v, false, at(left))
			}
		}
		if c.quits > 0 {
			r.Leave(r.Ask("u1", false, false, at(c.quits)), true, at(c.quits))
		}
		if got := r.surelyIn("u1", "e1", at(10000), at(10010)); got != c.in {
			t.Errorf("%+v: %v", c, got)
		}
		if r.surelyIn("u1", "e2", at(10000), at(10010)) {
			t.Errorf("%+v: in another process", c)
		}
		_, err := r.Event(place{"e1", 7}, []byte(`{"leave":["u1"],"users":0,"connections":0}`), 10000, at(10010))
		if (err != nil) != c.in {
			t.Errorf("%+v: the leave: %v", c, err)
		}
		if err := r.Census(&snapshot{Channel: "a", Position: "e1.7"}, at(10000), at(10010)); (err != nil) != c.in {
			t.Errorf("%+v: the list: %v", c, err)
		}
	}
}

// TestQuits: who has left by its own wish is not listed any more. Visits are: asked, left, answered (0: not), and direct (!) or not. The
// list is asked for at 20000.
func TestQuits(t *testing.T) {
	for _, c := range []struct {
		visits []string
		out    bool
	}{
		{nil, false},
		{[]string{"9000 9500 9501"}, true},
		{[]string{"9000 9500 0"}, false}, // has closed, perhaps
		{[]string{"9000 0 0"}, false},
		{[]string{"9000 9500 9501", "9600 0 0"}, false},
		{[]string{"9000 9500 9501", "9600 19999 20001"}, false},
		{[]string{"6000 7000 0!", "9000 9500 9501"}, true},
		{[]string{"6000 8000 0!", "9000 9500 9501"}, false}, // may have been heard later
		{[]string{"6000 7000 0", "9000 9500 9501"}, false},  // may be on its way
		{[]string{"6000 7000 0", "9000 17001 17002"}, true},
	} {
		_, r := ghosts(2 * time.Second)
		clear(r.visits)
		at := func(ms int) time.Time { return time.UnixMilli(int64(ms)) }
		for _, text := range c.visits {
			var asked, left, gone int
			_, _ = fmt.Sscanf(text, "%d %d %d", &asked, &left, &gone)
			v := &visit{user: "u1", asked: at(asked), direct: strings.HasSuffix(text, "!")}
			if r.visits["u1"] = append(r.visits["u1"], v); left > 0 {
				r.Leave(v, gone > 0, at(left))
			}
			if gone > 0 {
				r.Gone(v, at(gone))
			}
		}
		s := &snapshot{Channel: "a", Position: "e1.7", Users: 1}
		if err := json.Unmarshal([]byte(`[{"user":"u1"}]`), &s.Members); err != nil {
			t.Fatal(err)
		}
		if err := r.Census(s, at(20000), at(20010)); (err != nil) != c.out {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// letterOf is a letter as an honest server gives it; number mail.
func letterOf(n, mail uint64) object {
	o := object{Channel: "user:u1", Mail: mail, Event: eventOf(n)}
	k := kindOf(o.Channel, n)
	o.Data = appendPayload(nil, o.Channel, 0, n)
	if k != asJSON {
		o.Type = contentTypes[k]
		text, _ := json.Marshal(string(o.Data))
		if o.Data = text; k == asBinary {
			o.Encoding = "base64"
			o.Data, _ = json.Marshal([]byte(appendPayload(nil, o.Channel, 0, n)))
		}
	}
	return o
}

// TestLetters tells connections of letters. There are 30, of which letter n has the number 100+n; 28 came as a publication, 30 has
// not been answered. In words: "3" is letter 3, "3@7" is letter 3 under the number 7, "ack 3" and "only 3,4" are acknowledged, "ack? 3"
// is on its way, "new" is another connection, "polls" one that polls, "wait" is the grace of polls, "box 1,2" lists what is left.
func TestLetters(t *testing.T) {
	row := func(from, to int) string {
		var all []string
		for n := from; n <= to; n++ {
			if n != 28 {
				all = append(all, fmt.Sprint(n))
			}
		}
		return strings.Join(all, ",")
	}
	for _, c := range []struct{ history, wrong string }{
		{"1; 2; 3", ""},
		{"1; 2; new; 1; 2; 3", ""},
		{"1; 2; ack 2; new; 3", ""},
		{"1; ack? 3; 4", ""},
		{"1; 2; only 1; new; 2", ""},
		{"ack 27; 29; 30", ""},
		{"ack 26; 27; 29", ""},
		{"polls; 3; 7", ""}, // the others were given to another poll
		{"polls; 3; wait; 3", ""},
		{"ack 26; 29", "lost: letter 29"},
		{"box " + row(1, 29), ""},
		{"box " + row(1, 30), ""},
		{"ack 10; box " + row(11, 29), ""},
		{"ack? 10; box " + row(11, 29), ""},
		{"ack? 10; box " + row(1, 29), ""},

		{"2", "lost: letter 2"},
		{"1; 3", "lost: letter 3"},
		{"1; 2; 2", "repeated"},
		{"1; 2; 1", "repeated"},
		{"polls; 3; 2", "repeated"},
		{"polls; 3; 3", "repeated"},
		{"1; 2; ack 2; new; 1", "acknowledged"},
		{"1; 2; 3; only 2; new; 1; 2", "acknowledged"},
		{"1; 2@999", "letter 2 has 999"},
		{"2@101", "one number"},
		{"ack 30; 31", "invented"},
		{"ack 27; 28@128", "was published too"},
		{"box " + row(1, 26), "lost: letter 27"},
		{"box " + row(2, 29), "lost: letter 1"},
		{"box 2,1", "number 101 after 102"},
		{"ack 10; box " + row(10, 29), "letter 10 is still there"},
		{"1; 2; altered", "altered"},
		{"1; 2; foreign", "of user:u2"},
	} {
		truth := NewTruth(Forever, nil)
		truth.Starting()
		truth.AddUser("u1")
		b := truth.boxes["u1"]
		for n := range uint64(30) {
			l := b.Next()
			switch mail := 100 + n + 1; {
			case n+1 == 28:
				_ = b.Answered(l, 0)
			case n+1 < 30:
				if err := b.Answered(l, mail); err != nil {
					t.Fatal(err)
				}
			}
		}
		sub := NewSubscriber(truth)
		sub.box = b
		now := time.Now()
		var s *Session
		again := func(polls bool) {
			s = sub.NewSession(false)
			s.polls = polls
			s.Asks(time.Second, now)
			s.Served()
		}
		again(false)
		var err error
		for _, words := range strings.Split(c.history, "; ") {
			if err != nil {
				t.Errorf("%s: goes on after %v", c.history, err)
			}
			verb, arg, _ := strings.Cut(words, " ")
			numbers := func() (all []uint64) {
				for _, text := range strings.Split(arg, ",") {
					var n uint64
					_, _ = fmt.Sscan(text, &n)
					all = append(all, n)
				}
				return all
			}
			switch verb {
			case "new", "polls":
				again(verb == "polls")
			case "wait":
				now = now.Add(time.Second)
				s.Asks(time.Second, now)
			case "ack", "ack?", "only":
				all := numbers()
				for i, n := range all {
					o := letterOf(n, 100+n)
					_, _ = b.find(&o) // it was given to somebody else
					all[i] = 100 + n
				}
				a := b.Order(all[0], nil)
				if verb == "only" {
					a = b.Order(0, all)
				}
				if verb != "ack?" {
					err = b.Done(a, len(a.letters))
				}
				again(false)
			case "box":
				var list []object
				for _, n := range numbers() {
					list = append(list, letterOf(n, 100+n))
				}
				err = b.Listed(list)
			case "altered":
				o := letterOf(3, 103)
				o.Data = bytes.Replace(o.Data, []byte("user:u1 0 3 "), []byte("user:u1 0 3 x"), 1)
				err = s.TakeObject(&o)
			case "foreign":
				o := letterOf(3, 103)
				o.Channel = "user:u2"
				err = s.TakeObject(&o)
			default:
				var n, mail uint64
				if k, _ := fmt.Sscanf(verb, "%d@%d", &n, &mail); k < 2 {
					mail = 100 + n
				}
				o := letterOf(n, mail)
				err = s.TakeObject(&o)
			}
		}
		if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: %v, want %q", c.history, err, c.wrong)
		}
	}
}

// TestTooManyAcknowledged: an answer that speaks of more letters than there were.
func TestTooManyAcknowledged(t *testing.T) {
	truth := NewTruth(Forever, nil)
	truth.Starting()
	truth.AddUser("u1")
	b := truth.boxes["u1"]
	if err := b.Answered(b.Next(), 101); err != nil {
		t.Fatal(err)
	}
	if b.Done(b.Order(101, nil), 1) != nil || b.Done(b.Order(101, nil), 1) == nil {
		t.Error("a letter was acknowledged twice")
	}
}

// rewrite changes the JSON object of a unit, whatever the transport's form.
func rewrite(unit []byte, change func(map[string]any)) []byte {
	begin, end := bytes.IndexByte(unit, '{'), bytes.LastIndexByte(unit, '}')+1
	var o map[string]any
	if json.Unmarshal(unit[begin:end], &o) != nil {
		return unit
	}
	change(o)
	text, _ := json.Marshal(o)
	if unit[0] == 0x81 { // a WebSocket's frame
		f, _ := ws.CompileFrame(ws.NewTextFrame(text))
		return f
	}
	return slices.Concat(unit[:begin], text, unit[end:])
}

// TestLiesAboutPeopleAreFound holds the checker against servers that lose, repeat and invent who is there, and letters.
func TestLiesAboutPeopleAreFound(t *testing.T) {
	joins := func(change func(all []any) []any) func(before, unit []byte) []byte {
		return func(_, unit []byte) []byte {
			return rewrite(unit, func(o map[string]any) {
				data := o["data"].(map[string]any)
				was := data["join"].([]any)
				all := change(slices.Clone(was))
				if data["join"] = all; len(all) == 0 {
					delete(data, "join")
				}
				if users, there := data["users"].(float64); there { // so that it fits
					data["users"] = users + float64(len(all)-len(was))
				}
			})
		}
	}
	same := func(_, u []byte) []byte { return u }
	drop := func(_, _ []byte) []byte { return nil }
	twice := func(_, u []byte) []byte { return append(bytes.Clone(u), u...) }
	const changes, letters = `"join":[`, `"mail":`
	for _, c := range []struct {
		name, about string
		found       string // "" for the truth
		lie         func(before, unit []byte) []byte
	}{
		{"honest", changes, "", same},
		{"drops an event", changes, "lost|told|is at", drop},
		{"repeats an event", changes, "repeated", twice},
		{"loses a join", changes, "altered|leaves twice|not the same|says nothing|miscounted", joins(func(all []any) []any { return all[1:] })},
		{"doubles a join", changes, "altered|joins twice|miscounted", joins(func(all []any) []any { return append(all, maps.Clone(all[0].(map[string]any))) })},
		{"invents a member", changes, "invented|altered|not the same", joins(func(all []any) []any { return append(all, map[string]any{"user": "nobody"}) })},
		{"drops a letter", letters, "lost", drop},
		{"repeats a letter", letters, "repeated", twice},
		{"alters a letter", letters, "altered|invented", func(_, u []byte) []byte {
			return rewrite(u, func(o map[string]any) { o["data"] = strings.Replace(fmt.Sprint(o["data"]), " 0 ", " 0  ", 1) + "?" })
		}},
	} {
		for _, transport := range []string{"ws", "sse", "stream"} {
			t.Run(c.name+" over "+transport, func(t *testing.T) {
				t.Parallel()
				s := &Scenario{Name: "lies", Keeps: Forever, Channels: []string{"b0"}, Most: 1, Clients: 12, People: 8, Grace: 100 * time.Millisecond,
					Letters: 0.9, Publishers: 1, Batch: 4, Pause: 20 * time.Millisecond, Life: 2 * time.Second}
				lied(t, s, transport, c.about, 1, c.lie, c.found)
			})
		}
	}
}
