package game

import "math"

// The world, in units of its own and seconds. flight.js has the same numbers and the same step: pages predict their own comet with it,
// and testdata/flight.json holds both to it.
const (
	width, height = 1600, 1100
	radius        = 16 // of a comet
	starX, starY  = 800, 550
	starRadius    = 46
	starReach     = 360 // beyond this the star does not pull

	steps       = 3 // in a tick
	dt          = 1.0 / (20 * steps)
	thrust      = 620
	boostThrust = 1180
	drag        = 0.982 // what is left of a velocity after a step
	pull        = 5e6   // of the star, over the square of the distance
	mostPull    = 560   // less than thrust: one always comes away
	bounce      = 0.7   // what a wall leaves of a velocity
	kick        = 250   // how fast the star throws a comet out

	fullEnergy  = 100
	boostCost   = 50 * dt
	boostReturn = 12 * dt
	burnDaze    = 40 // steps without thrust after touching the star
)

// Comet is a body in flight.
type Comet struct {
	X, Y, VX, VY float64
	Energy       float64 // 0 to fullEnergy, for boosts
	Dazed        int     // steps for which it cannot steer
}

// Fly moves a comet by one step. d is where it is to go, in degrees clockwise from the right, or -1. It says whether the comet has touched
// the star.
func (c *Comet) Fly(d int, boost bool) (burnt bool) {
	if c.Dazed > 0 {
		c.Dazed--
		d, boost = -1, false
	}
	force := float64(thrust)
	switch {
	case boost && d >= 0 && c.Energy > 0:
		force = boostThrust
		c.Energy = max(0, c.Energy-boostCost)
	case !boost:
		c.Energy = min(fullEnergy, c.Energy+boostReturn)
	}
	if d >= 0 {
		sin, cos := math.Sincos(float64(d) * math.Pi / 180)
		c.VX += cos * force * dt
		c.VY += sin * force * dt
	}
	dx, dy := starX-c.X, starY-c.Y
	if r := math.Hypot(dx, dy); r > 0 && r < starReach {
		g := min(mostPull, pull/(r*r)) * (1 - r/starReach)
		c.VX += dx / r * g * dt
		c.VY += dy / r * g * dt
	}
	c.VX *= drag
	c.VY *= drag
	c.X += c.VX * dt
	c.Y += c.VY * dt
	c.X, c.VX = wall(c.X, c.VX, width)
	c.Y, c.VY = wall(c.Y, c.VY, height)
	return c.touchStar()
}

func wall(x, v, end float64) (float64, float64) {
	switch {
	case x < radius:
		return radius, math.Abs(v) * bounce
	case x > end-radius:
		return end - radius, -math.Abs(v) * bounce
	}
	return x, v
}

func (c *Comet) touchStar() bool {
	dx, dy := c.X-starX, c.Y-starY
	r := math.Hypot(dx, dy)
	if r >= starRadius+radius {
		return false
	}
	if r == 0 {
		dx, r = 1, 1
	}
	dx, dy = dx/r, dy/r
	c.X, c.Y = starX+dx*(starRadius+radius), starY+dy*(starRadius+radius)
	in := min(0, c.VX*dx+c.VY*dy)
	c.VX += dx * (kick - 1.6*in)
	c.VY += dy * (kick - 1.6*in)
	c.Dazed = burnDaze
	return true
}
