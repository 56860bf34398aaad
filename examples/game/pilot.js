// One's own comet, shown as it will be when the wishes on their way have arrived.
import { fly, STEP } from "./flight.js";

const MOST_STEPS = 30; // predicted, 0.5 s
const SOFTLY = 110; // ms in which an error shrinks to a third

export class Pilot {
  body = null; // at this.time
  wishes = []; // {at, d, b} of the last 2 s, as they were sent
  lag = 0; // ms from a wish until a state contains it
  _off = { x: 0, y: 0 }; // what is shown less what is so

  /** Notes a wish that is sent now. */
  wish(d, b, now) {
    this.wishes.push({ at: now, d, b });
    while (this.wishes.length > 2 && this.wishes[1].at < now - 2000) this.wishes.shift();
  }

  /** Takes the comet of a state that was at a time; what was wished since comes on top of it. */
  correct(comet, at, now) {
    if (comet.t && comet.t !== this._t) {
      this._t = comet.t;
      const lag = Math.max(0, at - comet.t - 50); // a wish holds for the whole of the tick in which it arrives
      if (lag < 1500) this.lag += (lag - this.lag) * (this.lag ? 0.2 : 1);
    }
    const before = this.at(now), { x, y, vx, vy, energy, dazed } = comet;
    this.body = { x, y, vx, vy, energy, dazed };
    this.time = at - this.lag;
    if (now - this.time > (MOST_STEPS + 6) * STEP) this.time = now - MOST_STEPS * STEP;
    const after = this.at(now);
    if (!before || Math.hypot(before.x - after.x, before.y - after.y) > 220) this._off = { x: 0, y: 0 };
    else this._off = { x: this._off.x + before.raw.x - after.raw.x, y: this._off.y + before.raw.y - after.raw.y };
  }

  /** Where it is now, or null. */
  at(now) {
    const { body, wishes } = this;
    if (!body) return null;
    let i = wishes.length - 1, n = 0;
    while (i > 0 && wishes[i].at > this.time) i--;
    for (; this.time + STEP <= now && n < MOST_STEPS; n++, this.time += STEP) {
      while (wishes[i + 1]?.at <= this.time) i++;
      const w = wishes[i];
      fly(body, w && w.at <= this.time ? w.d : -1, w?.b ?? false);
    }
    const part = Math.min(STEP, Math.max(0, now - this.time)) / 1000; // of a step that is not over
    const raw = { x: body.x + body.vx * part, y: body.y + body.vy * part };
    return { ...body, x: raw.x + this._off.x, y: raw.y + this._off.y, raw };
  }

  /** Lets the error that is shown shrink; ms since the last time. */
  settle(ms) {
    const k = Math.exp(-ms / SOFTLY);
    this._off.x *= k;
    this._off.y *= k;
  }

  land() {
    this.body = null;
    this.wishes = [];
    this._off = { x: 0, y: 0 };
  }
}
