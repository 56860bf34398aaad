// One room: what was said in it, what is not sent yet, and how far one has read.
import { readMessage, roomCode } from "./rules.js";

/** How many messages a page keeps of a room. The server has the newest 200. */
export const MAX_ITEMS = 500;

export class Room {
  items = []; // messages, and gaps as {gap, time}: in the order of the channel
  undrawn = null; // of them those that the list does not show yet, in the room that is shown
  outbox = []; // {room, id, text, state: sending, sent or failed, why}: own ones that have not come back from the server
  read = 0; // the time of the last message that was seen
  unread = 0;
  fresh = null; // the first that was not seen: it has a line before it
  place = null; // how far the list was scrolled when the room was left; null: to its end
  draft = "";
  sub = null;
  #keys = new Set();

  constructor(name, topic, fixed) {
    Object.assign(this, { name, topic, fixed });
    this.code = roomCode(name);
    this.channel = "chat:" + this.code;
    this.here = "chat-here:" + this.code; // who looks at it, and types
  }

  /** Takes a publication, and returns the message; null for what is none, or is there already. */
  take(publication) {
    const item = readMessage(publication);
    if (!item || this.#keys.has(item.key)) return null;
    this.#keys.add(item.key);
    this.#add(item);
    return item;
  }

  /** Takes note that some are missing. */
  gap({ reason }) {
    if (this.items.at(-1)?.gap) return;
    this.#add({ gap: reason, time: this.items.at(-1)?.time ?? 0 });
  }

  /** Forgets the oldest, where there are too many; returns how many those were. */
  trim() {
    const over = this.items.splice(0, Math.max(0, this.items.length - MAX_ITEMS));
    for (const item of over) this.#keys.delete(item.key);
    return over.length;
  }

  /** Counts anew what was not seen of others. */
  count(me) {
    this.unread = this.items.reduce((n, m) => n + this.isUnread(m, me), 0);
  }

  isUnread(item, me) {
    return !item.gap && item.user !== me && item.time > this.read;
  }

  #add(item) {
    this.items.push(item);
    if (this.undrawn) this.undrawn.push(item);
    else this.trim();
  }
}
