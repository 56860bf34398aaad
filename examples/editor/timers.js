/** Timers with names, of which there is one each. */
export class Timers {
  #all = new Map();
  #over = false;

  /** Calls f after ms, in place of what was to be called under that name. */
  soon(name, ms, f) {
    if (this.#over) return;
    this.stop(name);
    this.#all.set(name, setTimeout(() => {
      this.#all.delete(name);
      f();
    }, ms));
  }

  /** The same, unless something is to be called already. */
  once(name, ms, f) {
    if (!this.#all.has(name)) this.soon(name, ms, f);
  }

  stop(name) {
    clearTimeout(this.#all.get(name));
    this.#all.delete(name);
  }

  /** Stops all, and takes none any more. */
  end() {
    this.#over = true;
    for (const name of [...this.#all.keys()]) this.stop(name);
  }
}
