// The client in Chromium, behind proxies that fail in the ways of proxies, against the real server.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { chromium } from "playwright-core";
import { startProxy } from "./proxy.mjs";
import { makeToken, sleep, startServer, until } from "./server.mjs";

const LADDER = ["ws", "sse", "stream", "longpoll", "poll"];
const args = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];
let server, browser;
before(async () => {
  server = await startServer("--history-length", "1000", "--user-grace", "1s");
  browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args }); // with a profile of its own
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

let tests = 0;

// setup gives a test its proxy, channel and browser context, and holds the console's errors against it.
async function setup(t, more = {}) {
  const x = { proxy: await startProxy(more.server ?? server, more.proxy), context: await browser.newContext(), channel: "c" + ++tests, console: [], n: 0 };
  t.after(async () => {
    await x.context.close();
    x.proxy.stop();
  });
  x.page = async (options = {}) => {
    const page = await x.context.newPage();
    page.on("console", m => m.type() === "error" && x.console.push(m.text()));
    page.on("pageerror", e => x.console.push(String(e)));
    await page.goto(x.proxy.url + "/page.html");
    await page.waitForFunction("window.loaded");
    await page.evaluate(o => open_(o), { channel: x.channel, ...options });
    return page;
  };
  x.open = page => page.waitForFunction("encke.state === 'open' && sub.since", null, { timeout: 25000 });
  x.push = async () => server.push(x.channel, ++x.n);
  // all waits until a page has all that was pushed, and checks that it has each once and in order, from the first on.
  x.all = async (page, first = 1) => {
    const last = x.n;
    await page.waitForFunction(n => got.messages.at(-1)?.data === n, last, { timeout: 20000 });
    const got = await page.evaluate("got");
    assert.deepEqual(got.messages.map(m => m.data), Array.from({ length: last - first + 1 }, (_, i) => first + i));
    assert.deepEqual([got.gaps, got.errors], [[], []]);
    return got;
  };
  return x;
}

const connections = async (user) => (await (await fetch(`${server.backend}/users/${user}`)).json()).connections;

describe("Chromium", { concurrency: 5 }, () => {
  for (let n = 0; n < LADDER.length; n++) {
    test(`${LADDER[n]}, since what is above does not get through`, async t => {
      const x = await setup(t, { proxy: { refuse: n > 0, hold: ["/sse", "/stream"].slice(0, Math.max(0, n - 1)), cutWaiting: n > 3 } });
      const page = await x.page({ timeout: 1500, interval: 300, wait: 2, backoff: 300 });
      await page.waitForFunction(t => encke.state === "open" && encke.transport === t && sub.since, LADDER[n], { timeout: 25000 });
      for (let i = 0; i < 20; i++) await x.push();
      await x.all(page);
      assert.ok(await page.evaluate("encke.latency >= 0"));
      const again = await x.page({ timeout: 1500, interval: 300, wait: 2, shared: false });
      x.proxy.hits.length = 0;
      await x.open(again);
      assert.equal(await again.evaluate("encke.transport"), LADDER[n]);
      assert.deepEqual(x.console.filter(text => !/WebSocket connection to .* failed|net::ERR_EMPTY/.test(text)), []); // that, browsers say themselves
      if (!n) assert.deepEqual(x.console, []);
    });
  }

  test("a proxy that cuts everything after 5 s", async t => {
    const x = await setup(t, { proxy: { cut: 5000 } });
    const page = await x.page({ interval: 500, backoff: 100 });
    await x.open(page);
    for (let i = 0; i < 42; i++) {
      await x.push();
      await sleep(i < 21 ? 1000 : 50);
    }
    const got = await x.all(page);
    t.diagnostic(`${await page.evaluate("encke.transport")} in the end, ${await page.evaluate("encke.counters.connects")} connections, states ${got.states.length}`);
    assert.notEqual(await page.evaluate("encke.transport"), "ws");
  });

  test("ten tabs, one connection; the one that leads is closed", async t => {
    const x = await setup(t), token = makeToken("ten", 600);
    const pages = await Promise.all(Array.from({ length: 10 }, () => x.page({ token })));
    await Promise.all(pages.map(x.open));
    assert.equal(await connections("ten"), 1);
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 10; i++) await x.push();
      const leads = await Promise.all(pages.map(p => p.evaluate("!!encke._link")));
      assert.equal(leads.filter(Boolean).length, 1);
      const [leader] = pages.splice(leads.indexOf(true), 1);
      const pushing = (async () => { for (let i = 0; i < 50; i++) await x.push(); })();
      await leader.close();
      await pushing;
      await Promise.all(pages.map(p => x.all(p)));
      assert.equal(await connections("ten"), 1);
    }
    const late = await x.page({ token }), first = x.n + 1;
    await x.open(late);
    await x.push();
    await x.all(late, first);
    await server.post("/users/ten", "to all tabs", { "Encke-Mailbox": "always" });
    await Promise.all([...pages, late].map(p => p.waitForFunction("got.letters.length === 1")));
    const other = await x.page({ token: makeToken("eleven", 600) });
    await x.open(other);
    assert.deepEqual([await connections("ten"), await connections("eleven")], [1, 1]);
    assert.equal((await other.evaluate("got.letters")).length, 0);
    assert.deepEqual(x.console, []);
  });

  test("a page that reloads, and one that is put aside and comes back", async t => {
    const x = await setup(t), pages = await Promise.all([1, 2].map(() => x.page()));
    await Promise.all(pages.map(x.open));
    await x.push();
    await pages[0].reload();
    await x.push();
    await x.all(pages[1]);
    const show = type => pages[1].evaluate(type => dispatchEvent(new PageTransitionEvent(type, { persisted: true })), type);
    await show("pagehide");
    assert.equal(await pages[1].evaluate("encke.state"), "connecting");
    for (let i = 0; i < 5; i++) await x.push();
    await show("pageshow");
    await x.all(pages[1]);
    assert.deepEqual(x.console, []);
  });

  test("a page of another host: nothing is asked about before", async t => {
    const x = await setup(t), other = await startProxy(server);
    t.after(other.stop);
    for (const transport of LADDER) {
      const page = await x.page({ transports: [transport], url: other.url, token: makeToken("abroad", 600), interval: 200 });
      await x.open(page);
      const first = x.n + 1;
      for (let i = 0; i < 5; i++) await x.push();
      await x.all(page, first);
      await page.close();
    }
    assert.ok(other.hits.includes("/sse") && !other.hits.includes("OPTIONS"), other.hits.join());
    assert.deepEqual(x.console, []);
  });

  for (const transport of ["ws", "sse", "longpoll"]) {
    test(`${transport}: frozen and woken, offline and online`, async t => {
      const x = await setup(t), page = await x.page({ transports: [transport], backoff: 200, wait: 5 });
      await x.open(page);
      await x.push();
      await x.all(page);
      const cdp = await x.context.newCDPSession(page);
      await cdp.send("Page.setWebLifecycleState", { state: "frozen" });
      for (let i = 0; i < 5; i++) await x.push();
      await sleep(300);
      await cdp.send("Page.setWebLifecycleState", { state: "active" });
      await x.all(page);
      await page.evaluate("document.dispatchEvent(new Event('freeze'))"); // headless Chromium does not freeze what it takes for visible
      for (let i = 0; i < 5; i++) await x.push();
      await page.evaluate("document.dispatchEvent(new Event('resume'))");
      await x.all(page);
      assert.equal(await page.evaluate("encke.counters.connects"), 2, "it lets go of the connection while it is frozen");
      await cdp.send("Network.enable");
      await cdp.send("Network.emulateNetworkConditions", { offline: true, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
      x.proxy.sockets.forEach(s => s.destroy()); // what is emulated does not end WebSockets
      await until("it knows", () => page.evaluate("encke.state === 'offline'"), 20000);
      for (let i = 0; i < 5; i++) await x.push();
      await cdp.send("Network.emulateNetworkConditions", { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
      await x.open(page);
      await x.all(page);
      assert.deepEqual(x.console.filter(text => !/net::ERR_|WebSocket connection to .* failed/.test(text)), []); // the browser's own, while offline
    });
  }

  test("sleep, during which the network forgets the connection", async t => {
    const x = await setup(t), page = await x.page({ timeout: 2000 });
    await x.open(page);
    await x.push();
    await x.all(page);
    const cdp = await x.context.newCDPSession(page);
    await cdp.send("Debugger.enable");
    await cdp.send("Debugger.pause");
    x.proxy.forget();
    for (let i = 0; i < 5; i++) await x.push();
    await sleep(16000);
    await cdp.send("Debugger.resume");
    const woken = Date.now();
    await x.all(page);
    assert.ok(Date.now() - woken < 8000, "at once, not after the silence of a WebSocket");
    assert.deepEqual(x.console, []);
  });

  for (const transport of ["ws", "sse", "stream", "longpoll", "poll"]) {
    test(`${transport}: tokens of 8 s, refreshed`, async t => {
      let made = 0;
      const user = "fresh-" + transport;
      const x = await setup(t, { proxy: { token: () => (made++, makeToken(user, 8)) } });
      const page = await x.page({ transports: [transport], interval: 500, token: "callback" });
      await x.open(page);
      for (let i = 0; i < 26; i++) {
        await x.push();
        await sleep(500);
      }
      await x.all(page);
      assert.ok(made >= 3 && made <= 5, `${made} tokens`);
      assert.equal(await page.evaluate("encke.user"), user);
      if (transport === "ws") assert.equal(x.proxy.hits.filter(h => h === "upgrade").length, 1);
      assert.deepEqual(x.console.filter(text => !/401/.test(text)), []);
      if (transport === "ws") assert.deepEqual(x.console, []);
    });
  }

  test("1,000 messages over all transports, through a restart and a kill of the server", { timeout: 90000 }, async t => {
    const own = await startServer("--return-within", "300ms", "--history-length", "1000");
    t.after(() => own.stop("SIGKILL"));
    const x = await setup(t, { server: own });
    const pages = await Promise.all([...LADDER.map(transport => [transport]), undefined].map(async transports => {
      const page = await x.page({ ...transports && { transports }, shared: false, interval: 300, backoff: 200, wait: 3 });
      await x.open(page);
      return page;
    }));
    const pushed = [];
    for (let n = 0; n < 1000; n++) {
      const end = { 333: "SIGTERM", 666: "SIGKILL" }[n]; // in the middle of what is on its way
      const wave = Promise.allSettled(Array.from({ length: end ? 20 : 1 }, (_, i) => own.push(x.channel, n + "." + i)));
      if (end) await own.stop(end).then(own.launch);
      for (const r of await wave) if (r.status === "fulfilled") pushed.push(r.value.position);
      if (n % 10 === 0) await sleep(10);
    }
    const newest = pushed.at(-1), [epoch] = newest.split(".");
    for (const [i, page] of pages.entries()) {
      const name = LADDER[i] ?? "any";
      await page.waitForFunction(at => sub.since === at, newest, { timeout: 25000 });
      const got = await page.evaluate("got"), places = got.messages.map(m => m.at);
      assert.deepEqual([...new Set(got.gaps.map(g => g.reason))], ["epoch"], name);
      assert.equal(new Set(places).size, places.length, `${name}: one came twice`);
      const last = {}; // of each epoch: they are given in order
      for (const [e, offset] of places.map(at => at.split("."))) {
        assert.ok(Number(offset) === (last[e] ?? 0) + 1 || e !== epoch && last[e] === undefined || e === epoch && Number(offset) === 1, `${name}: ${e}.${offset} after ${last[e]}`);
        last[e] = Number(offset);
      }
      // What is missing is the end of an epoch, of which the gap tells; of the last epoch nothing is, but what a gap told.
      for (const p of pushed.filter(p => !places.includes(p))) {
        const [e, offset] = p.split(".");
        const told = got.gaps.some(g => g.at.startsWith(e + ".") && Number(g.at.split(".")[1]) >= Number(offset));
        assert.ok(told || e !== epoch && Number(offset) > (last[e] ?? 0), `${name}: ${p} is missing, and nothing has told of it`);
      }
      t.diagnostic(`${name}: ${places.length} of ${pushed.length}, ${got.gaps.length} gaps`);
    }
    assert.deepEqual(x.console.filter(text => !/net::ERR_|WebSocket connection to .* failed/.test(text)), []); // the browser's own, while the server is away
  });
});
