package game

import (
	"math"
	"slices"
)

// A mote is a piece of star dust.
type mote struct {
	id, kind int
	x, y     float64
	left     int // ticks until it fades; 0: stays
}

// Kinds of motes: plain ones, big ones near the star, and loose ones that a comet has lost.
const (
	plain = iota
	big
	loose
)

var worth = [...]int{plain: 1, big: 5, loose: 1}

const (
	plainMotes  = 26
	bigMotes    = 3
	mostMotes   = 64
	looseTicks  = 10 * 20
	bigTicks    = 4 * 20 // between two big ones, about
	moteReach   = radius + 12
	moteEnergy  = 6
	nearestBig  = starRadius + 60
	farthestBig = starRadius + 150
)

// keepMotes puts new motes for those that are gone, and lets loose ones fade.
func (a *Arena) keepMotes() {
	var have [len(worth)]int
	a.motes = slices.DeleteFunc(a.motes, func(m mote) bool { return m.kind == loose && m.left <= 0 })
	for i := range a.motes {
		have[a.motes[i].kind]++
		a.motes[i].left--
	}
	for ; have[plain] < plainMotes; have[plain]++ {
		x, y := 40+a.rng.Float64()*(width-80), 40+a.rng.Float64()*(height-80)
		if d := math.Hypot(x-starX, y-starY); d < nearestBig {
			x = starX + math.Copysign(nearestBig, x-starX)
		}
		a.put(plain, x, y, 0)
	}
	if have[big] < bigMotes && a.rng.IntN(bigTicks) == 0 {
		a.putBig()
	}
}

func (a *Arena) putBig() {
	sin, cos := math.Sincos(a.rng.Float64() * 2 * math.Pi)
	r := nearestBig + a.rng.Float64()*(farthestBig-nearestBig)
	a.put(big, starX+cos*r, starY+sin*r, 0)
}

// scatter puts a loose mote some way from a place.
func (a *Arena) scatter(x, y float64) {
	sin, cos := math.Sincos(a.rng.Float64() * 2 * math.Pi)
	r := 60 + a.rng.Float64()*70
	a.put(loose, min(width-20, max(20, x+cos*r)), min(height-20, max(20, y+sin*r)), looseTicks)
}

func (a *Arena) put(kind int, x, y float64, left int) {
	if len(a.motes) >= mostMotes {
		return
	}
	a.lastMo++
	a.motes = append(a.motes, mote{a.lastMo, kind, x, y, left})
}

// collect gives a player what its comet touches.
func (a *Arena) collect(p *player) {
	a.motes = slices.DeleteFunc(a.motes, func(m mote) bool {
		if math.Hypot(m.x-p.X, m.y-p.Y) > moteReach {
			return false
		}
		p.score += worth[m.kind]
		p.Energy = min(fullEnergy, p.Energy+moteEnergy)
		return true
	})
}
