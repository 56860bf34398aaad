// A Yjs document (Y.Doc) on a channel of Encke: what one writes everybody gets.
//
// Yjs merges updates in any order, and one that comes twice changes nothing. So all that has to be seen to is that each update reaches
// the channel at least once, and that nobody goes on without what the channel does not have any more:
//
//   a change here    → what came within 50 ms is merged and published with an id, again and again until Encke has said that it has it
//   a message        → the update is merged into the document, if it is one (updates.js)
//   one who comes    → merges the site's snapshots, subscribes from where they were made, and so has all that was ever published
//   a gap            → the same again, and then publishes what the server lacks: when Encke has been started anew that may be all
//   a quiet moment   → one of those who are there gives the site a snapshot, so that history may pass (snapshots.js)
import { toBase64 } from "lib0/buffer";
import { uuidv4 } from "lib0/random";
import * as Y from "yjs";
import { Snapshots } from "./snapshots.js";
import { Timers } from "./timers.js";
import { MOST, encode, epoch, offset, read, same } from "./updates.js";

const GATHER = 50;       // ms in which changes are merged to one message
const AGAIN = 2000;      // ms until what failed is tried again
const PATIENCE = 20000;  // ms in which the document comes, or the site is asked anew

export class EnckeProvider {
  /** The document is here, and what is written is sent. False until it has come, and from a gap until that is mended. */
  ready = false;
  /** What is wrong, in words for people, or "". */
  problem = "";
  timers = new Timers();
  #unsent = [];     // updates that are not yet published, oldest first
  #flight;          // what is being published: {id, update, sent}
  #there;           // until ready: a document of what the server has
  #head;            // until ready: how far the channel is, "" when nothing follows the snapshots; undefined until the site has said it
  #subscription;
  #begun;
  #off;

  /**
   * @param encke an Encke whose user may subscribe to the channel and publish there
   * @param store the site: load() gives {snapshots, newest, from, head}; save({position, after, state}) takes a snapshot, gives
   *   {tag, position}, and throws an Error with the status 409 when `after` is not the newest one's tag; publish({id, update}) pushes
   *   an update to the channel (site.go)
   * @param told is called whenever ready, problem or unsent() may be another
   * @param options see snapshots.js
   */
  constructor(encke, channel, doc, store, told = () => {}, options) {
    Object.assign(this, { encke, channel, doc, store, told });
    this.snapshots = new Snapshots(this, options);
    /** Fulfilled with the subscription as soon as there is one. */
    this.started = new Promise(done => { this.#begun = done; });
    const write = (update, origin) => origin === this || this.#write(update);
    const off = encke.on("state", state => state === "open" && this.#send());
    this.#off = () => doc.off("update", write, off());
    doc.on("update", write);
    this.#begin(0);
  }

  /** What Encke has not taken yet, as one update, or null. Whoever keeps that loses nothing when the page is closed. */
  unsent() {
    const all = this.#flight ? [this.#flight.update, ...this.#unsent] : this.#unsent;
    return all.length ? Y.mergeUpdates(all) : null;
  }

  /** Whether there is any. */
  get waits() {
    return Boolean(this.#flight || this.#unsent.length);
  }

  /** Everything up to there has been merged. */
  get position() {
    return this.#subscription.since;
  }

  /** Ends it: nothing comes or goes any more. The document and the Encke stay. */
  destroy() {
    this.#there = undefined;
    this.timers.end();
    this.#off();
    this.#subscription?.unsubscribe();
  }

  // --- what comes ---

  // asks the site for the document, until it answers
  async #begin(wait) {
    if (this.#there) this.merge(Y.encodeStateAsUpdate(this.#there));
    const there = this.#there = new Y.Doc();
    this.#head = undefined;
    this.ready = false;
    this.told();
    this.timers.soon("patience", PATIENCE, () => this.#begin(0));
    for (; ; wait = AGAIN) {
      await new Promise(done => setTimeout(done, wait));
      if (this.#there !== there) return;
      try {
        const { snapshots, from, head = "" } = await this.snapshots.load();
        if (this.#there !== there) return;
        for (const update of snapshots) this.merge(update, there);
        this.#head = head;
        this.#begun(this.#subscription ??= this.#subscribe(from));
        return this.#arrive();
      } catch (e) {
        this.wrong(e);
      }
    }
  }

  #subscribe(since) {
    const s = this.encke.subscribe(this.channel, m => this.#take(m), { since });
    s.on("error", e => this.wrong(e));
    s.on("gap", gap => {
      if (this.#there && this.#head && epoch(this.#head) === epoch(gap.position)) return this.#arrive(); // between the snapshots and what is kept
      this.#begin(Math.random() * 500); // not all at once: those who are later find what the first have published
    });
    return s;
  }

  #take(m) {
    const update = m.event === "update" && read(m.data);
    if (update) this.merge(update, this.#there);
    this.snapshots.take(m, Boolean(update));
    if (this.#there) this.#arrive();
  }

  // when all has come: makes the document what the server has and what this page alone has, and publishes the latter
  #arrive() {
    const { doc } = this, there = this.#there, head = this.#head, at = this.#subscription?.since;
    if (!(head === "" || head && epoch(head) === epoch(at) && offset(head) <= offset(at))) return;
    this.timers.stop("patience");
    this.#there = undefined;
    this.merge(Y.encodeStateAsUpdate(there, Y.encodeStateVector(doc)));
    this.#unsent = same(there, doc) ? [] : [encode(doc, Y.encodeStateVector(there))];
    there.destroy();
    this.ready = true;
    this.#send();
    this.snapshots.soon();
    this.right();
  }

  /** Merges an update, which may be undefined, into the document or another one. */
  merge(update, doc = this.doc) {
    if (update) try {
      Y.applyUpdate(doc, update, this);
    } catch {} // well-formed but senseless: what Yjs has taken of it here it takes everywhere
    if (doc === this.doc) this.snapshots.mend();
  }

  // --- what goes ---

  #write(update) {
    if (this.#unsent.push(update) > 100) this.#unsent = [Y.mergeUpdates(this.#unsent)]; // a long time without a connection
    this.timers.soon("send", GATHER, () => this.#send());
    this.told();
  }

  async #send() {
    if (this.#unsent.length) this.#flight ??= { id: uuidv4(), update: Y.mergeUpdates(this.#unsent.splice(0)) };
    const flight = this.#flight;
    if (!this.ready || !flight || flight.sent) return;
    flight.sent = true;
    try {
      if (flight.update.length > MOST) throw new Error("This is too large to be sent. Copy what you need into another document.");
      await this.#publish(flight.id, toBase64(flight.update));
      this.#flight = undefined;
      this.right();
      this.timers.soon("send", GATHER, () => this.#send());
    } catch (e) {
      flight.sent = false;
      if (!/^(timeout|connection_lost)$/.test(e.code)) this.wrong(e); // those two the state of the connection tells
      this.timers.soon("send", AGAIN, () => this.#send());
    }
  }

  // stored once, also when the connection breaks before the answer; through the site where there is no WebSocket
  async #publish(id, update) {
    try {
      await this.encke.publish(this.channel, update, { event: "update", id });
    } catch (e) {
      if (e.code !== "needs_websocket") throw e;
      await this.store.publish({ id, update });
    }
  }

  right() {
    this.problem = "";
    this.told();
  }

  wrong(e) {
    this.problem = e.message;
    this.told();
  }
}
