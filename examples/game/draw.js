// The arena on a canvas: sharp on every screen, in the page's colours, calm where the visitor wants that.
import { WIDTH, HEIGHT, RADIUS, STAR, FULL } from "./flight.js";

const LEAST = 0.55; // px for a unit: where the whole arena does not fit at that, the view follows one's own comet
const TAIL = 0.75; // s
const MOST_SPARKS = 160;
const TURN = 2 * Math.PI;

// the same sky for everybody, from a small generator
const specks = (() => {
  let n = 7;
  const next = () => (n = (n * 16807) % 2147483647) / 2147483647;
  return Array.from({ length: 150 }, () => ({ x: next() * 1.4 - 0.2, y: next() * 1.4 - 0.2, r: 0.4 + next() * 1.1, deep: 0.2 + next() * 0.5 }));
})();

export class Sky {
  _tails = new Map(); // id → places
  _hues = new Map(); // id → number of a colour
  _sparks = [];
  _words = [];
  _shake = 0;
  _eye = { x: WIDTH / 2, y: HEIGHT / 2 };

  constructor(canvas) {
    this._canvas = canvas;
    this._c = canvas.getContext("2d");
    this._calm = matchMedia("(prefers-reduced-motion: reduce)");
    const colours = () => {
      const css = getComputedStyle(canvas), of = name => css.getPropertyValue(name).trim();
      this._colour = { ink: of("--ink"), dim: of("--dim"), line: of("--line"), sky: of("--sky"), own: of("--accent"), gold: of("--gold"), sun: of("--sun"),
        others: [1, 2, 3, 4, 5, 6, 7, 0].map(i => of(`--c${i}`)) };
    };
    colours();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      colours();
      this.onresize?.();
    });
    new ResizeObserver(() => {
      this._size();
      this.onresize?.();
    }).observe(canvas);
    this._size();
  }

  _size() {
    const box = this._canvas.getBoundingClientRect(), ratio = Math.min(3, devicePixelRatio || 1);
    this._w = box.width;
    this._h = box.height;
    this._canvas.width = Math.round(box.width * ratio);
    this._canvas.height = Math.round(box.height * ratio);
    this._ratio = ratio;
  }

  /** The colour of a comet. One's own has the page's accent, of the others each another one while there are enough. */
  colour(id, own) {
    if (id === own) return this._colour.own;
    if (!this._hues.has(id)) {
      const used = [0, 0, 0, 0, 0, 0, 0, 0];
      for (const hue of this._hues.values()) used[hue]++;
      this._hues.set(id, used.indexOf(Math.min(...used)));
    }
    return this._colour.others[this._hues.get(id)];
  }

  /** Notes what has happened between two states. */
  happened(before, after, own) {
    for (const id of this._hues.keys()) if (!after.comets.has(id)) this._hues.delete(id);
    if (!before || before.round !== after.round) return;
    for (const [id, m] of before.dust) {
      if (after.dust.has(id)) continue;
      const by = [...after.comets.values()].find(c => Math.hypot(c.x - m.x, c.y - m.y) < 110);
      if (by) this._burst(m.x, m.y, m.kind === 1 ? this._colour.gold : this.colour(by.id, own), m.kind === 1 ? 14 : 6, 90);
    }
    for (const [id, c] of after.comets) {
      const was = before.comets.get(id);
      if (!was) continue;
      const won = c.score - was.score;
      if (id === own && won) this._words.push({ text: (won > 0 ? "+" : "−") + Math.abs(won), bad: won < 0, x: c.x, y: c.y - 26, age: 0 });
      if (c.dazed > was.dazed) {
        this._burst(c.x, c.y, this.colour(id, own), 18, 210);
        if (id === own && !this._calm.matches) this._shake = 1;
      }
    }
  }

  _burst(x, y, colour, n, speed) {
    if (this._calm.matches) n = Math.min(n, 3);
    for (let i = 0; i < n && this._sparks.length < MOST_SPARKS; i++) {
      const a = Math.random() * TURN, v = speed * (0.3 + Math.random());
      this._sparks.push({ x, y, vx: Math.cos(a) * v, vy: Math.sin(a) * v, colour, age: 0, life: 0.35 + Math.random() * 0.35 });
    }
  }

  /** Draws a frame, ms after the one before: {comets, dust, own, round, stick}. */
  draw({ comets, dust, own, stick }, now, ms) {
    const c = this._c, s = ms / 1000, me = comets.find(p => p.id === own);
    c.setTransform(this._ratio, 0, 0, this._ratio, 0, 0);
    c.fillStyle = this._colour.sky;
    c.fillRect(0, 0, this._w, this._h);
    this._look(me ?? [...comets].sort((a, b) => b.score - a.score)[0], ms);
    this._specks();

    const k = this._k;
    let dx = this._w / 2 - this._eye.x * k, dy = this._h / 2 - this._eye.y * k;
    if (this._shake > 0.02) {
      dx += (Math.random() - 0.5) * 12 * this._shake;
      dy += (Math.random() - 0.5) * 12 * this._shake;
      this._shake *= Math.exp(-ms / 90);
    }
    c.save();
    c.translate(dx, dy);
    c.scale(k, k);
    this._bounds();
    this._star(now);
    for (const m of dust.values()) this._mote(m, now);
    this._tail(comets, own, s);
    for (const p of comets) this._comet(p, own, now);
    this._spark(s);
    c.restore();

    this._names(comets, own, dx, dy);
    this._points(s, dx, dy);
    if (this._follows) this._map(comets, dust, own);
    if (stick) this._stick(stick);
  }

  _look(at, ms) {
    const fit = Math.min(this._w / (WIDTH + 36), this._h / (HEIGHT + 36));
    this._follows = fit < LEAST * 0.9;
    this._k = this._follows ? LEAST : fit;
    const to = this._follows && at ? at : { x: WIDTH / 2, y: HEIGHT / 2 };
    const keep = (v, size, px, more = 0) => { // more px behind the end, where the button and the map are
      const half = px / 2 / this._k - 18;
      return half * 2 > size ? size / 2 : Math.min(size - half + more / this._k, Math.max(half, v));
    };
    const f = this._follows ? 1 - Math.exp(-ms / 120) : 1;
    this._eye.x += (keep(to.x, WIDTH, this._w) - this._eye.x) * f;
    this._eye.y += (keep(to.y, HEIGHT, this._h, this._follows ? 100 : 0) - this._eye.y) * f;
  }

  _specks() {
    const c = this._c, still = this._calm.matches;
    c.fillStyle = this._colour.dim;
    for (const p of specks) {
      const move = still ? 0 : p.deep * 0.12;
      c.globalAlpha = p.deep * 0.7;
      c.beginPath();
      c.arc(p.x * this._w - (this._eye.x - WIDTH / 2) * move, p.y * this._h - (this._eye.y - HEIGHT / 2) * move, p.r, 0, TURN);
      c.fill();
    }
    c.globalAlpha = 1;
  }

  _bounds() {
    const c = this._c;
    c.strokeStyle = this._colour.line;
    c.lineWidth = 2 / this._k;
    c.beginPath();
    c.roundRect(0, 0, WIDTH, HEIGHT, 18);
    c.stroke();
  }

  _star(now) {
    const c = this._c, { x, y, radius, reach } = STAR, beat = this._calm.matches ? 0 : Math.sin(now / 700) * 5;
    c.strokeStyle = this._colour.sun;
    c.lineWidth = 1 / this._k;
    c.globalAlpha = 0.16;
    for (const r of [0.42, 0.7, 1]) {
      c.beginPath();
      c.arc(x, y, reach * r, 0, TURN);
      c.stroke();
    }
    c.globalAlpha = 1;
    const glow = c.createRadialGradient(x, y, radius * 0.6, x, y, radius * 3.4 + beat);
    glow.addColorStop(0, this._colour.sun + "88");
    glow.addColorStop(0.5, this._colour.sun + "28");
    glow.addColorStop(1, this._colour.sun + "00");
    c.fillStyle = glow;
    c.beginPath();
    c.arc(x, y, radius * 3.6 + beat, 0, TURN);
    c.fill();
    const body = c.createRadialGradient(x - 12, y - 14, 4, x, y, radius);
    body.addColorStop(0, "#fff6d8");
    body.addColorStop(1, this._colour.sun);
    c.fillStyle = body;
    c.beginPath();
    c.arc(x, y, radius, 0, TURN);
    c.fill();
  }

  _mote({ id, kind, x, y }, now) {
    const c = this._c, turn = this._calm.matches ? 0 : now / 1400 + id;
    const r = Math.max([9, 14, 8][kind], [4.5, 8, 4][kind] / this._k);
    c.fillStyle = kind === 1 ? this._colour.gold : this._colour.ink;
    c.globalAlpha = kind === 1 ? 1 : 0.8;
    c.beginPath(); // four points, as stars have when one screws up the eyes
    for (let i = 0; i < 8; i++) {
      const a = turn + i * TURN / 8, far = i % 2 ? r * 0.38 : r;
      c.lineTo(x + Math.cos(a) * far, y + Math.sin(a) * far);
    }
    c.fill();
    c.globalAlpha = 1;
  }

  _tail(comets, own, s) {
    const c = this._c, here = new Set();
    for (const p of comets) {
      here.add(p.id);
      let tail = this._tails.get(p.id) ?? [];
      for (const q of tail) q.age += s;
      if (tail[0] && Math.hypot(tail[0].x - p.x, tail[0].y - p.y) > 160) tail = [];
      if (!tail[0] || Math.hypot(tail[0].x - p.x, tail[0].y - p.y) > 1) tail.unshift({ x: p.x, y: p.y, wide: p.boost ? 1.15 : 0.9, age: 0 });
      tail = tail.filter(q => q.age < TAIL);
      this._tails.set(p.id, tail);
      if (tail.length < 3) continue;
      const colour = this.colour(p.id, own), end = tail.at(-1), edge = [];
      const fade = c.createLinearGradient(p.x, p.y, end.x, end.y);
      fade.addColorStop(0, colour + (p.away ? "40" : "b0"));
      fade.addColorStop(1, colour + "00");
      for (let i = 1; i < tail.length; i++) {
        const q = tail[i], dx = tail[i - 1].x - q.x, dy = tail[i - 1].y - q.y, far = Math.hypot(dx, dy) || 1, r = RADIUS * q.wide * (1 - q.age / TAIL);
        edge.push([q.x - dy / far * r, q.y + dx / far * r, q.x + dy / far * r, q.y - dx / far * r]);
      }
      c.fillStyle = fade;
      c.beginPath();
      c.moveTo(p.x, p.y);
      for (const [x, y] of edge) c.lineTo(x, y);
      for (const [, , x, y] of edge.reverse()) c.lineTo(x, y);
      c.fill();
    }
    for (const id of this._tails.keys()) if (!here.has(id)) this._tails.delete(id);
  }

  _comet(p, own, now) {
    const c = this._c, colour = this.colour(p.id, own);
    c.globalAlpha = p.away ? 0.4 : p.dazed && Math.floor(now / 90) % 2 && !this._calm.matches ? 0.55 : 1;
    c.fillStyle = colour;
    c.beginPath();
    c.arc(p.x, p.y, RADIUS, 0, TURN);
    c.fill();
    c.globalAlpha *= 0.75;
    c.fillStyle = "#fff";
    c.beginPath();
    c.arc(p.x - 4, p.y - 5, RADIUS * 0.42, 0, TURN);
    c.fill();
    c.globalAlpha = 1;
    if (p.safe) {
      c.strokeStyle = colour;
      c.globalAlpha = 0.5;
      c.lineWidth = 2;
      c.setLineDash([5, 6]);
      c.beginPath();
      c.arc(p.x, p.y, RADIUS + 6, 0, TURN);
      c.stroke();
      c.setLineDash([]);
      c.globalAlpha = 1;
    }
    if (p.id !== own) return;
    c.lineWidth = 3.5;
    c.strokeStyle = this._colour.line;
    c.beginPath();
    c.arc(p.x, p.y, RADIUS + 11, 0, TURN);
    c.stroke();
    c.strokeStyle = this._colour.ink;
    c.beginPath();
    c.arc(p.x, p.y, RADIUS + 11, -TURN / 4, -TURN / 4 + TURN * p.energy / FULL);
    c.stroke();
  }

  _spark(s) {
    const c = this._c;
    this._sparks = this._sparks.filter(p => (p.age += s) < p.life);
    for (const p of this._sparks) {
      p.x += p.vx * s;
      p.y += p.vy * s;
      c.globalAlpha = 1 - p.age / p.life;
      c.fillStyle = p.colour;
      c.beginPath();
      c.arc(p.x, p.y, 3.2, 0, TURN);
      c.fill();
    }
    c.globalAlpha = 1;
  }

  // in px, so that they can be read at every size
  _names(comets, own, dx, dy) {
    const c = this._c, k = this._k;
    c.textAlign = "center";
    c.textBaseline = "top";
    c.lineJoin = "round";
    c.lineWidth = 3;
    c.strokeStyle = this._colour.sky;
    for (const p of comets) {
      c.font = `${p.id === own ? 700 : 500} 13px system-ui, sans-serif`;
      const x = p.x * k + dx, y = p.y * k + dy + (RADIUS + (p.id === own ? 14 : 8)) * k + 2;
      const text = p.name.length > 18 ? p.name.slice(0, 17) + "…" : p.name;
      c.strokeText(text, x, y);
      c.fillStyle = p.id === own ? this._colour.ink : this._colour.dim;
      c.fillText(text, x, y);
    }
  }

  _points(s, dx, dy) {
    const c = this._c, k = this._k, still = this._calm.matches;
    this._words = this._words.filter(w => (w.age += s) < 0.9).slice(-12);
    c.font = "700 17px system-ui, sans-serif";
    c.textBaseline = "middle";
    for (const w of this._words) {
      c.globalAlpha = 1 - w.age / 0.9;
      c.strokeStyle = this._colour.sky;
      const x = w.x * k + dx, y = w.y * k + dy - (still ? 0 : w.age * 34);
      c.strokeText(w.text, x, y);
      c.fillStyle = w.bad ? this._colour.others[4 - 1] : this._colour.own;
      c.fillText(w.text, x, y);
    }
    c.globalAlpha = 1;
  }

  _map(comets, dust, own) {
    const c = this._c, w = 104, h = w * HEIGHT / WIDTH, x = 12, y = this._h - h - 12, k = w / WIDTH;
    c.globalAlpha = 0.85;
    c.fillStyle = this._colour.sky;
    c.strokeStyle = this._colour.line;
    c.lineWidth = 1;
    c.beginPath();
    c.roundRect(x, y, w, h, 6);
    c.fill();
    c.stroke();
    const dot = (p, r, colour) => {
      c.fillStyle = colour;
      c.beginPath();
      c.arc(x + p.x * k, y + p.y * k, r, 0, TURN);
      c.fill();
    };
    for (const m of dust.values()) dot(m, m.kind === 1 ? 1.8 : 1, m.kind === 1 ? this._colour.gold : this._colour.dim);
    dot(STAR, 3.4, this._colour.sun);
    for (const p of comets) dot(p, p.id === own ? 3.2 : 2.6, this.colour(p.id, own));
    c.globalAlpha = 1;
  }

  _stick({ x, y, dx, dy }) {
    const c = this._c;
    c.globalAlpha = 0.35;
    c.strokeStyle = c.fillStyle = this._colour.ink;
    c.lineWidth = 2;
    c.beginPath();
    c.arc(x, y, 56, 0, TURN);
    c.stroke();
    c.beginPath();
    c.arc(x + dx, y + dy, 24, 0, TURN);
    c.fill();
    c.globalAlpha = 1;
  }
}
