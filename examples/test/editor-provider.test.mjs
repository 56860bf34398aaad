// The provider of joint editing in a model world: a server, a site and pages with a clock of their own, random edits, and whatever can
// go wrong between them. SEED=7 SEEDS=1 repeats a run, SEEDS=500 makes more of them.
import assert from "node:assert/strict";
import { mock, test } from "node:test";
import * as Y from "yjs";
import { EnckeProvider } from "../editor/provider.js";
import { MOST, TEXT, isUpdate } from "../editor/updates.js";

const seeds = Array.from({ length: +(process.env.SEEDS ?? 25) }, (_, i) => +(process.env.SEED ?? 1) + i);
const base64 = update => Buffer.from(update).toString("base64");
const settle = async () => { for (let i = 0; i < 12; i++) await new Promise(setImmediate); };

function random(seed) { // mulberry32
  const next = () => {
    let t = seed += 0x6d2b79f5;
    t = Math.imul(t ^ t >>> 15, t | 1);
    t ^= t + Math.imul(t ^ t >>> 7, t | 61);
    return ((t ^ t >>> 14) >>> 0) / 2 ** 32;
  };
  return { next, below: n => Math.floor(next() * n), pick: all => all[Math.floor(next() * all.length)] };
}

/** Encke with one channel, as PROTOCOL.md says it behaves, and the site's shelf, as shelf.go does. */
class World {
  now = 0;
  epoch = 1;
  offset = 0;
  log = [];
  ids = new Map();
  pages = [];
  shelf = null;
  siteDown = false;

  constructor(rand, history) {
    Object.assign(this, { rand, history });
  }

  position = () => `e${this.epoch}.${this.offset}`;

  store(event, data, user) {
    this.log.push({ offset: ++this.offset, position: this.position(), event, data, user });
    if (this.log.length > this.history) this.log.shift();
    for (const p of this.pages) p.flow();
    return { position: this.position() };
  }

  restart() {
    Object.assign(this, { epoch: this.epoch + 1, offset: 0, log: [], ids: new Map() });
    for (const p of this.pages) p.flow();
  }

  load = async () => {
    await null;
    if (this.siteDown) throw new Error("The site cannot be reached just now.");
    const all = this.shelf ? [this.shelf.newest, this.shelf.older].filter(Boolean) : [], from = all.at(-1)?.position ?? "0";
    const head = this.log.length && this.position() !== from ? this.position() : undefined;
    return { snapshots: all.map(s => s.state), newest: all[0] ? { tag: all[0].tag, position: all[0].position } : null, from, head };
  };

  save = async ({ position, after, state }) => {
    await null;
    if (this.siteDown) throw new Error("The site cannot be reached just now.");
    const refuse = status => { throw Object.assign(new Error("refused"), { status }); };
    const [epoch, offset] = position.split("."), s = this.shelf;
    if (epoch !== "e" + this.epoch || +offset > this.offset || (s?.newest.tag ?? "") !== after) refuse(409);
    const n = { position, state, tag: `${position}/${this.rand.next()}` };
    if (s && epoch === s.newest.position.split(".")[0] && +offset < +s.newest.position.split(".")[1]) refuse(409);
    if (s && this.now - s.took < 1000) refuse(429);
    if (!s) this.shelf = { newest: n, took: this.now };
    else {
      if (!s.older || this.now - s.since >= 600000) Object.assign(s, { older: s.newest, since: this.now });
      Object.assign(s, { newest: n, took: this.now });
    }
    this.store("kept", { tag: n.tag, position });
    return { tag: n.tag, position };
  };
}

/** The client of Encke in a page, as far as the provider uses it. */
class Page {
  state = "open";
  handlers = [];
  closed = false;

  constructor(world, user) {
    Object.assign(this, { world, user, doc: new Y.Doc() });
    this.doc.clientID = 1000 + world.rand.below(1e6);
    this.text = this.doc.getText(TEXT);
    this.provider = new EnckeProvider(this, "doc:x", this.doc, world, undefined, { many: world.history / 10 });
    world.pages.push(this);
  }

  on(type, f) {
    this.handlers.push(f);
    return () => {};
  }

  subscribe(channel, callback, { since }) {
    this.sub = { since, callback, gaps: [], unsubscribe() {}, on: (type, f) => type === "gap" && this.sub.gaps.push(f) };
    queueMicrotask(() => this.flow());
    return this.sub;
  }

  // gives what there is from where the subscription is, or tells of the gap
  flow() {
    const { world, sub } = this;
    if (this.state !== "open" || !sub || this.flowing || this.closed) return;
    this.flowing = true;
    queueMicrotask(() => {
      this.flowing = false;
      if (this.state !== "open" || this.closed) return;
      const [epoch, n] = sub.since.split("."), first = world.log[0]?.offset ?? world.offset + 1;
      const gap = reason => {
        sub.since = `e${world.epoch}.${first - 1}`;
        for (const f of sub.gaps) f({ gap: true, reason, position: sub.since });
      };
      if (sub.since === "0") sub.since = `e${world.epoch}.${first - 1}`;
      else if (epoch !== "e" + world.epoch) gap("epoch");
      else if (+n < first - 1) gap("expired");
      for (const m of world.log) {
        if (m.offset <= +sub.since.split(".")[1]) continue;
        sub.since = m.position;
        sub.callback(m);
      }
    });
  }

  publish(channel, data, { event, id }) {
    return new Promise((resolve, reject) => {
      const lost = () => setTimeout(() => reject(Object.assign(new Error("lost"), { code: "timeout" })), 8000);
      if (this.state !== "open" || this.closed || this.world.rand.below(20) === 0) return lost();
      const known = this.world.ids.get(this.user + id);
      if (known) assert.equal(known.data, data, "an id with another message");
      const answer = known?.answer ?? this.world.store(event, data, this.user);
      this.world.ids.set(this.user + id, { data, answer });
      if (this.world.rand.below(20) === 0) return lost(); // stored, but nobody has heard the answer
      setTimeout(() => resolve(answer), 20);
    });
  }

  set(state) {
    this.state = state;
    for (const f of this.handlers) f(state);
    this.flow();
  }

  close() {
    this.closed = true;
    this.provider.destroy();
    this.world.pages = this.world.pages.filter(p => p !== this);
  }
}

const tokens = text => text.match(/<\d+>/g) ?? [];

/** Lets time pass, in steps, so that promises come between timers. */
async function pass(world, ms, step = 50) {
  for (let t = 0; t < ms; t += step) {
    world.now += step;
    mock.timers.tick(step);
    await settle();
  }
}

async function run(seed, { hostile = false } = {}) {
  const rand = random(seed), world = new World(rand, rand.pick([40, 100, 1000])), alive = new Set();
  let written = 0, visitors = 0;
  const newcomer = () => new Page(world, "u" + visitors++);
  newcomer();
  newcomer();
  await pass(world, 500);
  for (let i = 0; i < 120; i++) {
    const page = rand.pick(world.pages), ready = page.provider.ready;
    switch (rand.below(hostile ? 16 : 13)) {
      case 0: page.set("waiting"); break;
      case 1: for (const p of world.pages) p.set("open"); break;
      case 2: world.pages.length < 5 && newcomer(); break;
      case 3: // somebody who goes; but somebody else has all that this one has: when server, site and page go, what they alone have goes
        if (world.pages.length > 2 && ready && !page.provider.unsent() && world.pages.some(p => p !== page && p.text.toString() === page.text.toString())) page.close();
        break;
      case 4: if (rand.below(4) === 0) world.restart(); break;
      case 5: if (rand.below(6) === 0) world.restart(), world.shelf = null; break;
      case 6: world.siteDown = rand.below(3) === 0; break;
      case 13: world.store("update", base64(Uint8Array.from({ length: rand.below(80) }, () => rand.below(256))), "eve"); break;
      case 14: world.store(rand.pick(["update", "kept", "", undefined]), rand.pick([null, 17, "", "?", {}, [], { tag: "x", position: "e1.999999" }, "A".repeat(900000)]), "eve"); break;
      case 15: // a snapshot of nothing, of something old, or of anything, by one who knows the newest
        await world.save({ position: world.position(), after: world.shelf?.newest.tag ?? "", state: rand.pick(["AAA=", world.shelf?.older?.state ?? "AAA=", base64(Uint8Array.from({ length: 9 }, () => rand.below(256)))]) }).catch(() => {});
        break;
      default: {
        if (!ready) break; // the page lets nobody write before
        const own = tokens(page.text.toString()), at = page.text.toString().indexOf(rand.pick(own));
        if (own.length && rand.below(4) === 0) {
          const one = rand.pick(own);
          page.text.delete(page.text.toString().indexOf(one), one.length);
          alive.delete(one);
        } else {
          const one = `<${written++}>`;
          page.text.insert(Math.max(at, 0), one);
          alive.add(one);
        }
      }
    }
    await pass(world, rand.pick([0, 50, 100, 1000]));
  }
  world.siteDown = false;
  for (const p of world.pages) p.set("open");
  await pass(world, 60000, 500);
  if (hostile) await pass(world, 900000, 5000);
  const late = newcomer();
  await pass(world, 60000, 500);
  const want = [...alive].sort();
  for (const p of world.pages) {
    assert.deepEqual(tokens(p.text.toString()).sort(), want, `${p.user} has other text`);
    assert.equal(p.text.toString(), late.text.toString(), `${p.user} has another order`);
    assert.equal(p.provider.ready, true);
    assert.equal(p.provider.unsent(), null);
  }
  for (const p of [...world.pages]) p.close();
}

/** Runs something in a world whose clock stands still but for pass(), once for each seed. */
async function worlds(run, seeds = [1]) {
  const { random: real } = Math;
  try {
    for (const seed of seeds) {
      Math.random = random(seed).next;
      mock.timers.reset();
      mock.timers.enable({ apis: ["setTimeout"] });
      await run(seed).catch(e => { throw new Error(`SEED=${seed}: ${e.message}`, { cause: e }); });
    }
  } finally {
    Math.random = real;
    mock.timers.reset();
  }
}

test("whatever breaks, nothing is lost or doubled, and all have the same", () => worlds(seed => run(seed), seeds));
test("nor by rubbish in the channel and snapshots that lie", () => worlds(seed => run(seed, { hostile: true }), seeds));

/** Two pages that have "text" and a snapshot of it, and what a liar does: a snapshot in place of the newest, and so much that history passes. */
async function scene() {
  const world = new World(random(3), 30), a = new Page(world, "a"), b = new Page(world, "b");
  await pass(world, 200);
  a.text.insert(0, "text");
  await pass(world, 20000);
  assert.equal(b.text.toString(), "text");
  assert.ok(world.shelf);
  const lie = (state = "AAA=") => world.save({ position: world.position(), after: world.shelf.newest.tag, state });
  const flood = async () => {
    for (let i = 0; i < 40; i++) {
      world.store("update", "?", "eve");
      await null; // those who are there follow
      await null;
    }
  };
  return { world, a, b, lie, flood };
}

test("an empty snapshot in place of a good one takes the text from nobody", () => worlds(async () => {
  const { world, a, b, lie, flood } = await scene();
  a.close();
  b.close();
  await lie();
  await flood();
  const late = new Page(world, "late");
  await pass(world, 1000);
  assert.equal(late.text.toString(), "text");
}));

test("nor does another one when the good one has gone, while somebody is there", () => worlds(async () => {
  const { world, lie, flood } = await scene();
  for (let i = 0; i < 3; i++) {
    await lie();
    await flood();
    await pass(world, 660000, 1000);
  }
  await lie();
  await flood();
  const late = new Page(world, "late");
  await pass(world, 1000);
  assert.equal(late.text.toString(), "text");
}));

test("what a snapshot alone has comes to those who were there before", () => worlds(async () => {
  const { world, a, b, lie } = await scene(), more = new Y.Doc();
  Y.applyUpdate(more, Y.encodeStateAsUpdate(a.doc));
  more.getText(TEXT).insert(4, " and more");
  await lie(base64(Y.encodeStateAsUpdate(more)));
  const late = new Page(world, "late");
  await pass(world, 1000);
  late.text.insert(13, "!"); // needs what the others do not have
  await pass(world, 10000);
  for (const p of [a, b, late]) assert.equal(p.text.toString(), "text and more!");
}));

test("what is not sent is in no snapshot", () => worlds(async () => {
  const { world, a, b } = await scene();
  b.close();
  a.publish = () => new Promise((_, no) => setTimeout(() => no(Object.assign(new Error("timeout"), { code: "timeout" })), 8000));
  a.text.insert(0, "secret ");
  world.store("update", base64(Y.encodeStateAsUpdate(new Y.Doc())), "eve");
  await pass(world, 60000, 500);
  const kept = new Y.Doc();
  Y.applyUpdate(kept, Buffer.from(world.shelf.newest.state, "base64"));
  assert.equal(kept.getText(TEXT).toString(), "text");
}));

test("what is no text, and what no Yjs, is passed over", () => worlds(async () => {
  const { world, a, b } = await scene(), more = new Y.Doc();
  more.getText(TEXT).insertEmbed(0, { image: "x" });
  more.getText(TEXT).insert(0, "\r\n");
  world.store("update", base64(Y.encodeStateAsUpdate(more)), "eve");
  world.store("kept", { tag: "x", position: world.position() }, "eve"); // says a client, in place of the site
  a.text.insert(4, "!");
  await pass(world, 20000);
  for (const p of [a, b]) assert.equal(p.text.toString(), "text!");
  const kept = new Y.Doc();
  Y.applyUpdate(kept, Buffer.from(world.shelf.newest.state, "base64"));
  assert.equal(kept.getText(TEXT).toString(), "text!");
}));

test("quiet pages make no snapshots of what is kept", () => worlds(async () => {
  const { world } = await scene();
  await pass(world, 700000, 1000);
  const { tag } = world.shelf.newest;
  await pass(world, 3600000, 5000);
  assert.equal(world.shelf.newest.tag, tag);
}));

test("what may be an update", () => {
  const doc = new Y.Doc(), text = doc.getText(TEXT);
  text.insert(0, "hello 👋 world\n");
  text.delete(2, 3);
  const good = Y.encodeStateAsUpdate(doc);
  assert.ok(isUpdate(good));
  for (const [what, make] of Object.entries({
    "a picture": d => d.getText(TEXT).insertEmbed(0, { image: "x" }),
    "bold": d => d.getText(TEXT).insert(0, "x", { bold: true }),
    "a carriage return": d => d.getText(TEXT).insert(0, "x\r\ny"),
    "another text": d => d.getText("other").insert(0, "x"),
    "a list": d => d.getArray(TEXT).insert(0, [1, 2]),
    "a map": d => d.getMap(TEXT).set("a", 1),
    "a document in it": d => d.getMap("m").set("a", new Y.Doc()),
    "bytes": d => d.getArray("m").insert(0, [new Uint8Array(3)]),
    "an attribute": d => d.getText(TEXT).setAttribute("a", "b"),
  })) {
    const d = new Y.Doc();
    make(d);
    assert.ok(!isUpdate(Y.encodeStateAsUpdate(d)), what);
  }
  assert.ok(!isUpdate(new Uint8Array()) && !isUpdate("x") && !isUpdate(undefined) && !isUpdate(new Uint8Array(MOST + 1)));
  const rand = random(5);
  for (let i = 0; i < 3000; i++) {
    const bytes = i % 2 ? Uint8Array.from(good) : Uint8Array.from({ length: rand.below(60) }, () => rand.below(256));
    if (i % 2) bytes[rand.below(bytes.length)] = rand.below(256);
    const d = new Y.Doc(), ok = isUpdate(bytes);
    if (ok) try { Y.applyUpdate(d, bytes); } catch {}
    assert.equal(d.getText(TEXT).toString().length, d.getText(TEXT).length, "the editor would show another place than it changes");
  }
});
