// The chat as people use it: two of them at least, each with a browser of their own.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, describe, test } from "node:test";
import { looks, shot, sound, startSite, until } from "./site.mjs";

let site;
before(async () => { site = await startSite(); });
after(() => site?.close());

// what a browser says when the server is away, and of a token that was made with the secret of the last one
const CUT = /status of 401|ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE_CHUNKED|WebSocket connection to|status of 50[0-9]/;

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

describe("beside each other, each in rooms of its own:", { concurrency: 2 }, () => {

test("two people talk; one who comes late reads it; who is here and who types", async () => {
  const path = "/chat/?room=talk";
  const { person: ada, page: a } = await comes("Ada", path);
  await a.waitForSelector("#empty", { state: "visible" });
  const { person: bob, page: b } = await comes("Bob", path);
  await says(a, "Hello Bob");
  await hears(a, "You: Hello Bob");
  assert.equal(await waiting(a), 0);
  await hears(b, "Ada: Hello Bob");
  await until("it is read out once", async () => (await b.textContent("#news")).includes("Hello Bob"));

  // typing: said seldom, forgotten when it is sent
  await b.type("textarea", "I am writing something of thirty letters");
  await until("Ada sees Bob typing", async () => /Bob.* is typing/.test(await a.textContent("#typing")));
  const typed = await (await fetch(`${site.backend}/channels/chat-here:talk`)).json();
  assert.equal(typed.history.length, 0);
  assert.ok(typed.offset < 20, `${typed.offset} publications, joins among them`);
  assert.equal(await b.textContent("#typing"), "");
  await b.press("textarea", "Enter");
  await until("no more", async () => await a.textContent("#typing") === "");

  // one person in two tabs is one
  const b2 = await bob.open(path);
  await open(b2);
  await hears(b2, "You: I am writing something of thirty letters");
  await until("two people here", async () => await a.textContent("#who [data-here]") === "2");
  assert.deepEqual(await a.$$eval("#people bdi", all => all.map(e => e.textContent)), ["Ada", "Bob"]);
  await b2.close();

  // late, with markup for a name
  const { person: eve, page: e } = await comes("<b>Eve</b>", path);
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
  for (const p of [ada, bob, eve]) {
    p.check();
    await p.leave();
  }
});

test("rooms: opened by name and by link, unread counts, the title, going back, leaving; by the keyboard alone", async () => {
  const { person: ada, page: a } = await comes("Ada", "/chat/?room=quiz"), { person: bob, page: b } = await comes("Bob", "/chat/?room=B%C3%BCro%20Party!");
  assert.equal(await b.title(), "#büro-party – Chat");
  const a2 = await ada.open("/chat/?room=stairs");
  await open(a2);

  // Ada goes there by its name
  await a.focus("#open input");
  await a.keyboard.type("...");
  await a.keyboard.press("Enter");
  await a.locator("#open .wrong").filter({ hasText: "letters" }).waitFor();
  await a.fill("#open input", "#Büro  Party");
  await a.keyboard.press("Enter");
  assert.equal(new URL(a.url()).searchParams.get("room"), "büro-party");
  assert.equal(await a.evaluate("document.activeElement.name"), "text");
  await a.keyboard.type("one");
  await a.keyboard.press("Shift+Enter");
  await a.keyboard.type("two");
  await a.keyboard.press("Enter");
  await hears(b, "Ada: one\ntwo");

  await ada.context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await a.click("#link");
  await until("the link is copied", async () => await a.evaluate("navigator.clipboard.readText()") === site.url + "/chat/?room=b%C3%BCro-party");

  // what Bob says elsewhere is counted, in both tabs, until Ada has read it in one
  await b.fill("#open input", "quiz");
  await b.press("#open input", "Enter");
  await says(b, "first");
  await says(b, "second");
  for (const page of [a, a2]) {
    await badge(page, "quiz").filter({ hasText: /^2 unread$/ }).waitFor();
    assert.match(await page.title(), /^\(2\) #/);
  }
  await a.focus('#rooms a[href="?room=büro-party"]'.replace("ü", "%C3%BC"));
  for (let i = 0; i < 10 && !(await a.evaluate("document.activeElement.textContent")).includes("quiz"); i++) await a.keyboard.press("Shift+Tab");
  await a.keyboard.press("Enter");
  assert.deepEqual(await said(a), ["Bob: first", "Bob: second"]);
  assert.deepEqual(await a.$$eval("#scroller ol:first-of-type > li", all => all.map(e => e.className.split(" ")[0])), ["day", "fresh", "message", "message"]);
  for (const page of [a, a2]) await until("it is read", async () => !/^\(/.test(await page.title()));
  assert.equal(await badge(a2, "quiz").isVisible(), false);

  // a tab that nobody sees reads nothing; what is unread is so after a reload too
  const hide = (page, hidden) => page.evaluate(hidden => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
  }, hidden);
  await hide(a, true);
  await says(b, "third");
  await until("the title says so", async () => await a.title() === "(1) #quiz – Chat");
  await hide(a, false);
  await until("it is read", async () => await a.title() === "#quiz – Chat");
  await a.goBack();
  assert.equal(await a.title(), "#büro-party – Chat");
  await says(b, "fourth");
  await badge(a, "quiz").filter({ hasText: "1 unread" }).waitFor();
  await a.reload();
  await open(a);
  await badge(a, "quiz").filter({ hasText: "1 unread" }).waitFor();
  await hears(a, "You: one\ntwo");

  await a.locator("button[aria-label='Leave büro-party']").press("Enter");
  assert.equal(await a.evaluate("document.activeElement.textContent.includes('lobby')"), true);
  assert.equal(await a.locator("#rooms li").count(), 5);
  ada.check();
  bob.check();
  await ada.leave();
  await bob.leave();
});

test("who has no name reads along", async () => {
  const { person: ada, page: a } = await comes("Ada", "/chat/?room=reading"), person = await site.person(), p = await person.open("/chat/?room=reading");
  await p.waitForSelector("#naming[open]");
  await p.keyboard.press("Escape");
  await open(p);
  await says(a, "for all");
  await hears(p, "Ada: for all");
  assert.equal(await p.isVisible("textarea"), false);
  await a.locator("#people").getByText("and 1 without a name").waitFor();
  assert.equal((await person.context.request.post(site.url + "/chat/messages", { data: { room: "reading", id: "abcdefghij", text: "x" } })).status(), 403);
  await p.click("#nameless button");
  await p.keyboard.type("   ");
  await p.keyboard.press("Enter");
  await p.getByText("at least one letter").waitFor();
  await p.keyboard.press("Control+A");
  await p.keyboard.type("Zoë");
  await p.keyboard.press("Enter");
  await says(p, "now me");
  await hears(a, "Zoë: now me");
  await p.type("textarea", "but");
  await until("Ada sees it", async () => /Zoë.* is typing/.test(await a.textContent("#typing")));
  await until("nobody believes it for ever", async () => await a.textContent("#typing") === "");
  ada.check();
  person.check();
  await ada.leave();
  await person.leave();
});

test("rubbish, forged names, long texts, many messages and people", async () => {
  const path = "/chat/?room=bad", { person: ada, page: a } = await comes("Ada", path), { person: eve, page: e } = await comes("Eve", path);
  const [adaID, token] = [(await (await ada.context.request.get(site.url + "/visitor")).json()).id, await tokenOf(eve)];
  const good = { id: "abcdefgh01", text: "I am Ada", user: adaID, name: "Ada" };
  const bad = [null, 5, "text", [], {}, { id: 1, text: "x" }, { id: "short", text: "x" }, { id: "a b<i>cdefgh", text: "x" }, { id: "abcdefgh02", text: " \n" },
    { id: "abcdefgh03", text: { toString: 1 } }, { id: "abcdefgh04", text: "x".repeat(1001) }, { id: "abcdefgh05" }, { text: "x" }];
  // Eve's own client, with her token
  const answers = await e.evaluate(async ([url, token, publishes]) => {
    const socket = new WebSocket(url, ["encke.json", "encke.token." + token]), got = [];
    await new Promise(done => socket.onopen = done);
    publishes.forEach((publish, id) => socket.send(JSON.stringify({ id, publish })));
    await new Promise(done => socket.onmessage = m => "id" in JSON.parse(m.data) && got.push(JSON.parse(m.data)) === publishes.length && done());
    socket.close();
    return got;
  }, [site.encke.replace("http", "ws") + "/ws", token, [...bad.map(data => ({ channel: "chat:bad", data })), { channel: "chat:bad", event: "e", data: good },
    { channel: "chat-here:bad", event: "typing", data: [] }, { channel: "chat-here:bad", data: null }, { channel: "chat:bad", data: good },
    { channel: "chat-names", data: { user: adaID, name: "Eve" } }, { channel: "chat:bad", data: { id: "abcdefgh06", text: "x".repeat(9000) } }]]);
  assert.deepEqual(answers.filter(m => m.error).map(m => m.error.code), ["forbidden", "message_too_large"]);
  // and what no client can, but who knows
  for (const data of [...bad, { ...good, user: "a b" }, { ...good, user: [adaID] }, { id: "abcdefgh07", text: "x" }]) await push("chat:bad", { data });
  for (const data of [null, 1, { user: 5, name: "x" }, { user: adaID, name: ["x"] }]) await push("chat-names", { data });
  await hears(a, "Eve: I am Ada");
  // the same message again, by the site: it is one
  const eveID = (await (await eve.context.request.get(site.url + "/visitor")).json()).id;
  await push("chat:bad", { data: { ...good, user: eveID } });
  await push("chat:bad", { data: { id: "abcdefgh08", user: eveID, text: "by the site" } });
  await hears(a, "Eve: by the site");
  assert.deepEqual(await said(a), ["Eve: I am Ada", "Eve: by the site"]);

  // too long is said, not cut
  await a.fill("textarea", "x".repeat(1001));
  await a.press("textarea", "Enter");
  await a.getByText("Too long by 1 character").waitFor();
  assert.equal((await a.inputValue("textarea")).length, 1001);
  await says(a, "W".repeat(1000));
  await says(a, "a\u0301\u0302\u0303\u0304\u0305".repeat(100) + "\u202eabc");
  await says(a, "line\n".repeat(190));
  await until("all of it has come", async () => (await said(e)).length === 5);
  assert.equal(await a.locator(".folded button").count(), 2);
  await a.setViewportSize({ width: 375, height: 740 });
  await sound(a);
  await a.locator(".folded button").first().click();
  await a.locator(".folded button", { hasText: "Show less" }).waitFor();
  await a.setViewportSize({ width: 1280, height: 800 });

  // who reads older messages stays there
  for (let i = 0; i < 120; i += 40) await Promise.all(Array.from({ length: 40 }, (_, n) => push("chat:bad", { data: { id: "abcdefgh1" + (i + n), user: eveID, text: "number " + (i + n) } })));
  await until("120 more", async () => (await said(a)).length === 125);
  await a.focus("#scroller");
  await a.keyboard.press("Home");
  await a.locator("#newer").waitFor();
  const where = () => a.$eval("#scroller", s => s.scrollTop);
  await until("it is at the top", async () => await where() === 0);
  await says(e, "something new");
  await until("it is there", async () => (await said(a)).at(-1)?.endsWith("something new"));
  await a.locator("#newer").waitFor();
  assert.equal(await where(), 0);
  await a.click("#newer");
  await until("the end is in sight", () => a.$eval("#scroller", s => s.scrollHeight - s.scrollTop - s.clientHeight < 2));
  assert.equal(await a.title(), "#bad – Chat");

  // 120 more people, each with a stream
  const streams = new AbortController();
  await Promise.all(Array.from({ length: 120 }, async (_, n) => {
    const named = await fetch(site.url + "/visitor", { method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ name: "Person " + n }) });
    const token = await (await fetch(site.url + "/chat/token", { method: "POST", headers: { Cookie: named.headers.get("Set-Cookie").split(";")[0] } })).text();
    await fetch(`${site.encke}/sse?channels=chat-here:bad&token=${token}`, { signal: streams.signal });
  }));
  await a.locator("#people").getByText("and 22 more").waitFor();
  assert.equal(await a.textContent("#who [data-here]"), "122");
  assert.equal(await a.locator("#people li").count(), 101);
  streams.abort();
  ada.check();
  eve.check();
  await ada.leave();
  await eve.leave();
});

test("without WebSockets the site posts; what fails says so, stays over a reload and can be sent again", async () => {
  const { person: bob, page: b } = await comes("Bob", "/chat/?room=slow");
  const ada = await site.person();
  await ada.context.addInitScript("delete globalThis.WebSocket");
  const a = await ada.open("/chat/?room=slow");
  await a.waitForSelector("#naming[open]");
  await a.keyboard.type("Ada");
  await a.keyboard.press("Enter");
  await open(a);
  assert.notEqual(await a.getAttribute(".state", "title"), "ws");
  await says(a, "by the site");
  await hears(b, "Ada: by the site");
  await until("it has arrived", async () => await waiting(a) === 0);

  const block = how => a.route("**/chat/messages", how);
  await block(route => route.abort());
  await says(a, "not yet");
  await a.locator(".failed", { hasText: "Not sent. The site cannot be reached" }).waitFor();
  await shot(a, "chat-failed");
  await a.reload();
  await a.locator(".failed", { hasText: "Not sent." }).waitFor();
  await a.unroute("**/chat/messages");
  await a.getByRole("button", { name: "Send again" }).press("Enter");
  await hears(b, "Ada: not yet");
  await until("it has arrived", async () => await waiting(a) === 0);

  // the answer is lost, the message is not
  await block(async route => { await route.fetch(); await route.abort(); });
  await says(a, "half");
  await hears(a, "You: half");
  await until("it is known", async () => await waiting(a) === 0);
  await a.unroute("**/chat/messages");
  assert.equal((await said(b)).filter(line => line.endsWith("half")).length, 1);

  // too fast
  const fast = await Promise.all(Array.from({ length: 15 }, (_, n) => ada.context.request.post(site.url + "/chat/messages", { data: { room: "elsewhere", id: "abcdefgh" + n, text: "x" } })));
  assert.ok(fast.some(r => r.status() === 429));
  ada.check(/ERR_FAILED/);
  bob.check();
  await ada.leave();
  await bob.leave();
});

test("days have lines between them", async () => {
  const { person, page } = await comes("Ada", "/chat/?room=days");
  const lines = await page.evaluate(async () => {
    const { Messages } = await import("/chat/messages.js"), { Room } = await import("/chat/room.js");
    const scroller = document.createElement("div");
    scroller.append(document.createElement("ol"), document.createElement("ol"));
    const room = new Room("days", "", true), now = new Date(), at = (days, n) => new Date(now.getFullYear(), now.getMonth(), now.getDate() - days, 12, 0, n).getTime();
    [at(400, 0), at(1, 0), at(1, 1), at(0, 0)].forEach((time, n) => room.take({ user: "u", time, data: { id: "abcdefgh" + n, text: "text " + n } }));
    new Messages(scroller, { label: () => "Ada", named: () => true }, { ended() {} }).show(room, "me");
    return [...scroller.querySelectorAll("li")].map(e => e.className === "day" ? e.textContent : e.querySelector(".text").textContent);
  });
  assert.match(lines.shift(), /^\w+, \d+ \w+ \d{4}$/);
  assert.deepEqual(lines, ["text 0", "Yesterday", "text 1", "text 2", "Today", "text 3"]);
  person.check();
  await person.leave();
});

}); // beside each other

test("Encke is killed and comes back; what is written meanwhile arrives once, and the gap is told", async () => {
  const { person: ada, page: a } = await comes("Ada", "/chat/?room=edge"), { person: bob, page: b } = await comes("Bob", "/chat/?room=edge");
  await says(a, "before");
  await hears(b, "Ada: before");
  process.kill(+execFileSync("pgrep", ["-P", String(site.process.pid)]).toString(), "SIGKILL");
  await site.ended;
  await a.waitForSelector(".state:not([data-state=open])");
  await says(a, "in the dark");
  await a.getByText("Not connected.").waitFor();
  assert.equal(await waiting(a), 1);
  await site.start();
  for (const page of [a, b]) {
    await open(page);
    await page.getByText("the server was started again").waitFor();
  }
  await hears(b, "Ada: in the dark");
  await until("nothing waits", async () => await waiting(a) === 0);
  await says(b, "after");
  await hears(a, "Bob: after");
  for (const page of [a, b]) assert.deepEqual((await said(page)).slice(-3).map(line => line.replace(/.*: /, "")), ["before", "in the dark", "after"]);
  assert.equal(await a.textContent("#trouble"), "");
  await shot(a, "chat-gap");
  ada.check(CUT);
  bob.check(CUT);
  await ada.leave();
  await bob.leave();
});

test("how it looks, and on a phone", async () => {
  const { person: ada, page: a } = await comes("Ada");
  const others = {};
  for (const name of ["Grace Hopper", "Linus", "Margaret"]) {
    const { person, page } = await comes(name);
    others[name] = { person, page, id: (await (await person.context.request.get(site.url + "/visitor")).json()).id };
  }
  let n = 10000000;
  const line = (name, text, room = "lobby") => push("chat:" + room, { data: { id: "look" + n++, user: others[name].id, text } });
  await line("Grace Hopper", "Morning! The new build is on the test machine.");
  await line("Grace Hopper", "Notes are at https://example.com/releases/41, have a look before noon, please.");
  await line("Linus", "Started it. Comes up in half the time, nice.");
  await hears(a, "Linus: Started it. Comes up in half the time, nice.");
  await says(a, "Reading the notes now. Do we still need the old flag, the one for the second queue?");
  await hears(a, "You: Reading the notes now. Do we still need the old flag, the one for the second queue?");
  await line("Margaret", "No. I took it out last week:\n  1. the queue is gone\n  2. the flag does nothing\n  3. and nobody sets it");
  await line("Grace Hopper", "Then out with it.");
  await line("Linus", "Who is for tea?", "tea-kitchen");
  await line("Margaret", "Me", "tea-kitchen");
  await badge(a, "tea-kitchen").filter({ hasText: "2 unread" }).waitFor();
  await others.Linus.page.type("textarea", "O");
  await until("Linus types", async () => /Linus/.test(await a.textContent("#typing")));
  await looks(a, "chat");

  await a.setViewportSize({ width: 375, height: 740 });
  await a.locator("#show-rooms").press("Enter");
  await sound(a);
  await shot(a, "chat-rooms");
  const small = await a.$$eval("button, #rooms a, input, textarea", all => all.filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 44).map(e => e.outerHTML));
  assert.deepEqual(small, []);
  await a.keyboard.press("Escape");
  assert.equal(await a.evaluate("document.activeElement.id"), "show-rooms");
  await a.locator("#show-people").press("Enter");
  await sound(a);
  await shot(a, "chat-people");
  await a.keyboard.press("Enter");
  assert.equal(await a.evaluate("document.activeElement.id"), "show-people");
  await a.click("#show-rooms");
  await a.click('#rooms a[href="?room=tea-kitchen"]');
  assert.equal(await a.isVisible("#side"), false);
  await hears(a, "Margaret: Me");
  for (const { person } of [{ person: ada }, ...Object.values(others)]) {
    person.check();
    await person.leave();
  }
});
