// The notes of one person, as this page knows them. Two sources say what there is, in any order: the site's inbox, and what is pushed.
// So notes are only ever added, and only ever go forward: kept, delivered, read.

const order = ["kept", "delivered", "read"];
export const KEEP = 100; // as the site does

export class Notes {
  got = new Map(); // by id
  sent = new Map();
  run = null; // of the site

  /** @param people a Map of those who are known, by id */
  constructor(me, people) {
    Object.assign(this, { me, people });
  }

  /** Whether something is a note from somebody known to somebody known, and nothing else. */
  valid(n) {
    return typeof n === "object" && n !== null && typeof n.id === "string" && /^[\w.-]{1,128}$/.test(n.id) && Number.isSafeInteger(n.n) && n.n > 0
      && this.people.has(n.from) && this.people.has(n.to) && typeof n.text === "string" && n.text.length > 0 && n.text.length <= 4000
      && typeof n.important === "boolean" && Number.isFinite(n.time) && Math.abs(n.time) < 8e15 && order.includes(n.state);
  }

  /** Takes a note that this person has got or has sent. Returns whether it was not known; false for what is no note. */
  take(n, box = this.got) {
    if (!this.valid(n) || (box === this.got ? n.to : n.from) !== this.me) return false;
    const was = box.get(n.id);
    if (was) return this.raise([n.id], n.state), false;
    const { id, n: number, from, to, text, important, time, state } = n;
    box.set(id, { id, n: number, from, to, text, important, time, state, seen: performance.now() });
    if (box.size > KEEP) box.delete(newest(box).at(-1).id);
    return true;
  }

  /** Brings notes as far as state. */
  raise(ids, state) {
    if (!Array.isArray(ids) || !order.includes(state)) return;
    for (const id of ids.slice(0, KEEP)) for (const box of [this.got, this.sent]) {
      const n = box.get(id);
      if (n && order.indexOf(n.state) < order.indexOf(state)) n.state = state;
    }
  }

  /**
   * Takes the site's inbox, which was asked for at a time (of performance.now()). Returns the notes that were not known, and how many
   * the site has forgotten because it was started anew.
   */
  merge({ run, notes, sent }, asked) {
    const fresh = [], before = this.got.size + this.sent.size, there = { got: new Set(), sent: new Set() };
    for (const [box, list] of [["got", notes], ["sent", sent]]) for (const n of Array.isArray(list) ? list : []) {
      if (!this.valid(n)) continue;
      there[box].add(n.id);
      if (this.take(n, this[box]) && box === "got") fresh.push(this.got.get(n.id));
    }
    let gone = 0;
    for (const box of ["got", "sent"]) for (const n of this[box].values()) {
      if (there[box].has(n.id) || n.seen > asked) continue;
      this[box].delete(n.id);
      gone++;
    }
    const forgotten = this.run !== null && run !== this.run && before ? gone : 0;
    this.run = run;
    return { fresh, forgotten };
  }

  unread() {
    return newest(this.got).filter(n => n.state !== "read");
  }
}

/** The notes of a box, the newest first. */
export const newest = box => [...box.values()].sort((a, b) => b.n - a.n);
