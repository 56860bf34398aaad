// The client against the real server, in node.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { EventSource } from "eventsource";
import WebSocket from "ws";
import { Encke } from "../encke.js";
import { track } from "./check.mjs";
import { makeToken, sleep, startServer, until } from "./server.mjs";

const transports = ["ws", "sse", "stream", "longpoll", "poll"];
let server;
before(async () => { server = await startServer(); });
after(() => server.stop());

function connect(t, options = {}, url = server.url) {
  const encke = new Encke(url, { WebSocket, EventSource, interval: 100, backoff: 100, ...options });
  t.after(() => encke.close());
  return encke;
}

const ready = (encke, ...subs) => until(() => `open, but ${encke.state}`, () => encke.state === "open" && subs.every(s => s.since.includes(".")));

for (const transport of transports) {
  test(`${transport}: messages, channels that come and go, letters, presence`, async t => {
    const user = "u-" + transport, a = "a-" + transport, b = "b-" + transport;
    const encke = connect(t, { token: makeToken(user, 60, { channels: { [a]: ["publish"] } }), transports: [transport] });
    const own = [], letters = [], errors = [];
    encke.on("error", e => errors.push(e.code));
    encke.subscribeUser(m => own.push(m.data));
    encke.on("letter", l => { letters.push(l.data); });
    const sa = encke.subscribe(a), ta = track(sa);
    await ready(encke, sa);
    assert.equal(encke.transport, transport);
    assert.equal(encke.user, user);
    for (let i = 0; i < 20; i++) await server.push(a, { i });
    await until("20 messages", () => ta.messages.length === 20);

    await server.push(b, "before");
    const sb = encke.subscribe(b), tb = track(sb), kept = encke.subscribe(b, undefined, { since: "0" }), tk = track(kept);
    await ready(encke, sa, sb, kept);
    await server.push(b, "after");
    await server.push(a, "still");
    await until("messages of two channels", () => tb.messages.length === 1 && tk.messages.length === 2 && ta.messages.length === 21);
    assert.deepEqual(tk.messages.map(m => m.data), ["before", "after"]);
    sb.unsubscribe();
    await server.push(b, "to one");
    await until("the other subscription's", () => tk.messages.length === 3);
    assert.equal(tb.messages.length, 1);
  

    await server.push("user:" + user, "own");
    await server.post("/users/" + user, "a letter", { "Encke-Mailbox": "always" });
    await until("own message and letter", () => own.length && letters.length);
    await until("the letter is acknowledged", async () => (await (await fetch(`${server.backend}/users/${user}/mailbox`)).json()).total === 0);

    if (transport === "ws") {
      const done = await sa.publish({ hello: 1 }, { event: "greeting" });
      await until("what it published itself", () => ta.messages.at(-1).event === "greeting");
      assert.equal(ta.messages.at(-1).position, done.position);
      assert.equal(ta.messages.at(-1).user, user);
      await assert.rejects(encke.publish("elsewhere", 1), { name: "EnckeError", code: "forbidden" });
    } else {
      await assert.rejects(sa.publish(1), { code: "needs_websocket" });
    }
    assert.ok(encke.latency >= 0);

    const changes = [];
    const here = sa.presence((p, change) => changes.push(change));
    await until("itself", () => here.members.has(user));
    const other = connect(t, { token: makeToken("guest", 60, { info: { name: "Ada" } }), transports: ["ws"] });
    other.subscribe(a);
    await until("a join", () => here.members.get("guest")?.info.name === "Ada");
    assert.equal(here.users, 2);
    for (const s of [...other._channels.get(a).subs]) s.unsubscribe();
    await until("a leave", () => !here.members.has("guest"));
    assert.deepEqual(errors, []);
    assert.deepEqual(own, ["own"]);
    assert.deepEqual(letters, ["a letter"]);
  });
}

test("letters that came before, with acknowledgements by hand", async t => {
  for (let i = 1; i <= 3; i++) await server.post("/users/lee", "letter " + i, { "Encke-Mailbox": "away" });
  const total = async () => (await (await fetch(`${server.backend}/users/lee/mailbox`)).json()).total;
  const encke = connect(t, { token: makeToken("lee"), ack: "manual" }), got = [];
  await ready(encke);
  await sleep(100);
  encke.on("letter", l => got.push(l)); // late
  await until("three letters", () => got.length === 3);
  assert.equal(await total(), 3);
  await got[1].ack();
  assert.equal(await total(), 2);
  const again = connect(t, { token: makeToken("lee"), transports: ["stream"] }), rest = [];
  again.on("letter", l => { rest.push(l.data); });
  await until("the other two", () => rest.length === 2);
  assert.deepEqual(rest, ["letter 1", "letter 3"]);
});

test("refusals are errors with the server's code, and harm no other channel", async t => {
  for (const transport of transports) {
    const encke = connect(t, { transports: [transport] }), errors = [];
    encke.on("error", e => errors.push(e));
    const good = encke.subscribe("good"), bad = encke.subscribe("user:7"), worse = encke.subscribe("no spaces");
    await ready(encke, good);
    await until("two errors", () => errors.length === 2);
    assert.deepEqual(errors.map(e => `${e.channel} ${e.code}`).sort(), ["no spaces bad_channel", "user:7 forbidden"], transport);
    assert.ok(errors.every(e => e.name === "EnckeError" && e.message));
    const got = track(good);
    await server.push("good", transport);
    await until("a message", () => got.messages.length);
    encke.close();
  }
});

test("refusals of what is asked say which channel", async t => {
  const encke = connect(t, { transports: ["ws"] }), errors = [], long = "n".repeat(119); // too long for who is here to be kept
  encke.on("error", e => errors.push(e));
  encke.subscribe(long).presence(() => {});
  await until("an error", () => errors.length === 1);
  assert.deepEqual([errors[0].code, errors[0].status, errors[0].channel], ["no_presence", 404, long]);
  await assert.rejects(encke.publish("user:7", 1), { code: "forbidden", channel: "user:7" });
});

test("tokens: refresh, an expired one, one of nobody", async t => {
  for (const transport of transports) {
    const given = [];
    const encke = connect(t, { transports: [transport], token: async () => {
      given.push(Date.now());
      return makeToken("tess", given.length === 1 ? -5 : 4);
    } }), errors = [];
    encke.on("error", e => errors.push(e.code));
    const sub = encke.subscribe("tokens"), got = track(sub);
    await ready(encke, sub);
    await server.push("tokens", 1);
    await until("a message", () => got.messages.length === 1);
    t.diagnostic(`${transport}: ${given.length} tokens`);
    assert.deepEqual(errors, [], transport);
    encke.close();
  }
  const encke = connect(t, { token: makeToken("tess").slice(0, -3) + "abc" });
  const error = await new Promise(done => encke.on("error", done));
  assert.equal(error.code, "bad_token");
  await until("it stops", () => encke.state === "closed");
});

test("1,000 messages over all transports at once, through a restart and a kill", { timeout: 60000 }, async t => {
  const s = await startServer("--return-within", "300ms", "--history-length", "1000");
  t.after(() => s.stop("SIGKILL"));
  const readers = transports.map(transport => {
    const encke = connect(t, { transports: [transport], token: makeToken("42") }, s.url), sub = encke.subscribe("news");
    return { transport, encke, sub, got: track(sub, transport) };
  });
  readers.push((() => {
    const encke = connect(t, {}, s.url), sub = encke.subscribe("news");
    return { transport: "any", encke, sub, got: track(sub, "any") };
  })());
  await Promise.all(readers.map(r => ready(r.encke, r.sub)));
  const pushed = [];
  for (let n = 0; n < 1000; n++) {
    const end = { 333: "SIGTERM", 666: "SIGKILL" }[n]; // in the middle of what is on its way
    const wave = Promise.allSettled(Array.from({ length: end ? 20 : 1 }, (_, i) => s.push("news", n + "." + i)));
    if (end) await s.stop(end).then(s.launch);
    for (const r of await wave) if (r.status === "fulfilled") pushed.push(r.value.position);
    if (n % 10 === 0) await sleep(1);
  }
  await until(() => readers.map(r => `${r.transport} ${r.got.at}`).join(", ") + `, want ${pushed.at(-1)}`,
    () => readers.every(r => r.got.at === pushed.at(-1)), 20000);
  for (const { transport, got, encke } of readers) {
    assert.deepEqual([...new Set(got.gaps.map(g => g.reason))], ["epoch"], transport);
    const places = new Set(got.messages.map(m => m.position));
    assert.equal(places.size, got.messages.length, "twice");
    const missing = pushed.filter(p => !places.has(p));
    // What is missing is the end of an epoch, of which the gap tells; of the last, nothing is.
    for (const p of missing) {
      const [epoch, offset] = p.split(".");
      assert.ok(epoch !== pushed.at(-1).split(".")[0], `${transport}: ${p} is missing`);
      const last = Math.max(0, ...got.messages.filter(m => m.position.startsWith(epoch + ".")).map(m => m.offset));
      assert.ok(Number(offset) > last, `${transport}: ${p} is missing, and ${last} was given`);
    }
    t.diagnostic(`${transport}: ${got.messages.length} of ${pushed.length}, ${got.gaps.length} gaps, ${encke.counters.connects} connections, ${encke.counters.duplicates} duplicates dropped`);
  }
});
