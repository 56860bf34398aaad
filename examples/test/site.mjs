// Starts the examples' site, with Encke beside it, and opens its pages in Chromium as people do.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const root = fileURLToPath(new URL("../..", import.meta.url));
const args = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];

export const sleep = ms => new Promise(done => setTimeout(done, ms));

export async function until(what, condition, ms = 15000) {
  for (const end = Date.now() + ms; ; await sleep(20)) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
  }
}

const freePort = () => new Promise(done => {
  const s = net.createServer().listen(0, "127.0.0.1", () => {
    const { port } = s.address();
    s.close(() => done(port));
  });
});

/**
 * The site as `make examples` starts it, on ports of its own, and a browser. url is the site's address, backend Encke's for pushes.
 * start() and stop() end and begin both again on the same ports.
 */
export async function startSite() {
  const [port, encke, backend] = [await freePort(), await freePort(), await freePort()];
  const s = { url: `http://127.0.0.1:${port}`, encke: `http://127.0.0.1:${encke}`, backend: `http://127.0.0.1:${backend}`, log: "" };
  s.start = async () => {
    s.process = spawn(process.env.EXAMPLES_BINARY, ["--listen", `127.0.0.1:${port}`, "--encke", process.env.ENCKE_BINARY,
      "--encke-listen", `127.0.0.1:${encke}`, "--encke-backend", `127.0.0.1:${backend}`], { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
    s.ended = new Promise(done => s.process.once("exit", done));
    for (const out of [s.process.stdout, s.process.stderr]) out.on("data", text => s.log += text);
    await until("the site is ready:\n" + s.log, () => fetch(s.url + "/config.js").then(r => r.ok, () => false));
  };
  s.stop = async (signal = "SIGTERM") => {
    s.process.kill(signal);
    return s.ended;
  };
  await s.start();
  s.browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args });
  s.close = async () => {
    await s.browser.close();
    assert.equal(await s.stop(), 0, s.log);
  };

  /**
   * Somebody with a browser of their own: a context, whose console must stay without errors (call person.check() at the end, or
   * with patterns of what is allowed there). options are Playwright's, e.g. { colorScheme: "dark", viewport: {…} }.
   */
  s.person = async (options = {}) => {
    const context = await s.browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    const p = { context, errors: [] };
    p.open = async path => {
      const page = await context.newPage();
      page.on("console", m => m.type() === "error" && p.errors.push(m.text()));
      page.on("pageerror", e => p.errors.push(String(e)));
      await page.goto(s.url + path);
      return page;
    };
    p.check = (...allowed) => assert.deepEqual(p.errors.filter(text => !allowed.some(a => a.test(text))), []);
    p.leave = () => context.close();
    return p;
  };
  return s;
}

/** Keeps a screenshot of a page as artefacts/examples-{name}.png. */
export async function shot(page, name) {
  fs.mkdirSync(root + "artefacts", { recursive: true });
  await page.screenshot({ path: `${root}artefacts/examples-${name}.png` });
}

/** Holds a page against what every page promises at its present width: nothing sticks out sideways, and everything has a name. */
export async function sound(page) {
  const found = await page.evaluate(() => {
    const wrong = [], name = e => e.outerHTML.slice(0, 120);
    if (document.documentElement.scrollWidth > innerWidth) wrong.push(`wider than the window: ${document.documentElement.scrollWidth} > ${innerWidth}`);
    if (!document.documentElement.lang || !document.title) wrong.push("no language or title");
    if (document.querySelectorAll("h1").length !== 1) wrong.push("not one h1");
    for (const e of document.querySelectorAll("button, a[href], [role=button]")) {
      if (e.checkVisibility() && !(e.innerText.trim() || e.getAttribute("aria-label") || e.title)) wrong.push("no name: " + name(e));
    }
    for (const e of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
      if (e.checkVisibility() && !(e.labels?.length || e.getAttribute("aria-label"))) wrong.push("no label: " + name(e));
    }
    return wrong;
  });
  assert.deepEqual(found, []);
}

/** Takes a page through what every page is held against: 375 px and wide, light and dark, with a screenshot of each. */
export async function looks(page, name) {
  for (const [width, height] of [[375, 740], [1280, 800]]) {
    await page.setViewportSize({ width, height });
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await sleep(150);
      await sound(page);
      await shot(page, `${name}-${width}-${colorScheme}`);
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
}
