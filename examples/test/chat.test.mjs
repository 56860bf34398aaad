// The chat as people use it: two of them at least, each with a browser of their own.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, test } from "node:test";
import { looks, shot, sound, startSite, until } from "./site.mjs";

let site;
before(async () => { site = await startSite(); });
after(() => site?.close());

const CUT = /ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE_CHUNKED|WebSocket connection to|status of 50[0-9]/;

const open = page => page.waitForSelector(".state[data-state=open]");
const said = page => page.$$eval("#scroller ol:first-of-type .message", all => all.map(e => [e.querySelector("bdi")?.textContent ?? "You", e.querySelector(".text").textContent].join(": ")));
const waiting = page => page.$$eval("#scroller ol:last-of-type .message", all => all.length);
const hears = (page, line) => until(`${line} in the list`, async () => (await said(page)).includes(line)).catch(async e => { throw new Error(e.message + "\n" + (await said(page)).join("\n")); });
const badge = (page, room) => page.locator(`#rooms a[href="?room=${room}"] .badge`);

/** Somebody of a name who has come in. */
async function comes(name, path = "/chat/", options) {
  const person = await site.person(options), page = await person.open(path);
  await page.waitForSelector("#naming[open]");
  await page.keyboard.type(name);
  await page.keyboard.press("Enter");
  await page.waitForSelector("#say:not([hidden])");
  await open(page);
  return { person, page };
}

async function says(page, text) {
  await page.fill("textarea", text);
  await page.press("textarea", "Enter");
}

const push = (channel, message) => fetch(`${site.backend}/publish`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ channel, ...message }) })
  .then(async r => assert.ok(r.ok, await r.text()));

/** What the site makes for a browser: its token, by its cookies. */
const tokenOf = person => person.context.request.post(site.url + "/chat/token").then(r => r.text());

test("two people talk; one who comes late reads it; who is here and who types", async () => {
  const { person: ada, page: a } = await comes("Ada");
  await a.waitForSelector("#empty", { state: "visible" });
  const { person: bob, page: b } = await comes("Bob");
  await says(a, "Hello Bob");
  await hears(a, "You: Hello Bob");
  assert.equal(await waiting(a), 0);
  await hears(b, "Ada: Hello Bob");
  await until("it is read out once", async () => (await b.textContent("#news")).includes("Hello Bob"));

  // typing: said seldom, forgotten when it is sent
  await b.type("textarea", "I am writing something of thirty letters");
  await until("Ada sees Bob typing", async () => /Bob.* is typing/.test(await a.textContent("#typing")));
  const typed = await (await fetch(`${site.backend}/channels/chat-here:lobby`)).json();
  assert.equal(typed.history.length, 0);
  assert.ok(typed.offset <= 8, `${typed.offset} publications, joins among them`);
  assert.equal(await b.textContent("#typing"), "");
  await b.press("textarea", "Enter");
  await until("no more", async () => await a.textContent("#typing") === "");

  // one person in two tabs is one
  const b2 = await bob.open("/chat/");
  await open(b2);
  await hears(b2, "You: I am writing something of thirty letters");
  await until("two people here", async () => await a.textContent("#who [data-here]") === "2");
  assert.deepEqual(await a.$$eval("#people bdi", all => all.map(e => e.textContent)), ["Ada", "Bob"]);
  await b2.close();

  // late, with markup for a name
  const { person: eve, page: e } = await comes("<b>Eve</b>");
  await hears(e, "Ada: Hello Bob");
  await says(e, "<img src=x onerror=alert(1)> & https://example.com/a?b=1.");
  await hears(a, "<b>Eve</b>: <img src=x onerror=alert(1)> & https://example.com/a?b=1.");
  assert.equal(await a.getAttribute(".text a", "href"), "https://example.com/a?b=1");
  await until("three people here", async () => await a.textContent("#who [data-here]") === "3");

  // a new name is everywhere, in what was said before too; the same name twice can be told apart
  await b.click("#rename");
  await b.keyboard.type("Ada");
  await b.keyboard.press("Enter");
  await until("Bob is another Ada", async () => (await said(e)).some(line => /^Ada \(\w{4}\): I am writing/.test(line)));
  assert.equal((await said(e)).filter(line => /^Ada \(\w{4}\): /.test(line)).length, 2);
  await open(b);
  await says(b, "still here");
  await until("written with the new name", async () => (await said(a)).some(line => /^Ada \(\w{4}\): still here/.test(line)));

  // reload: the same person, the same history
  const before = await said(a);
  await a.reload();
  await open(a);
  await until("the same as before", async () => (await said(a)).length === before.length);
  assert.deepEqual(await said(a), before);
  await looks(a, "chat");
  await a.setViewportSize({ width: 375, height: 740 });
  await a.click("#show-rooms");
  await sound(a);
  await shot(a, "chat-rooms");
  await a.keyboard.press("Escape");
  assert.equal(await a.evaluate("document.activeElement.id"), "show-rooms");
  await a.click("#show-people");
  await shot(a, "chat-people");
  for (const p of [ada, bob, eve]) {
    p.check();
    await p.leave();
  }
});
