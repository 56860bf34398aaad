// The client in a world of its own: clock, server, network and browser are models (fake.mjs), so nothing here takes real time.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { Encke, EnckeError } from "../encke.js";
import { track } from "./check.mjs";
import { Browser, Clock, Network, Server, randomOf, token } from "./fake.mjs";

const LADDER = ["ws", "sse", "stream", "longpoll", "poll"];

function world({ keep, random } = {}) {
  const clock = new Clock(), server = new Server(clock, { keep }), net = new Network(server, clock, random), browser = new Browser(clock, net, random);
  const w = { clock, server, net, browser, tabs: [], errors: [] };
  w.open = (options = {}, more = {}) => {
    const tab = browser.tab({ ...more, options });
    tab.states = [];
    tab.encke = new Encke("/", tab.options);
    tab.encke.on("state", s => tab.states.push([clock.now(), s]));
    tab.encke.on("error", e => w.errors.push(e.code));
    w.tabs.push(tab);
    return tab;
  };
  w.ready = (...tabs) => clock.until(() => "open, but " + tabs.map(t => [t.encke.state, t.encke.leader, t.encke._link?.rung, t.encke._link?.run?.rung, !!t.encke._link?.resume, t.encke._chief]).join("; "), () => tabs.every(t => t.encke.state === "open"));
  w.leaders = () => w.tabs.filter(t => t.alive && t.encke._link);
  return w;
}

// solo is a client that shares nothing.
const solo = (w, options) => w.open({ shared: false, ...options });

test("under 8 KB gzipped", t => {
  const file = new URL("../encke.js", import.meta.url), gzip = spawnSync("gzip", ["-9", "-n", "-c", file.pathname]);
  const size = gzip.error ? gzipSync(readFileSync(file), { level: 9 }).length : gzip.stdout.length;
  t.diagnostic(`${size} bytes`);
  assert.ok(size <= 8192, `${size} bytes`);
});

test("the ladder: what is blocked, refused or silent, is passed over", async () => {
  for (const silent of [false, true]) {
    for (let n = 0; n < LADDER.length; n++) {
      const w = world();
      LADDER.slice(0, n).forEach(t => w.net.blocked.add(t));
      w.net.silent = silent;
      const tab = solo(w), got = track(tab.encke.subscribe("a"));
      await w.clock.until(`${n} blocked: ${LADDER[n]}`, () => tab.encke.state === "open" && tab.encke.transport === LADDER[n], 200000);
      w.server.publish("a", 1);
      await w.clock.until("a message", () => got.messages.length === 1);
      tab.encke.close();
      assert.deepEqual(w.errors, []);
    }
  }
});

test("a transport that has worked is remembered, for an hour; then a better one is tried", async () => {
  const w = world();
  w.net.blocked.add("ws").add("sse");
  const tab = solo(w);
  tab.encke.subscribe("a");
  await w.ready(tab);
  tab.encke.close();
  w.server.requests = [];
  const again = solo(w), got = track(again.encke.subscribe("a"));
  await w.ready(again);
  assert.deepEqual([again.encke.transport, w.server.requests], ["stream", ["stream"]]);
  w.net.blocked.clear();
  for (let i = 0; i < 70; i++) {
    w.server.publish("a", i);
    await w.clock.run(60000);
  }
  assert.equal(again.encke.transport, "ws");
  assert.equal(got.messages.length, 70);
  again.encke.close();
  const fixed = solo(w, { transports: ["poll", "longpoll"] });
  fixed.encke.subscribe("a");
  await w.ready(fixed);
  assert.equal(fixed.encke.transport, "poll");
  fixed.encke.close();
  const none = solo(w, { WebSocket: undefined, EventSource: undefined });
  none.encke.subscribe("a");
  await w.ready(none);
  assert.equal(none.encke.transport, "stream");
});

test("a transport that is cut again and again gives way to the next", async () => {
  const w = world();
  w.net.longest = 5000;
  const tab = solo(w), got = track(tab.encke.subscribe("a"));
  await w.ready(tab);
  for (let i = 0; i < 20; i++) {
    w.server.publish("a", i);
    await w.clock.run(7000);
  }
  assert.equal(tab.encke.transport, "poll");
  await w.clock.until("all", () => got.messages.length === 20);
  assert.deepEqual(got.gaps, []);
});

test("a transport that has worked and does no more gives way, at the second failure", async () => {
  const w = world(), tab = solo(w);
  tab.encke.subscribe("a");
  await w.ready(tab);
  await w.clock.run(60000);
  w.net.blocked.add("ws");
  w.server.requests = [];
  w.net.cutAll();
  await w.clock.until("it changes", () => tab.encke.transport === "sse");
  assert.equal(w.server.requests.filter(r => r === "ws").length, 2);
});

test("a server that restarts does not push clients down the ladder", async () => {
  const w = world(), tab = solo(w);
  tab.encke.subscribe("a");
  await w.ready(tab);
  for (let i = 0; i < 10; i++) {
    w.server.stop();
    await w.clock.run(2000);
    w.server.boot();
    await w.ready(tab);
    assert.equal(tab.encke.transport, "ws");
    await w.clock.run(1000);
  }
});

test("back-off: full jitter, up to 30 s, at once when the page is seen or the network is back", async () => {
  for (const random of [0, 0.5, 0.999]) {
    const w = world({ random: () => random }), tab = solo(w);
    tab.encke.subscribe("a");
    await w.ready(tab);
    w.server.stop();
    w.server.requests = [];
    const waits = [];
    let began;
    tab.encke.on("state", s => {
      if (s === "waiting") began = w.clock.now();
      else if (began) waits.push(w.clock.now() - began), began = 0;
    });
    if (random) await w.clock.run(200000);
    else await w.clock.run(300);
    waits.slice(0, 6).forEach((ms, n) => assert.ok(Math.abs(ms - random * Math.min(30000, 1000 * 2 ** n)) < 2, `wait ${n} is ${ms} at ${random}`));
    assert.ok(waits.length > 3);
    if (random < 0.9) continue;
    for (const event of ["online", "visibilitychange", "resume"]) {
      await w.clock.until("it waits", () => tab.encke.state === "waiting");
      const before = waits.length;
      if (event === "resume") {
        tab.fire("freeze");
        tab.fire("resume");
        await w.clock.run(100);
        continue;
      }
      tab.fire(event);
      await w.clock.run(1);
      assert.equal(waits.length, before + 1, event);
    }
  }
});

test("back-off begins anew after a connection that lasted", async () => {
  const w = world({ random: () => 0.99 }), tab = solo(w);
  tab.encke.subscribe("a");
  await w.ready(tab);
  w.server.stop();
  await w.clock.run(100000);
  w.server.boot();
  await w.ready(tab);
  await w.clock.run(4000);
  w.net.cutAll();
  await w.clock.run(1200);
  assert.equal(tab.encke.state, "open");
});

test("offline: no tries until the browser is online, but now and then", async () => {
  const w = world(), tab = solo(w);
  tab.encke.subscribe("a");
  await w.ready(tab);
  tab.window.navigator.onLine = false;
  w.net.down = true;
  w.net.cutAll();
  await w.clock.until("it knows", () => tab.encke.state === "offline");
  w.server.requests = [];
  await w.clock.run(10000);
  assert.deepEqual(w.server.requests, []);
  tab.window.navigator.onLine = true;
  w.net.down = false;
  tab.fire("online");
  await w.clock.run(100);
  assert.equal(tab.encke.state, "open");
});

test("the server says when to come back, over every transport", async () => {
  for (const transport of LADDER) {
    const w = world(), tab = solo(w, { transports: [transport], interval: 1000 }), got = track(tab.encke.subscribe("a"));
    await w.ready(tab);
    await w.clock.run(11000);
    w.server.requests = [];
    w.server.stop(7000);
    if (transport === "poll") { // nobody was there to be told; the next poll is
      w.server.up = true;
      w.server.answer = p => p.answer({ publications: [], position: p.from.join(), retry: 7000 });
      await w.clock.until("a poll", () => tab.encke.state === "waiting");
      delete w.server.answer;
      w.server.up = false;
    }
    w.server.requests = [];
    await w.clock.run(1000);
    w.server.boot();
    tab.fire("visibilitychange");
    await w.clock.run(5900);
    assert.deepEqual(w.server.requests, [], transport);
    await w.clock.run(2000);
    assert.equal(tab.encke.state, "open", transport);
    w.server.publish("a", 1);
    await w.clock.until("a message", () => got.messages.length);
    assert.deepEqual(got.gaps.map(g => g.reason), ["epoch"]);
    assert.deepEqual(w.errors, []);
    tab.encke.close();
  }
  const w = world();
  w.server.refuse = { status: 503, code: "too_many_connections", headers: { "Retry-After": "9" } };
  const tab = solo(w);
  tab.encke.subscribe("a");
  await w.clock.until("it waits", () => tab.encke.state === "waiting");
  w.server.requests = [];
  w.server.refuse = null;
  await w.clock.run(8900);
  assert.deepEqual(w.server.requests, []);
  await w.ready(tab);
  assert.deepEqual(w.errors, ["too_many_connections"]);
});

test("sleep: a clock that has jumped makes it look at once", async () => {
  for (const transport of LADDER) {
    const w = world(), tab = solo(w, { transports: [transport] }), got = track(tab.encke.subscribe("a"));
    await w.ready(tab);
    w.net.lines.forEach(l => { l.open = false; }); // the network forgot us, and nobody said so
    w.net.lines.clear();
    w.server.conns.clear();
    w.server.polls = [];
    w.clock.time += 3600000;
    w.server.publish("a", 1);
    await w.clock.run(6000);
    assert.equal(got.messages.length, 1, transport);
    tab.encke.close();
  }
});

test("a dead WebSocket is found by its silence", async () => {
  const w = world(), tab = solo(w), got = track(tab.encke.subscribe("a"));
  await w.ready(tab);
  await w.clock.run(1000);
  assert.ok(tab.encke.latency > 0);
  w.net.lines.forEach(l => { l.open = false; });
  w.server.conns.clear();
  w.server.publish("a", 1);
  await w.clock.run(40000);
  assert.equal(got.messages.length, 1);
});

test("random faults, over all transports: each message once and in order, or a gap", async t => {
  let messages = 0, gaps = 0, changes = 0;
  const seeds = Number(process.env.SEEDS ?? 60), first = Number(process.env.SEED ?? 1);
  for (let seed = first; seed < first + seeds; seed++) {
    const random = randomOf(seed), w = world({ random, keep: 30 }), one = a => a[Math.floor(random() * a.length)];
    const shared = random() < 0.5, tabs = Array.from({ length: 1 + Math.floor(random() * 3) }, () => w.open({ shared, interval: 1000, token: token("u", 4e9) }));
    const tracks = new Map();
    let exact = true; // as long as nothing can be lost for good
    const subscribe = (tab, channel, since) => {
      const sub = tab.encke.subscribe(channel, undefined, { since }), got = track(sub, `seed ${seed} ${channel}`);
      tracks.set(sub, { got, tab, from: since === "0" ? 0 : undefined });
      return sub;
    };
    try {
      tabs.forEach(tab => ["a", "b", "user:u"].forEach(c => subscribe(tab, c, one(["", "0"]))));
      await w.ready(...tabs);
      for (let step = 0; step < 60; step++) {
        for (let i = 0; i < random() * 5; i++) w.server.publish(one(["a", "b", "user:u"]), step);
        const fault = Math.floor(random() * 14);
        if (fault === 0) w.net.cutAll();
        else if (fault === 1) one([...w.net.lines])?.cut();
        else if (fault === 2) { w.net.blocked.add(one(LADDER.slice(0, 4))); w.net.cutAll(); changes++; }
        else if (fault === 3) w.net.blocked.clear();
        else if (fault === 4) w.net.silent = !w.net.silent;
        else if (fault === 5) w.net.down = !w.net.down;
        else if (fault === 6 && random() < 0.3) { exact = false; w.server.stop(one([undefined, 500])); w.clock.setTimeout(() => w.server.boot(), 800 * random()); }
        else if (fault === 7) subscribe(one(tabs), one(["a", "b"]), one(["", "0"]));
        else if (fault === 8) { const s = one([...tracks.keys()]); if (random() < 0.5) { s.unsubscribe(); tracks.get(s).over = true; } }
        else if (fault === 9) one(tabs).fire("visibilitychange");
        else if (fault === 10 && shared) { const tab = one(tabs); tab.fire("freeze"); await w.clock.run(random() * 3000); tab.fire("resume"); }
        else if (fault === 11 && random() < 0.3) for (let i = 0; i < 40; i++) w.server.publish("a", step); // more than is kept
        await w.clock.run(random() * 1500);
        if (!w.server.up) await w.clock.run(1000);
      }
      w.net.down = false;
      w.net.blocked.clear();
      await w.ready(...tabs);
      const ends = ["a", "b", "user:u"].map(c => w.server.publish(c, "end").position);
      const live = [...tracks].filter(([, x]) => !x.over);
      await w.clock.until(`the end: ${ends} ${live.map(([s]) => s.channel + " " + s.since)}`, () => live.every(([s]) => ends.includes(s.since)));
      for (const [, { got }] of tracks) {
        messages += got.messages.length;
        gaps += got.gaps.length;
        assert.ok(!got.gaps.some(g => g.reason === "lost"), "lost");
        if (exact) assert.ok(got.gaps.every(g => g.reason === "expired"));
      }
      assert.deepEqual(w.errors, []);
      for (const tab of tabs) {
        tab.encke.close();
        await w.clock.run(10);
        assert.equal(tab.timers.size, 0, "timers");
        assert.equal(tab.listeners(), 0, "listeners");
        assert.equal(tab.transports.open(), 0, "sockets");
      }
    } catch (e) {
      e.message = `seed ${seed}: ${e.message}`;
      throw e;
    }
  }
  t.diagnostic(`${messages} messages, ${gaps} gaps, ${changes} transports blocked on the way`);
});

test("a subscription from the beginning, or from a position, of a channel that is followed already", async () => {
  for (const transport of LADDER) {
    const w = world({ keep: 150 }), tab = solo(w, { transports: [transport], interval: 500 }), now = track(tab.encke.subscribe("a"));
    const empty = tab.encke.subscribe("empty", undefined, { since: "0" });
    await w.ready(tab);
    await w.clock.until("it knows where it is", () => empty.since.includes("."));
    for (let i = 0; i < 140; i++) w.server.publish("a", i);
    await w.clock.until("all", () => now.messages.length === 140);
    const requests = w.server.requests.length;
    const kept = track(tab.encke.subscribe("a", undefined, { since: "0" })), from = track(tab.encke.subscribe("a", undefined, { since: `${w.server.epoch}.100` }));
    await w.clock.run(400);
    assert.deepEqual([kept.messages.length, from.messages.length], [140, 40], transport); // without a new message
    if (transport === "ws") assert.equal(w.server.requests.slice(requests).join(), "poll,poll,poll,poll"); // of 50 each
    w.server.publish("a", "new");
    await w.clock.until("the next", () => [now, kept, from].every(t => t.messages.at(-1)?.data === "new"));
    const forged = tab.encke.subscribe("a", undefined, { since: `${w.server.epoch}.900` }), gaps = track(forged);
    const nonsense = tab.encke.subscribe("a", undefined, { since: "zz.3" }), other = track(nonsense);
    await w.clock.until("their gaps", () => gaps.gaps[0]?.reason === "unknown" && other.gaps[0]?.reason === "epoch");
    tab.encke.close();
  }
});

test("tokens: refreshed before they are over; a refused one is asked for again at once", async () => {
  for (const transport of LADDER) {
    const w = world(), asked = [];
    const tab = solo(w, { transports: [transport], interval: 1000, token: async () => {
      const now = Math.floor(w.clock.now() / 1000);
      asked.push(now);
      return token("ada", now + 100, now);
    } });
    const got = track(tab.encke.subscribe("a"));
    await w.ready(tab);
    assert.equal(tab.encke.user, "ada");
    for (let i = 0; i < 50; i++) {
      w.server.publish("a", i);
      await w.clock.run(10000);
    }
    assert.equal(got.messages.length, 50);
    assert.ok(asked.length >= 6 && asked.length <= 7, `${transport}: ${asked.length} tokens in 500 s`);
    if (transport === "ws") assert.equal(w.server.requests.filter(r => r === "ws").length, 1);
    assert.deepEqual(w.errors, []);
    tab.encke.close();
  }
  const w = world();
  let n = 0;
  const tab = solo(w, { token: () => token("ada", w.clock.now() / 1000 + (n++ ? 1000 : -1)) });
  await w.clock.run(200);
  assert.deepEqual([tab.encke.state, n], ["open", 2]);
  tab.encke.close();
  const other = solo(w, { token: () => token(n++ % 2 ? "ada" : "bob", w.clock.now() / 1000 + 5) });
  await w.clock.until("another user's token", () => w.errors.includes("wrong_user"));
  assert.equal(other.encke.state === "open" || other.encke.state === "closed", true);
  const failing = solo(w, { token: () => { throw new Error("no"); } });
  await w.clock.run(100);
  assert.equal(w.errors.at(-1), "callback_failed");
  failing.tab?.encke.close();
});

test("refusals: of a channel, of the connection", async () => {
  for (const transport of LADDER) {
    const w = world();
    w.server.forbidden.add("secret");
    const tab = solo(w, { transports: [transport] }), good = track(tab.encke.subscribe("good")), bad = tab.encke.subscribe("secret"), told = [];
    bad.on("error", e => told.push(e));
    await w.ready(tab);
    await w.clock.run(200);
    w.server.publish("good", 1);
    await w.clock.until("a message", () => good.messages.length);
    assert.equal(told.length, 1, transport);
    assert.ok(told[0] instanceof EnckeError && told[0].code === "forbidden" && told[0].channel === "secret");
    assert.deepEqual(w.errors, ["forbidden"]);
    tab.encke.close();
  }
  const w = world();
  w.server.refuse = { status: 403, code: "bad_origin" };
  const tab = solo(w);
  tab.encke.subscribe("a");
  await w.clock.until("it ends", () => tab.encke.state === "closed");
  assert.deepEqual(w.errors, ["bad_origin"]);
  w.server.requests = [];
  await w.clock.run(100000);
  assert.deepEqual(w.server.requests, []);
  w.server.refuse = null;
  tab.encke.connect();
  await w.ready(tab);
});

test("publishing: once, with an id through a break, not without a WebSocket, not for ever", async () => {
  const w = world(), tab = solo(w), got = track(tab.encke.subscribe("a"));
  const first = tab.encke.publish("a", { x: 1 }, { event: "e" }); // before there is a connection
  await w.clock.until("it", () => got.messages.length);
  assert.equal((await first).position, got.messages[0].position);
  const lost = tab.encke.publish("a", 2), kept = tab.encke.publish("a", 3, { id: "once" });
  w.net.cutAll();
  await assert.rejects(lost, { code: "connection_lost" });
  await w.clock.run(3000);
  assert.equal((await kept).channel, "a");
  w.server.stop();
  await w.clock.run(100);
  const late = assert.rejects(tab.encke.publish("a", 4), { code: "timeout" });
  await w.clock.run(15000);
  await late;
  tab.encke.close();
  await assert.rejects(tab.encke.publish("a", 5), { code: "closed" });
  assert.throws(() => tab.encke.subscribe("a"), { code: "closed" });
  w.server.boot();
  const slow = solo(w, { transports: ["sse"] });
  slow.encke.subscribe("a");
  await w.ready(slow);
  await assert.rejects(slow.encke.publish("a", 6), { code: "needs_websocket" });
});

test("letters: once each by number, acknowledged when handled", async () => {
  for (const transport of LADDER) {
    const w = world(), tab = solo(w, { transports: [transport], interval: 500, token: token("ada", 4e9) }), got = [];
    tab.encke.on("letter", async l => {
      got.push(l.data);
      if (l.data === 3) await new Promise(() => {});
    });
    w.server.send("ada", 1);
    await w.ready(tab);
    w.server.send("ada", 2);
    await w.clock.run(1000);
    w.net.cutAll();
    w.server.send("ada", 3);
    await w.clock.run(5000);
    w.server.send("ada", 4);
    w.net.cutAll(); // what carried it
    await w.clock.run(5000);
    assert.deepEqual(got, [1, 2, 3, 4], transport);
    assert.deepEqual(w.server.waiting("ada").map(l => l.data), [3], transport);
    tab.encke.close();
  }
});

test("latency is measured again over a WebSocket on which much comes, and one that is slow to answer for it is not given up", async () => {
  const w = world(), tab = solo(w, { transports: ["ws"] }), got = [];
  tab.encke.subscribe("busy", m => got.push(m.data));
  await w.ready(tab);
  w.net.delay = () => 300;
  let n = 0;
  for (let i = 0; i < 600; i++) {
    w.server.publish("busy", n++);
    await w.clock.run(100);
  }
  assert.ok(tab.encke.latency >= 300, `${tab.encke.latency}`);
  w.net.delay = () => 6000; // longer than a ping may take
  for (let i = 0; i < 600; i++) {
    w.server.publish("busy", n++);
    await w.clock.run(100);
  }
  w.net.delay = () => 1;
  await w.clock.until("all", () => got.length === n);
  assert.equal(tab.encke.counters.connects, 1);
});

test("a WebSocket that dies before its first ping is answered is found out", async () => {
  const w = world(), tab = solo(w, { transports: ["ws"] });
  w.server.deaf = true;
  tab.encke.subscribe("a");
  await w.ready(tab);
  await w.clock.run(60000);
  assert.ok(tab.encke.counters.connects > 1);
});

test("presence: a snapshot, then joins and leaves from its position; after a gap again a snapshot", async () => {
  for (const transport of LADDER) {
    const w = world(), here = new Map([["ada", {}]]), changes = [];
    w.server.presence = c => ({ users: here.size, connections: here.size, position: w.server.position("$presence:" + c), members: [...here.keys()].map(user => ({ user, connections: 1 })) });
    const tab = solo(w, { transports: [transport], interval: 500 }), chat = tab.encke.subscribe("chat");
    const presence = chat.presence((p, change) => changes.push(change));
    await w.clock.until("a snapshot", () => presence.members.size === 1);
    here.set("bob", {});
    w.server.publish("$presence:chat", { join: [{ user: "bob", info: { name: "Bob" } }], users: 2, connections: 2 });
    await w.clock.until(transport + ": a join " + JSON.stringify(changes), () => presence.members.get("bob")?.info.name === "Bob");
    w.server.publish("$presence:chat", { update: [{ user: "ada", info: { name: "Ada" } }], users: 2, connections: 2 });
    await w.clock.until("another info", () => presence.members.get("ada")?.info);
    assert.deepEqual(presence.members.get("ada"), { user: "ada", connections: 1, info: { name: "Ada" } });
    assert.deepEqual([changes.pop().update.length, presence.update], [1, undefined]);
    w.server.publish("$presence:chat", { update: [{ user: "ada" }], users: 2, connections: 2 }); // which is taken away again
    await w.clock.until("no info", () => !presence.members.get("ada").info);
    assert.deepEqual([presence.members.get("ada"), changes.pop().update.length], [{ connections: 1, user: "ada" }, 1]);
    here.delete("ada");
    w.server.publish("$presence:chat", { leave: ["ada"], users: 1, connections: 1 });
    await w.clock.until("a leave", () => presence.users === 1 && !presence.members.has("ada"));
    assert.deepEqual(changes.slice(1).map(c => [c.join?.length, c.leave?.length]), [[1, undefined], [undefined, 1]]);
    here.set("eve", {});
    w.server.stop();
    w.server.boot();
    await w.clock.until("a new snapshot", () => presence.members.has("eve"));
    assert.equal(changes.at(-1), undefined);
    chat.unsubscribe();
    await w.clock.run(1000);
    assert.equal(tab.encke._channels.size, 0);
    tab.encke.close();
    assert.deepEqual(w.errors, []);
  }
});

test("sharing: ten tabs, one connection; the leader dies in mid-message, again and again", async () => {
  for (const transport of LADDER) {
    const w = world({ keep: 1000 }), random = randomOf(7);
    const open = since => {
      const tab = w.open({ transports: [transport], token: token("ada", 4e9), interval: 300 });
      tab.got = track(tab.encke.subscribe("a", undefined, { since }));
      tab.begins = w.server.channel("a").head;
      return tab;
    };
    const tabs = Array.from({ length: 10 }, () => open());
    await w.ready(...tabs);
    await w.clock.run(500);
    assert.equal(w.leaders().length, 1);
    assert.equal(w.server.conns.size + w.server.polls.length <= 1, true, `${transport}: one connection`);
    let n = 0;
    for (let round = 0; round < 6; round++) {
      for (let i = 0; i < 20; i++) {
        w.server.publish("a", ++n);
        await w.clock.run(random() * 10);
      }
      const [leader] = w.leaders();
      w.server.publish("a", ++n);
      await w.clock.run(1 + random() * 20); // somewhere on the way
      leader.kill();
      w.net.lines.forEach(l => l.cut());
      for (let i = 0; i < 20; i++) w.server.publish("a", ++n);
      await w.ready(...w.tabs.filter(t => t.alive));
      const late = open(round % 2 ? "0" : "");
      late.from = round % 2 ? 1 : undefined;
    }
    await w.ready(...w.tabs.filter(t => t.alive));
    w.server.publish("a", ++n);
    await w.clock.until(() => transport + ": all have all " + w.tabs.filter(t => t.alive).map(t => t.encke.state + t.encke.transport + t.got.messages.at(-1)?.offset + " " + n), () => w.tabs.every(t => !t.alive || t.got.messages.at(-1)?.offset === n));
    assert.equal(w.leaders().length, 1);
    for (const t of w.tabs.filter(t => t.alive)) {
      assert.deepEqual(t.got.gaps, [], transport);
      if (t.from || tabs.includes(t)) assert.equal(t.got.messages.length, n, `${transport}: all of them`);
      else assert.ok(t.got.messages[0].offset > t.begins, "only from now on");
    }
    w.tabs.forEach(t => t.alive && t.encke.close());
    await w.clock.run(100);
    assert.equal(w.server.conns.size, 0);
    assert.ok(w.tabs.every(t => t.timers.size === 0 || !t.alive));
    assert.equal(w.browser.channels.size, 0);
    assert.deepEqual(w.errors, []);
  }
});

test("sharing: publishing, letters and errors go through the leader; two users never share", async () => {
  const w = world(), ada = token("ada", 4e9);
  const [a, b, c] = [w.open({ token: ada }), w.open({ token: ada }), w.open({ token: token("bob", 4e9) })];
  const letters = [a, b, c].map(t => { const got = []; t.encke.on("letter", l => { got.push(l.data); }); return got; });
  const got = [a, b, c].map(t => track(t.encke.subscribe("chat")));
  const own = [a, b, c].map(t => { const list = []; t.encke.subscribeUser(m => list.push(m.data)); return list; });
  await w.ready(a, b, c);
  await w.clock.run(100);
  assert.equal(w.leaders().length, 2);
  const follower = a.encke._link ? b : a;
  assert.equal((await Promise.all([follower.encke.publish("chat", "hello"), w.clock.run(300)]))[0].offset, 1);
  w.server.publish("user:ada", "own");
  w.server.send("ada", "letter");
  await w.clock.run(300);
  assert.deepEqual(got.map(g => g.messages.length), [1, 1, 1]);
  assert.deepEqual(own, [["own"], ["own"], []]);
  assert.deepEqual(letters, [["letter"], ["letter"], []]);
  w.server.forbidden.add("secret");
  const refused = new Promise(done => follower.encke.subscribe("secret").on("error", done));
  await w.clock.run(300);
  assert.equal((await refused).code, "forbidden");
  assert.ok(await refused instanceof EnckeError);
  const alone = w.open({ token: ada, shared: false });
  alone.encke.subscribe("chat");
  await w.ready(alone);
  assert.equal(w.leaders().length, 3);
  const named = [1, 2].map(() => w.open({ token: ada, shared: "chat" })); // with each other, and nobody else
  await w.ready(...named);
  assert.equal(w.leaders().length, 4);
});

test("sharing: channels, letters and events with several subscriptions and tabs", async () => {
  const w = world(), ada = token("ada", 4e9), options = { token: ada, transports: ["stream"], ack: "manual" };
  const tabs = Array.from({ length: 6 }, () => w.open(options));
  tabs.forEach((t, i) => t.encke.subscribe("c" + i));
  await w.ready(...tabs);
  await w.clock.run(300);
  const followed = () => [...w.server.conns].map(c => [...c.channels].sort().join()).join(";");
  assert.equal(followed(), "c0,c1,c2,c3,c4,c5,user:ada");
  const [leader] = w.leaders();
  w.server.requests = [];
  leader.encke.close();
  await w.ready(...tabs.filter(t => t !== leader));
  await w.clock.run(300);
  const rest = tabs.filter(t => t !== leader);
  assert.equal(followed(), tabs.map((t, i) => t === leader ? "" : "c" + i + ",").join("") + "user:ada");
  assert.deepEqual(w.server.requests, ["stream"], "the others had said what they want before it began");
  rest.find(t => !t.encke._link).encke.close();
  await w.clock.run(300);
  assert.equal(followed().split(",").length, 5);

  const got = [], told = [], tab = rest.find(t => t.alive && t.encke.state === "open");
  tab.encke.on("letter", l => { got.push(l); });
  tab.encke.on("message", m => told.push(m.data));
  tab.encke.subscribe("x", m => m);
  tab.encke.subscribe("x", m => m);
  await w.clock.run(300);
  w.server.publish("x", 1);
  ["one", "two"].forEach(l => w.server.send("ada", l));
  await w.clock.run(300);
  assert.deepEqual([told, got.map(l => l.data), tab.encke.counters.messages, tab.encke.counters.letters], [[1], ["one", "two"], 1, 2]);
  await Promise.all([got[0].ack(), w.clock.run(300)]);
  const late = w.open(options), letters = [];
  late.encke.on("letter", l => { letters.push(l.data); });
  await w.ready(late);
  await w.clock.run(300);
  assert.deepEqual(letters, ["two"]);
});

test("sharing: a frozen leader is replaced, and is a follower when it wakes", async () => {
  for (const silently of [true, false]) {
    const w = world(), tabs = Array.from({ length: 3 }, () => w.open({})), got = tabs.map(t => track(t.encke.subscribe("a")));
    await w.ready(...tabs);
    const [leader] = w.leaders();
    if (!silently) leader.fire("freeze");
    leader.freeze();
    for (let i = 0; i < 60; i++) {
      w.server.publish("a", i);
      await w.clock.run(1000);
    }
    tabs.forEach((t, i) => t === leader || assert.equal(got[i].messages.length, 60));
    leader.thaw();
    if (!silently) leader.fire("resume");
    await w.clock.run(1000);
    w.server.publish("a", "last");
    await w.clock.run(1000);
    assert.deepEqual(got.map(g => g.messages.length), [61, 61, 61]);
    assert.equal(w.leaders().length, 1);
    assert.notEqual(w.leaders()[0], leader);
  }
});

test("a page that goes is cut off, so that for the server's grace it is not gone; one that unsubscribes or closes has left", async () => {
  for (const shared of [true, false]) {
    const w = world(), tab = w.open({ shared }), a = tab.encke.subscribe("a");
    tab.encke.subscribe("b");
    await w.ready(tab);
    await w.clock.run(1000);
    tab.fire("pagehide");
    await w.clock.run(100);
    assert.deepEqual([w.server.conns.size, w.server.left], [0, []]);
    tab.fire("pageshow");
    await w.ready(tab);
    a.unsubscribe();
    await w.clock.run(100);
    assert.deepEqual(w.server.left, ["a"]);
    tab.encke.close();
    await w.clock.run(100);
    assert.deepEqual(w.server.left, ["a", "b"]);
  }
});

test("closing and unsubscribing leave nothing behind, at any moment", async () => {
  for (const transport of LADDER) {
    for (const ms of [...Array(25).keys()].map(i => 3 * i).concat(100, 500, 3000, 9000, 30000)) {
      for (const up of [true, false]) {
        const w = world(), tab = solo(w, { transports: [transport], token: async () => token("ada", 4e9) });
        w.server.presence = () => ({ users: 0, connections: 0, position: w.server.position("$presence:a"), members: [] });
        if (!up) w.server.stop();
        const sub = tab.encke.subscribe("a");
        sub.presence(() => {});
        tab.encke.publish("a", 1).catch(() => {});
        if (ms) await w.clock.run(ms);
        tab.encke.close();
        tab.encke.close();
        await w.clock.run(50);
        assert.deepEqual([tab.timers.size, tab.listeners(), tab.transports.open(), w.server.conns.size], [0, 0, 0, 0], `${transport} after ${ms} ms`);
        w.server.requests = [];
        await w.clock.run(100000);
        assert.deepEqual(w.server.requests, []);
        assert.equal(tab.encke.state, "closed");
      }
    }
  }
});
