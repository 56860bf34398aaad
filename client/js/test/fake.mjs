// A world to test the client in: a clock, a server that speaks Encke's protocol, a network that fails as told, browsers with tabs.
export function randomOf(seed) { // mulberry32
  return () => {
    seed = seed + 0x6D2B79F5 | 0;
    let t = Math.imul(seed ^ seed >>> 15, 1 | seed);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return ((t ^ t >>> 14) >>> 0) / 4294967296;
  };
}

const settle = async () => { for (let i = 0; i < 4; i++) await new Promise(setImmediate); };

export class Clock {
  time = 1e12;
  timers = new Map();
  n = 0;
  now = () => this.time;
  setTimeout = (f, ms = 0) => {
    if (!(ms < 2 ** 31)) throw new Error(`a timer of ${ms} ms`);
    this.timers.set(++this.n, { at: this.time + Math.max(0, ms), f, n: this.n });
    return this.n;
  };
  clearTimeout = n => { this.timers.delete(n); };

  async run(ms) {
    const end = this.time + ms;
    await settle();
    for (;;) {
      const next = [...this.timers.values()].sort((a, b) => a.at - b.at || a.n - b.n)[0];
      if (!next || next.at > end) break;
      this.timers.delete(next.n);
      this.time = Math.max(this.time, next.at);
      next.f();
      await settle();
    }
    this.time = Math.max(this.time, end);
    await settle();
  }

  // until runs until a condition holds.
  async until(what, condition, most = 120000) {
    for (const end = this.time + most; !condition(); await this.run(10)) {
      if (this.time > end) throw new Error(`not within ${most} ms: ${what.call ? what() : what}`);
    }
  }
}

let epochs = 0;

// Server is a model of Encke: channels with history, positions, gaps, letters, presence of nobody.
export class Server {
  constructor(clock, { keep = 100 } = {}) {
    Object.assign(this, { clock, keep, conns: new Set(), polls: [], letters: [], polled: 0, mail: 0, forbidden: new Set(), tokens: null,
      refuse: null, published: [], requests: [], acked: new Set() });
    this.boot();
  }

  boot() {
    this.epoch = "e" + (++epochs).toString(36);
    this.channels = new Map();
    this.up = true;
  }

  // stop ends the process: in order, telling when to come back, or not.
  stop(retry) {
    this.up = false;
    for (const c of [...this.conns]) c.end(retry === undefined ? undefined : { code: "going_away", number: 1001, retry });
    for (const p of this.polls.splice(0)) {
      if (retry === undefined) p.cut();
      else this.answer(p, true, { retry });
    }
  }

  channel(name) {
    if (!this.channels.has(name)) this.channels.set(name, { head: 0, kept: [] });
    return this.channels.get(name);
  }

  position(name) { return `${this.epoch}.${this.channel(name).head}`; }

  publish(name, data, more = {}) {
    const ch = this.channel(name), offset = ++ch.head;
    const m = { channel: name, offset, position: `${this.epoch}.${offset}`, ...more, time: this.clock.now(), data };
    ch.kept.push(m);
    while (ch.kept.length > this.keep) ch.kept.shift();
    this.published.push(m);
    for (const c of [...this.conns]) if (c.channels.has(name)) c.give(m);
    for (const p of [...this.polls]) if (p.list.some(([n]) => n === name)) this.answer(p);
    return m;
  }

  send(user, data) {
    const l = { channel: "user:" + user, mail: ++this.mail, time: this.clock.now(), data, user };
    this.letters.push(l);
    for (const c of [...this.conns]) if (c.user === user) c.give(this.wire(l));
    for (const p of [...this.polls]) if (p.user === user) this.answer(p);
  }

  wire({ user, ...l }) { return l; }
  waiting(user) { return this.letters.filter(l => l.user === user && !this.acked.has(l.mail)); }

  // since says where a reader begins, and what it is given first.
  left = []; // channels that were unsubscribed

  join(name, since) {
    const ch = this.channel(name), first = ch.head - ch.kept.length;
    const gap = (reason, at) => ({ begin: at, replay: [{ channel: name, gap: true, reason, position: `${this.epoch}.${at}` }, ...ch.kept.filter(m => m.offset > at)] });
    if (since === "") return { begin: ch.head, replay: [] };
    if (since === "0") return { begin: first, replay: [...ch.kept] };
    const [epoch, offset] = since.split(".");
    if (epoch !== this.epoch) return gap("epoch", first);
    if (+offset > ch.head) return gap("unknown", ch.head);
    if (+offset < first) return gap("expired", first);
    return { begin: +offset, replay: ch.kept.filter(m => m.offset > +offset) };
  }

  // check says why a request is refused: {status, code}.
  check(token, names) {
    if (this.refuse) return this.refuse;
    if (token) {
      const { sub, exp } = JSON.parse(atob(token.split(".")[1]));
      if (exp * 1000 <= this.clock.now()) return { status: 401, number: 4109, code: "token_expired" };
      this.user = sub;
    } else {
      this.user = null;
    }
    for (const n of names) if (this.forbidden.has(n)) return { status: 403, code: "forbidden" };
  }

  parse(url, token) {
    const u = new URL(url), q = u.searchParams;
    const names = (q.get("channels") ?? "").split(",").filter(Boolean);
    let since = (q.get("since") ?? "").split(",");
    token ??= q.get("token");
    const error = this.check(token, names), user = this.user, own = "user:" + user;
    if (user && !names.includes(own)) names.push(own);
    if (since.length === names.length - 1) since.push("");
    if (since.length !== names.length) since = names.map(() => "");
    let epoch = "";
    const list = names.map((n, i) => {
      let s = since[i];
      if (s.includes(".")) [epoch] = s.split(".");
      else if (s && s !== "0") s = epoch + "." + s;
      return [n, s];
    });
    return { path: u.pathname, q, list, user, token, error };
  }

  poll(request) {
    this.polls.push(request);
    request.from = request.list.map(([n, s]) => s === "" ? this.position(n) : s);
    this.answer(request, request.wait === 0);
  }

  answer(p, force, more) {
    const publications = [], position = [];
    p.list.forEach(([n], i) => {
      const { replay } = this.join(n, p.from[i]);
      publications.push(...replay.slice(0, 50));
      position.push(replay[49]?.position ?? this.position(n));
    });
    const has = p.q.get("mail"), letters = p.user ? this.waiting(p.user).filter(l => l.mail > (has ?? this.polled)) : [];
    if (has === null) this.polled = Math.max(this.polled, ...letters.map(l => l.mail));
    publications.push(...letters.map(l => this.wire(l)));
    if (!publications.length && !force) return;
    this.polls = this.polls.filter(x => x !== p);
    p.answer({ publications, position: position.map((s, i) => i && !s.endsWith(".0") ? s.split(".")[1] : s).join(","), recovered: true, ...more });
  }
}

// Network carries requests of one client to a server, late and in order, and cuts what it is told to.
export class Network {
  blocked = new Set(); // rungs that do not get through: ws, sse, stream are silent or refused, poll fails
  silent = false; // how
  down = false;
  longest = Infinity; // ms after which it cuts everything
  lines = new Set();

  constructor(server, clock, random = () => 0.5) {
    Object.assign(this, { server, clock, random });
  }

  delay() { return 1 + Math.floor(this.random() * 20); }

  // line is a connection: what is sent arrives in order, until it is cut.
  line(onCut, run) {
    const line = { cut: () => {
      if (!line.open) return;
      line.open = false;
      this.lines.delete(line);
      this.clock.clearTimeout(line.timer);
      this.server.conns.delete(line.conn);
      run(onCut);
    }, open: true, at: 0, send: f => {
      line.at = Math.max(line.at, this.clock.now() + this.delay());
      this.clock.setTimeout(() => line.open && run(f), line.at - this.clock.now());
    } };
    this.lines.add(line);
    if (this.longest < Infinity) line.timer = this.clock.setTimeout(line.cut, this.longest);
    return line;
  }

  cutAll() { for (const l of [...this.lines]) l.cut(); }

  reachable(rung) { return this.server.up && !this.down && !this.blocked.has(rung); }

  // answer, seen from the server: a connection with channels.
  connect(line, request, give, end) {
    const { server } = this;
    const c = { channels: new Set(), user: request.user, give: m => line.send(() => give(m)), end: why => {
      server.conns.delete(c);
      if (why) line.send(() => { line.open = false; this.lines.delete(line); end(why); });
      else line.cut();
    } };
    server.conns.add(c);
    line.conn = c;
    if (request.token) {
      const { exp } = JSON.parse(atob(request.token.split(".")[1]));
      c.expires = exp * 1000;
      const expire = () => c.expires > this.clock.now() ? this.clock.setTimeout(expire, c.expires - this.clock.now())
        : server.conns.has(c) && c.end({ code: "token_expired", number: 4109 });
      c.expiry = this.clock.setTimeout(expire, Math.min(c.expires - this.clock.now(), 2 ** 30));
    }
    return c;
  }
}

export const token = (sub, exp, iat) => "h." + btoa(JSON.stringify({ sub, exp, ...iat && { iat } })) + ".s";

// transports makes the constructors and fetch of a client.
export function transports(net, run) {
  const { clock } = net;
  const gone = c => {
    net.server.conns.delete(c);
    clock.clearTimeout(c?.expiry);
  };
  let sockets = 0;

  class FakeWebSocket {
    readyState = 0;
    constructor(url, protocols) {
      sockets++;
      net.server.requests.push("ws");
      const line = this.line = net.line(() => { gone(line.conn); this.closed(1006, ""); }, run);
      this.closed = (code, reason) => {
        if (this.readyState === 3) return;
        this.readyState = 3;
        sockets--;
        this.onclose?.({ code, reason });
      };
      line.send(() => {
        if (net.silent && net.blocked.has("ws")) return;
        const token = protocols.find(p => p.startsWith("encke.token."))?.slice(12), r = net.server.parse(url.replace("ws", "http"), token);
        if (!net.reachable("ws") || r.error) return line.cut();
        const { server } = net;
        const c = this.conn = net.connect(line, r, m => this.readyState === 1 && this.onmessage?.({ data: JSON.stringify(m) }),
          ({ code, number, retry }) => { gone(c); this.closed(number, code + (retry === undefined ? "" : " retry=" + retry)); });
        this.readyState = 1;
        this.onopen?.();
        for (const [n, s] of r.list) this.subscribe(n, s);
        if (r.user) for (const l of server.waiting(r.user)) c.give(server.wire(l));
      });
    }

    subscribe(channel, since, id) {
      const { server } = net, c = this.conn, reply = m => c.give(id === undefined ? m : { id, ...m });
      if (server.forbidden.has(channel)) return reply({ error: { code: "forbidden", message: "no" } });
      if (c.channels.has(channel)) return reply({ error: { code: "already_subscribed", message: channel } });
      const { begin, replay } = server.join(channel, since);
      c.channels.add(channel);
      reply({ subscribed: { channel, position: `${server.epoch}.${begin}` } });
      replay.forEach(c.give);
    }

    send(text) {
      if (this.readyState !== 1) throw new Error("not open");
      const m = JSON.parse(text), { id } = m, c = this.conn, { server } = net;
      if (m.unsubscribe) server.left.push(m.unsubscribe.channel); // what is sent before a close arrives
      this.line.send(() => {
        if (m.ping && !server.deaf) c.give({ id, pong: { time: clock.now() } });
        if (m.subscribe) this.subscribe(m.subscribe.channel, m.subscribe.since, id);
        if (m.unsubscribe) c.channels.delete(m.unsubscribe.channel) && c.give({ id, unsubscribed: m.unsubscribe });
        if (m.publish) {
          const { offset, position } = server.publish(m.publish.channel, m.publish.data, { user: c.user });
          c.give({ id, published: { channel: m.publish.channel, offset, position } });
        }
        if (m.refresh) {
          c.expires = JSON.parse(atob(m.refresh.token.split(".")[1])).exp * 1000;
          c.give({ id, refreshed: { user: c.user } });
        }
      });
    }

    close() {
      if (this.readyState >= 2) return;
      this.readyState = 2;
      this.line.open = false;
      net.lines.delete(this.line);
      clock.clearTimeout(this.line.timer);
      gone(this.line.conn);
      this.closed(1005, "");
    }
  }

  // A stream's beginning is told by begin, with what was missed; give and end are called later.
  const stream = (line, r, begin, give, end) => {
    const { server } = net, c = net.connect(line, r, m => give(m, at), why => { gone(c); end(why); });
    const joined = r.list.map(([n, s]) => [n, server.join(n, s)]), at = new Map(joined.map(([n, j]) => [n, j.begin]));
    const ids = () => [...at.values()].map(o => `${server.epoch}.${o}`).join(",");
    for (const [, { replay }] of joined) if (replay[0]?.gap) c.give(replay.shift());
    line.send(() => begin(ids()));
    for (const [n, { replay }] of joined) {
      c.channels.add(n);
      replay.forEach(c.give);
    }
    if (r.user) for (const l of server.waiting(r.user)) c.give(server.wire(l));
    return ids;
  };

  class FakeEventSource extends EventTarget {
    readyState = 0;
    retry = 3000;
    constructor(url) {
      super();
      sockets++;
      this.go(url);
    }

    go(url) {
      net.server.requests.push("sse");
      const line = this.line = net.line(() => {
        gone(line.conn);
        if (this.readyState === 2) return;
        this.readyState = 0;
        this.again = clock.setTimeout(() => {
          const u = new URL(url);
          if (this.last) u.searchParams.set("since", this.last);
          this.go(u.href);
        }, this.retry);
        this.onerror?.();
      }, run);
      line.send(() => {
        if (net.silent && net.blocked.has("sse")) return;
        if (!net.reachable("sse")) return line.cut();
        const r = net.server.parse(url), fire = (type, data) => this.readyState < 2 && this.dispatchEvent(Object.assign(new Event(type), { data: JSON.stringify(data) }));
        if (r.error) {
          this.readyState = 2;
          return this.onerror?.();
        }
        this.readyState = 1;
        const at = new Map(r.list);
        stream(line, r, ids => {
          ids.split(",").forEach((p, i) => at.set(r.list[i][0], p));
          this.last = ids;
          if (r.list.some(([, s]) => s)) fire("resumed", { recovered: true });
        }, m => {
          if (!m.gap && !m.mail) {
            at.set(m.channel, m.position);
            this.last = [...at.values()].join(",");
          }
          fire(m.gap ? "gap" : "message", m);
        }, ({ code, retry }) => {
          if (retry !== undefined) this.retry = retry;
          fire("closing", { closing: code, retry });
          line.open = true;
          line.cut();
        });
      });
    }

    close() {
      if (this.readyState < 2) sockets--;
      this.readyState = 2;
      clock.clearTimeout(this.again);
      this.line.open = false;
      net.lines.delete(this.line);
      clock.clearTimeout(this.line.timer);
      gone(this.line.conn);
    }
  }

  const fetch = (url, { signal, headers = {}, method } = {}) => new Promise((resolve, reject) => {
    const path = new URL(url).pathname.slice(1);
    if (signal?.aborted) return reject(signal.reason);
    net.server.requests.push(path);
    let fail = reject;
    const line = net.line(() => {
      gone(line.conn);
      net.server.polls = net.server.polls.filter(p => p.line !== line);
      fail(new TypeError("network error"));
    }, run);
    signal?.addEventListener("abort", () => {
      net.server.polls = net.server.polls.filter(p => p.line !== line);
      fail(signal.reason);
      line.open = false;
      net.lines.delete(line);
      clock.clearTimeout(line.timer);
      gone(line.conn);
    });
    const answer = (status, body, more = {}) => line.send(() => {
      line.open = false;
      net.lines.delete(line);
      clock.clearTimeout(line.timer);
      resolve({ ok: status < 300, status, headers: new Headers(more), json: async () => JSON.parse(JSON.stringify(body)) });
    });
    line.send(() => {
      const r = net.server.parse(url, headers.Authorization?.slice(7));
      const rung = path === "stream" ? "stream" : path === "poll" && r.q.get("wait") !== "0" ? "longpoll" : "poll";
      if (net.silent && net.blocked.has(rung)) return;
      if (!net.reachable(rung)) return line.cut();
      if (r.error) return answer(r.error.status, { error: { code: r.error.code, message: "no" } }, r.error.headers);
      if (path === "ping") return answer(200, { pong: { time: clock.now() } });
      if (path === "ack") {
        r.q.get("only").split(",").forEach(n => net.server.acked.add(+n));
        return answer(200, { acknowledged: 1 });
      }
      if (path === "presence") return answer(200, { channel: r.q.get("channel"), ...net.server.presence(r.q.get("channel")) });
      if (path === "poll") {
        const wait = Number(r.q.get("wait")), request = { ...r, wait, line, answer: body => answer(200, body), cut: line.cut };
        net.server.poll(request);
        if (wait) clock.setTimeout(() => line.open && net.server.polls.includes(request) && net.server.answer(request, true), wait * 1000);
        return;
      }
      const chunks = [];
      let wanted, over;
      const push = m => {
        chunks.push(new TextEncoder().encode(JSON.stringify(m) + "\n"));
        wake();
      };
      const wake = () => {
        if (!wanted) return;
        if (chunks.length) wanted.resolve({ value: chunks.shift(), done: false });
        else if (over) wanted.resolve({ done: true });
        else return;
        wanted = undefined;
      };
      fail = e => {
        reject(e);
        wanted?.reject(e);
        over = true;
      };
      stream(line, r, position => push({ position }), push, ({ code, retry }) => {
        push({ closing: code, retry });
        over = true;
        wake();
      });
      line.send(() => resolve({ ok: true, body: { getReader: () => ({ read: () => new Promise((resolve, reject) => {
        wanted = { resolve, reject };
        wake();
      }) }) } }));
    });
  });

  return { WebSocket: FakeWebSocket, EventSource: FakeEventSource, fetch, open: () => sockets };
}

class Counted extends EventTarget {
  count = 0;
  addEventListener(...a) {
    this.count++;
    super.addEventListener(...a);
  }
  removeEventListener(...a) {
    this.count--;
    super.removeEventListener(...a);
  }
}

// Browser has locks, channels between tabs and storage for all of its tabs.
export class Browser {
  locks = new Map();
  channels = new Set();
  stored = new Map();

  constructor(clock, net, random = randomOf(1)) {
    Object.assign(this, { clock, net, random });
    this.localStorage = { getItem: k => this.stored.get(k) ?? null, setItem: (k, v) => void this.stored.set(k, v) };
  }

  request(tab, name, { signal, steal } = {}, f) {
    return new Promise((resolve, reject) => {
      const lock = this.locks.get(name) ?? { holder: undefined, queue: [] };
      this.locks.set(name, lock);
      const entry = { tab, grant: () => {
        lock.holder = entry;
        const done = () => lock.holder === entry && this.next(lock);
        Promise.resolve(f()).then(resolve, reject).finally(done);
      }, reject };
      if (steal) {
        lock.holder?.reject(new DOMException("stolen", "AbortError"));
        return entry.grant();
      }
      signal?.addEventListener("abort", () => {
        lock.queue = lock.queue.filter(e => e !== entry);
        if (lock.holder !== entry) reject(signal.reason);
      });
      lock.queue.push(entry);
      if (!lock.holder) this.next(lock);
    });
  }

  next(lock) {
    lock.holder = undefined;
    lock.queue.shift()?.grant();
  }

  // tab returns the options of a client in a new tab.
  tab(more = {}) {
    const { clock } = this, browser = this, net = more.net ?? this.net, timers = new Set();
    const tab = { alive: true, frozen: false, timers, held: [] };
    const run = f => {
      if (!tab.alive) return;
      if (tab.frozen) tab.held.push(f);
      else f();
    };
    tab.transports = transports(net, run);
    class FakeBroadcastChannel {
      constructor(name) {
        Object.assign(this, { name, tab });
        browser.channels.add(this);
      }
      postMessage(m) {
        const copy = JSON.stringify(m);
        if (!tab.alive) return;
        if (!browser.channels.has(this)) throw new Error("closed");
        for (const c of browser.channels) if (c !== this && c.name === this.name) {
          clock.setTimeout(() => browser.channels.has(c) && c.tab.run(() => c.onmessage?.({ data: JSON.parse(copy) })), 1);
        }
      }
      close() { browser.channels.delete(this); }
    }
    tab.run = run;
    const window = tab.window = Object.assign(new Counted(), {
      localStorage: this.localStorage, document: { hidden: false }, location: { href: "http://site.test/", origin: "http://site.test" }, BroadcastChannel: FakeBroadcastChannel,
      navigator: { onLine: true, locks: { request: (name, o, f) => this.request(tab, name, o, () => tab.alive ? f() : undefined) } },
    });
    tab.options = {
      window, now: clock.now, random: this.random,
      setTimeout: (f, ms) => {
        const n = clock.setTimeout(() => {
          timers.delete(n);
          run(f);
        }, ms);
        timers.add(n);
        return n;
      },
      clearTimeout: n => {
        timers.delete(n);
        clock.clearTimeout(n);
      },
      ...tab.transports, ...more.options,
    };
    // kill ends a tab without a word.
    tab.kill = () => {
      tab.alive = false;
      timers.forEach(clock.clearTimeout);
      for (const c of [...this.channels]) if (c.tab === tab) c.close();
      for (const lock of this.locks.values()) {
        lock.queue = lock.queue.filter(e => e.tab !== tab);
        if (lock.holder?.tab === tab) this.next(lock);
      }
    };
    tab.freeze = () => { tab.frozen = true; };
    tab.thaw = () => {
      tab.frozen = false;
      tab.held.splice(0).forEach(f => f());
    };
    tab.fire = type => window.dispatchEvent(new Event(type));
    tab.listeners = () => window.count;
    return tab;
  }
}
