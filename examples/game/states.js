// States as they come from the site, and what to show of them at a moment.

const TICK = 50; // ms
const MOST = 64;

const int = (v, from, to) => Number.isInteger(v) && v >= from && v <= to;
const far = v => int(v, -200, 2000);

/** A state, or null where it is none that the site can have made. */
export function parse(data) {
  if (!data || !int(data.k, 0, Number.MAX_SAFE_INTEGER) || ![data.r, data.p, data.d].every(Array.isArray)) return null;
  const [round, pause, left] = data.r;
  if (!int(round, 0, 1e9) || !int(pause, 0, 1) || !int(left, 0, 1e5) || data.p.length > MOST || data.d.length > 3 * MOST || data.d.length % 3) return null;
  const comets = new Map(), dust = new Map();
  for (const p of data.p) {
    const c = comet(p);
    if (!c || comets.has(c.id)) return null;
    comets.set(c.id, c);
  }
  for (let i = 0; i < data.d.length; i += 3) {
    const [id, x, y] = data.d.slice(i, i + 3);
    if (!int(id, 0, Number.MAX_SAFE_INTEGER) || id % 4 > 2 || !far(x) || !far(y)) return null;
    dust.set(id, { id, kind: id % 4, x, y });
  }
  return { tick: data.k, round, pause: pause === 1, left, comets, dust };
}

function comet(p) {
  if (!Array.isArray(p)) return null;
  const [id, name, bot, x, y, vx, vy, d, score, energy, dazed, safe, flags, t] = p;
  if (!int(id, 1, Number.MAX_SAFE_INTEGER) || typeof name !== "string" || name.length > 64 || !int(bot, 0, 1) || !far(x) || !far(y) || !int(vx, -5000, 5000) || !int(vy, -5000, 5000) ||
    !int(d, -1, 359) || !int(score, 0, 1e6) || !int(energy, 0, 100) || !int(dazed, 0, 1000) || !int(safe, 0, 1000) || !int(flags, 0, 3) || !int(t, 0, Number.MAX_SAFE_INTEGER)) return null;
  return { id, name, bot: bot === 1, x, y, vx, vy, d, score, energy, dazed, safe: safe > 0, boost: (flags & 1) > 0, away: (flags & 2) > 0, t };
}

/** The states of the last second, and when each of them was: ticks are even, their arrival is not. */
export class States {
  list = []; // {state, at}
  latest = null;
  jitter = 0; // ms, RFC 3550 6.4.1
  arrivals = []; // of the last 2 s
  _gap = TICK; // ms between two that came, as the arena counts
  _zero = 0; // when tick 0 would have come, had it come as quickly as the quicker ones do

  /** Takes a state that comes at a time in ms. Returns what has changed: {fresh: all has begun anew, at}. */
  add(state, now) {
    const last = this.list.at(-1), zero = now - state.tick * TICK;
    const fresh = !last || state.tick <= last.state.tick || Math.abs(zero - this._zero) > 1000;
    if (fresh) {
      this.list = [];
      this._zero = zero;
    } else {
      this._gap += ((state.tick - last.state.tick) * TICK - this._gap) / 8;
      this.jitter += (Math.abs(zero - this._last) - this.jitter) / 16;
      this._zero += (zero - this._zero) * (zero < this._zero ? 0.3 : 0.03);
    }
    this._last = zero;
    const at = this._zero + state.tick * TICK;
    this.list.push({ state, at });
    if (this.list.length > 24) this.list.shift();
    this.latest = state;
    this.latestAt = now;
    this.arrivals.push(now);
    return { fresh, at };
  }

  /** States that came in a second, over the last two. */
  rate(now) {
    this.arrivals = this.arrivals.filter(t => now - t < 2000);
    return this.arrivals.length / 2;
  }

  /** How far behind the newest state comets are shown: enough for the next one to be there. */
  get delay() {
    return Math.min(600, Math.max(100, this._gap + 3 * this.jitter));
  }

  /** Comets as they were a little while ago: a list of {…comet, x, y, vx, vy}. */
  comets(now) {
    const time = now - this.delay, { list } = this;
    let i = list.length - 1;
    if (i < 0) return [];
    while (i > 0 && list[i].at > time) i--;
    const a = list[i], b = list[i + 1], shown = [];
    const f = b ? Math.min(1, Math.max(0, (time - a.at) / (b.at - a.at))) : 0;
    const over = b ? 0 : Math.min(150, Math.max(0, time - a.at)) / 1000; // nothing newer has come: on as before, for a moment
    for (const p of a.state.comets.values()) {
      const q = b?.state.comets.get(p.id);
      if (!q) shown.push({ ...p, x: p.x + p.vx * over, y: p.y + p.vy * over });
      else shown.push({ ...q, ...curve(p, q, f, (b.at - a.at) / 1000) });
    }
    return shown;
  }
}

// between two places, with the velocities that a comet has there (a Hermite curve); straight where it has bounced
function curve(p, q, f, s) {
  const mix = (a, b) => a + (b - a) * f;
  const axis = (x, v, y, w) => {
    if (Math.abs((x + (v + w) / 2 * s) - y) > 12) return mix(x, y);
    const g = f * f, h = g * f;
    return (2 * h - 3 * g + 1) * x + (h - 2 * g + f) * s * v + (3 * g - 2 * h) * y + (h - g) * s * w;
  };
  return { x: axis(p.x, p.vx, q.x, q.vx), y: axis(p.y, p.vy, q.y, q.vy), vx: mix(p.vx, q.vx), vy: mix(p.vy, q.vy) };
}
