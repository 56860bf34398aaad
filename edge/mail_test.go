package edge_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"encke/edge"
)

// device is a poller that says which letters it has got.
type device struct {
	poller
	mail uint64 // the last
}

func newDevice(t testing.TB, r *rig, ticket, wait string) *device {
	return &device{poller: poller{peer: newPeer(t, r.public), query: ticket, wait: wait}}
}

// ask polls and reads nothing.
func (d *device) ask() {
	d.get(fmt.Sprintf("/poll?channels=news&wait=%s&since=%s&%s&mail=%d", d.wait, d.position, d.query, d.mail))
}

// take reads an answer and returns the numbers of its letters, the last of which must be said beside them.
func (d *device) take() []uint64 {
	d.t.Helper()
	w := parseWire(d.t, []byte(d.want(200)))
	d.position = w.Position
	got := numbersOf(w.Publications)
	if last := append([]uint64{0}, got...); w.Mail != last[len(got)] {
		d.t.Errorf("mail %d, letters %v", w.Mail, got)
	}
	if w.Mail > 0 {
		d.mail = w.Mail
	}
	return got
}

// TestMailArgument: what a poll may say of the letters that it has got.
func TestMailArgument(t *testing.T) {
	r, _ := guarded(t, nil)
	ticket := "&token=" + tokenFor(t, "42", time.Hour, "news")
	a, b := r.letter(t, "42", "1"), r.letter(t, "42", "2")
	for _, c := range []struct {
		name, query string
		status      int
		want        []uint64 // letters
	}{
		{"none yet", ticket + "&mail=0", 200, []uint64{a, b}},
		{"none yet, again", ticket + "&mail=0", 200, []uint64{a, b}},
		{"just before the first", ticket + fmt.Sprint("&mail=", a-1), 200, []uint64{a, b}},
		{"the first", ticket + fmt.Sprint("&mail=", a), 200, []uint64{b}},
		{"between the two", ticket + fmt.Sprint("&mail=", b-1), 200, []uint64{b}},
		{"the last", ticket + fmt.Sprint("&mail=", b), 200, nil},
		{"one to come", ticket + "&mail=18446744073709551615", 200, nil},
		{"too large", ticket + "&mail=18446744073709551616", 400, nil},
		{"negative", ticket + "&mail=-1", 400, nil},
		{"no whole number", ticket + "&mail=1.5", 400, nil},
		{"two", ticket + "&mail=1,2", 400, nil},
		{"none", ticket + "&mail=", 400, nil},
		{"no number", ticket + "&mail=x", 400, nil},
		{"no number, without a token", "&mail=x", 400, nil},
		{"without a token", "&mail=1", 200, nil},
		{"of another user", "&token=" + tokenFor(t, "7", time.Hour, "news") + "&mail=0", 200, nil},
		{"not said", ticket, 200, []uint64{a, b}},
		{"not said, again", ticket, 200, nil},
		{"said after that", ticket + "&mail=0", 200, []uint64{a, b}},
		{"with an acknowledgement", ticket + fmt.Sprintf("&mail=%d&ack=%d", 0, a), 200, []uint64{b}},
	} {
		p := newPeer(t, r.public)
		p.get("/poll?channels=public&wait=0" + c.query)
		res, text := p.answer()
		if res.StatusCode != c.status || c.status == 400 && !strings.Contains(text, `"bad_mail"`) {
			t.Errorf("%s: %s %s", c.name, res.Status, text)
			continue
		}
		if w := parseWire(t, []byte(text)); !slices.Equal(numbersOf(w.Publications), c.want) || (w.Mail > 0) != (len(c.want) > 0) {
			t.Errorf("%s: %s", c.name, text)
		}
	}
	if kept := r.kept(t, "42"); !slices.Equal(kept, []uint64{b}) { // it acknowledges nothing
		t.Errorf("%v are kept", kept)
	}
	r.balanced(t)
}

// parked waits until so many polls are.
func (r *rig) parked(t testing.TB, n int) {
	t.Helper()
	waitFor(t, fmt.Sprint(n, " polls to be parked"), func() bool { return r.Stats().Connections["poll"] == int64(n) })
}

// TestLostPollAnswer: an answer that was lost is given again to whoever asks again, at once and not after the grace; one that arrived
// is not.
func TestLostPollAnswer(t *testing.T) {
	t.Parallel()
	r, _ := guarded(t, func(c *edge.Config) { c.UserGrace = time.Hour })
	ticket := "token=" + tokenFor(t, "42", time.Hour, "news")
	a, b := r.letter(t, "42", "1"), r.letter(t, "42", "2")
	d := newDevice(t, r, ticket, "0")
	lose := func() { // the answer comes as far as the network, not to the page
		t.Helper()
		d.ask()
		d.want(200)
		d.peer.Close()
		d.peer = newPeer(t, r.public)
	}
	expect := func(what string, want ...uint64) {
		t.Helper()
		if got := d.take(); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	again := func(what string, want ...uint64) { t.Helper(); d.ask(); expect(what, want...) }

	for _, d.wait = range []string{"0", "20"} {
		d.mail = 0
		lose()
		lose()
		again("lost twice with wait="+d.wait, a, b)
	}
	d.wait = "0"
	again("nothing new")
	d.wait = "1ms"
	again("nothing new, parked")

	d.wait = "20"
	d.ask()
	r.parked(t, 1)
	c := r.letter(t, "42", "3")
	d.want(200)
	again("to one that was parked", c)
	d.ask()
	r.parked(t, 1)
	d.peer.Close()
	r.parked(t, 0)
	e := r.letter(t, "42", "4")
	d.peer = newPeer(t, r.public)
	again("to one that was cut off", e)

	d.ask()
	r.parked(t, 1)
	r.push(t, "news", "x")
	expect("a publication", 0)
	d.wait = "0"
	again("nothing after it")
	f, mail := r.letter(t, "42", "5"), d.mail
	again("with wait=0", f)
	d.mail = mail
	again("lost with wait=0", f)
	p := newWS(t, r.public, "/ws?"+ticket) // on the same user, to whom nothing of this means anything
	for _, n := range []uint64{a, b, c, e, f} {
		w := p.text()
		for w.Mail == 0 {
			w = p.text()
		}
		if w.Mail != n {
			t.Errorf("a WebSocket: %+v, want %d", w, n)
		}
	}
	p.Close()
	d.peer.Close()
	r.balanced(t)
	r.leavesNothing(t)
}

// TestLettersOfSeveralDevices: each that says what it has got is given each letter, parked or not; one that does not say it is
// given each once as well.
func TestLettersOfSeveralDevices(t *testing.T) {
	t.Parallel()
	r, _ := guarded(t, func(c *edge.Config) { c.UserGrace = time.Hour })
	ticket := "token=" + tokenFor(t, "42", time.Hour, "news")
	old := &poller{peer: newPeer(t, r.public), query: ticket, wait: "0"}
	old.poll("") // its place in "news"
	devices := []*device{newDevice(t, r, ticket, "20"), newDevice(t, r, ticket, "20"), newDevice(t, r, ticket, "0")}
	var put []uint64
	for round := range 5 {
		for _, d := range devices[:2] {
			d.ask()
		}
		if r.parked(t, 2); round == 3 { // at the next one it comes for what it has missed
			devices[1].peer.Close()
			r.parked(t, 1)
		}
		put = append(put, r.letter(t, "42", "x"))
		for i, d := range devices {
			want := put[round:]
			switch {
			case i == 1 && round == 3:
				d.peer = newPeer(t, r.public)
				d.ask()
			case i == 2 && round%2 == 0: // asks every other time
				continue
			case i == 2:
				want = put[round-1:]
				d.ask()
			}
			if got := d.take(); !slices.Equal(got, want) {
				t.Errorf("round %d, device %d: %v, want %v", round, i, got, want)
			}
		}
		if got := old.poll(""); !slices.Equal(numbersOf(got), put[round:]) {
			t.Errorf("round %d, one that does not say: %+v", round, got)
		}
	}
	devices = append(devices, newDevice(t, r, ticket, "20"))
	devices[3].ask()
	if got := devices[3].take(); !slices.Equal(got, put) {
		t.Errorf("a new device: %v, want %v", got, put)
	}
	for _, d := range devices {
		d.Close()
	}
	old.Close()
	r.balanced(t)
	r.leavesNothing(t)
}

// TestPolledLettersInPieces: an answer has about 256 KiB; the next one goes on after what the client has got, and if that was lost
// begins there again.
func TestPolledLettersInPieces(t *testing.T) {
	t.Parallel()
	r, _ := guarded(t, func(c *edge.Config) { c.MailboxLength, c.MailboxBytes = 1000, 8<<20 })
	put := r.letters(t, "42", 100, 10_000)
	d := newDevice(t, r, "token="+tokenFor(t, "42", time.Hour, "news"), "20")
	var got []uint64
	for n := 0; len(got) < len(put); n++ {
		d.ask()
		if n%2 == 0 {
			d.want(200)
			continue
		}
		all := d.take()
		if len(all) == 0 || len(all) > 30 {
			t.Fatalf("%d letters", len(all))
		}
		got = append(got, all...)
	}
	if !slices.Equal(got, put) {
		t.Errorf("%v, want %v", got, put)
	}
}
