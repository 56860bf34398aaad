// The index page, and what the site does not give away.
import assert from "node:assert/strict";
import http from "node:http";
import { after, before, test } from "node:test";
import { looks, startSite } from "./site.mjs";

let site;
before(async () => { site = await startSite(); });
after(() => site?.close());

test("the index leads to every example", async () => {
  const p = await site.person(), page = await p.open("/");
  const links = await page.$$eval("main a", all => all.map(a => a.getAttribute("href")));
  assert.equal(links.length, 6);
  for (const link of links) {
    await page.goto(site.url + "/");
    await page.click(`a[href="${link}"]`);
    assert.ok(await page.title(), link);
    await page.getByRole("heading", { level: 1 }).waitFor();
  }
  await page.goto(site.url + "/");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate("document.activeElement.getAttribute('href')"), links[0]);
  await looks(page, "index");
  p.check(/Failed to fetch/); // of pages that were left while they asked for something
});

test("what is not for visitors", async () => {
  for (const path of ["/site/site.go", "/serve/main.go", "/encke.toml", "/package.json", "/node_modules/yjs/package.json", "/test/site.mjs", "/chat/site.go", "/.gitignore"]) {
    assert.equal((await fetch(site.url + path)).status, 404, path);
  }
  for (const path of ["/../encke.example.toml", "/../README", "/..%2fLICENSE", "/%2e%2e/LICENSE", "/chat/../../LICENSE"]) { // as no browser sends them
    const status = await new Promise((done, fail) => http.get({ port: new URL(site.url).port, host: "127.0.0.1", path }, r => done(r.resume().statusCode)).on("error", fail));
    assert.ok(status === 404 || status === 400 || status === 301 || status === 307, `${path}: ${status}`);
  }
  const visitor = await fetch(site.url + "/visitor", { method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ name: "  A\u0000da\u202e " + "x".repeat(100) }) });
  assert.equal((await visitor.json()).name, "Ada " + "x".repeat(20));
  for (const [body, status] of [["{", 400], ["x".repeat(1 << 20), 400]]) {
    assert.equal((await fetch(site.url + "/visitor", { method: "PUT", headers: { "Content-Type": "application/json" }, body })).status, status);
  }
  assert.equal((await fetch(site.url + "/visitor", { method: "PUT", headers: { "Content-Type": "text/plain" }, body: "{}" })).status, 415);
});
