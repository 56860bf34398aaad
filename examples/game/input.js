// What the player wants: {d: degrees or -1, b: boost}, from keys, a finger or a mouse.

const KEYS = {
  ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0],
  KeyW: [0, -1], KeyS: [0, 1], KeyA: [-1, 0], KeyD: [1, 0],
};
const DEAD = 10, REACH = 56; // px of the stick
const busy = e => e.target.closest?.("input, textarea, select, dialog") || e.ctrlKey || e.altKey || e.metaKey;

export class Input {
  d = -1;
  b = false;
  stick = null; // {x, y, dx, dy} where a finger pulls, in px of the canvas
  _down = new Set();

  /** Calls change whenever the player wants something else. Keys count while playing() is true. */
  constructor(canvas, boost, playing, change) {
    Object.assign(this, { _canvas: canvas, _change: change });
    addEventListener("keydown", e => {
      if (!playing() || busy(e) || e.code === "Space" && e.target.closest?.("button:not(.boost), a, summary")) return;
      if (!(e.code in KEYS) && e.code !== "Space") return;
      e.preventDefault(); // no scrolling
      this._down.add(e.code);
      this._look();
    });
    addEventListener("keyup", e => this._down.delete(e.code) && this._look());
    addEventListener("blur", () => this.release());
    document.addEventListener("visibilitychange", () => this.release());

    canvas.addEventListener("pointerdown", e => {
      if (!playing() || this._finger !== undefined || e.button > 0) return;
      const box = canvas.getBoundingClientRect();
      this._finger = e.pointerId;
      this.stick = { x: e.clientX - box.left, y: e.clientY - box.top, dx: 0, dy: 0 };
      canvas.setPointerCapture(e.pointerId);
    });
    canvas.addEventListener("pointermove", e => {
      if (e.pointerId !== this._finger) return;
      const box = canvas.getBoundingClientRect(), s = this.stick;
      s.dx = e.clientX - box.left - s.x;
      s.dy = e.clientY - box.top - s.y;
      const far = Math.hypot(s.dx, s.dy);
      if (far > REACH) { // the stick comes along
        s.x += s.dx * (1 - REACH / far);
        s.y += s.dy * (1 - REACH / far);
        s.dx *= REACH / far;
        s.dy *= REACH / far;
      }
      this._look();
    });
    const up = e => {
      if (e.pointerId !== this._finger) return;
      this._finger = undefined;
      this.stick = null;
      this._look();
    };
    for (const type of ["pointerup", "pointercancel", "lostpointercapture"]) canvas.addEventListener(type, up);

    boost.addEventListener("pointerdown", e => {
      boost.setPointerCapture(e.pointerId);
      this._boost = true;
      this._look();
    });
    for (const type of ["pointerup", "pointercancel", "lostpointercapture"]) boost.addEventListener(type, () => {
      this._boost = false;
      this._look();
    });
    boost.addEventListener("contextmenu", e => e.preventDefault());
  }

  release() {
    this._down.clear();
    this._finger = undefined;
    this._boost = false;
    this.stick = null;
    this._look();
  }

  _look() {
    let x = 0, y = 0;
    for (const code of this._down) {
      x += KEYS[code]?.[0] ?? 0;
      y += KEYS[code]?.[1] ?? 0;
    }
    let d = x || y ? Math.atan2(Math.sign(y), Math.sign(x)) : null;
    const s = this.stick;
    if (s && Math.hypot(s.dx, s.dy) > DEAD) d = Math.round(Math.atan2(s.dy, s.dx) / Math.PI * 36) / 36 * Math.PI; // steps of 5°: a finger trembles
    d = d === null ? -1 : (Math.round(d * 180 / Math.PI) + 360) % 360;
    const b = this._down.has("Space") || !!this._boost;
    if (d === this.d && b === this.b) return;
    this.d = d;
    this.b = b;
    this._change();
  }
}
