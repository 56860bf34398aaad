// The game: comets in one arena, as people play it.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { after, before, test } from "node:test";
import { fly } from "../game/flight.js";
import { parse, States } from "../game/states.js";
import { Pilot } from "../game/pilot.js";
import { looks, startSite, until } from "./site.mjs";

let site;
before(async () => { site = await startSite(); });
after(() => site?.close());

const cut = [/WebSocket connection to/, /net::ERR/, /EventSource/, /Failed to load resource/];

/** Somebody who has said a name and flies. */
async function pilot(name, options, path = "/game/") {
  const p = await site.person(options);
  p.page = await p.open(path);
  await p.page.getByLabel("Your name").fill(name);
  await p.page.keyboard.press("Enter");
  await flies(p);
  return p;
}
const own = p => p.page.evaluate(() => {
  const game = globalThis.game, c = game?.states.latest?.comets.get(game.own); // a page that is just being loaded has none
  return c && { ...c, shown: game.shown().find(s => s.id === game.own) };
});
const flies = p => until("the comet is in a state", () => own(p));
const table = p => p.page.locator(".table li").allInnerTexts().then(all => all.map(t => t.replace(/\s+/g, " ")));
const sees = (p, name) => p.page.evaluate(n => [...game.states.latest?.comets.values() ?? []].find(c => c.name === n), name);

test("two see each other move, leave, and come back", async () => {
  const ada = await pilot("Ada");
  await until("bots", async () => (await table(ada)).filter(t => / bot /.test(t)).length === 2);
  await until("said to those who do not see", async () => /You fly with/.test(await ada.page.locator("#status").textContent()));
  const bo = await pilot("Bo");
  await until("both, and no bots", async () => (await table(ada)).length === 2 && (await table(bo)).length === 2);
  assert.ok((await table(ada)).some(t => /^Ada ?you/.test(t)) && (await table(ada)).some(t => /^Bo \d/.test(t)), await table(ada));

  const from = await sees(bo, "Ada"), mine = await own(bo);
  await ada.page.keyboard.down("ArrowUp");
  await until("Bo sees where Ada wants to go", async () => (await sees(bo, "Ada"))?.d === 270);
  await until("and that she goes", async () => { const c = await sees(bo, "Ada"); return c.y < from.y - 30 || c.vy < -100; });
  await ada.page.keyboard.up("ArrowUp");
  assert.equal((await sees(ada, "Bo"))?.d, -1);
  assert.equal(mine.d, -1);

  await until("the rate of updates is shown", async () => parseFloat(await ada.page.locator('[data-of="rate"]').innerText()) > 0);
  await until("and the latency", async () => parseFloat(await ada.page.locator(".meter b").innerText()) >= 0 && parseFloat(await ada.page.locator('[data-of="trip"]').innerText()) >= 0);

  // a second window of Bo's browser is another player, a reload is the same one
  const second = { page: await bo.open("/game/") };
  await until("Bo 2 flies", () => own(second));
  await until("Ada sees three", async () => (await table(ada)).some(t => /^Bo 2/.test(t)));
  await second.page.close();
  const before = await own(bo);
  await bo.page.reload();
  await flies(bo);
  assert.equal((await own(bo))?.id, before.id);

  await bo.page.getByRole("button", { name: "Stop flying" }).click();
  await until("Ada sees Bo leave", async () => !(await sees(ada, "Bo")));
  await until("Bo watches", async () => /watching/.test(await bo.page.locator(".words").innerText()));
  await bo.page.keyboard.press("Enter"); // the button Fly has the focus
  await until("Bo is back", () => sees(ada, "Bo"));
  await bo.leave();
  await until("who vanishes is taken out", async () => !(await sees(ada, "Bo")) && !(await sees(ada, "Bo 2")));
  await until("and bots come", async () => (await table(ada)).length === 3);
  ada.check();
  bo.check();
  await ada.leave();
});

test("keys alone: a name, a point, and out", async () => {
  const p = await site.person(), page = p.page = await p.open("/game/");
  await page.getByLabel("Your name").waitFor();
  await page.keyboard.press("Escape");
  await page.locator("dialog").waitFor({ state: "hidden" });
  await page.getByRole("button", { name: "Fly" }).waitFor();
  while (!await page.evaluate(() => document.activeElement.matches(".play"))) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.keyboard.type(" \u200b ");
  await page.keyboard.press("Enter");
  await until("a name that cannot be seen is refused", () => page.locator("dialog [role=alert]").isVisible());
  await page.keyboard.type("Kay");
  await page.keyboard.press("Enter");
  await flies(p);
  const down = new Set(), hold = async (key, want) => {
    if (want === down.has(key)) return;
    want ? down.add(key) : down.delete(key);
    await page.keyboard[want ? "down" : "up"](key);
  };
  await until("a point", async () => {
    const aim = await page.evaluate(() => {
      const me = game.shown().find(c => c.id === game.own), { dust } = game.states.latest;
      if (!me) return null;
      const far = m => Math.hypot(m.x - me.x, m.y - me.y) + (Math.hypot(m.x - 800, m.y - 550) < 260 ? 2000 : 0);
      const to = [...dust.values()].sort((a, b) => far(a) - far(b))[0];
      return { x: to.x - me.x - me.vx * 0.5, y: to.y - me.y - me.vy * 0.5, score: me.score };
    });
    if (!aim) return false;
    await hold("KeyD", aim.x > 12);
    await hold("ArrowLeft", aim.x < -12);
    await hold("ArrowDown", aim.y > 12);
    await hold("KeyW", aim.y < -12);
    return aim.score > 0;
  });
  await until("in the table", async () => (await table(p)).some(t => /^Kay ?you [1-9]/.test(t)));
  for (const key of [...down]) await hold(key, false);
  await page.keyboard.down("ArrowRight");
  await page.keyboard.down("Space");
  await until("a boost costs", async () => (await own(p))?.energy < 95);
  await page.keyboard.up("Space");
  await looks(page, "game");
  await page.keyboard.up("ArrowRight");
  p.check();
  await p.leave();
});

test("a phone: a stick where the finger is, and a button", async () => {
  const p = await pilot("Tap", { viewport: { width: 375, height: 740 }, hasTouch: true, isMobile: true, reducedMotion: "reduce" });
  const cdp = await p.context.newCDPSession(p.page), touch = (type, ...points) => cdp.send("Input.dispatchTouchEvent", { type, touchPoints: points });
  await until("a hint", async () => /Pull anywhere/.test(await p.page.locator(".words").innerText()));
  const boost = await p.page.getByRole("button", { name: "Boost" }).boundingBox();
  assert.ok(boost.width >= 44 && boost.height >= 44 && boost.y + boost.height <= 740, JSON.stringify(boost));
  const finger = { x: 150, y: 450, id: 1 }, thumb = { x: boost.x + 30, y: boost.y + 30, id: 2 };
  await touch("touchStart", finger);
  await touch("touchMove", { ...finger, y: 500 });
  await until("it goes where the finger pulls", async () => (await own(p))?.d === 90);
  await touch("touchStart", { ...finger, y: 500 }, thumb);
  await until("boosts", async () => (await own(p))?.energy < 95);
  await touch("touchEnd", { ...finger, y: 500 });
  await touch("touchEnd");
  await until("and rests", async () => (await own(p))?.d === -1);
  p.check();
  await p.leave();
});

test("nobody moves another one's comet, and rubbish moves nothing", async () => {
  const ada = await pilot("Ada"), eve = await pilot('<img src=x onerror="alert(1)">');
  await until("the name is text", async () => (await table(ada)).some(t => t.startsWith('<img src=x onerror="aler')));
  assert.equal(await ada.page.locator(".table img").count(), 0);
  const victim = await own(ada);
  const errors = await eve.page.evaluate(async id => {
    const { Encke } = await import("/encke.js"), { url } = await import("/config.js"), { ask } = await import("/shared.js");
    const mine = new Encke(url, { token: () => ask("POST", "/game/token?seat=1"), shared: false }), n = Date.now() + 1e6, codes = [];
    const publish = (channel, data) => mine.publish(channel, data).catch(e => codes.push(e.code));
    for (const data of [null, 7, "wish", [], {}, { n, t: 1, d: 90, b: true, user: id }, { n, t: 1, d: 90, b: true, id }, { n, t: 1, d: 360, b: false }, { n, t: 1, d: "90", b: false },
      { n: -1, t: 1, d: 90, b: false }, { n: 1e300, t: 1, d: 90, b: false }, { n, t: 1, b: true }]) await publish("game:wishes", data);
    await publish("game:wishes", "x".repeat(2000));
    await publish("game:arena", { k: 1, r: [1, 0, 1], p: [], d: [] });
    const sub = mine.subscribe("game:wishes", () => codes.push("read a wish"));
    await new Promise(done => sub.on("error", e => done(codes.push(e.code))));
    mine.close();
    return codes;
  }, victim.id);
  assert.deepEqual(errors, ["message_too_large", "forbidden", "forbidden"]);
  // without a user, as the backend pushes it; and states that the site has not made
  const push = (channel, data) => fetch(`${site.backend}/channels/${channel}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(data) });
  await push("game:wishes", { n: Date.now() + 1e6, t: 1, d: 90, b: true });
  for (const data of [null, 1, [], {}, { k: 1e9, r: [], p: [], d: [] }, { k: 1e9, r: [1, 0, 9], p: [[1]], d: [] }, { k: 1e9, r: [1, 0, 9], p: [], d: [1, 2] },
    { k: 1e9, r: [1, 0, 9], p: [[1, { toString: 1 }, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]], d: [] }]) assert.ok((await push("game:arena", data)).ok);
  assert.equal((await fetch(`${site.url}/game/wish?seat=1`, { method: "POST", headers: { "Content-Type": "text/plain" }, body: "{}" })).status, 415);
  // what Eve wishes in order moves Eve alone, and comes after all that
  await eve.page.keyboard.down("ArrowLeft");
  await until("Eve moves", async () => (await own(eve))?.d === 180);
  const now = await own(ada), there = (await sees(ada, '<img src=x onerror="aler'));
  assert.deepEqual([now.id, now.d, now.boost, there.d], [victim.id, -1, false, 180]);
  ada.check();
  eve.check();
  await ada.leave();
  await eve.leave();
});

test("without WebSocket wishes go to the site", async () => {
  const p = await pilot("Sue", {}, "/game/?transport=sse");
  const asked = [];
  p.page.on("request", r => r.url().includes("/game/wish") && asked.push(r.postDataJSON()));
  await p.page.keyboard.down("ArrowDown");
  await until("it goes", async () => (await own(p))?.d === 90);
  await until("shown", async () => (await p.page.locator('[data-of="way"]').innerText()) === "event stream");
  assert.ok(asked.some(w => w.d === 90));
  p.check();
  await p.leave();
});

test("Encke is killed, and the game goes on", async () => {
  const p = await pilot("Ada");
  const was = await p.page.evaluate(() => game.encke.counters.connects);
  process.kill(Number(execFileSync("pgrep", ["-P", String(site.process.pid)])), "SIGKILL");
  await site.ended; // without Encke the site ends
  await until("the page says so", async () => /No connection/.test(await p.page.locator(".words").innerText()));
  await site.start();
  await until("connected again", () => p.page.evaluate(n => game.encke.counters.connects > n && game.encke.state === "open", was));
  await until("states come", () => p.page.evaluate(() => performance.now() - game.states.latestAt < 500));
  await flies(p);
  await p.page.keyboard.down("ArrowUp");
  await until("it flies", async () => (await own(p))?.d === 270);
  await until("no alarm is left", async () => await p.page.locator("main > [role=alert]").isHidden() && !/No connection/.test(await p.page.locator(".words").innerText()));
  p.check(...cut);
  await p.leave();
});

test("the page flies as the site does", () => {
  const paths = JSON.parse(fs.readFileSync(new URL("../game/testdata/flight.json", import.meta.url), "utf8"));
  for (const { From: f, Wishes, To } of paths) {
    const c = { x: f.X, y: f.Y, vx: f.VX, vy: f.VY, energy: f.Energy, dazed: f.Dazed };
    Wishes.forEach(([d, b], i) => {
      for (let n = 0; n < 20; n++) fly(c, d, b === 1);
      const to = To[i];
      assert.ok(Math.abs(c.x - to.X) + Math.abs(c.y - to.Y) + Math.abs(c.vx - to.VX) + Math.abs(c.vy - to.VY) + Math.abs(c.energy - to.Energy) < 1e-6 && c.dazed === to.Dazed,
        JSON.stringify([c, to]));
    });
  }
});

test("a prediction is where the comet will be when the wish arrives", () => {
  // a site 60 ms away each way, with ticks of 50 ms, and a comet that is told to turn three times
  const wishes = [[20, 0, false], [330, 90, false], [710, 180, true], [1240, 300, false]], p = new Pilot();
  const c = { x: 300, y: 300, vx: 0, vy: 0, energy: 100, dazed: 0 }, was = [];
  for (let now = 0; now <= 2500; now += 50) {
    const held = wishes.findLast(([at]) => at + 60 <= now);
    for (let i = 0; i < 3; i++) fly(c, held?.[1] ?? -1, held?.[2] ?? false);
    was.push({ ...c, t: held?.[0] ?? 0 });
  }
  const there = now => { // between two ticks
    const a = was[Math.floor(now / 50)], b = was[Math.floor(now / 50) + 1], f = now % 50 / 50;
    return { x: a.x + (b.x - a.x) * f, y: a.y + (b.y - a.y) * f };
  };
  let worst = 0, jump = 0, last;
  for (let now = 0; now < 2300; now += 10) {
    const wish = wishes.find(([at]) => at === now);
    if (wish) p.wish(wish[1], wish[2], now);
    if (now >= 60 && (now - 60) % 50 === 0) p.correct(was[(now - 60) / 50], now, now);
    p.settle(10);
    const shown = p.at(now);
    if (now > 250) { // it has learnt how long a wish takes
      const to = there(now + 35); // half a tick before the wish is there, as the tick is the wish's as a whole
      worst = Math.max(worst, Math.hypot(shown.raw.x - to.x, shown.raw.y - to.y));
      jump = Math.max(jump, Math.hypot(shown.x - last.x, shown.y - last.y));
    }
    last = shown;
  }
  assert.ok(worst < 9, `off by ${worst}`);
  assert.ok(jump < 7, `a jump of ${jump}`); // it flies up to 4.5 in 10 ms
});

test("states: what is none is left out, and what is shown is between two of them", () => {
  const state = (k, x) => ({ k, r: [1, 0, 100], p: [[1, "Ada", 0, x, 100, 200, 0, -1, 3, 50, 0, 0, 0, 7]], d: [4, 10, 20] });
  assert.equal(parse(state(5, 100)).comets.get(1).name, "Ada");
  for (const change of [s => { s.k = -1; }, s => { s.k = 1.5; }, s => { s.r[1] = 2; }, s => { s.p[0].push(1); s.p[0][3] = NaN; }, s => { s.p[0][1] = 7; }, s => { s.p[0][1] = "x".repeat(99); }, s => { s.p.push(s.p[0]); },
    s => { s.p = "p"; }, s => { s.d.push(1); }, s => { s.d[0] = 7; }, s => { s.p = Array(99).fill(s.p[0]); }, s => { s.p[0][8] = -5; }]) {
    const s = state(5, 100);
    change(s);
    assert.equal(parse(s), null, JSON.stringify(s));
  }
  const states = new States();
  for (let k = 0; k < 10; k++) states.add(parse(state(k, 100 + k * 10)), 1000 + k * 50);
  const [c] = states.comets(1000 + 9 * 50 + 25); // 100 ms behind: the middle between the 7th and the 8th
  assert.ok(Math.abs(c.x - 175) < 0.5, `${c.x}`);
  assert.equal(states.rate(1450), 5);
  assert.ok(states.add(parse(state(2, 0)), 1500).fresh, "ticks that begin again are another arena");
});
