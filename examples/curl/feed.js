// What arrives: messages of the channel, what the user is told, letters, gaps, and who is here.
import { el } from "/shared.js";

const kept = 100; // entries
const longest = 4000; // characters of a message that are shown
const pictures = /^image\/(png|jpeg|gif|webp|svg\+xml)$/;
const gaps = { expired: "they are not kept any more", epoch: "Encke was started again", unknown: "Encke does not know this place", skipped: "this page was too slow for them", lost: "they were lost on the way" };
const time = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

const cut = text => text.length > longest ? `${text.slice(0, longest)}… and ${(text.length - longest).toLocaleString()} characters more` : text;

export class Feed {
  constructor(box) {
    this.box = box;
    for (const name of ["feed", "here", "clear", "following", "trouble", "empty", "said"]) this[`_${name}`] = box.querySelector(`.${name}`);
    this.wait = []; // entries for the next frame
    this.unsaid = 0;
    this._clear.addEventListener("click", () => {
      this._feed.replaceChildren();
      this.present();
      this._feed.focus();
    });
    this._trouble.querySelector("button").addEventListener("click", () => this.retry());
  }

  /** Shows what this client is given, and what becomes of it. */
  connect(encke) {
    this.encke = encke;
    encke.subscribeUser(m => this.message(m));
    encke.on("letter", l => this.message(l));
    encke.on("state", state => state === "open" && this.trouble(""));
    encke.on("error", e => {
      if (e.code === "no_presence") return;
      if (e.channel) return this.trouble(`Encke does not let this page read ${e.channel}: ${e.message}. A channel that begins with curl: is readable by anybody.`);
      const why = { disconnected: "A line has ended this page's connection.", token_revoked: "A line has revoked this page's token.", callback_failed: "The site does not answer. It is tried again." };
      this.trouble(why[e.code] ?? `${e.message}.`, encke.state === "closed" || e.code === "disconnected" || e.code === "token_revoked" ? () => encke.connect() : undefined);
    });
  }

  /** Follows a channel, and the one with :b behind it, in place of those from before; from the beginning of what is kept. */
  follow(channel) {
    if (channel === this.channel) return;
    this.channel = channel;
    for (const s of this.subscriptions ?? []) s.unsubscribe();
    this.trouble("");
    this._here.textContent = "";
    this._following.textContent = `In ${channel}, ${channel}:b, and for you.`;
    this.subscriptions = [channel, `${channel}:b`].map(name => {
      const s = this.encke.subscribe(name, m => this.message(m), { since: "0" });
      s.on("gap", gap => this.gap(gap));
      return s;
    });
    this.subscriptions[0].presence(here => {
      const n = here.connections ?? 0;
      this._here.textContent = n === 1 ? "1 connection: this page" : `${n} connections, ${here.users ?? 0} known by name`;
    });
  }

  /** Says what a person can do something about; with again, a button that does it. No text: all is well. */
  trouble(text, again) {
    this._trouble.hidden = !text;
    this._trouble.querySelector("p").textContent = text;
    this._trouble.querySelector("button").hidden = !again;
    this.retry = again;
  }

  gap(gap) {
    this.put(el("li", { class: "gap" }, el("p", {}, `Messages of ${gap.channel} are missing here: ${gaps[gap.reason] ?? "nobody knows why"}.`)), "Messages are missing");
  }

  message(m) {
    const text = typeof m.data === "string" ? m.data : JSON.stringify(m.data, null, JSON.stringify(m.data)?.length > 60 ? 2 : 0) ?? "";
    const about = el("div", { class: "about" }, el("b", {}, m.channel.startsWith("user:") ? (m.mail ? "letter for you" : "for you") : m.channel), el("time", {}, time.format(m.time)));
    for (const [what, value] of [["", m.event], ["from ", m.user], ["", m.type]]) if (typeof value === "string" && value) about.append(el("span", {}, what + cut(value)));
    const item = el("li", { class: m.mail ? "letter" : "" }, about);
    if (m.encoding === "base64") this.bytes(item, m);
    else item.append(el("pre", {}, cut(text)));
    if (m.mail) item.append(this.acknowledge(m));
    const { ack, ...all } = m;
    about.append(this.whole(item, cut(JSON.stringify(all))));
    this.put(item, m.encoding ? "Bytes have arrived" : text.slice(0, 100));
  }

  /** A button that shows the publication as clients get it. */
  whole(item, text) {
    const button = el("button", { type: "button", "aria-expanded": "false", "aria-label": "Whole message, as JSON" }, "JSON"), pre = el("pre", { class: "whole", hidden: "" }, text);
    item.append(pre);
    button.addEventListener("click", () => {
      pre.hidden = !pre.hidden;
      button.setAttribute("aria-expanded", String(!pre.hidden));
    });
    return button;
  }

  bytes(item, m) {
    const n = Math.floor(m.data.length * 3 / 4) - (m.data.match(/=+$/)?.[0].length ?? 0);
    item.append(el("pre", {}, `${n.toLocaleString()} bytes: ${m.data.slice(0, 60)}${m.data.length > 60 ? "…" : ""}`));
    if (pictures.test(m.type)) item.append(el("img", { src: `data:${m.type};base64,${m.data}`, alt: "The picture that was pushed" }));
  }

  acknowledge(letter) {
    const button = el("button", { type: "button" }, "Acknowledge");
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        await letter.ack();
        button.replaceWith(el("p", { class: "dim" }, "Acknowledged: it will not come again."));
      } catch (e) {
        button.disabled = false;
        this.trouble(`The letter could not be acknowledged: ${e.message}.`);
      }
    });
    return button;
  }

  /** Puts an entry on top with the next frame; however many come, it has no more to draw than are kept. */
  put(item, words) {
    item.classList.add("new");
    if (this.wait.push({ item, words }) > kept) this.wait.shift();
    this.unsaid++;
    this.frame ??= requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.frame = undefined;
    this._feed.prepend(...this.wait.map(w => w.item).reverse());
    while (this._feed.children.length > kept) this._feed.lastChild.remove();
    this.last = this.wait.at(-1).words;
    this.wait = [];
    this.present();
    this.talk ??= setTimeout(() => { // one sentence for all that has come within a second
      this.talk = undefined;
      this._said.textContent = this.unsaid === 1 ? `Arrived: ${this.last}` : `${this.unsaid} messages have arrived, the last: ${this.last}`;
      this.unsaid = 0;
    }, 1000);
  }

  present() {
    const some = this._feed.children.length > 0;
    this._empty.hidden = some;
    this._clear.hidden = !some;
  }
}
