package game

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// with returns an arena in which so many people fly, by the names u1, u2, …
func with(t *testing.T, people int) *Arena {
	t.Helper()
	a := NewArena(1)
	for i := range people {
		if _, ok := a.Join(fmt.Sprint("u", i+1), "Ada"); !ok {
			t.Fatalf("no room for %d", i+1)
		}
	}
	return a
}

func TestSameSeedSameGame(t *testing.T) {
	play := func(seed uint64) []byte {
		a, wishes := NewArena(seed), rand.New(rand.NewPCG(3, 3))
		var all bytes.Buffer
		for n := range 3000 {
			switch {
			case n == 5:
				a.Join("x", "Ada")
			case n == 900:
				a.Join("y", "Bo")
			case n == 2000:
				a.Leave("x")
			}
			a.Wish("x", Wish{N: int64(n + 1), D: wishes.IntN(361) - 1, B: wishes.IntN(2) == 0})
			a.Wish("y", Wish{N: int64(n + 1), D: n % 360})
			a.Step()
			all.Write(a.State())
		}
		return all.Bytes()
	}
	if !bytes.Equal(play(7), play(7)) {
		t.Error("the same seed and wishes make two games")
	}
	if bytes.Equal(play(7), play(8)) {
		t.Error("the seed means nothing")
	}
}

// What always holds, in rounds with as many as there is room for, who do anything.
func TestRandomGame(t *testing.T) {
	for seed := range uint64(3) {
		rng, a := rand.New(rand.NewPCG(seed, 1)), NewArena(seed)
		for n := range 4000 {
			user := fmt.Sprint(rng.IntN(14))
			switch rng.IntN(300) {
			case 0:
				a.Leave(user)
			case 1, 2, 3:
				a.Join(user, "Ada")
			}
			for range 10 {
				a.Wish(fmt.Sprint(rng.IntN(14)), Wish{N: int64(n + 1), D: rng.IntN(361) - 1, B: rng.IntN(3) > 0})
			}
			a.Step()
			holds(t, a)
		}
	}
}

func holds(t *testing.T, a *Arena) {
	t.Helper()
	people := a.People()
	if bots := len(a.players) - people; people > mostPeople || bots > 0 != (people == 1) || len(a.motes) > mostMotes || len(a.gone) > mostGone {
		t.Fatalf("%d people, %d bots, %d motes, %d gone", people, bots, len(a.motes), len(a.gone))
	}
	for _, p := range a.players {
		in := p.X >= radius-30 && p.X <= width-radius+30 && p.Y >= radius-30 && p.Y <= height-radius+30
		if !in || math.Hypot(p.VX, p.VY) > 4000 || p.Energy < 0 || p.Energy > fullEnergy || p.score < 0 || p.Dazed < 0 {
			t.Fatalf("%+v", p)
		}
	}
	if a.tick%25 != 0 {
		return
	}
	var state struct {
		K    int64
		R    [3]int
		P    [][]any
		Dust []int `json:"d"`
	}
	if err := json.Unmarshal(a.State(), &state); err != nil || len(state.P) != len(a.players) || len(state.Dust) != 3*len(a.motes) {
		t.Fatalf("%v: %s", err, a.State())
	}
}

func TestWish(t *testing.T) {
	for _, c := range []struct {
		user string
		wish Wish
		ok   bool
	}{
		{"u1", Wish{N: 11, D: 90}, true},
		{"u1", Wish{N: 11, D: -1, B: true, T: 5}, true},
		{"u1", Wish{N: 10, D: 90}, false}, // not later
		{"u1", Wish{N: 3, D: 90}, false},
		{"u1", Wish{N: 1 << 53, D: 90}, false},
		{"u1", Wish{N: 12, D: 360}, false},
		{"u1", Wish{N: 12, D: -2}, false},
		{"u1", Wish{N: 12, T: -1}, false},
		{"u2", Wish{N: 12, D: 0}, false}, // does not fly
		{"", Wish{N: 12, D: 0}, false},   // bots are nobody's
	} {
		a := with(t, 1)
		a.Wish("u1", Wish{N: 10, D: 45})
		if ok := a.Wish(c.user, c.wish); ok != c.ok || ok != (a.find("u1").wish == c.wish) {
			t.Errorf("%s %+v: %v", c.user, c.wish, ok)
		}
		for _, p := range a.players {
			if p.bot && p.wish.N != 0 {
				t.Errorf("%s %+v moves a bot", c.user, c.wish)
			}
		}
	}
}

func TestTooManyWishes(t *testing.T) {
	a, taken := with(t, 2), 0
	for n := range 1000 {
		if a.Wish("u1", Wish{N: int64(n + 1), D: 0}) {
			taken++
		}
	}
	if taken != mostWishes || !a.Wish("u2", Wish{N: 1, D: 0}) {
		t.Errorf("%d at once", taken)
	}
	for n := range 200 {
		for i := range 10 {
			a.Wish("u1", Wish{N: int64(2000 + n*10 + i), D: 0})
		}
		a.Step()
	}
	if p := a.find("u1"); p.allowance > 2 {
		t.Errorf("%f left", p.allowance)
	}
}

func TestWhoVanishes(t *testing.T) {
	a := with(t, 2)
	a.find("u1").wish = Wish{N: 1, D: 0}
	for n := range goneTicks + 1 {
		a.Wish("u2", Wish{N: int64(n + 1), D: -1})
		a.Step()
		if p := a.find("u1"); n == awayTicks+1 && p.wish.D != -1 {
			t.Error("goes on by itself")
		}
	}
	if a.find("u1") != nil || a.find("u2") == nil || a.People() != 1 || len(a.players) != 3 {
		t.Errorf("%d people of %d", a.People(), len(a.players))
	}
}

func TestComingBack(t *testing.T) {
	a := with(t, 2)
	a.find("u1").score = 7
	a.Leave("u1")
	if a.Join("u1", "Bo"); a.find("u1").score != 7 || a.find("u1").name != "Bo" {
		t.Errorf("%+v", a.find("u1"))
	}
	id, _ := a.Join("u1", "Cy")
	if p := a.find("u1"); p.id != id || p.name != "Cy" || a.People() != 2 {
		t.Error("joining again is not renaming")
	}
	a.Leave("u1")
	a.newRound()
	if a.Join("u1", "Bo"); a.find("u1").score != 0 {
		t.Error("the score of another round")
	}
}

func TestFull(t *testing.T) {
	a := with(t, mostPeople)
	if _, ok := a.Join("another", ""); ok {
		t.Error("there is always room")
	}
	a.Leave("u3")
	if _, ok := a.Join("another", ""); !ok {
		t.Error("a place is not free again")
	}
}

func TestRounds(t *testing.T) {
	a := with(t, 2)
	n := int64(0)
	run := func(ticks int) {
		for range ticks {
			n++
			a.Wish("u1", Wish{N: n, D: -1})
			a.Wish("u2", Wish{N: n, D: -1})
			a.Step()
		}
	}
	a.find("u1").score = 3
	run(roundTicks - 1)
	if a.pause || a.round != 1 {
		t.Error("over too early")
	}
	run(1)
	if score := a.find("u1").score; !a.pause || score < 3 {
		t.Errorf("pause %v, score %d", a.pause, score)
	}
	p, m := a.find("u1"), a.motes[0]
	score := p.score
	p.X, p.Y, p.VX, p.VY = m.x, m.y, 0, 0
	run(1)
	if p.score != score {
		t.Error("dust counts in the pause")
	}
	run(pauseTicks - 1)
	if a.pause || a.round != 2 || p.score != 0 || a.left != roundTicks {
		t.Errorf("round %d, score %d", a.round, p.score)
	}
}

func TestBump(t *testing.T) {
	for _, c := range []struct {
		name           string
		vp, vq         float64
		pLoses, qLoses int
	}{
		{"p is faster", 400, 0, 0, mostLost},
		{"q is faster", 0, -400, mostLost, 0},
		{"equals", 300, -300, 0, 0},
		{"they part", -100, 100, 0, 0},
		{"from behind", 400, 100, 0, mostLost},
	} {
		a := with(t, 2)
		a.motes = nil
		p, q := a.players[0], a.players[1]
		p.Comet, q.Comet = Comet{X: 200, Y: 200, VX: c.vp}, Comet{X: 230, Y: 200, VX: c.vq}
		p.score, q.score, p.safe, q.safe = 10, 10, 0, 0
		a.bump(p, q)
		if p.score != 10-c.pLoses || q.score != 10-c.qLoses || len(a.motes) != c.pLoses+c.qLoses {
			t.Errorf("%s: %d and %d, %d motes", c.name, p.score, q.score, len(a.motes))
		}
		if p.VX-q.VX > 0 || q.X-p.X < 2*radius-1e-9 {
			t.Errorf("%s: they do not part", c.name)
		}
		q.safe, q.score, p.VX, q.VX, q.X = 10, 10, 400, 0, p.X+20
		if a.bump(p, q); q.score != 10 {
			t.Errorf("%s: loses while safe", c.name)
		}
	}
}

func TestDust(t *testing.T) {
	a := with(t, 1)
	p := a.find("u1")
	for kind, points := range worth {
		a.motes = []mote{{1, kind, p.X + 5, p.Y, 9}, {2, kind, p.X + 200, p.Y, 9}}
		before := p.score
		a.collect(p)
		if p.score != before+points || len(a.motes) != 1 {
			t.Errorf("kind %d: %d points", kind, p.score-before)
		}
	}
	a.newRound()
	a.put(loose, 50, 50, looseTicks)
	for range bigTicks * 30 {
		a.keepMotes()
	}
	var have [len(worth)]int
	for _, m := range a.motes {
		have[m.kind]++
	}
	if have != [...]int{plain: plainMotes, big: bigMotes, loose: 0} {
		t.Error(have)
	}
}

// Bots find dust, come away from the star, and are not so good that nobody else wins.
func TestBots(t *testing.T) {
	a := with(t, 1)
	for n := range roundTicks - 1 {
		a.Wish("u1", Wish{N: int64(n + 1), D: -1})
		a.Step()
	}
	for _, p := range a.players {
		t.Logf("%s %d", p.name, p.score)
		if p.bot && (p.score < 10 || p.score > 120) {
			t.Errorf("%s has %d points", p.name, p.score)
		}
	}
}

func TestHostileName(t *testing.T) {
	a := NewArena(1)
	name := "\"</script>\u2028\\" + strings.Repeat("漢", 20)
	a.Join("u", name)
	var state struct{ P [][]any }
	if err := json.Unmarshal(a.State(), &state); err != nil || state.P[0][1] != name {
		t.Errorf("%v: %s", err, a.State())
	}
}

// TestFlight holds Fly to testdata/flight.json, to which examples/test/game.test.mjs holds flight.js. FLIGHT=write makes it anew.
func TestFlight(t *testing.T) {
	const file = "testdata/flight.json"
	type path struct {
		From   Comet
		Wishes [][2]int // direction, 1 for boost: each for 20 steps
		To     []Comet  // after each of them
	}
	var paths []path
	if os.Getenv("FLIGHT") == "write" {
		rng := rand.New(rand.NewPCG(1, 2))
		for range 12 {
			p := path{From: Comet{X: 100 + rng.Float64()*1400, Y: 100 + rng.Float64()*800, VX: rng.Float64()*800 - 400, Energy: 50, Dazed: rng.IntN(9)}}
			for range 12 {
				p.Wishes = append(p.Wishes, [2]int{rng.IntN(361) - 1, rng.IntN(2)})
			}
			p.Wishes[0] = [2]int{round(math.Atan2(starY-p.From.Y, starX-p.From.X)*180/math.Pi+360) % 360, 1} // into the star
			c := p.From
			for _, w := range p.Wishes {
				for range 20 {
					c.Fly(w[0], w[1] == 1)
				}
				p.To = append(p.To, c)
			}
			paths = append(paths, p)
		}
		text, _ := json.Marshal(paths)
		if err := os.WriteFile(file, append(bytes.ReplaceAll(text, []byte(`},{"From`), []byte("},\n{\"From")), '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	text, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(text, &paths) != nil || len(paths) == 0 {
		t.Fatal(err)
	}
	for i, p := range paths {
		c := p.From
		for j, w := range p.Wishes {
			for range 20 {
				c.Fly(w[0], w[1] == 1)
			}
			if to := p.To[j]; math.Abs(c.X-to.X)+math.Abs(c.Y-to.Y)+math.Abs(c.VX-to.VX)+math.Abs(c.VY-to.VY)+math.Abs(c.Energy-to.Energy) > 1e-6 || c.Dazed != to.Dazed {
				t.Fatalf("path %d, part %d: %+v, not %+v", i, j, c, to)
			}
		}
	}
}
