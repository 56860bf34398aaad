// Keeps in this browser what has not been sent, so that a page that is closed without a connection loses nothing.
import { toBase64 } from "lib0/buffer";
import { read } from "./updates.js";

export class Spare {
  #own;
  #taken = [];

  /** Each window has a place of its own: the key is the document's name and the window's Yjs client. */
  constructor(name, client) {
    this.prefix = `encke-editor/${name}/`;
    this.#own = this.prefix + client;
  }

  /** What windows before this one have left. It stays until put(null): by then it is sent. */
  take() {
    return quietly(() => {
      const found = Object.keys(localStorage).filter(key => key.startsWith(this.prefix) && key !== this.#own);
      this.#taken = found.filter(key => read(localStorage.getItem(key))); // what is too large to be sent stays where it is
      return this.#taken.map(key => read(localStorage.getItem(key)));
    }) ?? [];
  }

  /** Keeps an update in place of the one before; null when all is sent. */
  put(update) {
    quietly(() => {
      if (update) return localStorage.setItem(this.#own, toBase64(update));
      for (const key of [this.#own, ...this.#taken.splice(0)]) localStorage.removeItem(key);
    });
  }
}

// storage may be forbidden, or full: then the page goes on without
function quietly(f) {
  try {
    return f();
  } catch {}
}
