// The list of who is here.
import { colour, el } from "/shared.js";

const SHOWN = 12; // people by name; the others are a number

/** What somebody without a name is called. */
export const guest = user => "Guest " + user.slice(0, 4);

/** A name that somebody else says, as it is shown: one line, no longer than the site allows, or "" when there is nothing to see in it. */
export const cleanName = name => typeof name === "string" ? [...name.replace(/[\p{C}\u2028\u2029]/gu, "").trim()].slice(0, 24).join("") : "";

/** Colours for those who are here, in which as few as possible are alike; one's own stays while one is here. */
export class Colours {
  #taken = new Map(); // user → 0 to 7

  of(user) {
    if (!this.#taken.has(user)) {
      const others = new Set(this.#taken.values()), first = +colour(user).match(/\d/)[0];
      this.#taken.set(user, [0, 1, 2, 3, 4, 5, 6, 7].map(n => (first + n) % 8).find(n => !others.has(n)) ?? first);
    }
    return `var(--c${this.#taken.get(user)})`;
  }

  /** Takes back the colours of those who are not here. */
  keep(isHere) {
    for (const user of this.#taken.keys()) if (!isHere(user)) this.#taken.delete(user);
  }
}

export class People {
  #known;
  #joined = [];

  constructor(list, news, me) {
    Object.assign(this, { list, news, me });
  }

  /** Shows people: {user, name, color}, and how many there are in all. Says once a moment who has come. */
  show(people, all = people.length) {
    const own = p => p.user === this.me;
    people.sort((a, b) => own(b) - own(a) || a.name.localeCompare(b.name) || (a.user < b.user ? -1 : 1));
    const items = people.slice(0, SHOWN).map(p => {
      const dot = el("span", { class: "dot", "aria-hidden": "true" });
      dot.style.background = p.color;
      return el("li", {}, dot, el("bdi", {}, p.name), ...own(p) ? [el("span", { class: "dim" }, "you")] : []);
    });
    if (all > items.length) items.push(el("li", { class: "dim" }, `and ${(all - items.length).toLocaleString("en")} more`));
    if (items.map(i => i.outerHTML).join() !== [...this.list.children].map(i => i.outerHTML).join()) this.list.replaceChildren(...items);
    this.#tell(people);
  }

  #tell(people) {
    const now = new Map(people.map(p => [p.user, p.name])), was = this.#known;
    this.#known = now;
    if (!was) return;
    for (const [user, name] of now) if (!was.has(user)) this.#joined.push(name);
    if (this.#joined.length) this.timer ??= setTimeout(() => {
      const all = this.#joined.splice(0);
      this.timer = undefined;
      this.news.textContent = all.length > 3 ? `${all.length} people have come` : `${all.join(", ")} ${all.length > 1 ? "have" : "has"} come`;
    }, 1500);
  }
}
