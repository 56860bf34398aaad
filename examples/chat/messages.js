// The list of messages: draws what is new, and keeps its place while somebody reads older ones.
import { colour, el } from "/shared.js";
import { MAX_ITEMS } from "./room.js";
import { pieces } from "./rules.js";

const TOGETHER = 5 * 60000; // ms: what one person says within is one group
const LONG = 700, LINES = 14;

const clock = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const dayOf = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long" });
const dayWithYear = new Intl.DateTimeFormat("en-GB", { weekday: "long", day: "numeric", month: "long", year: "numeric" });

const GAPS = {
  epoch: "Some messages may be missing here: the server was started again.",
  "": "Some messages are missing here: they were not kept for long enough.",
};

export class Messages {
  #scroller;
  #list;
  #waiting;
  #names;
  #on;
  #room = null;
  #last = null; // the item drawn last
  #later = 0;

  /** Whether the end is in sight: then the list follows what is new. */
  atEnd = true;

  /** on: ended(), the end has come in sight; retry(item); discard(item). */
  constructor(scroller, names, on) {
    this.#scroller = scroller;
    [this.#list, this.#waiting] = scroller.querySelectorAll("ol");
    this.#names = names;
    this.#on = on;
    scroller.addEventListener("scroll", () => this.#look(), { passive: true });
    new ResizeObserver(() => this.atEnd && this.toEnd()).observe(scroller);
  }

  /** Shows a room, where it was left. */
  show(room, me) {
    this.leave();
    this.#room = room;
    this.me = me;
    this.#last = null;
    this.#list.replaceChildren();
    room.undrawn = [...room.items];
    this.atEnd = true;
    this.draw();
    this.outbox();
    const line = this.#list.querySelector(".fresh");
    if (room.place !== null) this.#scroller.scrollTop = room.place;
    else if (line && line.offsetTop < this.#scroller.scrollTop) this.#scroller.scrollTop = line.offsetTop - 16;
    this.#look();
  }

  /** Takes note of the place in the room that is shown, before another is. */
  leave() {
    if (!this.#room) return;
    this.#room.place = this.atEnd ? null : this.#scroller.scrollTop;
    this.#room.undrawn = null;
    this.#room.trim();
  }

  /** Draws what is new, soon: a hundred at once are one change of the page. */
  drawSoon() {
    this.#later ||= setTimeout(() => this.draw());
  }

  draw() {
    clearTimeout(this.#later);
    this.#later = 0;
    const room = this.#room, follow = this.atEnd;
    for (const item of room.undrawn.splice(0)) this.#append(item);
    if (follow || room.items.length > 4 * MAX_ITEMS) this.#trim();
    if (!follow) return;
    this.toEnd();
    this.#on.ended();
  }

  toEnd() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.atEnd = true;
  }

  /** Takes the line before what was new away. */
  clearLine() {
    this.#list.querySelector(".fresh")?.remove();
  }

  /** Shows names as they are now. */
  rename(ids) {
    for (const e of this.#list.querySelectorAll("[data-user]")) if (ids.has(e.dataset.user)) e.textContent = this.#name(e);
  }

  /** Names of days change at midnight. */
  days() {
    for (const e of this.#list.querySelectorAll(".day span")) e.textContent = dayName(+e.dataset.time);
  }

  /** Shows what is on its way. */
  outbox() {
    this.#waiting.replaceChildren(...this.#room.outbox.map(item => this.#own(item)));
    if (this.atEnd) this.toEnd();
  }

  #look() {
    const s = this.#scroller, was = this.atEnd;
    this.atEnd = s.scrollHeight - s.scrollTop - s.clientHeight < 48;
    if (this.atEnd !== was) this.#on.ended();
  }

  #trim() {
    for (let over = this.#room.trim(); over > 0;) {
      if (this.#list.firstElementChild.dataset.item) over--;
      this.#list.firstElementChild.remove();
    }
  }

  #append(item) {
    const last = this.#last, newDay = !last || !sameDay(last.time, item.time);
    this.#last = item;
    if (newDay && item.time) this.#list.append(el("li", { class: "day" }, el("span", { "data-time": item.time }, dayName(item.time))));
    if (item.gap) return this.#list.append(el("li", { class: "gap", "data-item": "gap" }, GAPS[item.gap] ?? GAPS[""]));
    const first = item === this.#room.fresh;
    if (first) {
      this.clearLine();
      this.#list.append(el("li", { class: "fresh" }, el("span", {}, "New")));
    }
    const mine = item.user === this.me;
    const follows = !newDay && !first && last.user === item.user && item.time - last.time < TOGETHER;
    const name = el("bdi", { "data-user": item.user }), face = el("span", { class: "face", "data-user": item.user, "data-first": "1", "aria-hidden": "true" });
    for (const e of [name, face]) e.textContent = this.#name(e);
    const time = el("time", { datetime: new Date(item.time).toISOString(), title: whole.format(item.time) }, clock.format(item.time));
    this.#list.append(el("li", { class: `message ${mine ? "mine" : ""} ${follows ? "follows" : ""}`, "data-item": item.key, style: `--face: ${colour(item.user)}` },
      mine ? "" : face, el("div", { class: "who" }, mine ? el("span", { class: "hidden-text" }, "You") : name, " ", time), body(item.text)));
  }

  #own(item) {
    const li = el("li", { class: "message mine " + item.state }, el("div", { class: "who" }, el("span", { class: "hidden-text" }, "You"), " "), body(item.text));
    if (item.state !== "failed") {
      li.append(el("div", { class: "fate" }, item.state === "sent" ? "Sent" : "Sending…"));
      return li;
    }
    const again = el("button", { type: "button", class: "again" }, "Send again"), drop = el("button", { type: "button" }, "Discard");
    again.onclick = () => this.#on.retry(item);
    drop.onclick = () => this.#on.discard(item);
    li.append(el("div", { class: "fate wrong" }, "Not sent. " + item.why), el("div", { class: "row fate" }, again, drop));
    return li;
  }

  #name({ dataset: { user, first } }) {
    const name = this.#names.label(user);
    return !first ? name : this.#names.named(user) ? initial(name) : "?";
  }
}

/** The first letter of a name, for its face. */
export function initial(name) {
  const all = Array.from(new Intl.Segmenter().segment(name), s => s.segment);
  return (all.find(s => /[\p{L}\p{N}]/u.test(s)) ?? all[0]).slice(0, 8).toUpperCase();
}

// a text as part of the page: text and links; a very long one opens by a button
function body(text) {
  const div = el("div", { class: "text", dir: "auto" });
  div.append(...pieces(text).map(p => p.href ? el("a", { href: p.href, target: "_blank", rel: "noopener noreferrer nofollow ugc" }, p.href) : p));
  if (text.length < LONG && text.split("\n").length < LINES) return div;
  const more = el("button", { type: "button", "aria-expanded": "false" }, "Show all of it");
  div.classList.add("long");
  more.onclick = () => {
    const open = div.classList.toggle("long");
    more.setAttribute("aria-expanded", String(!open));
    more.textContent = open ? "Show all of it" : "Show less";
  };
  return el("div", { class: "folded" }, div, more);
}

const sameDay = (a, b) => new Date(a).toDateString() === new Date(b).toDateString();

function dayName(time) {
  const day = new Date(time), now = new Date();
  if (sameDay(day, now)) return "Today";
  if (sameDay(day, new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1))) return "Yesterday";
  return (day.getFullYear() === now.getFullYear() ? dayOf : dayWithYear).format(day);
}
