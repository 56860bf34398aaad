// The snapshots of a document: the site keeps them, pages make them.
//
// The site cannot read them, and any page may be wrong or lie. So what comes from the site is merged, never put in place of what is
// there; the site gives two, of which the older is from a while ago, and the place of the older one in the history; and a snapshot that
// somebody else has made is looked at by each of those who are there, who put a better one in its place if it lacks anything.
import { toBase64 } from "lib0/buffer";
import * as Y from "yjs";
import { MOST, encode, epoch, offset, read, same } from "./updates.js";

const QUIET = 3000;     // ms without a message, and up to twice that, until a snapshot is made
const MANY = 200;       // messages after which one is made in any case; far fewer than encke.toml lets history have
const AGAIN = 2000;     // ms, and up to twice that, until what failed is tried again
const VERIFY = 150000;  // ms, and up to twice that, until somebody else's is looked at: by then it must not be the older one (shelf.go)
const TRIES = 5;        // how often the site is asked for what is missing before a snapshot is made without that

export class Snapshots {
  #newest = null;   // {tag, position}
  #changed = "";    // the position of the last update
  #tries = 0;

  /** @param provider whose document it is @param options {many}: in place of MANY */
  constructor(provider, { many = MANY } = {}) {
    Object.assign(this, { provider, many });
  }

  /** What the site has: {snapshots: updates, the newest first, from, head}. */
  async load() {
    const { snapshots, newest, from, head } = await this.provider.store.load();
    this.#newest = newest;
    return { snapshots: snapshots.map(read), from, head };
  }

  /** Sees each message of the channel. */
  take({ event, user, data, position }, isUpdate) {
    if (isUpdate) this.#changed = position;
    if (event === "kept" && user === undefined) this.#kept(data); // from the site: what a client publishes has a user
    this.soon();
  }

  // somebody has made one
  #kept(data) {
    if (typeof data?.tag !== "string" || typeof data.position !== "string" || data.tag === this.#newest?.tag) return;
    this.#newest = data;
    this.provider.timers.once("verify", VERIFY * (1 + Math.random()), () => this.#look().catch(() => {}));
  }

  // how many messages there are since the newest one, when there was an update among them
  get #behind() {
    const since = (a, b) => !a ? 0 : b && epoch(a) === epoch(b) ? offset(a) - offset(b) : offset(a);
    const { position } = this.#newest ?? {}, now = this.provider.position;
    return epoch(this.#changed) === epoch(now) && since(this.#changed, position) > 0 ? since(now, position) : 0;
  }

  /** Makes one when it is time. */
  soon() {
    const { provider } = this, behind = provider.ready && this.#behind, make = () => this.#make();
    if (!behind) return;
    if (behind >= this.many) provider.timers.once("many", 1000 * Math.random(), make);
    provider.timers.soon("quiet", QUIET * (1 + Math.random()), make);
  }

  async #make(anyway) {
    const { provider } = this, { doc, store, timers } = provider, again = ms => timers.soon("quiet", ms * (1 + Math.random()), () => this.#make(anyway));
    if (!anyway && !this.#behind) return;
    // What nobody else has must not be in a snapshot alone. Without a connection there may be a gap. And while something is missing
    // this page is not the one to make it.
    if (!provider.ready || provider.waits || provider.encke.state !== "open" || doc.store.pendingStructs && this.#tries < TRIES) return again(QUIET);
    try {
      const state = encode(doc);
      if (state.length > MOST) throw new Error("This document has become too large to be kept. Copy what you need into another one.");
      this.#newest = await store.save({ position: provider.position, after: this.#newest?.tag ?? "", state: toBase64(state) });
      provider.right();
    } catch (e) {
      if (e.status === 409) await this.#look().catch(() => {});
      else if (e.status !== 429) provider.wrong(e);
      again(AGAIN);
    }
  }

  // merges what the site has, and makes a better one when its newest has less than there is
  async #look() {
    const { provider } = this, { snapshots } = await this.load(), there = new Y.Doc();
    for (const update of snapshots) provider.merge(update);
    provider.merge(snapshots[0], there);
    if (!same(there, provider.doc)) provider.timers.soon("quiet", QUIET * Math.random(), () => this.#make(true));
    there.destroy();
  }

  /** Where something is missing, updates that need it wait in the document: looks for it at the site. */
  mend() {
    const { doc, timers } = this.provider;
    if (!doc.store.pendingStructs) this.#tries = 0;
    else timers.once("mend", AGAIN * 2 ** Math.min(this.#tries, TRIES), () => {
      this.#tries++;
      this.#look().catch(() => {}).then(() => this.mend());
    });
  }
}
