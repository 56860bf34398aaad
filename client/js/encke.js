// The client of Encke, a Comet server. README.md says how to use it, encke.d.ts what it promises, PROTOCOL.md what it speaks.
//
//   Encke         what a page holds, one in each tab
//   Subscription  a place in a channel: each message once and in order
//   Presence      who is in a channel
//   Link          the connection; of all tabs of a browser one has it
//
// Encke and Link talk in plain objects, directly or over a BroadcastChannel. Whoever finds a hole before a message asks the
// server by a poll for what is missing, wherever it was lost: so the rest need not be perfect.

export class EnckeError extends Error {
  constructor(code, message, more) {
    super(message || code);
    Object.assign(this, { name: "EnckeError", ...more, code });
  }
}

const LADDER = ["ws", "sse", "stream", "longpoll", "poll"];
const DEFAULTS = {
  shared: true, ack: "auto", transports: LADDER, timeout: 8000, backoff: 1000, maxBackoff: 30000, interval: 5000, wait: 25,
  silence: 60000, remember: 3600000,
};
const TICK = 5000, SHORT = 10000;
const RESTART = new EnckeError("restart"), FAILED = {};

const split = (position = ".") => { // "k3f9zq.17" → ["k3f9zq", 17]
  const [epoch, offset] = position.split(".");
  return [epoch, +offset];
};
const known = since => since.includes("."); // not "", from now on, nor "0", all that is kept
const lost = e => e instanceof EnckeError ? e : new EnckeError("connection_lost", e?.message);
const isLost = e => /^(connection_lost|timeout)$/.test(e.code);
const isToken = e => /^(bad_token|token_expired|token_revoked)$/.test(e.code);
const isFatal = ({ code, status }) => /^(wrong_user|disconnected)$/.test(code) || /^(4(?!01|08|29)..|100[23789]|41(?!07|11|15)..)$/.test(status);
const plain = e => ({ ...e, message: e.message });
const revive = e => new EnckeError(e.code, e.message, e);

// call calls what the page gave us, whose mistakes are its own.
function call(f, ...args) {
  try {
    return f?.(...args);
  } catch (e) {
    queueMicrotask(() => { throw e; });
    return FAILED;
  }
}

class Emitter {
  _on = {};

  on(type, f) {
    (this._on[type] ??= new Set()).add(f);
    return () => this.off(type, f);
  }

  off(type, f) {
    this._on[type]?.delete(f);
  }

  _emit(type, ...args) {
    return [...this._on[type] ?? []].map(f => call(f, ...args));
  }
}

function environment() {
  const g = globalThis, { document, navigator, location, WebSocket, EventSource } = g;
  const env = {
    document, navigator, location, WebSocket, EventSource, now: Date.now, random: Math.random,
    fetch: (...a) => g.fetch(...a), setTimeout: (...a) => g.setTimeout(...a), clearTimeout: t => g.clearTimeout(t),
  };
  if (document) {
    Object.assign(env, { window: g, locks: navigator.locks, BroadcastChannel: g.BroadcastChannel });
    try { env.storage = g.localStorage; } catch { /* forbidden: nothing is remembered */ }
  }
  return env;
}

export class Encke extends Emitter {
  state = "connecting";
  transport = null;
  latency = null;
  user = null;
  counters = { messages: 0, duplicates: 0, gaps: 0, letters: 0, connects: 0 };
  _channels = new Map(); // name → {subs, last: how far the flow is, head, gap: what events told}
  _pending = new Map(); // commands by number
  _n = 0;
  _letters = []; // for which nobody is there yet
  _mailed = 0;
  _todo = []; // what is tried again at the next tick
  _listening = [];

  constructor(url, options, env) {
    super();
    const o = this._o = { ...DEFAULTS };
    env = this._env = { ...environment(), ...env };
    for (const k in options) if (options[k] !== undefined) (k in env ? env : o)[k] = options[k];
    this.url = new URL(url ?? "/", env.location?.href).href.replace(/^ws/, "http").replace(/\/$/, "");
    this._id = env.random().toString(36).slice(2);
    const { window, document } = env, listen = (target, f, ...types) => types.forEach(type => {
      target?.addEventListener?.(type, f);
      this._listening.push(() => target?.removeEventListener?.(type, f));
    });
    listen(window, () => this._wake(), "online", "offline");
    listen(window, () => this._suspend(), "pagehide");
    listen(window, () => this._resume(), "pageshow");
    listen(document, () => this._suspend(), "freeze");
    listen(document, () => this._resume(), "resume");
    listen(document, () => document.hidden || this._wake(), "visibilitychange");
    this._resume();
  }

  get leader() {
    return !!this._link;
  }

  subscribe(channel, callback, { since = "" } = {}) {
    if (this._over) throw new EnckeError("closed");
    return new Subscription(this, channel, callback, since);
  }

  subscribeUser(callback) {
    return this.on("message", m => m.channel === this._own && callback(m));
  }

  publish(channel, data = null, { event, id } = {}) {
    return this._call({ publish: { channel, event, data, message_id: id } });
  }

  presence(channel, counts = false) {
    return this._call({ presence: { channel, counts } });
  }

  async ping() {
    const began = this._env.now();
    await this._call({ ping: {} });
    return this._env.now() - began;
  }

  connect() {
    this._wake(true);
  }

  close() {
    if (this._over) return;
    this._over = true;
    for (const ch of this._channels.values()) for (const s of ch.subs) s.unsubscribe();
    this._suspend();
    this._listening.forEach(f => f());
    for (const p of this._pending.values()) p.done(new EnckeError("closed"));
    this._status({ state: "closed" });
  }

  on(type, f) {
    queueMicrotask(() => this._offer());
    return super.on(type, f);
  }

  // --- the page's life ----------------------------------------------------------------------------------------------------------

  async _resume() {
    if (this._cut || this._over) return;
    const { signal } = this._cut = new AbortController();
    this._heard = this._ticked = this._env.now();
    this._arm();
    this._begin(signal);
  }

  async _begin(signal) {
    try {
      await this._getToken();
    } catch (e) {
      this._emit("error", e);
      return this._todo.push(() => this._begin(signal));
    }
    if (signal.aborted) return;
    if (this.user && !this._channels.has(this._own)) new Subscription(this, this._own, null, "");
    const { locks, BroadcastChannel } = this._env;
    if (!this._o.shared || !locks || !BroadcastChannel) return this._lead();
    this._key = "encke " + JSON.stringify([this.url, this.user, this._o.transports]);
    this._bc = new BroadcastChannel(this._key);
    this._bc.onmessage = e => this._hear(e.data);
    this._request();
    this._down({});
  }

  _suspend() {
    if (!this._cut) return;
    this._cut.abort(RESTART);
    this._env.clearTimeout(this._timer);
    this._down({ wants: {} });
    this._abdicate();
    this._asking?.abort();
    this._free?.();
    this._bc?.close();
    this._cut = this._bc = this._free = this._asking = this._chief = undefined;
  }

  _wake(force) {
    this._pinged ||= this._env.now();
    this._down({ wake: true, force });
  }

  _arm() {
    this._timer = this._env.setTimeout(() => {
      const now = this._env.now(), slept = now - this._ticked > 3 * TICK;
      this._ticked = now;
      this._arm();
      for (const f of this._todo.splice(0)) f();
      if (slept || this._bc && !this._link && !this._pinged && now - this._heard > 2 * TICK) {
        this._pinged = 0;
        this._wake();
      } else if (this._link) {
        this._link.tick(now);
      } else if (this._bc && this._pinged && now - this._pinged >= TICK) {
        this._request(true); // whoever leads is frozen
      }
    }, TICK);
  }

  // --- one connection for all tabs: whoever has the lock leads ----------------------------------------------------------------------

  _request(steal) {
    this._asking?.abort();
    const { signal } = this._asking = new AbortController();
    this._pinged = 0;
    this._env.locks.request(this._key, steal ? { steal } : { signal }, () => new Promise(free => {
      if (signal.aborted) return free();
      this._free = free;
      this._lead();
    })).catch(() => {
      if (signal.aborted) return;
      this._abdicate(); // another tab believes that we are frozen
      this._request();
      this._down({});
    });
  }

  _lead() {
    const late = this._chief; // then others have to say first where they are
    this._link = new Link(this, this._chief = this._id);
    this._up({ lead: true, status: { state: "connecting" } });
    this._want();
    this._link.start(late ? 50 : 0);
  }

  _abdicate() {
    this._link?.end();
    this._link = this._chief = undefined;
    if (!this._over) this._status({ state: "connecting" });
  }

  // up is what Link tells the tabs, down what a tab tells Link.
  _up(m) {
    if (m.to !== this._id) this._bc?.postMessage({ ...m, by: this._id });
    if (!m.to || m.to === this._id) this._take(m);
  }

  _down(m) {
    if (this._link) this._link.take(this._id, m);
    else this._bc?.postMessage({ ...m, from: this._id, chief: this._chief });
  }

  _hear(m) {
    if (this._link) {
      if (m.from && m.chief === this._id) this._link.take(m.from, m);
      if (m.from) this._up({ to: m.from, lead: true, status: { state: this.state, transport: this.transport, latency: this.latency } });
    } else if (m.by && (!m.to || m.to === this._id)) {
      const other = m.lead && m.by !== this._chief;
      if (other) {
        this._chief = m.by;
        this._lost();
      }
      if (m.by !== this._chief) return;
      this._heard = this._env.now();
      this._pinged = 0;
      this._take(m);
      if (other) this._want();
    }
  }

  // want says which channels this tab follows, and from where they are wanted should nobody else follow them.
  _want() {
    const wants = {};
    for (const [name, ch] of this._channels) wants[name] = ch.last ?? [...ch.subs][0]._at;
    this._down({ wants });
  }

  _wantSoon() {
    this._wanting ??= queueMicrotask(() => {
      this._wanting = undefined;
      if (this._chief) this._want();
    }) ?? true;
  }

  _take(m) {
    const ch = this._channels.get(m.channel), p = this._pending.get(m.n);
    if (m.item) this._item(m.item);
    if (m.position && ch) {
      ch.last ??= m.position;
      for (const s of ch.subs) s._from(m);
    }
    if (p) p.done(m.error && revive(m.error), m.value);
    else if (m.channel && m.error) for (const s of ch?.subs ?? []) s._refuse(m.error);
    else if (m.error) this._emit("error", revive(m.error));
    if (m.status) this._status(m.status);
  }

  _item(m) {
    const ch = this._channels.get(m.channel);
    if (m.mail) this._letter(m);
    else if (ch) {
      ch.last = m.position;
      for (const s of ch.subs) s._take(m);
    }
  }

  _status({ state = this.state, ...more }) {
    const before = this.state;
    Object.assign(this, { state }, more);
    if (state !== "open") this._lost();
    else this._flush();
    if (state === before) return;
    if (state === "open") this.counters.connects++;
    this._emit("state", state);
  }

  // tell makes events of what subscriptions were given, once for all of a channel.
  _tell(type, m) {
    const ch = this._channels.get(m.channel), [e, o] = split(ch.head), [epoch, offset] = split(m.position);
    if (m.gap ? m.position === ch.gap : e === epoch && offset <= o) return;
    ch[m.gap ? "gap" : "head"] = m.position;
    this.counters[type + "s"]++;
    this._emit(type, m);
  }

  _letter(m) {
    if (m.mail <= this._mailed) return;
    this._mailed = m.mail;
    this.counters.letters++;
    this._letters.push({ ...m, ack: () => this._call({ ack: { only: [m.mail] } }, 0) });
    this._offer();
  }

  _offer() {
    if (!this._on.letter?.size) return;
    for (const letter of this._letters.splice(0)) {
      const results = this._emit("letter", letter);
      if (this._o.ack === "auto" && !results.includes(FAILED)) Promise.all(results).then(() => letter.ack().catch(() => {}));
    }
  }

  // --- commands ---------------------------------------------------------------------------------------------------------------------

  // call sends a command as soon as there is a connection; after a break again what may be done twice.
  _call(command, timeout = this._o.timeout) {
    return new Promise((resolve, reject) => {
      const n = ++this._n, done = (error, value) => {
        this._pending.delete(n);
        this._env.clearTimeout(timer);
        if (error) reject(error);
        else resolve(value);
      };
      const timer = timeout && this._env.setTimeout(() => done(new EnckeError("timeout", "no answer in time")), timeout);
      if (this._over) return done(new EnckeError("closed"));
      this._pending.set(n, { command, done });
      this._flush();
    });
  }

  _flush() {
    if (this.state === "open") for (const [n, p] of this._pending) {
      if (!p.sent) this._down({ n, command: p.command });
      p.sent = true;
    }
  }

  _lost() {
    for (const p of this._pending.values()) {
      const { publish } = p.command;
      if (p.sent && publish && !publish.message_id) p.done(new EnckeError("connection_lost", "it may or may not have been published"));
      p.sent = false;
    }
  }

  // --- requests and tokens -------------------------------------------------------------------------------------------------------------

  async _fetch(path, signal, method) {
    const headers = this._token ? { Authorization: "Bearer " + this._token } : {};
    const r = await this._env.fetch(this.url + path, { method, headers, signal, cache: "no-store" });
    if (r.ok) return r;
    const { error } = await r.json().catch(() => ({}));
    throw new EnckeError(error?.code ?? "connection_lost", error?.message ?? "HTTP " + r.status,
      { status: error && r.status, retry: 1000 * r.headers.get("Retry-After") || undefined });
  }

  async _json(path, signal = this._cut?.signal, timeout = this._o.timeout, method) {
    const cut = new AbortController(), stop = () => cut.abort(signal.reason);
    const timer = this._env.setTimeout(() => cut.abort(new EnckeError("timeout")), timeout);
    signal?.addEventListener("abort", stop);
    try {
      return await (await this._fetch(path, cut.signal, method)).json();
    } catch (e) {
      throw lost(cut.signal.reason ?? e);
    } finally {
      this._env.clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    }
  }

  _poll(channel, since) {
    return this._json(`/poll?channels=${channel === this._own ? "" : encodeURIComponent(channel)}&since=${since}&wait=0`);
  }

  async _getToken(fresh) {
    const { token } = this._o, ask = typeof token === "function";
    if (this._token && !(fresh && ask)) return;
    try {
      const text = ask ? await token() : token;
      if (!text) return;
      const { sub, exp, iat } = JSON.parse(atob(text.split(".")[1].replace(/-/g, "+").replace(/_/g, "/")));
      if ((this.user ??= sub) !== sub) throw new EnckeError("wrong_user", "a page stays with its user");
      this._token = text;
      this._own = "user:" + sub;
      const now = this._env.now(), life = exp * 1000 - (iat * 1000 || now);
      this._refreshAt = ask ? now + Math.max(life - Math.min(life / 5, 60000) - TICK, TICK) : Infinity;
    } catch (e) {
      throw e.code ? e : new EnckeError("token_failed", e?.message);
    }
  }
}

class Subscription extends Emitter {
  constructor(client, channel, callback, since) {
    super();
    Object.assign(this, { channel, _client: client, _callback: callback, _at: since }); // _at: the last that was given
    const all = client._channels, ch = all.get(channel) ?? { subs: new Set() };
    all.set(channel, ch);
    ch.subs.add(this);
    if (ch.last) this._from({ position: ch.last });
    client._wantSoon();
  }

  get since() {
    return this._at;
  }

  publish(data, options) {
    return this._client.publish(this.channel, data, options);
  }

  presence(callback) {
    return this._presence = new Presence(this._client, this.channel, callback);
  }

  async history(since = "0") {
    const { publications } = await this._client._poll(this.channel, since);
    return publications.filter(m => !m.mail && m.channel === this.channel);
  }

  unsubscribe() {
    const all = this._client._channels, ch = all.get(this.channel);
    this._over = true;
    this._presence?.stop();
    if (!ch?.subs.delete(this) || ch.subs.size) return;
    all.delete(this.channel);
    this._client._wantSoon();
  }

  // from learns where what flows began: asked is the since with which that was asked for, absent when it flowed before.
  _from({ position, asked }) {
    const [e, o] = split(this._at), [epoch, offset] = split(position);
    if (!known(this._at)) {
      if (this._at === (asked ?? "")) this._at = position;
      else this._heal();
    } else if (e === epoch ? offset > o : asked === undefined) {
      this._heal();
    }
  }

  _take(m) {
    if (!this._healing && known(this._at)) this._apply(m);
  }

  // apply takes what comes next, or finds a hole before it; last says that nothing can fill it.
  _apply(m, last) {
    const [epoch, offset] = split(m.position);
    if (!known(this._at)) this._at = `${epoch}.${m.gap ? offset : offset - 1}`; // the first of all that are kept
    const [e, o] = split(this._at), before = e === epoch && offset <= o;
    if (m.gap) {
      if (!before || m.reason === "unknown" && offset < o) this._give("gap", m);
    } else if (before) {
      this._client.counters.duplicates++;
    } else if (e === epoch && offset === o + 1) {
      this._give("message", m);
    } else if (last) {
      this._give("gap", { channel: m.channel, gap: true, reason: e === epoch ? "lost" : "epoch", position: `${epoch}.${offset - 1}` });
      this._apply(m);
    } else {
      this._heal();
    }
  }

  _give(type, m) {
    this._at = m.position;
    this._client._tell(type, m);
    if (!m.gap) call(this._callback, m);
    this._emit(type, m);
  }

  // heal reads from the server what is missing, up to where the flow is.
  async _heal() {
    const c = this._client;
    if (this._healing) return;
    this._healing = true;
    try {
      for (let behind = true; behind && !this._over;) {
        const r = await c._poll(this.channel, this._at);
        for (const m of r.publications) {
          if (m.mail) c._letter(m);
          else if (!this._over && m.channel === this.channel) this._apply(m, true);
        }
        if (!known(this._at)) this._at = r.position.split(",")[0];
        const [e, o] = split(this._at), [epoch, offset] = split(c._channels.get(this.channel)?.last);
        behind = e === epoch && o < offset;
      }
      this._healing = false;
    } catch (e) {
      this._healing = false;
      if (isFatal(e)) return this._refuse(e);
      if (isToken(e)) c._getToken(true).catch(() => {});
      this._healing = true;
      c._todo.push(() => {
        this._healing = false;
        if (!this._over) this._heal();
      });
    }
  }

  _refuse(error) {
    const e = revive({ ...plain(error), channel: this.channel });
    this.unsubscribe();
    this._emit("error", e);
    this._client._emit("error", e);
  }
}

class Presence extends Emitter {
  members = new Map(); // user → {user, connections, info}
  users = 0;
  connections = 0;

  constructor(client, channel, callback) {
    super();
    Object.assign(this, { channel, _client: client, _callback: callback });
    this._look();
  }

  stop() {
    this._over = true;
    this._sub?.unsubscribe();
  }

  // look asks who is here, and follows what changes from there.
  async _look() {
    const c = this._client, before = this.members;
    this._sub?.unsubscribe();
    try {
      const { position, members = [], ...counts } = await c.presence(this.channel);
      if (this._over) return;
      this.members = new Map(members.map(m => [m.user, m]));
      this._change({ ...counts, join: members.filter(m => !before.has(m.user)), leave: [...before.keys()].filter(u => !this.members.has(u)) });
      this._sub = c.subscribe("$presence:" + this.channel, m => this._change(m.data), { since: position });
      this._sub.on("gap", () => this._look());
    } catch (e) {
      if (this._over) return;
      if (!isFatal(e)) return c._todo.push(() => this._over || this._look());
      this._emit("error", e);
      c._emit("error", e);
    }
  }

  _change({ join = [], leave = [], users = this.users, connections = this.connections }) {
    Object.assign(this, { users, connections });
    for (const m of join) this.members.set(m.user, m);
    for (const user of leave) this.members.delete(user);
    call(this._callback, this, { join, leave });
    join.forEach(m => this._emit("join", m));
    leave.forEach(user => this._emit("leave", user));
  }
}

// Link is the connection. It passes on what comes, and knows of each channel only where it is.
class Link {
  channels = new Map(); // name → {since, run: in which it was subscribed to}
  tabs = new Map(); // id → channels wanted
  letters = new Map(); // not acknowledged, for tabs that come later
  tries = 0;
  fails = 0;
  short = 0;
  rung = 0;
  n = 0;

  constructor(client) {
    const { _o: o, _env: env } = client;
    Object.assign(this, { client, o, env, key: "encke " + client.url });
    this.rungs = LADDER.filter(t => o.transports.includes(t) && (t !== "sse" || env.EventSource) && (t !== "ws" || env.WebSocket));
    try {
      const [rung, until] = JSON.parse(env.storage.getItem(this.key));
      if (until > env.now()) this.rung = Math.max(0, this.rungs.indexOf(rung));
      this.until = until;
    } catch { /* nothing remembered */ }
  }

  up(m) {
    if (!this.ended) this.client._up(m);
  }

  set(status) {
    this.up({ status });
  }

  end() {
    this.ended = true;
    this.env.clearTimeout(this.syncing);
    this.run?.abort(RESTART);
    this.resume?.();
  }

  take(id, { wants, n, command, wake, force }) {
    if (wants) this.want(id, wants);
    if (command) this.command(id, n, command);
    if (wake) this.wake(force);
  }

  want(id, wants) {
    const had = this.tabs.get(id), before = [...this.channels.keys()].join();
    this.tabs.set(id, wants);
    if (!had) for (const item of this.letters.values()) this.up({ item, to: id });
    for (const name in wants) {
      const ch = this.channels.get(name);
      if (!ch) this.channels.set(name, { since: wants[name] });
      else if (!(had && name in had) && known(ch.since)) this.up({ channel: name, position: ch.since, to: id });
    }
    for (const [name, ch] of this.channels) {
      if ([...this.tabs.values()].some(w => name in w)) continue;
      this.channels.delete(name);
      if (ch.run === this.run) this.ask({ unsubscribe: { channel: name } });
    }
    if (before === [...this.channels.keys()].join()) return;
    if (this.run?.socket) return this.subscribe(this.run);
    this.syncing ??= this.env.setTimeout(() => {
      this.syncing = undefined;
      if (this.empty) this.resume?.();
      if (!this.run?.socket) this.run?.abort(RESTART);
    }, 10);
  }

  refuse(channel, error) {
    if (this.channels.delete(channel)) this.up({ channel, error });
  }

  // --- the life of the connection -------------------------------------------------------------------------------------------------------

  async start(after) {
    const { client, env } = this;
    await this.pause(after, Infinity);
    while (!this.ended) {
      const rung = this.rungs[this.rung];
      if (this.empty = rung !== "ws" && !this.channels.size) {
        await this.pause();
        continue;
      }
      const run = this.run = Object.assign(new AbortController(), { rung, heard: env.now() });
      let why;
      env.clearTimeout(this.syncing);
      this.syncing = undefined;
      run.signal.onabort = () => this.resume?.();
      run.timer = env.setTimeout(() => run.abort(new EnckeError("timeout", rung + " does not get through")), this.o.timeout);
      try {
        await client._getToken();
        if (!run.signal.aborted) await this[rung](run);
      } catch (e) {
        why = e;
      }
      why = lost(run.signal.reason ?? why);
      env.clearTimeout(run.timer);
      run.abort();
      this.run = undefined;
      if (!this.ended && why !== RESTART) await this.recover(run, why);
    }
  }

  // recover finds out what to do after the end of a connection, and when.
  async recover(run, why) {
    const { client, env } = this, lived = run.opened ? env.now() - run.opened : 0;
    this.set({ state: "connecting" });
    if (lived > 3000) this.tries = 0;
    let blocked = false;
    if (isLost(why) && run.opened) {
      blocked = (this.short = lived < SHORT ? this.short + 1 : 0) > 2; // something cuts it again and again
    } else if (isLost(why)) {
      try {
        await (this.channels.size ? this.read({}, 0) : client._json("/ping"));
        blocked = this.worked !== run.rung || this.fails++ > 0; // it is not the server, nor the network
      } catch (e) {
        why = e;
        this.short = 0;
      }
    }
    if (blocked) {
      this.rung = (this.rung + 1) % this.rungs.length;
      if (this.rung) return;
    }
    if (isFatal(why) || isToken(why) && typeof this.o.token !== "function") {
      if (await this.isolate(why)) return;
      this.up({ error: plain(why) });
      this.set({ state: "closed" });
      return this.pause(undefined, Infinity);
    }
    if (isToken(why)) try {
      await client._getToken(true);
      if (!this.renewed) return void (this.renewed = true);
    } catch (e) {
      why = e;
    }
    if (!isLost(why) && why.code !== "going_away") this.up({ error: plain(why) });
    const { retry } = why, offline = env.navigator?.onLine === false;
    const most = Math.min(this.o.maxBackoff, this.o.backoff * 2 ** this.tries++) * (env.document?.hidden ? 2 : 1);
    const delay = retry ? retry + env.random() * Math.min(retry, 1000) : offline ? 30000 : env.random() * most;
    this.set({ state: offline ? "offline" : "waiting" });
    await this.pause(delay, retry);
    this.set({ state: "connecting" });
  }

  // isolate finds the channels that are refused, and says whether there are such.
  async isolate({ status }) {
    let found = false;
    if (status < 500) for (const [name, { since }] of [...this.channels]) {
      await this.client._poll(name, since).catch(e => {
        if (!isFatal(e) || name === this.client._own) return;
        found = true;
        this.refuse(name, plain(e));
      });
    }
    return found;
  }

  // pause waits; least is for how long nothing but force ends it early.
  pause(ms, least = 0) {
    this.due = this.env.now() + least;
    return new Promise(done => {
      const timer = ms === undefined ? ms : this.env.setTimeout(() => this.resume(), ms);
      this.resume = () => {
        this.env.clearTimeout(timer);
        this.resume = undefined;
        done();
      };
    });
  }

  wake(force) {
    if (!this.resume) this.check();
    else if (force || this.env.now() >= this.due) this.resume();
  }

  // opened is called when a run has proved that it carries messages.
  opened(run) {
    const now = run.heard = this.env.now(), { rung } = run;
    if (run.opened && !run.again) return;
    this.env.clearTimeout(run.timer);
    run.opened = now;
    run.again = this.renewed = false;
    this.fails = 0;
    if (this.worked !== rung) try {
      this.worked = rung;
      this.until = now + this.o.remember;
      if (this.rung) this.env.storage.setItem(this.key, JSON.stringify([rung, this.until]));
      else this.env.storage.removeItem(this.key);
    } catch { /* no storage */ }
    this.set({ state: "open", transport: rung });
  }

  tick(now) {
    const { run } = this;
    if (!run?.opened || run.again) return;
    if (run.socket) this.subscribe(run);
    if (this.rung && now > this.until) {
      this.rung = 0; // perhaps a better one works by now
      run.abort(RESTART);
    } else if (now - run.heard > (run.socket ? 25000 : this.o.silence)) {
      this.check();
    }
    if (now > this.client._refreshAt) this.refresh(run);
  }

  // check finds out whether the connection is alive: where there are no pings, by another one.
  check() {
    const { run } = this;
    if (run?.socket) this.ping(run);
    else if (run?.opened && !run.again) run.abort(RESTART);
  }

  ping(run) {
    if (run.pinged) return;
    const began = run.pinged = this.env.now();
    if (run.opened) run.timer = this.env.setTimeout(() => run.abort(new EnckeError("connection_lost")), this.o.timeout / 2);
    this.ask({ ping: {} }, () => {
      this.env.clearTimeout(run.timer);
      run.pinged = 0;
      this.set({ latency: this.env.now() - began });
    });
  }

  async refresh(run) {
    const { client } = this;
    client._refreshAt = Infinity;
    try {
      await client._getToken(true);
      if (run.socket) this.ask({ refresh: { token: client._token } }, ({ error }) => error && this.up({ error }));
      else if (run.rung.startsWith("s")) run.abort(RESTART);
    } catch (e) {
      client._refreshAt = this.env.now() + TICK;
      this.up({ error: plain(e) });
    }
  }

  // --- channels and what comes in them ------------------------------------------------------------------------------------------------------

  // list is the order of channels in requests: the user's own is the server's to add, as the last.
  list() {
    const own = ([name]) => name === this.client._own;
    return [...this.channels].sort((a, b) => own(a) - own(b));
  }

  query(list) {
    const names = list.map(([name]) => name).filter(name => name !== this.client._own);
    return `?channels=${names.map(encodeURIComponent)}&since=${list.map(([, ch]) => ch.since)}`;
  }

  item(item) {
    const ch = this.channels.get(item.channel);
    if (item.mail) this.letters.set(item.mail, item);
    else if (!ch || !known(ch.since)) return;
    else ch.since = item.position;
    this.up({ item });
  }

  begun(channel, ch, position) {
    const asked = ch?.since;
    if (this.channels.get(channel) !== ch || known(asked)) return;
    ch.since = position;
    this.up({ channel, position, asked });
  }

  // adopt learns from a list of positions where channels begin of which that was not known.
  adopt(list, positions, items = []) {
    let epoch;
    positions.split(",").forEach((p, i) => {
      if (known(p)) [epoch] = split(p);
      else p = `${epoch}.${p}`;
      const first = items.find(m => m.channel === list[i]?.[0] && !m.mail);
      if (list[i]) this.begun(...list[i], first?.offset ? `${split(first.position)[0]}.${first.offset - 1}` : first?.position ?? p);
    });
  }

  // --- the transports: each ends by throwing why ----------------------------------------------------------------------------------------------

  // follow makes a promise that fails with what makes a run end.
  follow(run, begin) {
    return new Promise((_, fail) => {
      run.signal.addEventListener("abort", () => fail(run.signal.reason));
      begin(fail);
    });
  }

  async ws(run) {
    const { client, env } = this, own = this.channels.get(client._own), token = client._token;
    const w = run.socket = new env.WebSocket(`${client.url.replace("http", "ws")}/ws${own?.since ? "?since=" + own.since : ""}`,
      ["encke.json", ...token ? ["encke.token." + token] : []]);
    run.asked = new Map();
    if (own) own.run = run;
    w.onerror = () => {};
    w.onopen = () => {
      this.ping(run);
      this.subscribe(run);
    };
    try {
      await this.follow(run, fail => {
        w.onmessage = e => {
          this.opened(run);
          this.frame(run, JSON.parse(e.data));
        };
        w.onclose = ({ code, reason }) => {
          const [name, retry] = reason.split(" retry=");
          fail(new EnckeError(name || "connection_lost", `closed: ${code} ${name}`, name && { status: code, retry: +retry || undefined }));
        };
      });
    } finally {
      w.onopen = w.onmessage = w.onclose = null;
      w.close();
    }
  }

  subscribe(run) {
    for (const [channel, ch] of this.channels) {
      if (ch.run === run || run.socket.readyState !== 1) continue;
      ch.run = run;
      this.ask({ subscribe: { channel, since: ch.since } }, ({ error }) => {
        if (!error || this.channels.get(channel) !== ch) return;
        if (/^(hook_failed|too_many_commands|overloaded)$/.test(error.code)) ch.run = undefined; // the next tick asks again
        else this.refuse(channel, error);
      });
    }
  }

  ask(command, then) {
    const { run } = this;
    if (run?.socket?.readyState !== 1) return;
    run.asked.set(++this.n, then);
    run.socket.send(JSON.stringify({ id: this.n, ...command }));
  }

  frame(run, m) {
    if (m.channel) return this.item(m);
    const { id, error, subscribed: s, unsubscribed: u } = m;
    if (s) this.begun(s.channel, this.channels.get(s.channel), s.position);
    if (u?.code) this.refuse(u.channel, u);
    if (Array.isArray(id?.split?.(":"))) {
      const [to, n] = id.split(":");
      this.up({ to, n: +n, error, value: Object.values(m)[1] });
    } else if (id) {
      run.asked.get(id)?.(m);
      run.asked.delete(id);
    } else if (error) {
      this.up({ error });
    }
  }

  // command carries out what a tab asks for. Without a connection it does nothing: the tab hears of that, and asks again.
  async command(to, n, command) {
    const { run, client } = this, { publish, presence, ack } = command;
    ack?.only.forEach(mail => this.letters.delete(mail));
    if (!run?.opened) return;
    if (run.socket) return run.socket.send(JSON.stringify({ id: `${to}:${n}`, ...command }));
    try {
      if (publish) throw new EnckeError("needs_websocket", `the connection is by ${run.rung}, over which nothing can be published`);
      const value = presence ? await client._json(`/presence?channel=${encodeURIComponent(presence.channel)}${presence.counts ? "&counts=1" : ""}`)
        : ack ? await client._json("/ack?only=" + ack.only, undefined, undefined, "POST") : await client._json("/ping");
      this.up({ to, n, value });
    } catch (e) {
      this.up({ to, n, error: plain(e) });
    }
  }

  async sse(run) {
    const { client, env } = this, token = client._token ? "&token=" + client._token : "";
    if (!this.list().every(([, ch]) => known(ch.since))) await this.read(run, 0); // a page cannot see where an event stream begins
    const s = new env.EventSource(`${client.url}/sse${this.query(this.list())}${token}`);
    try {
      await this.follow(run, fail => {
        const on = (type, f) => s.addEventListener(type, e => f(JSON.parse(e.data), run.heard = env.now()));
        on("resumed", () => this.opened(run));
        on("message", m => this.item(m));
        on("gap", m => this.item(m));
        on("closing", m => fail(new EnckeError(m.closing, "", m)));
        s.onerror = () => {
          const brief = env.now() - run.opened < SHORT;
          if (s.readyState || !run.opened || run.again || brief && this.short > 1) return fail(lost());
          this.short = brief ? this.short + 1 : 0;
          run.again = true; // it comes back by itself, when the server's retry: says
          this.set({ state: "waiting" });
        };
      });
    } finally {
      s.onerror = null;
      s.close();
    }
  }

  async stream(run) {
    const list = this.list(), { body } = await this.client._fetch("/stream" + this.query(list), run.signal);
    const reader = body.getReader(), decoder = new TextDecoder();
    for (let rest = ""; ;) {
      const { value, done } = await reader.read();
      if (done) throw lost();
      run.heard = this.env.now();
      const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        if (run.signal.aborted || !line) continue;
        const m = JSON.parse(line);
        if (m.closing) throw new EnckeError(m.closing, "", m);
        if (m.channel) this.item(m);
        else this.adopt(list, m.position), this.opened(run);
      }
    }
  }

  async longpoll(run, wait = this.o.wait) {
    for (let first = true; !run.signal.aborted; first = false) {
      const found = await this.read(run, first ? 0 : wait);
      this.opened(run);
      if (!wait && found < 100) await this.pause(this.o.interval * (0.75 + this.env.random() / 2) * (this.env.document?.hidden ? 4 : 1));
    }
  }

  poll(run) {
    return this.longpoll(run, 0);
  }

  // read makes one poll of all channels and returns how many publications that brought.
  async read({ signal }, wait) {
    const list = this.list(), began = this.env.now();
    const r = await this.client._json(`/poll${this.query(list)}&wait=${wait}`, signal, this.o.timeout + 1000 * wait);
    if (signal?.aborted) throw signal.reason;
    if (!wait) this.set({ latency: this.env.now() - began });
    this.adopt(list, r.position, r.publications);
    r.publications.forEach(m => this.item(m));
    if (r.retry) throw new EnckeError("going_away", "", { retry: r.retry });
    return r.publications.length;
  }
}
