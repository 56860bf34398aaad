// What people are called. A publication says who it is from by an id that Encke vouches for; that id's name comes from the site alone:
// in the info of a token (presence), by the channel chat-names when somebody changes it, and asked for of those who have gone.
import { ask } from "/shared.js";

const MAX = 5000, AT_ONCE = 100, NOBODY = "somebody";

export class Names {
  #names = new Map(); // id → name; "" for those whom the site does not know
  #same = new Map(); // name, as people read it → ids
  #wanted = new Set(); // to be asked for
  #asked = new Set(); // asked for, and nothing newer was told since
  #changed;
  #sub;

  /** changed is called with the ids of those that are shown otherwise from now on. */
  constructor(changed) {
    this.#changed = changed;
  }

  /** Follows the changes that the site tells: by this connection, on from where it was. */
  follow(encke) {
    this.#sub = encke.subscribe("chat-names", ({ user, data }) => {
      if (user || typeof data?.name !== "string") return;
      if (this.#names.has(data.user) || this.#asked.has(data.user)) this.set(data.user, data.name); // others are asked for when they are shown
    }, { since: this.#sub?.since || "0" });
    this.#sub.on("gap", () => this.#again());
  }

  /** What somebody is shown as. Two of the same name are told apart by the beginning of their ids. */
  label(id) {
    const name = this.#names.get(id);
    if (name === undefined) this.#want(id);
    return !name ? NOBODY : this.#same.get(fold(name)).size > 1 ? `${name} (${id.slice(0, 4)})` : name;
  }

  named(id) {
    return !!this.#names.get(id);
  }

  /** What presence says counts only where nothing newer is known. */
  hint(id, name) {
    if (typeof name === "string" && !this.#names.get(id)) this.set(id, name);
  }

  set(id, name) {
    const was = this.#names.get(id), clean = name.slice(0, 48);
    this.#asked.delete(id);
    if (was === clean) return;
    if (was === undefined && this.#names.size >= MAX) this.#forget(this.#names.keys().next().value);
    const others = this.#forget(id);
    this.#names.set(id, clean);
    const same = clean && (this.#same.get(fold(clean)) ?? this.#same.set(fold(clean), new Set()).get(fold(clean)));
    if (same) same.add(id);
    this.#changed(new Set([id, ...others, ...same || []]));
  }

  // returns who had the same name
  #forget(id) {
    const name = this.#names.get(id), same = name && this.#same.get(fold(name));
    this.#names.delete(id);
    if (!same) return [];
    same.delete(id);
    if (!same.size) this.#same.delete(fold(name));
    return same;
  }

  #want(id, after = 50) {
    if (!this.#wanted.size) setTimeout(() => this.#ask(), after);
    this.#wanted.add(id);
  }

  async #ask() {
    const some = [...this.#wanted].slice(0, AT_ONCE);
    for (const id of some) this.#wanted.delete(id), this.#asked.add(id);
    if (this.#wanted.size) setTimeout(() => this.#ask(), 50);
    try {
      const found = await ask("GET", "/chat/names?users=" + encodeURIComponent(some));
      for (const id of some) if (this.#asked.has(id)) this.set(id, typeof found[id] === "string" ? found[id] : "");
    } catch { // the site is away
      for (const id of some) if (this.#asked.delete(id)) this.#want(id, 5000);
    }
  }

  // what was told in the meantime is unknown: all are asked for again
  #again() {
    for (const id of this.#names.keys()) this.#want(id);
  }
}

const fold = name => name.normalize("NFKC").toLowerCase().replace(/\s+/g, " ");
