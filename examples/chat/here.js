// Who is in the room, and who is typing: both by the channel chat-here:{room}, to which one is subscribed only while one looks at it.
import { colour, el } from "/shared.js";
import { isolate, isUser } from "./rules.js";
import { initial } from "./messages.js";

const SHOWN = 100;
const EVERY = 2500, FOR = 6000; // ms: how often typing is said at most, and for how long it is believed

export class Here {
  #sub;
  #names;
  #me;
  #typing = new Map(); // user → when it is over
  #said = 0;
  #timer = 0;
  #drawing = 0;
  presence = null;

  constructor(names) {
    this.#names = names;
  }

  /** Enters a room, and leaves the last one. */
  enter(encke, room, me) {
    this.#sub?.unsubscribe();
    this.#me = me;
    this.#typing.clear();
    this.#said = 0;
    this.presence = null;
    this.draw();
    const sub = this.#sub = encke.subscribe(room.here, m => {
      if (m.event === "typing" && isUser(m.user) && m.user !== me && this.#typing.size < 1000) this.#type(m.user, Date.now() + FOR);
    });
    sub.presence((presence, change) => {
      if (sub !== this.#sub) return;
      this.presence = presence;
      for (const m of change?.join ?? (change ? [] : presence.members.values())) this.#names.hint(m.user, m.info?.name);
      this.drawSoon();
    });
  }

  /** Says that one is typing, not more often than is needed. Only where the connection can publish: it is not worth a request. */
  type(encke) {
    const now = Date.now();
    if (now - this.#said < EVERY || encke.state !== "open" || encke.transport !== "ws") return;
    this.#said = now;
    this.#sub.publish({}, { event: "typing" }).catch(() => {});
  }

  /** One has sent what one was typing. */
  typed() {
    this.#said = 0;
  }

  /** Somebody has said it: is not typing any more. */
  said(user) {
    if (this.#typing.delete(user)) this.#showTyping();
  }

  drawSoon() {
    this.#drawing ||= setTimeout(() => this.draw(), 100);
  }

  draw() {
    clearTimeout(this.#drawing);
    this.#drawing = 0;
    const { presence } = this, names = this.#names, list = document.getElementById("people");
    const all = [...presence?.members.values() ?? []].filter(m => isUser(m.user)), total = presence?.users ?? all.length;
    const named = all.slice(0, 1000).map(({ user }) => ({ user, name: names.label(user) })).filter(m => names.named(m.user))
      .sort((a, b) => (b.user === this.#me) - (a.user === this.#me) || a.name.localeCompare(b.name));
    const lines = named.slice(0, SHOWN).map(({ user, name }) => el("li", { style: `--face: ${colour(user)}` }, el("span", { class: "face", "aria-hidden": "true" }, initial(name)),
      el("span", {}, el("bdi", {}, name), user === this.#me ? el("small", {}, " you") : "")));
    const rest = total - lines.length;
    if (rest > 0) lines.push(el("li", { class: "dim" }, (lines.length ? "and " : "") + rest + (named.length > SHOWN || presence.too_many ? " more" : " without a name")));
    list.replaceChildren(...lines);
    for (const e of document.querySelectorAll("[data-here]")) e.textContent = presence ? String(total) : "–";
    this.#showTyping();
  }

  #type(user, until) {
    this.#typing.set(user, until);
    this.#showTyping();
  }

  #showTyping() {
    clearTimeout(this.#timer);
    const now = Date.now();
    for (const [user, until] of this.#typing) if (until <= now) this.#typing.delete(user);
    const users = [...this.#typing.keys()], [a, b] = users.map(u => isolate(this.#names.label(u)));
    document.getElementById("typing").textContent = !users.length ? "" : users.length === 1 ? `${a} is typing…` : users.length === 2 ? `${a} and ${b} are typing…` : `${users.length} people are typing…`;
    if (users.length) this.#timer = setTimeout(() => this.#showTyping(), Math.min(...this.#typing.values()) - now + 20);
  }
}
