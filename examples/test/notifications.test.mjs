// Notifications, as the people of a small office use them.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, test } from "node:test";
import { looks, shot, sound, startSite, until } from "./site.mjs";

let site;
before(async () => { site = await startSite(); });
after(() => site?.close());

const desk = id => "/notifications/?as=" + id;
const texts = (page, query) => page.locator(query).allTextContents();
const inbox = page => texts(page, ".inbox .text");
const unread = page => page.locator(".bell b").textContent();
const has = (page, query, text) => page.locator(query, { hasText: text }).first().waitFor({ state: "attached" });
const live = page => has(page, ".state", "live");
const mailbox = id => fetch(`${site.backend}/users/${id}/mailbox`).then(r => r.json()).then(m => m.total);

/** Somebody with a browser at that person's desk. */
async function at(id, { init, ...options } = {}) {
  const person = await site.person(options);
  await person.context.addInitScript(() => { navigator.setAppBadge = n => (window.badge = n, Promise.resolve()); navigator.clearAppBadge = () => (window.badge = 0, Promise.resolve()); });
  if (init) await person.context.addInitScript(init);
  const page = await person.open(desk(id));
  await live(page);
  await page.waitForFunction("performance.getEntriesByType('resource').some(e => e.name.endsWith('/inbox'))"); // what was there before is no news
  return [page, person];
}

async function write(page, to, text, important = false) {
  await page.click(`[data-user=${to}]`);
  await page.fill("textarea", text);
  if (important) await page.check("input[value=yes]");
  await page.click("form .main");
  await page.locator("dialog").waitFor({ state: "hidden" });
}

/** Presses Tab until something has the focus. */
async function tabTo(page, query) {
  for (let i = 0; i < 40; i++) {
    if (await page.evaluate(q => document.activeElement.matches(q), query)) return;
    await page.keyboard.press("Tab");
  }
  throw new Error("the keyboard does not reach " + query);
}

test("a note comes to all devices, and once read on one it is read on all; by keyboard", async () => {
  const [mara, a] = await at("mara"), [phone, b] = await at("mara", { viewport: { width: 375, height: 740 } }), [jonas, c] = await at("jonas");
  await jonas.locator("[data-user=mara][data-here=true]").waitFor();
  await jonas.locator("[data-user=priya][data-here=false]").waitFor();

  const text = "<img src=x onerror=alert(1)> The crane is blocked: nobody launches until I say so.";
  await jonas.keyboard.press("Tab");
  await tabTo(jonas, "[data-user=mara]");
  await jonas.keyboard.press("Enter");
  await jonas.keyboard.type(text);
  await tabTo(jonas, "input[type=radio]");
  await jonas.keyboard.press("ArrowRight");
  await tabTo(jonas, "form .main");
  await jonas.keyboard.press("Enter");
  for (const page of [mara, phone]) {
    await has(page, ".toast.important", text);
    await has(page, "#shout", "Important, from Jonas Weber: " + text);
    assert.deepEqual(await inbox(page), [text]);
    assert.equal(await unread(page), "1");
    assert.match(await page.title(), /^\(1\) Mara/);
    assert.equal(await page.evaluate("badge"), 1);
  }
  await has(jonas, ".sent .how", "Delivered");
  await looks(mara, "notifications-toast");
  await sound(phone);

  await mara.keyboard.press("Tab"); // the focus is on nothing yet
  await tabTo(mara, ".bell");
  assert.match(await mara.locator(".bell").getAttribute("aria-label"), /^1 unread note:/);
  await mara.keyboard.press("Enter");
  await mara.keyboard.press("Enter");
  await mara.locator(".inbox [open] .text", { hasText: text }).waitFor();
  for (const page of [mara, phone]) {
    await until("it is read", async () => await unread(page) === "" && await page.evaluate("badge") === 0);
    assert.match(await page.title(), /^Mara/);
    assert.equal(await page.locator(".toast").count(), 0);
  }
  await has(jonas, ".sent .how", "Read");

  await mara.keyboard.press("Tab");
  await mara.keyboard.press("Enter"); // reply
  assert.equal(await mara.locator("select").inputValue(), "jonas");
  await mara.keyboard.type("Understood.");
  await shot(mara, "notifications-dialog");
  await mara.keyboard.press("Control+Enter");
  await has(jonas, "#say", "From Mara Lindqvist: Understood.");
  await has(phone, ".sent .text", "Understood."); // what one sends on one device is on all
  assert.equal(await unread(jonas), "1");
  await jonas.reload();
  await has(jonas, ".inbox li:not([data-state=read]) .text", "Understood.");
  await has(jonas, ".sent .how", "Read");
  assert.equal(await jonas.locator("#say").textContent(), ""); // it was told before
  await has(mara, ".sent .how", "Delivered");

  await jonas.keyboard.press("Tab");
  await tabTo(jonas, "#write");
  await jonas.keyboard.press("Enter");
  await jonas.keyboard.press("Escape");
  await jonas.locator("dialog").waitFor({ state: "hidden" });
  assert.ok(await jonas.evaluate("document.activeElement.matches('#write')"));
  for (const p of [a, b, c]) {
    p.check();
    await p.leave();
  }
});

test("windows of one browser, a reminder to oneself, desktop notifications", async () => {
  const init = () => {
    window.shown = [];
    window.Notification = class {
      static permission = localStorage.getItem("allowed") ?? "default";
      static async requestPermission() {
        localStorage.setItem("allowed", this.permission = "granted");
        window.asked = true;
      }
      constructor(title, { body, tag }) { window.shown.push([title, body, tag.replace(/\..*/, "")].join("|")); }
      close() {}
    };
    Object.defineProperty(document, "hidden", { get: () => window.away });
  };
  const [mara, a] = await at("mara", { init }), second = await a.open(desk("mara")), aoife = await a.open(desk("aoife"));
  const before = Number(await unread(mara));
  await Promise.all([live(second), live(aoife)]);
  await write(aoife, "mara", "In sight.");
  await has(second, "#say", "In sight.");
  assert.equal(await mara.evaluate("window.asked"), undefined);
  await mara.bringToFront(); // to click behind others takes Chromium seconds
  await mara.click("#desktop button");
  assert.equal(await mara.evaluate("window.asked"), true);
  assert.equal(await mara.locator("#desktop button").getAttribute("aria-pressed"), "true");
  await second.reload(); // it is turned on there too
  assert.equal(await second.locator("#desktop button").getAttribute("aria-pressed"), "true");
  await live(second);
  await mara.evaluate("window.away = true");
  await aoife.bringToFront();
  await write(aoife, "mara", "Out of sight.", true);
  await until("a desktop notification", () => mara.evaluate("shown.length"));
  assert.deepEqual(await mara.evaluate("shown"), ["Important, from Aoife Byrne|Out of sight.|aoife"]);
  await has(second, ".toast", "Out of sight.");
  await second.bringToFront();
  await second.click(".toast.important .away");
  assert.equal(await second.locator(".toast.important").count(), 0);
  assert.deepEqual(await second.evaluate("shown"), []); // it is looked at
  await mara.bringToFront();
  await mara.click("#desktop button");
  await second.bringToFront();
  await second.click("#write");
  await second.selectOption("select", { label: "Yourself, as a reminder" });
  await second.fill("textarea", "Order more varnish.");
  await second.click("form .main");
  await has(mara, "#say", "Order more varnish.");
  await has(second, ".sent b", "Yourself");
  assert.equal((await mara.evaluate("shown")).length, 1); // turned off
  assert.equal(Number(await unread(mara)), before + 3);
  await second.click("#all");
  await until("read in the other window", async () => await unread(mara) === "");
  assert.equal(await unread(aoife), "");
  a.check();
  await a.leave();
});

test("what comes while one is away is kept, and given on return over whatever carries", async () => {
  const [priya, a] = await at("priya");
  await write(priya, "tomasz", "The mast for the Petrel is in hall two.");
  await write(priya, "tomasz", "Please ring Mrs Osei.", true);
  await has(priya, ".sent .how", "Kept until Tomasz is here");
  await until("both are letters", async () => await mailbox("tomasz") === 2);

  const [tomasz, b] = await at("tomasz", { init: () => { delete window.WebSocket; delete window.EventSource; } });
  await has(tomasz, "#say", "2 notes were kept for you");
  assert.equal(await tomasz.locator(".state").getAttribute("title"), "stream");
  assert.deepEqual(await inbox(tomasz), ["Please ring Mrs Osei.", "The mast for the Petrel is in hall two."]);
  assert.equal(await unread(tomasz), "2");
  await has(tomasz, ".inbox small", "while you were away");
  await looks(tomasz, "notifications");
  await priya.locator("[data-user=tomasz][data-here=true]").waitFor();
  await until("both are acknowledged", async () => await mailbox("tomasz") === 0);
  await until("the sender sees it", async () => (await texts(priya, ".sent .how")).join() === "Delivered,Delivered");

  const [second, c] = await at("tomasz"); // another browser, later: Encke keeps them no more, the site does
  await until("the inbox", async () => await unread(second) === "2");
  assert.equal(await second.locator("#say").textContent(), "");
  await second.click("#all");
  await until("read on the other too", async () => await unread(tomasz) === "");
  await until("the sender sees it", async () => (await texts(priya, ".sent .how")).join() === "Read,Read");

  // without the inbox the letters come all the same
  await b.leave();
  await c.leave();
  await priya.locator("[data-user=tomasz][data-here=false]").waitFor();
  await write(priya, "tomasz", "One more.");
  await until("it is kept", async () => await mailbox("tomasz") === 1);
  const d = await site.person();
  await d.context.route("**/inbox", route => route.abort());
  const third = await d.open(desk("tomasz"));
  await has(third, "#say", "One more.");
  await has(third, "#trouble", "The inbox may be out of date. The site cannot be reached just now.");
  await d.context.unroute("**/inbox");
  await third.click("#trouble button");
  await third.locator("#trouble").waitFor({ state: "hidden" });
  assert.equal((await inbox(third)).length, 3);
  a.check(); b.check(); c.check(); d.check(/net::ERR_FAILED/);
  await a.leave();
  await d.leave();
});

test("forged and malformed notes", async () => {
  const [aoife, a] = await at("aoife"), [mara, b] = await at("mara");
  const good = { id: "mara.x", n: 1, from: "mara", to: "aoife", text: "x", important: false, time: 1, state: "kept" };
  const bad = [null, 7, "text", [], {}, { ...good, from: "nobody" }, { ...good, from: "__proto__" }, { ...good, to: "mara" }, { ...good, text: 7 }, { ...good, text: "" }, { ...good, text: "x".repeat(5000) },
    { ...good, id: "\"><b>" }, { ...good, id: 7 }, { ...good, n: -1 }, { ...good, n: "1" }, { ...good, important: "yes" }, { ...good, time: "now" }, { ...good, time: 1e300 }, { ...good, state: "<b>" }];
  const pushes = bad.map(data => ({ user: "aoife", mailbox: "always", event: "note", data }));
  for (const event of ["read", "state", "sent", "other"]) {
    for (const data of [...bad, { ids: 7 }, { ids: [7, null], state: "read" }, { ids: ["x"], state: 7 }]) pushes.push({ user: "aoife", event, data });
  }
  const lines = await fetch(site.backend + "/publish", { method: "POST", headers: { "Content-Type": "application/x-ndjson" }, body: pushes.map(p => JSON.stringify(p)).join("\n") });
  assert.doesNotMatch(await lines.text(), /error/);
  await until("they are acknowledged", async () => await mailbox("aoife") === 0);

  // with a token of her own aoife can publish nowhere, and her cookie is good for her alone
  const refused = await aoife.evaluate(async () => {
    const { Encke } = await import("/encke.js"), { url } = await import("/config.js");
    const encke = new Encke(url, { token: async () => (await fetch("people/aoife/token", { method: "POST" })).text(), shared: false });
    const codes = [];
    for (const channel of ["user:mara", "user:aoife", "office"]) await encke.publish(channel, { text: "forged" }).catch(error => codes.push(error.code));
    const other = encke.subscribe("user:mara");
    codes.push(await new Promise(done => other.on("error", error => done(error.code))));
    encke.close();
    return codes;
  });
  assert.deepEqual(refused, ["forbidden", "forbidden", "forbidden", "forbidden"]);
  for (const [method, path] of [["GET", "inbox"], ["POST", "token"], ["POST", "notes"], ["POST", "read"]]) {
    assert.equal((await aoife.request.fetch(`${site.url}/notifications/people/mara/${path}`, { method, headers: { "Content-Type": "application/json" }, data: method === "POST" ? {} : undefined })).status(),
      401, path);
  }

  // many at once are told in few words, and a long list is shown in parts
  await a.context.setOffline(true);
  await has(aoife, ".state", "offline");
  for (const id of ["jonas", "priya"]) {
    const own = `${site.url}/notifications/people/${id}/`;
    await b.context.request.post(own + "session");
    for (let i = 0; i < 12; i++) assert.equal((await b.context.request.post(own + "notes", { data: { to: "aoife", text: "Number " + i, key: "number00" + i } })).status(), 200);
  }
  await a.context.setOffline(false);
  await has(aoife, "#say", "new notes");
  assert.equal((await inbox(aoife)).length, 20);
  await aoife.click(".inbox .older");
  await until("all of them", async () => (await inbox(aoife)).length === 24);
  await until("the focus is on the next", () => aoife.evaluate("document.activeElement.closest('li') === document.querySelector('.inbox ol').children[20]"));

  const long = "M".repeat(1000);
  await write(mara, "aoife", long, true);
  await has(aoife, ".toast.important", long);
  assert.equal((await inbox(aoife))[0], long);
  await aoife.click(".toast.important .look");
  await aoife.locator(".inbox [open]").waitFor();
  await aoife.setViewportSize({ width: 375, height: 740 });
  await sound(aoife);
  await aoife.goto(site.url + desk("nobody"));
  await has(aoife, "#trouble", "There is nobody of that name here");
  await aoife.goto(site.url + "/notifications/");
  await looks(aoife, "notifications-who");
  a.check(/net::ERR_/, /WebSocket connection to/); b.check();
  await a.leave();
  await b.leave();
});

test("an answer that is lost, a network that is cut, a server that is killed", async () => {
  const [jonas, a] = await at("jonas"), [priya, b] = await at("priya");
  await jonas.context().route("**/notes", async route => { await route.fetch(); await route.abort(); }, { times: 1 });
  await jonas.click("[data-user=priya]");
  await jonas.fill("textarea", "Only once.");
  await jonas.check("input[value=yes]");
  await jonas.click("form .main");
  await has(jonas, "form .wrong", "Not sent: The site cannot be reached just now. What you have written is still here.");
  await jonas.click("form .main");
  await jonas.locator("dialog").waitFor({ state: "hidden" });
  await has(priya, ".inbox .text", "Only once.");
  assert.deepEqual((await inbox(priya)).filter(t => t === "Only once."), ["Only once."]);

  await b.context.setOffline(true);
  await has(priya, ".state", "offline");
  await priya.click(".toast.important .look"); // read, but nobody can be told
  await has(priya, "#trouble", "Your other devices do not know yet what you have read.");
  await write(jonas, "priya", "While you were in the tunnel.");
  await b.context.setOffline(false);
  await has(priya, ".inbox .text", "While you were in the tunnel.");
  await until("told later", async () => (await texts(jonas, ".sent .how")).includes("Read"));

  for (const pid of execFileSync("pgrep", ["-P", String(site.process.pid)], { encoding: "utf8" }).trim().split("\n")) process.kill(Number(pid), "SIGKILL");
  await jonas.locator(".state:not([data-state=open])").waitFor();
  await jonas.locator("[data-user=priya][data-here=unknown]").waitFor();
  assert.equal(await site.ended, 1);
  await shot(jonas, "notifications-cut");
  await jonas.click("[data-user=priya]");
  await jonas.fill("textarea", "Is it over?");
  await jonas.click("form .main");
  await has(jonas, "form .wrong", "Not sent: The site cannot be reached just now.");
  await shot(jonas, "notifications-not-sent");
  await site.start();
  await jonas.click("form .main"); // the site knows neither cookies nor notes any more
  await jonas.locator("dialog").waitFor({ state: "hidden" });
  await has(priya, ".inbox .text", "Is it over?");
  await live(priya);
  await has(priya, "#forgotten", "The site was started again and keeps notes in memory only");
  assert.deepEqual(await inbox(priya), ["Is it over?"]);
  await jonas.locator("[data-user=priya][data-here=true]").waitFor();
  for (const p of [a, b]) p.check(/net::ERR_/, /WebSocket connection to/, /Failed to load resource: the server responded with a status of 401/);
});
