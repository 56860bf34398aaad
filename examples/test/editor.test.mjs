// Joint editing, as people do it.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, test } from "node:test";
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
  await until("all changes are sent", async () => (await Promise.all(all.map(saved))).every(words => words === "All changes are sent."));
  await until("all have the same text", async () => new Set(await Promise.all(all.map(text))).size === 1);
  return text(all[0]);
}

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
