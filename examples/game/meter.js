// The latency display: what the last seconds were like, as figures and a line.

const POINTS = 60;
const median = list => [...list].sort((a, b) => a - b)[list.length >> 1];
const ms = n => n === undefined ? "–" : n < 10 ? `${n.toFixed(1)} ms` : `${Math.round(n)} ms`;

export class Meter {
  seen = [];
  trips = [];

  constructor(element) {
    this._e = element;
    this._dd = Object.fromEntries([...element.querySelectorAll("dd")].map(e => [e.dataset.of, e]));
  }

  /** A wish was in a state, after so many ms. */
  wishSeen(n) {
    if (n < 0 || n > 60000) return;
    this.seen.push(n);
    if (this.seen.length > POINTS) this.seen.shift();
  }

  /** A question to the server was answered, after so many ms. */
  roundTrip(n) {
    this.trips.push(n);
    if (this.trips.length > 5) this.trips.shift();
  }

  /** Shows how it is: {rate, jitter, way, latency}. */
  show({ rate, jitter, way, latency }) {
    const seen = median(this.seen.slice(-9)), trip = median(this.trips) ?? latency ?? undefined, text = (e, t) => e.textContent !== t && (e.textContent = t);
    text(this._e.querySelector("b"), seen === undefined ? "–" : String(Math.round(seen)));
    text(this._dd.trip, ms(trip));
    text(this._dd.rate, `${rate.toFixed(1)} a second`);
    text(this._dd.jitter, ms(jitter));
    text(this._dd.way, { ws: "WebSocket", sse: "event stream", stream: "stream", longpoll: "long polls", poll: "polls" }[way] ?? "–");
    this._line();
  }

  _line() {
    if (this.seen.length < 2) return;
    const top = Math.max(80, ...this.seen) * 1.05, room = Math.max(16, this.seen.length) - 1;
    const x = i => (120 * (i + room + 1 - this.seen.length) / room).toFixed(1);
    const points = this.seen.map((n, i) => `${x(i)} ${(27 - 26 * n / top).toFixed(1)}`);
    const line = "M" + points.join("L");
    this._e.querySelector(".line").setAttribute("d", line);
    this._e.querySelector(".area").setAttribute("d", `${line}L120 28L${x(0)} 28Z`);
  }
}
