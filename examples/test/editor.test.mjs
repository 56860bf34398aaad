// Joint editing, as people do it.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, describe, test } from "node:test";
import * as Y from "yjs";
import { looks, sleep, startSite, until } from "./site.mjs";

let site;
before(async () => { site = await startSite(); });
after(() => site?.close());

const base64 = update => Buffer.from(update).toString("base64");

/** Somebody who has a document open and can write. */
async function writer(doc, { person, ...options } = {}) {
  const p = person ?? await site.person(options), page = await p.open("/editor/?doc=" + doc);
  await page.locator(".cm-content[contenteditable=true]").waitFor();
  return { p, page, type: words => page.keyboard.type(words), press: key => page.keyboard.press(key), focus: () => page.locator(".cm-content").focus() };
}

/** The text as somebody sees it, without the names beside cursors. */
const text = ({ page }) => page.$$eval(".cm-line", lines => lines.map(line => {
  const copy = line.cloneNode(true);
  for (const e of copy.querySelectorAll(".cm-ySelectionCaret, .cm-placeholder")) e.remove();
  return copy.textContent;
}).join("\n"));
const saved = ({ page }) => page.locator("#saved").innerText();
const reads = (who, words) => until(`the text is ${JSON.stringify(words)}`, async () => await text(who) === words)
  .catch(async e => { throw new Error(`${e.message}, but ${JSON.stringify(await text(who))}`); });
async function same(...all) {
  await until("all changes are sent", async () => (await Promise.all(all.map(saved))).every(words => words === "All changes are sent."), 60000);
  await until("all have the same text", async () => new Set(await Promise.all(all.map(text))).size === 1, 60000);
  return text(all[0]);
}

describe("beside each other", { concurrency: 3 }, () => {
  test("2,000 random keys of two people, and both have the same", async () => {
    const a = await writer("random"), b = await writer("random");
    let seed = 17;
    const below = n => (seed = seed * 48271 % 2147483647) % n, SHIFT = 8, CTRL = 2;
    const codes = { ArrowLeft: 37, ArrowUp: 38, ArrowRight: 39, ArrowDown: 40, Home: 36, End: 35, Backspace: 8, Delete: 46, Enter: 13, z: 90, y: 89 };
    const moves = [["ArrowLeft"], ["ArrowRight"], ["ArrowUp"], ["ArrowDown"], ["Home"], ["End"], ["Home", CTRL], ["End", CTRL], ["ArrowLeft", CTRL], ["ArrowRight", CTRL], ["ArrowLeft", SHIFT]];
    const edits = [["Backspace"], ["Delete"], ["Enter"], ["z", CTRL], ["y", CTRL]];
    const write = async w => {
      const session = await w.p.context.newCDPSession(w.page), all = [];
      await w.focus();
      for (let i = 0; i < 1000; i++) { // one behind the other, without waiting for each: a person with very quick fingers
        const n = below(20), [key, modifiers = 0] = n < 6 ? moves[below(moves.length)] : edits[n - 6] ?? [];
        if (!key) all.push(session.send("Input.insertText", { text: [..."abcdefgh    👋"][below(13)] }));
        else all.push(session.send("Input.dispatchKeyEvent", { type: key === "Enter" ? "keyDown" : "rawKeyDown", key, code: key, modifiers, windowsVirtualKeyCode: codes[key], text: key === "Enter" ? "\r" : undefined }));
      }
      await Promise.all(all);
    };
    await Promise.all([write(a), write(b)]);
    const words = await same(a, b);
    assert.ok(words.trim().length > 20, words);
    const late = await writer("random");
    await reads(late, words);
    for (const w of [a, b, late]) {
      w.p.check();
      await w.p.leave();
    }
  });

  test("who comes later has all, also when history has passed and nobody is there", async () => {
    const a = await writer("late");
    await a.focus();
    await a.type("kept");
    const kept = async () => (await (await fetch(site.url + "/editor/doc?name=late")).json()).newest;
    await until("the site has a snapshot", kept);
    await a.p.leave();
    assert.equal((await fetch(site.backend + "/channels/doc:late", { method: "DELETE" })).status, 204);
    const late = await writer("late");
    await reads(late, "kept");
    await late.press("Tab");
    await late.page.reload();
    await reads(late, "kept");
    late.p.check();
    await late.p.leave();
  });

  test("without a network one goes on writing, reloads, and all is merged on return", async () => {
    const a = await writer("offline"), b = await writer("offline");
    await a.focus();
    await a.type("one two three");
    await same(a, b);
    await b.p.context.setOffline(true);
    await b.page.evaluate(() => dispatchEvent(new Event("pagehide"))); // ends the connection, which setOffline leaves
    await b.page.evaluate(() => dispatchEvent(new Event("pageshow")));
    await b.page.locator(".state:not([data-state=open])").waitFor();
    await a.press("Control+Home");
    await a.type("zero ");
    await b.focus();
    await b.press("Control+End");
    await b.type(" four");
    await b.page.locator("#saved", { hasText: "Not connected" }).waitFor();
    await reads(a, "zero one two three");
    await reads(b, "one two three four");
    await b.p.context.setOffline(false);
    assert.equal(await same(a, b), "zero one two three four");

    // and a page that is closed before it could send: what was written there comes with the next one of that browser
    await b.p.context.setOffline(true);
    await b.page.evaluate(() => dispatchEvent(new Event("pagehide")));
    await b.type(" five");
    await b.page.close();
    await b.p.context.setOffline(false);
    const again = await writer("offline", { person: b.p });
    assert.equal(await same(a, again), "zero one two three four five");
    await until("nothing is kept that is sent", () => again.page.evaluate("Object.keys(localStorage).filter(k => k.startsWith('encke-editor/')).length === 0"));
    a.p.check();
    b.p.check(/ERR_INTERNET_DISCONNECTED/);
    await a.p.leave();
    await b.p.leave();
  });

  test("two write at the same time in the same place, and have the same text", async () => {
    const a = await writer("both"), b = await writer("both");
    await a.focus();
    await a.type("begin end");
    await reads(b, "begin end");
    await b.focus();
    for (const w of [a, b]) {
      await w.press("Control+Home");
      for (let i = 0; i < 6; i++) await w.press("ArrowRight");
    }
    await Promise.all([a.type("AAAA "), b.type("BBBB ")]);
    assert.match(await same(a, b), /^begin (AAAA BBBB|BBBB AAAA) end$/);
    for (const w of [a, b]) w.p.check();
    await a.p.leave();
    await b.p.leave();
  });

  test("with the keyboard alone: a name, the text, undo of what is one's own, another document", async () => {
    const a = await writer("keys"), b = await writer("keys");
    await a.page.locator("body").click({ position: { x: 1, y: 1 } });
    const tab = async (who, what) => {
      for (let i = 0; i < 20; i++) {
        await who.press("Tab");
        if (await who.page.evaluate(what => document.activeElement.matches(what), what)) return;
      }
      assert.fail(`Tab does not reach ${what}`);
    };
    await tab(a, ".cm-content");
    await a.type("mine");
    await reads(b, "mine");
    await tab(b, ".cm-content");
    await b.press("Control+End");
    await b.type(" yours");
    await reads(a, "mine yours");
    await a.press("Control+z");
    await reads(b, " yours");
    await a.press("Control+y");
    await reads(b, "mine yours");
    await a.press("Shift+Tab"); // the buttons above the text: a link to it, and undo, as there is nothing to redo
    await a.press("Shift+Tab");
    assert.equal(await a.page.evaluate("document.activeElement.id"), "undo");
    await a.press("Enter");
    await reads(b, " yours");
    assert.ok(await a.page.locator("#undo").isDisabled() && !await a.page.locator("#redo").isDisabled());

    await tab(a, "#rename input");
    await a.type("<b>Ada</b>");
    await a.press("Enter");
    await b.page.locator("#people bdi", { hasText: "<b>Ada</b>" }).waitFor();
    await b.page.locator(".cm-ySelectionInfo", { hasText: "<b>Ada</b>" }).waitFor();
    await tab(a, "#open input");
    await a.type("???");
    await a.press("Enter");
    await a.page.locator("#open .wrong", { hasText: "at least one letter" }).waitFor();
    await a.press("Control+a");
    await a.type("Über Listen");
    await a.press("Enter");
    await a.page.waitForURL("**/editor/?doc=uber-listen");
    await reads(a, "");
    await until("who has gone is not there any more", async () => await b.page.locator("#people li").count() === 1 && await b.page.locator(".cm-ySelectionCaret").count() === 0);
    for (const w of [a, b]) w.p.check();
    await a.p.leave();
    await b.p.leave();
  });

  test("what others may publish harms nobody", async () => {
    const a = await writer("hostile"), b = await writer("hostile");
    await a.focus();
    await a.type("good");
    await reads(b, "good");
    const doc = new Y.Doc();
    doc.clientID = 1; // so it would stand before what others wrote
    doc.getText("text").insertEmbed(0, { image: "x" });
    const picture = base64(Y.encodeStateAsUpdate(doc));
    const push = (channel, event, data) => fetch(site.backend + "/publish", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ channel, event, data }) });
    let n = 1;
    const bytes = length => base64(Uint8Array.from({ length }, () => (n = n * 48271 % 2147483647) & 255));
    for (const data of [null, 17, "", "?", {}, [], picture, ...Array.from({ length: 60 }, (_, i) => bytes(i))]) await push("doc:hostile", "update", data);
    for (const data of [null, 1, { tag: 1 }, { tag: "x" }, { tag: "x", position: "?" }]) await push("doc:hostile", "kept", data);
    await push("doc:hostile", undefined, "x".repeat(50000));

    // cursors: by somebody with a token of the site, as only users have them
    const token = await a.page.evaluate(() => fetch("/editor/token", { method: "POST" }).then(r => r.text()));
    const sent = await a.page.evaluate(async ([url, token]) => {
      const w = new WebSocket(url.replace("http", "ws") + "/ws", ["encke.json", "encke.token." + token]);
      await new Promise(done => { w.onopen = done; });
      const place = { type: null, tname: "text", item: null, assoc: 0 }, cursor = { anchor: place, head: place };
      const all = [null, 1, "x", [], {}, { client: -1 }, { client: 5, clock: 1, name: {}, cursor: { anchor: {}, head: 7 } },
        { client: 6, clock: 1, name: "<img src=x onerror=alert(1)>" + "x".repeat(3000), cursor }, { client: 7, clock: 1, name: "\u202e\n\u0000evil", cursor: { anchor: { item: { client: 1, clock: 2 ** 60 } }, head: place } },
        { client: 8, clock: 1e300, cursor }, { client: 9, clock: 2, cursor: { anchor: { tname: "other" }, head: { type: { client: 1, clock: 1 } } } },
        ...Array.from({ length: 60 }, (_, i) => ({ client: 100 + i, clock: 1, name: "crowd", cursor }))];
      all.forEach((data, id) => w.send(JSON.stringify({ id, publish: { channel: "cursor:hostile", data } })));
      let n = 0;
      await new Promise(done => { w.onmessage = () => ++n === all.length && done(); });
      w.close();
      return n;
    }, [site.encke, token]);
    assert.equal(sent, 71);
    await b.page.locator(".cm-ySelectionInfo", { hasText: "<img src=x" }).waitFor();
    const names = await b.page.locator(".cm-ySelectionInfo").allInnerTexts();
    assert.ok(names.length <= 9 && names.every(name => name.length <= 24), names.join());
    assert.equal(await b.page.locator(".cm-content img:not(.cm-widgetBuffer)").count(), 0);

    await b.focus();
    await b.press("Control+End");
    await b.type(" still");
    assert.equal(await same(a, b), "good still");
    const late = await writer("hostile");
    await reads(late, "good still");
    for (const w of [a, b, late]) {
      w.p.check();
      await w.p.leave();
    }
  });

  test("where there is no WebSocket one writes all the same", async () => {
    const p = await site.person();
    await p.context.addInitScript(() => { delete window.WebSocket; });
    const a = await writer("event-stream", { person: p }), b = await writer("event-stream");
    assert.equal(await a.page.locator(".state").getAttribute("title"), "sse");
    await a.focus();
    await a.type("one");
    await reads(b, "one");
    await b.focus();
    await b.press("Control+End");
    await b.type(" two");
    assert.equal(await same(a, b), "one two");
    for (const w of [a, b]) {
      w.p.check();
      await w.p.leave();
    }
  });

  test("a long text is written to its end and no further", async () => {
    const a = await writer("long"), b = await writer("long");
    await a.focus();
    await a.page.keyboard.insertText("long words ".repeat(9090));
    await b.page.locator("#count", { hasText: "18,180 words" }).waitFor();
    await a.press("Control+End");
    await a.page.keyboard.insertText("too much for it");
    await a.page.locator("#wrong", { hasText: "at most 100,000 characters" }).waitFor();
    await a.type("fits");
    await b.page.locator("#count", { hasText: "18,181 words" }).waitFor();
    for (const w of [a, b]) {
      w.p.check();
      await w.p.leave();
    }
  });

  test("how it looks", async () => {
    const a = await writer("harbour-walk"), b = await writer("harbour-walk"), c = await writer("harbour-walk");
    for (const [w, name] of [[a, "Ada"], [b, "Grace Hopper"], [c, "Linus"]]) {
      await w.page.fill("#rename input", name);
      await w.press("Enter");
      await w.page.locator("#rename p", { hasText: name }).waitFor();
    }
    await a.focus();
    await a.page.keyboard.insertText("# Walk along the harbour\n\nWe meet on **Saturday at ten** by the old crane and go as far as the lighthouse. It is *six kilometres* there and back, on the flat; " +
      "whoever gets tired takes the ferry from the fish market.\n\n## Who brings what\n\n- Grace: the map, and a flask of tea\n- Linus: sandwiches, two without cheese\n- Ada: binoculars for the seals\n\n" +
      "## If it rains\n\nWe go all the same, unless the wind is from the north. Look here on Friday evening.\n\n");
    for (const w of [b, c]) await until("the text is there", async () => (await text(w)).includes("Friday"));
    await b.focus();
    await b.press("Control+End");
    await b.type("The ferry runs until six: [timetable](https://example.org/ferry)");
    await c.focus();
    await c.press("Control+Home");
    for (let i = 0; i < 8; i++) await c.press("ArrowDown");
    await c.press("End");
    for (let i = 0; i < 3; i++) await c.press("Shift+Control+ArrowLeft");
    await until("all are there", async () => await a.page.locator("#people li").count() === 3 && await a.page.locator(".cm-ySelectionInfo").count() === 2);
    await same(a, b, c);
    await looks(a.page, "editor");
    for (const w of [a, b, c]) {
      w.p.check();
      await w.p.leave();
    }
  });
});

test("Encke is killed and comes back knowing nothing: the text stays, and comes to those who come later", async () => {
  const a = await writer("killed"), b = await writer("killed");
  await a.focus();
  await a.type("before");
  await same(a, b);
  const [encke] = execFileSync("pgrep", ["-P", String(site.process.pid)], { encoding: "utf8" }).split("\n");
  process.kill(+encke, "SIGKILL");
  await site.ended;
  for (const w of [a, b]) await w.page.locator(".state:not([data-state=open])").waitFor();
  await a.type(", meanwhile");
  await b.focus();
  await b.press("Control+Home");
  await b.type("also ");
  await site.start();
  assert.equal(await same(a, b), "also before, meanwhile");
  await a.type(", after");
  await reads(b, "also before, meanwhile, after");
  const late = await writer("killed");
  await reads(late, "also before, meanwhile, after");
  for (const w of [a, b]) w.p.check(/ERR_CONNECTION_REFUSED|WebSocket connection to|Failed to load resource|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET/);
  for (const w of [a, b, late]) await w.p.leave();
});
