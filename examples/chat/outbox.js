// What one has written, until it comes back from its room like everybody else's messages.
import { ask } from "/shared.js";
import { newID } from "./rules.js";
import { load, save } from "./storage.js";

const KEPT = 50;

export class Outbox {
  #rooms;
  #on;

  /** rooms by name. on: connection(), the present one; words(error); changed(room); failed(words). */
  constructor(rooms, on) {
    this.#rooms = rooms;
    this.#on = on;
  }

  send(room, text) {
    const item = { room, id: newID(), text, state: "sending", why: "" };
    room.outbox.push(item);
    return this.deliver(item);
  }

  /**
   * Publishes a message, with its id: the server stores it once, however often it is sent. Where the connection cannot publish the
   * site does.
   */
  async deliver(item) {
    const by = this.#on.connection(), { id, text } = item, { channel, code } = item.room;
    this.#fate(item, "sending");
    try {
      await by.publish(channel, { id, text }, { id });
    } catch (e) {
      if (e.code === "closed" && by !== this.#on.connection()) return this.deliver(item);
      if (e.code !== "needs_websocket") return this.#fate(item, "failed", this.#on.words(e));
      try {
        await ask("POST", "/chat/messages", { room: code, id, text });
      } catch (e) {
        return this.#fate(item, "failed", e.message);
      }
    }
    this.#fate(item, "sent");
  }

  /** It has come back, or is not to be sent any more. */
  take(room, id) {
    const i = room.outbox.findIndex(item => item.id === id);
    if (i < 0) return;
    room.outbox.splice(i, 1);
    this.#changed(room);
  }

  /** What was not sent survives a reload in this tab. If it was stored all the same it comes with the history, and is taken. */
  restore() {
    for (const { room: name, id, text } of load(sessionStorage, "outbox", [])) {
      const room = this.#rooms.get(name);
      room?.outbox.push({ room, id, text, state: "failed", why: "The page was closed before it was." });
    }
  }

  #fate(item, state, why = "") {
    const here = item.room.outbox.includes(item);
    Object.assign(item, { state, why });
    if (!here) return; // it has come back already
    if (state === "failed") this.#on.failed("Not sent. " + why);
    this.#changed(item.room);
  }

  #changed(room) {
    this.#on.changed(room);
    const all = [...this.#rooms.values()].flatMap(r => r.outbox).filter(item => item.state !== "sent").slice(-KEPT);
    save(sessionStorage, "outbox", all.map(({ room, id, text }) => ({ room: room.name, id, text })));
  }
}
