package game

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Times are in ticks, of which there are 20 in a second.
const (
	roundTicks = 120 * 20
	pauseTicks = 8 * 20
	awayTicks  = 2 * 20 // without a wish: a comet coasts
	goneTicks  = 5 * 20 // and is taken out

	mostPeople = 12
	mostGone   = 64 // scores that are kept until the round is over for those who come back

	wishesATick = 1.25 // what a player may send: 25 a second
	mostWishes  = 25   // and so many at once

	safeSteps   = 75 // after a bump nothing can be lost again for so long
	bumpDaze    = 36
	bumpDiffers = 60 // by how much one has to be faster to win a bump
	mostLost    = 3  // motes that a bump, or the star, takes
)

// Wish is what a player wants. The zero Wish has not been sent by anybody.
type Wish struct {
	N int64 `json:"n"` // its number: later ones are greater
	T int64 `json:"t"` // when it was sent, by the page's own clock; given back, so that the page knows what a state contains
	D int   `json:"d"` // where to, in degrees clockwise from the right; -1: nowhere
	B bool  `json:"b"` // boost
}

// valid bounds what a wish may contain.
func (w Wish) valid() bool {
	const most = 1 << 53 // what JavaScript can count to
	return w.N > 0 && w.N < most && w.T >= 0 && w.T < most && w.D >= -1 && w.D < 360
}

type player struct {
	Comet
	id        int // in states
	user      string
	name      string
	bot       bool
	wish      Wish
	allowance float64 // wishes
	quiet     int     // ticks since the last wish
	score     int
	safe      int // steps
}

// Arena is the game: everything that happens follows from its seed, who came and went, and what they wished. Not for concurrent use.
type Arena struct {
	rng     *rand.Rand
	tick    int64
	round   int
	pause   bool // between two rounds
	left    int  // ticks until the round or the pause is over
	players []*player
	motes   []mote
	lastID  int
	lastMo  int
	gone    map[string]int // user → score in this round
}

// NewArena returns an arena in which nobody is.
func NewArena(seed uint64) *Arena {
	return &Arena{rng: rand.New(rand.NewPCG(seed, 20)), gone: map[string]int{}}
}

// People counts players who are no bots.
func (a *Arena) People() (n int) {
	for _, p := range a.players {
		if !p.bot {
			n++
		}
	}
	return n
}

func (a *Arena) find(user string) *player {
	for _, p := range a.players {
		if !p.bot && p.user == user {
			return p
		}
	}
	return nil
}

// Join lets a user fly, or changes the name of one who does, and returns the comet's number in states. It says false when the arena is full.
func (a *Arena) Join(user, name string) (id int, ok bool) {
	if p := a.find(user); p != nil {
		p.name, p.quiet = name, 0
		return p.id, true
	}
	people := a.People()
	if people >= mostPeople {
		return 0, false
	}
	if people == 0 {
		a.newRound()
	}
	p := a.enter(name)
	p.user, p.score = user, a.gone[user]
	delete(a.gone, user)
	a.setBots()
	return p.id, true
}

// Leave takes a user out.
func (a *Arena) Leave(user string) {
	a.remove(func(p *player) bool { return !p.bot && p.user == user })
}

// Wish takes a user's wish. It says false when it is not one, is too late or too much, or the user does not fly.
func (a *Arena) Wish(user string, w Wish) bool {
	p := a.find(user)
	if p == nil || !w.valid() || p.allowance < 1 {
		return false
	}
	p.allowance--
	if w.N <= p.wish.N {
		return false
	}
	p.wish, p.quiet = w, 0
	return true
}

// Step lets a tick pass.
func (a *Arena) Step() {
	a.tick++
	for _, p := range a.players {
		p.quiet++
		p.allowance = min(mostWishes, p.allowance+wishesATick)
	}
	a.remove(func(p *player) bool { return !p.bot && p.quiet > goneTicks })
	if len(a.players) == 0 {
		return
	}
	for _, p := range a.players {
		if p.bot {
			a.think(p)
		} else if p.quiet > awayTicks {
			p.wish.D, p.wish.B = -1, false
		}
	}
	for range steps {
		a.fly()
	}
	a.keepMotes()
	if a.left--; a.left > 0 {
		return
	}
	if a.pause {
		a.newRound()
	} else {
		a.pause, a.left = true, pauseTicks
	}
}

func (a *Arena) fly() {
	for _, p := range a.players {
		p.safe = max(0, p.safe-1)
		if p.Fly(p.wish.D, p.wish.B) && p.safe == 0 {
			a.lose(p)
		}
	}
	for i, p := range a.players {
		for _, q := range a.players[:i] {
			a.bump(p, q)
		}
		if !a.pause {
			a.collect(p)
		}
	}
}

// bump parts two comets that touch. The slower one, as seen along the line between them, loses.
func (a *Arena) bump(p, q *player) {
	dx, dy := q.X-p.X, q.Y-p.Y
	r := math.Hypot(dx, dy)
	if r >= 2*radius {
		return
	}
	if r == 0 {
		dx, r = 1, 1
	}
	dx, dy = dx/r, dy/r
	apart := (2*radius - r) / 2
	p.X, p.Y = p.X-dx*apart, p.Y-dy*apart
	q.X, q.Y = q.X+dx*apart, q.Y+dy*apart
	vp, vq := p.VX*dx+p.VY*dy, q.VX*dx+q.VY*dy
	if vp-vq <= 0 {
		return // they part by themselves
	}
	change := vp - vq + 60 // equal masses change what they have along the line; a little more, for the fun of it
	p.VX, p.VY = p.VX-dx*change, p.VY-dy*change
	q.VX, q.VY = q.VX+dx*change, q.VY+dy*change
	switch {
	case vp+vq > bumpDiffers:
		a.beaten(q)
	case vp+vq < -bumpDiffers:
		a.beaten(p)
	}
}

func (a *Arena) beaten(p *player) {
	if p.safe == 0 {
		p.Dazed = bumpDaze
		a.lose(p)
	}
}

// lose scatters what a player loses at once.
func (a *Arena) lose(p *player) {
	p.safe = safeSteps
	if a.pause {
		return
	}
	n := min(p.score, mostLost)
	p.score -= n
	for range n {
		a.scatter(p.X, p.Y)
	}
}

// enter makes a comet, far from the others.
func (a *Arena) enter(name string) *player {
	a.lastID++
	p := &player{id: a.lastID, name: name, wish: Wish{D: -1}, allowance: mostWishes, safe: safeSteps}
	p.Energy = fullEnergy
	best := -1.0
	for range 10 {
		x, y := 60+a.rng.Float64()*(width-120), 60+a.rng.Float64()*(height-120)
		room := math.Hypot(x-starX, y-starY) - 80
		for _, q := range a.players {
			room = min(room, math.Hypot(x-q.X, y-q.Y))
		}
		if room > best {
			best, p.X, p.Y = room, x, y
		}
	}
	a.players = append(a.players, p)
	return p
}

// remove takes out those who are meant, keeps their scores until the round is over, and lets bots come or go.
func (a *Arena) remove(which func(*player) bool) {
	before := len(a.players)
	a.players = slices.DeleteFunc(a.players, func(p *player) bool {
		out := which(p)
		if out && !p.bot && p.score > 0 && len(a.gone) < mostGone {
			a.gone[p.user] = p.score
		}
		return out
	})
	if len(a.players) != before {
		a.setBots()
	}
}

func (a *Arena) newRound() {
	a.round++
	a.pause, a.left = false, roundTicks
	a.motes = a.motes[:0]
	a.keepMotes()
	for range bigMotes {
		a.putBig()
	}
	clear(a.gone)
	for _, p := range a.players {
		p.score, p.Energy = 0, fullEnergy
	}
}
