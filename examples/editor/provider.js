// A Yjs document (Y.Doc) on a channel of Encke: what one writes everybody gets, in the channel's order.
//
// Yjs merges updates in any order, and one that comes twice changes nothing. So all that this file has to see to is that each update
// reaches the channel at least once, and that nobody goes on without what the channel does not have any more:
//
//   a change here    → what came within 50 ms is merged and published with an id, again and again until Encke says that it has it
//   a message        → the update is merged into the document, if it is one (updates.js)
//   one who comes    → merges the site's snapshots, subscribes from their position, and so has all that was ever published
//   a gap            → the same again, and then publishes what the server does not have: after a restart of Encke that may be all
//   a quiet moment   → somebody makes the next snapshot and gives it to the site, so that the history may pass
//
// The site keeps snapshots but cannot read them: never trust a single one. What load gives is merged, never put in place of anything.
import { fromBase64, toBase64 } from "lib0/buffer";
import { uuidv4 } from "lib0/random";
import * as Y from "yjs";
import { MOST, isUpdate } from "./updates.js";

const GATHER = 50;        // ms in which changes are merged to one message
const AGAIN = 2000;       // ms until what failed is tried again
const PATIENCE = 20000;   // ms in which a document comes whole, or the site is asked anew
const QUIET = 3000;       // ms without a message after which a snapshot is made
const MANY = 200;         // messages after which one is made in any case
const VERIFY = 150000;    // ms, and up to twice that, until somebody else's snapshot is looked at

export class EnckeProvider {
  /** The document has come, and what is written is sent. False again from a gap until it is mended. */
  ready = false;
  /** What is wrong in words for people, or "". */
  problem = "";
  #unsent = [];         // updates that are not yet published, oldest first
  #flight;              // the one that is being published: {id, update}
  #there;               // until ready: a document of what the server has
  #head;                // until ready: how far the channel is ("" when nothing follows the snapshots); undefined until the site has said
  #kept;                // the newest snapshot: {tag, position}
  #changed = 0;         // the offset of the last update
  #subscription;
  #start;
  #mended = 0;          // how often what is missing was looked for at the site
  #timers = {};

  /**
   * @param encke an Encke with the rights to subscribe to the channel and to publish there
   * @param store the site: load() gives {snapshots, newest, from, head}, save({position, after, state}) takes a snapshot and gives
   *   {tag, position}, or throws an Error with the status 409 when `after` is not the newest one's tag (site.go)
   * @param told is called whenever ready, problem or unsent() may have changed
   */
  constructor(encke, channel, doc, store, told = () => {}) {
    Object.assign(this, { encke, channel, doc, store, told });
    doc.on("update", (update, origin) => {
      if (origin === this) return;
      this.#unsent.push(update);
      this.#soon("send", GATHER, () => this.#send());
      told();
    });
    encke.on("state", state => state === "open" && this.#send());
    /** Fulfilled with the subscription. */
    this.started = new Promise(done => { this.#start = done; });
    this.#begin(0);
  }

  /** What Encke has not yet taken, as one update, or null. Whoever keeps it loses nothing when the page is closed. */
  unsent() {
    const all = this.#flight ? [this.#flight.update, ...this.#unsent] : this.#unsent;
    return all.length ? Y.mergeUpdates(all) : null;
  }

  // --- coming: the document as the server has it ---

  // asks the site for the document, after a while, until it answers
  async #begin(wait) {
    this.ready = false;
    if (this.#there) this.#merge(this.doc, Y.encodeStateAsUpdate(this.#there));
    const there = this.#there = new Y.Doc();
    this.#head = undefined;
    this.told();
    this.#soon("again", PATIENCE, () => this.#begin(0));
    for (; ; wait = AGAIN) {
      await new Promise(done => setTimeout(done, wait));
      if (this.#there !== there) return;
      try {
        const { snapshots, newest, from, head = "" } = await this.store.load();
        if (this.#there !== there) return;
        this.problem = "";
        this.#kept = newest;
        for (const text of snapshots) this.#merge(there, read(text));
        this.#head = head;
        this.#start(this.#subscription ??= this.#subscribe(from));
        return this.#arrive();
      } catch (e) {
        this.#wrong(e);
      }
    }
  }

  #subscribe(since) {
    const s = this.encke.subscribe(this.channel, m => this.#take(m, s), { since });
    s.on("gap", gap => {
      if (gap.reason !== "expired") this.#changed = 0; // offsets begin anew
      const known = this.#there && this.#head !== undefined && (!this.#head || epoch(this.#head) === epoch(gap.position));
      if (known) this.#arrive(); // history begins later than the snapshot, and that the site has told
      else this.#begin(Math.random() * 500); // not all in the same moment: who is later finds what the first has published
    });
    s.on("error", e => this.#wrong(e));
    return s;
  }

  #take(m, { since }) {
    const update = m.event === "update" && read(m.data);
    if (update) {
      this.#changed = m.offset;
      this.#merge(this.#there ?? this.doc, update);
    } else if (m.event === "kept" && m.user === undefined) { // from the site: what a client publishes has a user
      this.#keptBy(m.data);
    }
    if (this.#there) this.#arrive();
    else this.#keepSoon(since);
  }

  // once all has come: makes the document what the server has and what only this page has, and publishes the latter
  #arrive() {
    const { doc } = this, there = this.#there, at = this.#subscription?.since;
    const come = this.#head === "" || this.#head && epoch(at) === epoch(this.#head) && offset(at) >= offset(this.#head);
    if (!there || !come) return;
    clearTimeout(this.#timers.again);
    this.#there = undefined;
    this.#merge(doc, Y.encodeStateAsUpdate(there, Y.encodeStateVector(doc)));
    this.#unsent = same(there, doc) ? [] : [encode(doc, Y.encodeStateVector(there))];
    there.destroy();
    this.ready = true;
    this.#send();
    this.#keepSoon();
    this.told();
  }

  // an update that depends on what has never come waits inside the document: then a snapshot has left something out, or had more
  #merge(doc, update) {
    if (!update) return;
    try {
      Y.applyUpdate(doc, update, this);
    } catch {} // well-formed but senseless; Yjs has taken of it what it could, here as everywhere
    if (doc !== this.doc) return;
    if (!doc.store.pendingStructs) this.#mended = 0;
    else this.#once("mend", AGAIN * 2 ** Math.min(this.#mended, 8), () => this.#look(this.#mended++));
  }

  // --- going: what is written here ---

  async #send() {
    if (this.#unsent.length && !this.#flight) this.#flight = { id: uuidv4(), update: Y.mergeUpdates(this.#unsent.splice(0)) };
    const flight = this.#flight;
    if (!this.ready || !flight || flight.sent) return;
    flight.sent = true;
    try {
      if (flight.update.length > MOST) throw new Error("This document has become too large to be sent. Copy what you need into a new one.");
      await this.encke.publish(this.channel, toBase64(flight.update), { event: "update", id: flight.id }); // once, also when the connection breaks
      this.#flight = undefined;
      this.problem = "";
      this.#soon("send", this.#unsent.length ? GATHER : 0, () => this.#send());
    } catch (e) {
      flight.sent = false;
      if (!/^(timeout|connection_lost)$/.test(e.code)) this.#wrong(e); // those two the connection's state tells already
      this.#soon("send", AGAIN, () => this.#send());
    }
    this.told();
  }

  // --- keeping: snapshots ---

  #behind(at) {
    const { position } = this.#kept ?? {};
    return this.#changed > 0 && (!position || epoch(position) !== epoch(at) || this.#changed > offset(position));
  }

  #keepSoon(at = this.#subscription.since) {
    if (!this.ready || !this.#behind(at)) return;
    const since = this.#kept && epoch(this.#kept.position) === epoch(at) ? offset(this.#kept.position) : 0;
    if (offset(at) - since >= MANY) this.#once("many", 1000 * Math.random(), () => this.#keep());
    this.#soon("quiet", QUIET * (1 + Math.random()), () => this.#keep());
  }

  async #keep(again) {
    const at = this.#subscription.since;
    if (!this.ready || !again && !this.#behind(at)) return;
    // what nobody else has must not be in a snapshot alone; and without a connection there may have been a gap
    if (this.unsent() || this.encke.state !== "open") return this.#soon("quiet", QUIET, () => this.#keep(again));
    try {
      const state = encode(this.doc);
      if (state.length > MOST) throw new Error("This document has become too large to be kept. Copy what you need into a new one.");
      this.#kept = await this.store.save({ position: at, after: this.#kept?.tag ?? "", state: toBase64(state) });
      this.problem = "";
      this.told();
    } catch (e) {
      if (e.status === 409) await this.#look();
      else if (e.status !== 429) this.#wrong(e);
      this.#soon("quiet", AGAIN * (1 + Math.random()), () => this.#keep(again));
    }
  }

  // Somebody else has made one. Whether it is good shows when it is looked at; were it left, text might be lost for those to come.
  #keptBy(kept) {
    if (typeof kept?.tag !== "string" || typeof kept.position !== "string" || kept.tag === this.#kept?.tag) return;
    this.#kept = kept;
    this.#once("verify", VERIFY * (1 + Math.random()), () => this.#look());
  }

  // merges what the site has; when its newest snapshot has less than it should, makes a better one
  async #look() {
    try {
      const { snapshots, newest } = await this.store.load(), there = new Y.Doc();
      this.#kept = newest;
      for (const text of snapshots) this.#merge(this.doc, read(text));
      this.#merge(there, read(snapshots[0]));
      if (!same(there, this.doc)) this.#soon("quiet", QUIET * Math.random(), () => this.#keep(true));
      there.destroy();
    } catch {} // another time
  }

  // --- small things ---

  #wrong(e) {
    this.problem = e.code === "needs_websocket" ? "This network lets nothing be sent: editing needs WebSocket." : e.message;
    this.told();
  }

  #soon(name, ms, f) {
    clearTimeout(this.#timers[name]);
    this.#timers[name] = setTimeout(() => {
      this.#timers[name] = undefined;
      f();
    }, ms);
  }

  #once(name, ms, f) {
    if (!this.#timers[name]) this.#soon(name, ms, f);
  }
}

// positions are epoch.offset (PROTOCOL.md "Positions")
const epoch = position => position.split(".")[0];
const offset = position => +position.split(".")[1];

const same = (a, b) => Y.equalSnapshots(Y.snapshot(a), Y.snapshot(b));

// A document as an update, or what of it a state vector lacks. What waits for something that never came is left out when there is not
// enough room: nobody honest leaves much of that.
function encode(doc, vector) {
  const all = Y.encodeStateAsUpdate(doc, vector), { pendingStructs, pendingDs } = doc.store;
  if (all.length <= MOST) return all;
  Object.assign(doc.store, { pendingStructs: null, pendingDs: null });
  try {
    return Y.encodeStateAsUpdate(doc, vector);
  } finally {
    Object.assign(doc.store, { pendingStructs, pendingDs });
  }
}

// the update that a message or the site says, when it is one
function read(text) {
  if (typeof text !== "string" || text.length > MOST / 3 * 4) return;
  try {
    const update = fromBase64(text);
    return isUpdate(update) ? update : undefined;
  } catch {}
}
