package game

import "math"

var botNames = [...]string{"Halley", "Biela"}

// thinkTicks is how often a bot thinks: seldom enough that people win.
const thinkTicks = 11

// setBots lets bots fly with one who is alone, and with nobody else.
func (a *Arena) setBots() {
	alone := a.People() == 1
	bots := len(a.players) - a.People()
	switch {
	case alone && bots == 0:
		for _, name := range botNames {
			a.enter(name).bot = true
		}
	case !alone && bots > 0:
		a.remove(func(p *player) bool { return p.bot })
	}
}

// think makes a bot go for the mote that seems to be worth it, around the star.
func (a *Arena) think(p *player) {
	if (a.tick+int64(p.id)*3)%thinkTicks != 0 {
		return
	}
	var to mote
	best := 0.0
	for _, m := range a.motes {
		far := math.Hypot(m.x-p.X, m.y-p.Y)
		if v := float64(worth[m.kind]) / (far + 90) * (0.6 + 0.4*a.rng.Float64()); v > best {
			best, to = v, m
		}
	}
	if best == 0 || a.rng.Float64() < 0.4 {
		p.wish = Wish{D: -1}
		return
	}
	// where to push: towards the mote, less what the comet does already
	dx, dy := to.x-p.X-p.VX*0.55, to.y-p.Y-p.VY*0.55
	if r := math.Hypot(p.X-starX, p.Y-starY); r < 190 && r > 0 {
		out := (190 - r) * 2.2
		dx, dy = dx+(p.X-starX)/r*out, dy+(p.Y-starY)/r*out
	}
	d := int(math.Atan2(dy, dx)*180/math.Pi+360) % 360
	p.wish = Wish{D: d, B: p.Energy > 55 && math.Hypot(dx, dy) > 320}
}
