// Two windows and a phone on the guest book: what one writes the others show, also after the server was restarted.
// browsers.js http://site/ [directory for pictures]
"use strict";
const { chromium } = require("playwright-core");
const fs = require("fs"), os = require("os"), path = require("path");
const [, , site, pictures] = process.argv;

const is = (got, want, what) => {
  if (JSON.stringify(got) !== JSON.stringify(want)) throw new Error(`${what}: ${JSON.stringify(got)}, not ${JSON.stringify(want)}`);
};

(async () => {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), "encke-chromium-"));
  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--headless", "--no-sandbox", "--disable-gpu",
    "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"] });
  const wrong = [];
  const open = async options => {
    const page = await (await browser.newContext(options)).newPage();
    page.on("pageerror", e => wrong.push(String(e)));
    page.on("dialog", d => { wrong.push("a script of an entry ran"); d.dismiss(); });
    await page.goto(site);
    await page.waitForSelector("#state.live");
    return page;
  };
  const texts = page => page.$$eval("#entries li > p", all => all.map(p => p.textContent));
  const waitFor = (page, n) => page.waitForFunction(n => document.querySelectorAll("#entries li").length >= n, n, { timeout: 8000 });
  try {
    const desk = await open({ viewport: { width: 1000, height: 800 } });
    const dark = await open({ viewport: { width: 1000, height: 800 }, colorScheme: "dark" });
    const phone = await open({ viewport: { width: 375, height: 667 }, isMobile: true, hasTouch: true });
    const attack = '<img src=x onerror=alert(1)><script>alert(2)</script>';
    await desk.fill("[name=name]", "Ada");
    await desk.fill("[name=text]", "Hello, everybody!");
    await desk.click("button");
    await Promise.all([desk, dark, phone].map(p => waitFor(p, 1)));
    await phone.fill("[name=name]", attack);
    await phone.fill("[name=text]", attack);
    await phone.tap("button");
    await dark.fill("[name=text]", "A longer one, that says what there is to say about guest books on a Saturday afternoon, and then some.");
    await dark.press("[name=text]", "Enter");
    await Promise.all([desk, dark, phone].map(p => waitFor(p, 3)));
    for (const p of [desk, dark, phone]) {
      const got = await texts(p);
      is([...got].sort(), [...new Set(got)].sort(), "each once");
      is(got.includes(attack), true, "an attack is text");
      is(await p.$$eval("#entries img", all => all.length), 0, "images");
      is(await p.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, "nothing is wider than the screen");
    }
    const late = await open({ javaScriptEnabled: true });
    is((await texts(late)).length, 3, "who comes later");
    if (pictures) for (const [name, p] of Object.entries({ desk, dark, phone })) await p.screenshot({ path: path.join(pictures, `guestbook-${name}.png`) });
    console.log("restart");
    await Promise.all([desk, dark, phone].map(p => waitFor(p, 4)));
    is((await texts(desk)).at(-1), "while it was away", "what came while the server was away");
    await desk.waitForSelector("#state.live");
    await desk.fill("[name=text]", "and on it goes");
    await desk.click("button");
    await Promise.all([desk, dark, phone].map(p => waitFor(p, 5)));
    const plain = await (await browser.newContext({ javaScriptEnabled: false })).newPage();
    await plain.goto(site);
    await plain.fill("[name=text]", "without scripts");
    await plain.click("button");
    is((await texts(plain)).length, 6, "without scripts");
    await waitFor(phone, 6);
    is(wrong, [], "errors");
    console.log("fine");
  } catch (e) {
    console.log(String(e.stack));
  } finally {
    await browser.close();
    fs.rmSync(profile, { recursive: true, force: true });
  }
})();
