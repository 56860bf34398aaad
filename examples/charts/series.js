// Points in the order of time, in typed arrays: a column of numbers for each line.

/** What stands between a point and the one before it, when they are not joined. */
export const JOINED = 0, SKIPPED = 1, MISSED = 2;

/**
 * At least `capacity` points, at most twice that: the oldest go. A number that is not known is NaN. `changes` grows with everything
 * that is not a point at the end.
 */
export class Series {
  length = 0;
  changes = 0;

  constructor(capacity) {
    this.capacity = capacity;
    this.t = new Float64Array(2 * capacity); // Unix time in ms
    this.step = new Float64Array(2 * capacity); // ms in which the next point was to be expected
    this.told = new Uint8Array(2 * capacity); // why it is not joined to the one before, as we were told
    this.lost = new Float64Array(2 * capacity); // how many are missing there; NaN: nobody knows
    this.columns = [];
  }

  /** A copy that stays as it is. */
  still() {
    const s = Object.assign(Object.create(Series.prototype), this);
    for (const k of ["t", "step", "told", "lost"]) s[k] = this[k].slice();
    s.columns = this.columns.map(c => c.slice());
    return s;
  }

  /** Puts a point at its place in time, which is the end but for history that comes late. A point that is there already is left out. */
  put(t, values, step, told = JOINED, lost = NaN) {
    if (this.length === 2 * this.capacity) this.#forget();
    const at = this.after(t);
    if (at && this.t[at - 1] === t) return false;
    while (this.columns.length < values.length) {
      this.columns.push(new Float64Array(2 * this.capacity).fill(NaN));
      this.changes++;
    }
    if (at < this.length) {
      for (const a of this.#arrays()) a.copyWithin(at + 1, at, this.length);
      this.changes++;
    }
    this.t[at] = t;
    this.step[at] = step;
    this.told[at] = told;
    this.lost[at] = lost;
    for (let i = 0; i < this.columns.length; i++) this.columns[i][at] = values[i] ?? NaN;
    this.length++;
    return true;
  }

  #arrays() {
    return [this.t, this.step, this.told, this.lost, ...this.columns];
  }

  #forget() {
    for (const a of this.#arrays()) a.copyWithin(0, this.capacity, this.length);
    this.length = this.capacity;
  }

  clear() {
    this.length = 0;
    this.changes++;
  }

  get last() {
    return this.length ? this.t[this.length - 1] : -Infinity;
  }

  /** The number of points at or before a time. */
  after(t) {
    let low = 0, high = this.length;
    if (high && this.t[high - 1] <= t) return high;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.t[middle] <= t) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Whether a line may be drawn from the point before to this one: nothing was skipped, and nothing failed to come. */
  joined(i) {
    return i > 0 && this.told[i] === JOINED && this.t[i] - this.t[i - 1] <= 4 * Math.max(this.step[i], this.step[i - 1]);
  }

  /** The point that is shown for a time: the nearest, or -1 in a hole and outside. near: how far it may be, in ms. */
  nearest(t, near = 0) {
    const i = this.after(t), a = i - 1, b = i;
    if (a >= 0 && b < this.length && this.joined(b)) return t - this.t[a] <= this.t[b] - t ? a : b;
    const far = j => j >= 0 && j < this.length ? Math.abs(this.t[j] - t) : Infinity;
    const best = far(a) <= far(b) ? a : b;
    return far(best) <= Math.max(near, this.step[best] / 2) ? best : -1;
  }

  /** Least and greatest number of a column from a time on: {min, max, last}, each NaN where there is none. */
  range(column, from) {
    const c = this.columns[column], range = { min: NaN, max: NaN, last: NaN };
    if (!c) return range;
    let min = Infinity, max = -Infinity;
    for (let i = this.after(from); i < this.length; i++) {
      const v = c[i];
      if (v < min) min = v;
      if (v > max) max = v;
    }
    if (min <= max) Object.assign(range, { min, max });
    if (this.length) range.last = c[this.length - 1];
    return range;
  }
}

/**
 * Goes over a line as a path for columns of pixels, each `width` ms wide and numbered from the beginning of time: of the points in one
 * column the first, the least, the greatest and the last, which is all that can be seen of them. Calls move(x, value) where the line
 * begins anew, otherwise line(x, value).
 */
export function trace(series, column, from, width, move, line) {
  const c = series.columns[column], { t, length } = series;
  let x = NaN, min, max, last, open = false;
  const flush = () => {
    if (max !== last && max !== min) line(x, max);
    if (min !== last) line(x, min);
    if (min !== max) line(x, last);
  };
  if (!c) return;
  for (let i = from; i < length; i++) {
    const v = c[i], at = Math.floor(t[i] / width);
    if (v !== v) {
      if (open) flush();
      open = false;
    } else if (!open || i > from && !series.joined(i)) {
      if (open) flush();
      move(at, v);
      open = true;
      x = at;
      min = max = last = v;
    } else if (at !== x) {
      flush();
      line(at, v);
      x = at;
      min = max = last = v;
    } else {
      if (v < min) min = v;
      if (v > max) max = v;
      last = v;
    }
  }
  if (open) flush();
}
