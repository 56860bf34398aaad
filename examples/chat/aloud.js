// What those hear who do not see the page: one status line, in which several messages at once are a number.
import { isolate } from "./rules.js";

const TOGETHER = 700; // ms

export class Aloud {
  #line;
  #names;
  #heard = [];

  constructor(line, names) {
    this.#line = line;
    this.#names = names;
  }

  say(words) {
    this.#line.textContent = words;
  }

  message(item) {
    if (this.#heard.push(item) > 1) return;
    setTimeout(() => {
      const all = this.#heard.splice(0);
      this.say(all.length > 3 ? `${all.length} new messages` : all.map(m => `${isolate(this.#names.label(m.user))}: ${m.text.slice(0, 200)}`).join("\n"));
    }, TOGETHER);
  }
}
