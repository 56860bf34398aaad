// How a comet flies, step by step: the same as flight.go, which is the one that counts. testdata/flight.json holds both to it.
export const WIDTH = 1600, HEIGHT = 1100, RADIUS = 16, STAR = { x: 800, y: 550, radius: 46, reach: 360 };
export const STEP = 1000 / 60; // ms
export const FULL = 100;

const dt = 1 / 60, THRUST = 620, BOOST = 1180, DRAG = 0.982, PULL = 5e6, MOST_PULL = 560, BOUNCE = 0.7, KICK = 250, BURN = 40;

/** Moves a comet {x, y, vx, vy, energy, dazed} by one step; d is where to, in degrees clockwise from the right, or -1. */
export function fly(c, d, boost) {
  if (c.dazed > 0) {
    c.dazed--;
    d = -1;
    boost = false;
  }
  let force = THRUST;
  if (boost && d >= 0 && c.energy > 0) {
    force = BOOST;
    c.energy = Math.max(0, c.energy - 50 * dt);
  } else if (!boost) {
    c.energy = Math.min(FULL, c.energy + 12 * dt);
  }
  if (d >= 0) {
    c.vx += Math.cos(d * Math.PI / 180) * force * dt;
    c.vy += Math.sin(d * Math.PI / 180) * force * dt;
  }
  const dx = STAR.x - c.x, dy = STAR.y - c.y, r = Math.hypot(dx, dy);
  if (r > 0 && r < STAR.reach) {
    const g = Math.min(MOST_PULL, PULL / (r * r)) * (1 - r / STAR.reach);
    c.vx += dx / r * g * dt;
    c.vy += dy / r * g * dt;
  }
  c.vx *= DRAG;
  c.vy *= DRAG;
  c.x += c.vx * dt;
  c.y += c.vy * dt;
  [c.x, c.vx] = wall(c.x, c.vx, WIDTH);
  [c.y, c.vy] = wall(c.y, c.vy, HEIGHT);
  touchStar(c);
}

function wall(x, v, end) {
  if (x < RADIUS) return [RADIUS, Math.abs(v) * BOUNCE];
  if (x > end - RADIUS) return [end - RADIUS, -Math.abs(v) * BOUNCE];
  return [x, v];
}

function touchStar(c) {
  const least = STAR.radius + RADIUS;
  let dx = c.x - STAR.x, dy = c.y - STAR.y, r = Math.hypot(dx, dy);
  if (r >= least) return;
  if (r === 0) dx = r = 1;
  dx /= r;
  dy /= r;
  c.x = STAR.x + dx * least;
  c.y = STAR.y + dy * least;
  const inwards = Math.min(0, c.vx * dx + c.vy * dy);
  c.vx += dx * (KICK - 1.6 * inwards);
  c.vy += dy * (KICK - 1.6 * inwards);
  c.dazed = BURN;
}
