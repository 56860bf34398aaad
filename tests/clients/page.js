// Chromium on the live page: every transport by its switch, each message once and in order, the chart, no console error.
"use strict";
const { chromium } = require("playwright-core");
const fs = require("fs"), os = require("os"), path = require("path");
const [, , site, backend, artefacts] = process.argv;

const push = async (channel, text) => {
  const r = await fetch(`${backend}/channels/${channel}`, { method: "POST", body: text, headers: { "Content-Type": "text/plain" } });
  if (r.status !== 201 && r.status !== 202) throw new Error(`push: ${r.status}`);
};

(async () => {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), "encke-chromium-"));
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: "/usr/bin/chromium", viewport: { width: 1000, height: 1100 },
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync"],
  });
  try {
    const page = await browser.newPage();
    const errors = [];
    page.on("console", m => { if (m.type() === "error") errors.push(m.text()); });
    page.on("pageerror", e => errors.push(String(e)));
    await page.goto(site);
    if (!await page.isVisible("#nochart")) throw new Error("the empty chart does not say what to do");
    let sent = 0;
    const seen = () => page.evaluate(() => enckeDemo.received.filter(r => r.channel === "demo"));
    for (const t of ["ws", "sse", "stream", "longpoll", "poll", "ws"]) {
      const pushing = (async () => { for (let i = 0; i < 10; i++) await push("demo", `message ${++sent}`); })(); // also while it switches
      await page.check(`input[value=${t}]`);
      await page.waitForFunction(t => enckeDemo.state === "open" && enckeDemo.transport === t, t, { timeout: 15000 });
      await pushing;
      await push("demo", `message ${++sent}`); // this one surely over the new transport
      await page.waitForFunction(n => enckeDemo.received.filter(r => r.channel === "demo").length >= n, sent, { timeout: 15000 });
      const last = (await seen()).at(-1);
      if (last.transport !== t) throw new Error(`the last message came over ${last.transport}, want ${t}`);
      await page.waitForFunction(t => new RegExp({ longpoll: "poll", poll: "" }[t] ?? t).test(document.getElementById("kinds").textContent), t, { timeout: 15000 });
    }
    const offsets = (await seen()).map(r => r.offset).join();
    const want = Array.from({ length: sent }, (_, i) => i + 1).join();
    if (offsets !== want) throw new Error(`offsets ${offsets}, want ${want}`);
    for (const load of ["0.10 0.20 0.30 1/100 1", "1.10 0.70 0.40 1/100 2", "2.00 1.20 0.60 1/100 3"]) await push("load", load);
    await page.waitForFunction(() => document.querySelectorAll("#svg polyline").length === 3 && document.getElementById("l0").textContent === "2.00", null, { timeout: 15000 });
    const second = await browser.newPage();
    await second.goto(site);
    await page.waitForFunction(() => Number(document.getElementById("online").textContent) >= 2, null, { timeout: 15000 });
    await second.close();
    await page.waitForFunction(() => Number(document.getElementById("online").textContent) === 1, null, { timeout: 15000 });
    await push("demo", "<img src=x onerror=alert(1)>"); // data is text
    await page.waitForFunction(() => document.getElementById("list").textContent.includes("onerror"), null, { timeout: 15000 });
    if (await page.$("#list img")) throw new Error("data became markup");
    fs.mkdirSync(artefacts, { recursive: true });
    await page.screenshot({ path: path.join(artefacts, "page.png"), fullPage: true });
    await page.emulateMedia({ colorScheme: "dark" });
    await page.setViewportSize({ width: 375, height: 800 });
    await push("load", "2.10 1.30 0.70 1/100 4");
    await page.waitForFunction(() => document.getElementById("l0").textContent === "2.10", null, { timeout: 15000 });
    await page.screenshot({ path: path.join(artefacts, "page-phone-dark.png"), fullPage: true });
    if (await page.evaluate(() => document.documentElement.scrollWidth > 375)) throw new Error("the page is wider than a phone");
    if (errors.length) throw new Error("console: " + errors.join("; "));
    console.log(`${sent} messages over five transports, each once and in order`);
  } finally {
    await browser.close();
    fs.rmSync(profile, { recursive: true, force: true });
  }
})().catch(e => { console.error(e); process.exit(1); });
