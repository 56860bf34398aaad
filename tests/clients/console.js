// Chromium on the console: figures that move, reading along, a test message, a user who is disconnected, with and without a key, in
// dark and light, at 1280 and 375 px; no error in the browser's console.
"use strict";
const { chromium } = require("playwright-core");
const WebSocket = require("ws");
const crypto = require("crypto"), fs = require("fs"), net = require("net"), os = require("os"), path = require("path");
const [, , site, backend, artefacts, secret, key, lesser] = process.argv;

const auth = key ? { Authorization: `Bearer ${key}` } : {};
const push = async (target, text, type = "text/plain") => {
  const r = await fetch(`${backend}/${target}`, { method: "POST", body: text, headers: { "Content-Type": type, ...auth } });
  if (r.status !== 201 && r.status !== 202) throw new Error(`push: ${r.status} ${await r.text()}`);
};
const part = o => Buffer.from(JSON.stringify(o)).toString("base64url");
const token = sub => {
  const text = part({ alg: "HS256", typ: "JWT" }) + "." + part({ sub, exp: Math.floor(Date.now() / 1000) + 3600, info: { name: `<b>${sub}</b>` } });
  return text + "." + crypto.createHmac("sha256", secret).update(text).digest("base64url");
};
const sockets = new Set();
const tab = (channels, sub) => new Promise((ok, bad) => {
  const w = new WebSocket(`${site.replace("http", "ws")}ws?channels=${channels}${sub ? `&token=${token(sub)}` : ""}`);
  w.closed = new Promise(done => w.on("close", done));
  w.on("open", () => { sockets.add(w); ok(w); }).on("error", bad);
});
const check = (ok, what) => { if (!ok) throw new Error(what); };

// load is what there is to look at: clients of every kind, publications, one that does not read, and some that are refused.
async function load() {
  const cuts = new AbortController();
  for (let i = 0; i < 24; i++) await tab(i % 3 ? "prices,news" : `room:${i % 4}`, i % 2 ? `user-${i % 7}` : "");
  for (const p of ["sse", "stream"]) for (let i = 0; i < 8; i++) fetch(`${site}${p}?channels=prices`, { signal: cuts.signal }).then(async r => { for await (const _ of r.body); }).catch(() => {});
  const slow = net.connect(new URL(site).port, "127.0.0.1");
  slow.on("error", () => {}).write(`GET /sse?channels=big&token=${token("sleepy")} HTTP/1.1\r\nHost: x\r\n\r\n`);
  slow.pause();
  let over = false, n = 0;
  const turns = (async () => {
    while (!over) {
      n++;
      const m = 1 + Math.round(8 + 7 * Math.sin(n / 12));
      const calls = Array.from({ length: m }, (_, i) => push("channels/prices", JSON.stringify({ symbol: "ENC", price: 100 + n + i }), "application/json"));
      if (n % 5 === 0) calls.push(push("channels/news", "number " + n), push(`channels/room:${n % 4}`, "in a room"));
      if (n % 9 === 0) calls.push(fetch(`${site}sse?channels=a%20b`), fetch(`${site}nothing`), fetch(`${site}sse?channels=a&token=no`), tab("brief").then(w => w.terminate()));
      if (n < 19) calls.push(push("channels/big", "x".repeat(60000)));
      await Promise.all(calls);
      await new Promise(r => setTimeout(r, 80));
    }
  })();
  return async () => { over = true; await turns; cuts.abort(); slow.destroy(); for (const w of sockets) w.terminate(); };
}

(async () => {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), "encke-chromium-"));
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: "/usr/bin/chromium", viewport: { width: 1280, height: 900 }, colorScheme: "light",
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync"],
  });
  fs.mkdirSync(artefacts, { recursive: true });
  let stop = async () => {};
  try {
    const page = await browser.newPage();
    const errors = [], addresses = [];
    page.on("console", m => { if (m.type() === "error" || /Content.Security/i.test(m.text())) errors.push(m.text()); });
    page.on("pageerror", e => errors.push(String(e)));
    page.on("request", r => addresses.push(r.url()));
    const until = (what, arg) => page.waitForFunction(what, arg, { timeout: 20000 });
    const text = id => page.textContent("#" + id);
    const shot = name => page.screenshot({ path: path.join(artefacts, name + ".png"), fullPage: true });
    const narrow = async () => check(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `wider than ${page.viewportSize().width} px`);
    const live = () => until(() => document.getElementById("state").dataset.state === "open" && enckeConsole.points.length > 0);

    await page.goto(backend + "/");
    if (key) { // asked for, a wrong one is refused, the right one is kept in this tab alone
      await until(() => !document.getElementById("keycard").hidden);
      check(await page.evaluate(() => document.activeElement.id) === "key", "the key's field has no focus");
      check((await text("statetext")) === "needs a key", await text("statetext"));
      await shot("console-key");
      await page.keyboard.type("wrong-wrong-wrong-wrong");
      await page.keyboard.press("Enter");
      await until(() => /no such key/.test(document.getElementById("keywhy").textContent) && !document.getElementById("keycard").hidden);
      await page.fill("#key", lesser); // for reading, not for figures
      await page.keyboard.press("Enter");
      await until(() => /not for that/.test(document.getElementById("statetext").textContent));
      await page.click("#forget");
      await until(() => !document.getElementById("keycard").hidden);
      await page.fill("#key", key);
      await page.keyboard.press("Enter");
      errors.length = 0; // the browser notes each 401 and 403
    }
    await live();
    await page.reload();
    await live();
    check(await page.isHidden("#keycard"), "asked for a key again");
    check(await page.evaluate(() => document.cookie + JSON.stringify(localStorage)) === "{}", "something is kept beyond the tab");

    // nobody is there: it says what to do, and that works by keyboard
    await until(() => !document.getElementById("first").hidden);
    await shot(key ? "console-first-key" : "console-first");
    await page.focus("#try");
    await page.keyboard.press("Enter");
    await until(() => document.activeElement.id === "body" && document.getElementById("tapstate").dataset.state === "open");
    await page.keyboard.type(" <img src=x onerror=alert(1)>");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await until(() => /to 1 subscriber/.test(document.getElementById("sent").textContent));
    await until(() => /onerror/.test(document.querySelector("#log li")?.textContent));
    check(!await page.$("#log img"), "data became markup");
    check(await page.isHidden("#first"), "it still says what to do first");

    // it moves
    stop = await load();
    await until(() => { const d = enckeConsole.points.at(-1).d; return d.connections.ws >= 24 && d.connections.sse >= 9 && d.connections.stream === 8 && d.users >= 5 && d.rates.published > 20 && d.rates.delivered > 100 && d.readers.slowest.some(r => r.user === "sleepy"); });
    await until(() => document.querySelector("#bysubs button")?.textContent === "prices" && document.querySelector("#bypubs button")?.textContent === "prices");
    await until(() => [...document.querySelectorAll("#refused td")].some(td => td.textContent === "bad_token"));
    const pixels = () => page.evaluate(() => [...document.querySelectorAll("#charts canvas")].map(c => c.toDataURL()));
    const before = await pixels();
    check(before.length === 8, `${before.length} charts`);
    await page.waitForTimeout(1500);
    (await pixels()).forEach((now, i) => check(now !== before[i], `chart ${i} does not move`));

    // reading along: by click, with a pause, and by name
    await page.locator("#bysubs").getByRole("button", { name: "prices", exact: true }).click();
    await until(() => document.querySelectorAll("#log li").length > 5 && /ENC/.test(document.querySelector("#log li").textContent));
    check(await page.inputValue("#target") === "prices", "the form for a message does not name the channel");
    await page.click("#pause");
    const frozen = await text("log");
    await until(() => /Go on \([0-9]+ new\)/.test(document.getElementById("pause").textContent));
    check(await text("log") === frozen, "it goes on while it is paused");
    await page.click("#pause");
    await until(t => document.getElementById("log").textContent !== t, frozen);
    await page.click("#who");
    await until(() => /users?, [0-9]+ connections?/.test(document.getElementById("here").textContent));
    await page.fill("#tapname", "user:user-1");
    await page.keyboard.press("Enter");
    await until(() => document.getElementById("tapstate").dataset.state === "open" && document.querySelector("#log .empty"));
    await page.selectOption("#kind", "users");
    await page.fill("#target", "user-1");
    await page.fill("#event", "greeting");
    await page.selectOption("#type", "application/json");
    await page.fill("#body", "{oops");
    await page.click("#send .main");
    await until(() => /no JSON/.test(document.getElementById("sent").textContent));
    await page.fill("#body", '{"hello":["you"]}');
    await page.click("#send .main");
    await until(() => /to [0-9]+ subscribers?/.test(document.getElementById("sent").textContent));
    await until(() => /greeting.*hello/.test(document.querySelector("#log li").textContent));

    // a user: looked up, disconnected when that has been said twice
    const visitor = await tab("news", "visitor");
    await page.fill("#user", "visitor");
    await page.keyboard.press("Enter");
    await until(() => /online with 1 connection\./.test(document.getElementById("userstate").textContent));
    await page.click("#disconnect");
    check(visitor.readyState === WebSocket.OPEN, "disconnected without being asked");
    await page.click("#really");
    await until(() => /1 ended/.test(document.getElementById("userout").textContent));
    check(await visitor.closed === 4110, "not closed as disconnected");
    await until(() => [...document.querySelectorAll("#ended td")].some(td => td.textContent === "disconnected"));

    // how it looks; after a reload the charts are back
    await page.locator("#bypubs").getByRole("button", { name: "prices", exact: true }).click();
    const had = await page.evaluate(() => enckeConsole.points.length);
    await page.reload();
    await live();
    await until(n => enckeConsole.points.length >= n, had);
    await page.locator("#bysubs").getByRole("button", { name: "prices", exact: true }).click();
    await page.waitForTimeout(Number(process.env.ENCKE_CONSOLE_WAIT || 3) * 1000);
    await page.evaluate(() => { document.activeElement.blur(); scrollTo(0, 0); });
    for (const [width, height] of [[1280, 900], [375, 800]]) {
      await page.setViewportSize({ width, height });
      for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme });
        await page.waitForTimeout(1500);
        await narrow();
        if (!key) await shot(`console-${width}-${colorScheme}`);
      }
    }
    check(errors.length === 0, "console: " + errors.join("; "));
    check(addresses.every(a => a.startsWith(backend + "/") || a.startsWith("data:")), "asked elsewhere: " + addresses.find(a => !a.startsWith(backend)));
    check(!key || addresses.every(a => !a.includes(key)), "the key stands in an address");
    console.log(`${await page.evaluate(() => enckeConsole.points.length)} seconds of figures`);
  } finally {
    await stop();
    await browser.close();
    fs.rmSync(profile, { recursive: true, force: true });
  }
})().then(() => process.exit(0), e => { console.error(e); process.exit(1); });
