// Where everybody's cursor is: y-protocols' awareness on a channel of which nothing is kept.
//
// The message is {client, clock, name, cursor}, as JSON; the server adds who has sent it. So a cursor belongs to the user that showed it
// first, and its colour is made of who that is. Nothing of what others say becomes style or markup.
import * as encoding from "lib0/encoding";
import { Awareness, applyAwarenessUpdate, removeAwarenessStates } from "y-protocols/awareness";
import { TEXT } from "./updates.js";

const EVERY = 100;   // ms between two messages of this page
const HERS = 8;      // cursors of one user: windows, and those of windows closed a moment ago
const ALL = 100;     // cursors in all; further ones are not shown

export class Cursors {
  #owners = new Map(); // client → user
  #timer;

  /** @param look gives {name, color, colorLight} for a user's id and the name that came with a cursor */
  constructor(encke, channel, doc, me, look) {
    Object.assign(this, { encke, channel, me, look, awareness: new Awareness(doc) });
    this.awareness.setLocalState({ user: look(me.id, me.name), cursor: null });
    this.awareness.on("update", ({ added, updated, removed }, from) => {
      if (from === "local") this.#soon(EVERY);
      for (const client of removed) this.#forget(client);
    });
    this.subscription = encke.subscribe(channel, m => this.#take(m));
    encke.on("state", state => state === "open" && this.#soon(0)); // who has thought me gone sees me again
    this.#goodbye();
  }

  /** Takes a name for this page's cursor. */
  rename(name) {
    this.me = { ...this.me, name };
    this.awareness.setLocalStateField("user", this.look(this.me.id, name));
  }

  /** Shows no cursor of a user any more. */
  left(user) {
    removeAwarenessStates(this.awareness, [...this.#owners].filter(([, owner]) => owner === user).map(([client]) => client), "left");
  }

  /** The name that a user's newest cursor came with. */
  nameOf(user) {
    for (const [client, owner] of [...this.#owners].reverse()) if (owner === user) return this.awareness.states.get(client)?.user.name;
  }

  #soon(ms) {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const { awareness: a, me } = this;
      this.#publish({ client: a.clientID, clock: a.meta.get(a.clientID).clock, name: me.name, cursor: a.getLocalState()?.cursor ?? null });
    }, ms);
  }

  #publish(data) {
    if (this.encke.state === "open") this.encke.publish(this.channel, data).catch(() => {}); // only the newest counts
  }

  #take({ data, user }) {
    const { client, clock, cursor, name, gone } = data ?? {}, owner = this.#owners.get(client), a = this.awareness;
    if (!user || !isNumber(client, 2 ** 32) || !isNumber(clock, 2 ** 48) || client === a.clientID || (owner ?? user) !== user) return;
    if (gone) return this.#remove(client);
    if (!owner) {
      if (this.#owners.size >= ALL || [...this.#owners.values()].filter(u => u === user).length >= HERS) return;
      this.#soon(EVERY * (1 + 3 * Math.random())); // somebody new: shows where this one is
    }
    const state = { user: this.look(user, typeof name === "string" ? name : ""), cursor: cursorOf(cursor) };
    if (a.states.has(client) && a.states.get(client).user.name !== state.user.name) this.#remove(client); // else the name beside the cursor stays
    this.#owners.set(client, user);
    const e = encoding.createEncoder(); // one state, as encodeAwarenessUpdate writes it
    encoding.writeVarUint(e, 1);
    encoding.writeVarUint(e, client);
    encoding.writeVarUint(e, clock);
    encoding.writeVarString(e, JSON.stringify(state));
    applyAwarenessUpdate(a, encoding.toUint8Array(e), "encke");
  }

  #remove(client) {
    removeAwarenessStates(this.awareness, [client], "gone");
  }

  #forget(client) {
    this.#owners.delete(client);
    if (client !== this.awareness.clientID) this.awareness.meta.delete(client);
  }

  // A reload leaves a cursor behind: the page that comes says which one was this window's.
  #goodbye() {
    try {
      const before = +sessionStorage.getItem(this.channel), { clientID } = this.awareness;
      sessionStorage.setItem(this.channel, clientID);
      if (before) this.encke.publish(this.channel, { client: before, clock: 0, gone: true }).catch(() => {});
    } catch {} // a browser that keeps nothing
  }
}

const isNumber = (n, below) => Number.isInteger(n) && n >= 0 && n < below;

// a cursor as Yjs takes it, or null
function cursorOf(c) {
  const anchor = place(c?.anchor), head = place(c?.head);
  return anchor && head && { anchor, head };
}

// a relative position: before a character, or at the end of the text
function place(p) {
  const assoc = p?.assoc < 0 ? -1 : 0, { client, clock } = p?.item ?? {};
  if (isNumber(client, 2 ** 53) && isNumber(clock, 2 ** 53)) return { type: null, tname: null, item: { client, clock }, assoc };
  return p?.tname === TEXT ? { type: null, tname: TEXT, item: null, assoc } : null;
}
