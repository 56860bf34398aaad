// What time it is where the figures come from. A phone's clock may be seconds off, and then a delay could not be told.

/**
 * Asks Encke for the time: the answer that took least says it best. now() is its time in ms; error says how wrong that may be, NaN
 * before the first answer.
 */
export class Clock {
  offset = 0;
  error = NaN;

  constructor(url) {
    this.url = url;
  }

  now() {
    return performance.timeOrigin + performance.now() + this.offset;
  }

  async set(times = 5) {
    let best = Infinity;
    for (let i = 0; i < times; i++) try {
      const began = performance.now();
      const { pong: { time } } = await (await fetch(this.url + "/ping", { cache: "no-store" })).json();
      const took = performance.now() - began;
      if (!Number.isFinite(time) || took >= best) continue;
      best = took;
      this.offset = time + .5 - (performance.timeOrigin + began + took / 2); // time is whole ms, cut off
      this.error = took / 2 + .5;
    } catch {} // no network: it stays as it is
  }
}
