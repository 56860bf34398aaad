package presence

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// play is a channel "a" on which scripts are played.
type play struct {
	t       *testing.T
	book    *Book
	streams *companions
	mode    Mode
	ch      *Channel
	now     int64
	infos   int
}

func newPlay(t *testing.T, mode Mode, grace int64) *play {
	streams := &companions{}
	b := New(streams.config(grace))
	return &play{t, b, streams, mode, b.Open("a", mode), 1_000_000, 0}
}

// run plays words: +ann enters, -ann leaves, !ann leaves at once, ~ann has another info, =ann enters with the one that the next ~ will have, + - without a user, 100 is time going by, <100 the clock set back, f is a flush, x a
// flush in which everything is refused, s a snapshot, o opens and c closes.
func (p *play) run(script string) {
	for _, word := range strings.Fields(script) {
		p.streams.refuse = func() bool { return word == "x" }
		switch user := word[1:]; word[0] {
		case '+':
			p.ch.Enter(user, nil)
		case '=':
			p.ch.Enter(user, strconv.AppendInt(nil, int64(p.infos+1), 10))
		case '-':
			p.ch.Leave(user, p.now, false)
		case '!':
			p.ch.Leave(user, p.now, true)
		case '~':
			p.infos++
			p.ch.Inform(user, strconv.AppendInt(nil, int64(p.infos), 10))
		case '<':
			p.now -= p.number(user)
		case 'f', 'x':
			p.book.Flush(p.now)
		case 's':
			p.book.Snapshot("a", p.mode, p.now, true)
		case 'o':
			p.ch = p.book.Open("a", p.mode)
		case 'c':
			p.ch.Close()
		default:
			p.now += p.number(word)
		}
	}
}

func (p *play) number(word string) int64 {
	n, err := strconv.ParseInt(word, 10, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// told returns what was published, in short.
func (p *play) told() string {
	var all []string
	for _, e := range p.streams.events["a"] {
		all = append(all, e.String())
	}
	return strings.Join(all, ", ")
}

// TestPublished plays scripts with a grace of 300 ms and looks at the events.
func TestPublished(t *testing.T) {
	for _, c := range []struct {
		mode         Mode
		script, want string
	}{
		{Members, "f", ""},
		{Members, "+a f", "+a 1/1"},
		{Members, "+a +b f 100 +c f", "+a +b 2/2, +c 3/3"},
		{Members, "+a f -a 299 f", "+a 1/1"},
		{Members, "+a f -a 300 f", "+a 1/1, -a 0/0"},
		{Members, "+a f !a f", "+a 1/1, -a 0/0"},
		{Members, "+a !a f", ""},
		{Members, "+a f !a +a f", "+a 1/1"},
		{Members, "+a f !a +a !a f", "+a 1/1, -a 0/0"},
		{Members, "+a +b !a f", "+b 1/1"},
		{Members, "+a +b +c !a +d !c f", "+b +d 2/2"},

		// another info
		{Members, "+a f ~a f f", "+a 1/1, ~a 1/1"},
		{Members, "+a ~a f", "+a 1/1"},
		{Members, "+a +a f ~a ~a f", "+a 1/2, ~a 1/2"},
		{Members, "+a f ~a !a f", "+a 1/1, -a 0/0"},
		{Members, "+a f ~a !a +a f", "+a 1/1, ~a 1/1"},
		{Members, "+a f ~a -a 299 f 1 f", "+a 1/1, ~a 1/0, -a 0/0"},
		{Members, "+a f !a +a ~a !a f +a f", "+a 1/1, -a 0/0, +a 1/1"},
		{Members, "+a +b f ~a !b +c x f", "+a +b 2/2, +c -b ~a 2/2"},
		{Members, "+a f =a f ~a f f", "+a 1/1, ~a 1/2"}, // the newest connection has it already, followers do not
		{Members, "+a f -a =a f ~a f", "+a 1/1, ~a 1/1"},
		{Members, "=a f ~a f", "+a 1/1"},
		{Members, "+a f =a !a !a f =a f ~a f", "+a 1/1, -a 0/0, +a 1/1"},
		{Counts, "+a f ~a 2000 f", "1/1"},
		{Members, "+ f ~ 2000 f", "0/1"},

		// several connections
		{Members, "+a +a f !a 300 f", "+a 1/2"},
		{Members, "+a +a f !a 1000 f", "+a 1/2, 1/1"},
		{Members, "+a +a f !a !a f", "+a 1/2, -a 0/0"},
		{Members, "+a +a f !a -a f 300 f", "+a 1/2, -a 0/0"},

		// the grace
		{Members, "+a f -a 100 +a 300 f", "+a 1/1"},
		{Members, "+a f -a 200 +a -a 100 f 199 f", "+a 1/1"},
		{Members, "+a f -a 200 +a -a 100 f 200 f", "+a 1/1, -a 0/0"},
		{Members, "+a f -a 200 +a !a f 100 f 200 f", "+a 1/1, -a 0/0"},
		{Members, "+a f -a 200 +a !a f +a 100 f", "+a 1/1, -a 0/0, +a 1/1"},
		{Members, "+a f -a +a -a 299 f 1 f", "+a 1/1, -a 0/0"},
		{Members, "+a f -a 100 +b f 200 f", "+a 1/1, +b 2/1, -a 1/1"},
		{Members, "+a f -a c 299 f o +a 300 f", "+a 1/1"},
		{Members, "+a f -a c 300 f o f +a f", "+a 1/1, -a 0/0, +a 1/1"},

		// counts alone: at most once a second
		{Members, "+ f + f 999 f 1 f", "0/1, 0/2"},
		{Members, "+ f + - 1000 f", "0/1"},
		{Members, "+a f + 100 f +b f + 900 f 100 f", "+a 1/1, +b 2/3, 2/4"},
		{Counts, "+a + f +b f 999 f 1 f", "1/2, 2/3"},
		{Counts, "+a f -a 999 f 1 f", "1/1, 0/0"},
		{Counts, "+a f -a 1000 +b f", "1/1"},
		{Counts, "+a f !a 1000 f", "1/1, 0/0"},
		{Counts, "+a f <5000 + f 999 f 1 f", "1/1, 1/2"}, // the clock is set back

		// refusals
		{Members, "+a x f", "+a 1/1"},
		{Members, "+a x !a f", ""},
		{Members, "+a x x +b f", "+a +b 2/2"},
		{Members, "+a f !a x +a x f", "+a 1/1"},
		{Counts, "+a x + x f", "1/2"},
		{Members, "+a !a + f + f 1000 x 100 f", "0/1, 0/2"},

		// a snapshot publishes first
		{Members, "+a s +a s f", "+a 1/1, 1/2"},
		{Members, "s + s f", "0/1"},
		{Counts, "+a s + s f", "1/1, 1/2"},

		{Off, "+a + f !a 1 -a f s c o +", ""},
	} {
		p := newPlay(t, c.mode, 300)
		p.run(c.script)
		if got := p.told(); got != c.want {
			t.Errorf("%v %s: %s; want %s", c.mode, c.script, got, c.want)
		}
	}
}

// short is a snapshot in short: users/connections @offset, user:connections.
func short(s Snapshot) string {
	text := fmt.Sprint(s.Users, "/", s.Connections, " @", s.Offset)
	for _, m := range s.Members {
		text += fmt.Sprint(" ", m.User, ":", m.Connections, string(m.Info))
	}
	if s.TooMany {
		text += " too many"
	}
	if s.Members == nil {
		text += " nil"
	}
	return text
}

// TestSnapshot plays scripts, then looks at what is published, then takes a snapshot.
func TestSnapshot(t *testing.T) {
	for _, c := range []struct {
		mode                        Mode
		script, published, snapshot string
	}{
		{Members, "", "0/0 @0", "0/0 @0"},
		{Members, "+b +a +a +", "0/0 @0", "2/4 @1 a:2 b:1"},
		{Members, "+b f -b", "1/1 @1 b:0", "1/0 @2 b:0"},
		{Members, "+b f !b", "1/1 @1 b:0", "0/0 @2"},
		{Members, "+b f !b f c", "0/0 @2", "0/0 @2"},
		{Members, "+b f 300 -b f 300 f", "0/0 @2", "0/0 @2"},
		{Members, "+b +c +d", "0/0 @0", "3/3 @1 too many nil"},
		{Members, "+b +c +d f !b", "3/3 @1 too many nil", "2/2 @2 c:1 d:1"},
		{Members, "+b +c f +d", "2/2 @1 b:1 c:1", "3/3 @2 too many nil"},
		{Counts, "+b +c f +d", "2/2 @1 nil", "3/3 @2 nil"},
		{Off, "+b f", "0/0 @0 nil", "0/0 @0 nil"},
	} {
		p := newPlay(t, c.mode, 300)
		p.book.conf.MaxListed = 2
		p.run(c.script)
		if got := short(p.book.Published("a", c.mode, true)); got != c.published {
			t.Errorf("%v %s: %s published; want %s", c.mode, c.script, got, c.published)
		}
		p.streams.refuse = func() bool { return true }
		if got := short(p.book.Snapshot("a", c.mode, p.now, true)); got != c.published {
			t.Errorf("%v %s: %s while refused; want %s", c.mode, c.script, got, c.published)
		}
		p.streams.refuse = nil
		if got := short(p.book.Snapshot("a", c.mode, p.now, true)); got != c.snapshot {
			t.Errorf("%v %s: %s; want %s", c.mode, c.script, got, c.snapshot)
		}
		if s := p.book.Snapshot("a", c.mode, p.now, false); s.Members != nil || s.TooMany {
			t.Errorf("%v %s: %s though not to be listed", c.mode, c.script, short(s))
		}
		if s := p.book.Snapshot("a", Counts, p.now, true); s.Members != nil || s.TooMany {
			t.Errorf("%v %s: %s for counts", c.mode, c.script, short(s))
		}
	}
}

// TestRecord: when there is one.
func TestRecord(t *testing.T) {
	for script, want := range map[string]int64{
		"":                     1,
		"c":                    0,
		"o c":                  1,
		"+a !a c":              0,
		"+a f !a c":            1,
		"+a f !a c f":          0,
		"+a f !a c s":          1, // until Flush comes by
		"+a f !a c s f":        0,
		"+a f !a c x":          1,
		"+a x !a c":            0,
		"+a x -a c 299 f":      1,
		"+a x -a c 300 f":      0,
		"+a f -a c":            1,
		"+a f -a c 300 f":      0,
		"+a f -a c o 300 f":    1,
		"+a f -a c o 300 f c":  0,
		"+ f - c 100 f":        1, // the counts are not due
		"+ f - c 1000 f":       0,
		"+ f - c 1000 f o f +": 1,
	} {
		p := newPlay(t, Members, 300)
		p.run(script)
		if got := p.book.Totals(); got.Channels != want {
			t.Errorf("%s: %+v; want %d", script, got, want)
		}
		p.book.Flush(p.now) // the agenda forgets a record that is gone
		if got := p.book.Totals(); want == 0 && got.Bytes != 0 {
			t.Errorf("%s: %+v left", script, got)
		}
	}
}

// TestNewestInfoCounts: in what is published from then on and in snapshots, but it is no event.
func TestNewestInfoCounts(t *testing.T) {
	p := newPlay(t, Members, 300)
	p.ch.Enter("a", []byte(`1`))
	p.ch.Enter("a", []byte(`2`))
	p.run("f")
	p.ch.Enter("a", []byte(`3`))
	p.run("-a f")
	if got, want := p.streams.events["a"][0].raw, `{"join":[{"user":"a","info":2}],"users":1,"connections":2}`; got != want {
		t.Errorf("%s; want %s", got, want)
	}
	if got := short(p.book.Snapshot("a", Members, p.now, true)); got != "1/2 @1 a:23" {
		t.Error(got)
	}
	p.ch.Enter("a", nil)
	if got := p.book.Published("a", Members, true).Members[0].Info; got != nil {
		t.Errorf("%s", got)
	}
	if got, again := p.book.Totals().Bytes, channelCost+1+memberCost+1; got != again+p.book.shard("a").agenda.bytes() {
		t.Errorf("%d bytes; want %d", got, again)
	}
}

func TestPanics(t *testing.T) {
	for name, f := range map[string]func(p *play){
		"leave":               func(p *play) { p.run("-a") },
		"leave in the grace":  func(p *play) { p.run("+a f -a -a") },
		"leave after the end": func(p *play) { p.run("+a f !a f -a") },
		"leave of no user":    func(p *play) { p.run("+a -") },
		"leave of no user, 2": func(p *play) { p.run("+a + - -") },
		"close":               func(p *play) { p.run("c c") },
		"close too early":     func(p *play) { p.run("+a c") },
		"no Publish":          func(*play) { New(Config{}) },
	} {
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.HasPrefix(text, "BUG: ") {
					t.Errorf("%s: %q", name, text)
				}
			}()
			f(newPlay(t, Members, 300))
		}()
	}
}

func TestModeNames(t *testing.T) {
	for mode, name := range map[Mode]string{Off: "off", Counts: "counts", Members: "members"} {
		if got, ok := ParseMode(name); got != mode || !ok || mode.String() != name {
			t.Errorf("%s: %v %v", name, got, ok)
		}
	}
	if _, ok := ParseMode("all"); ok {
		t.Error("all")
	}
}
