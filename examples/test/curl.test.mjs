// The page of curl lines: every line of it, and of README.md, is run as a person would, by bash and curl.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { groups, plain } from "../curl/lines.js";
import { path as readmePath, written } from "../curl/readme.mjs";
import { looks, startSite, until } from "./site.mjs";

process.env.ENCKE_TOKEN_SECRET = "a secret that encke token has as well, for the test";
const root = fileURLToPath(new URL("../..", import.meta.url));
const all = groups.flatMap(g => g.lines);
let site, folder;
before(async () => {
  folder = fs.mkdtempSync(os.tmpdir() + "/encke-curl-");
  fs.mkdirSync(folder + "/bin");
  fs.symlinkSync(process.env.ENCKE_BINARY, folder + "/bin/encke");
  fs.symlinkSync(root + "examples", folder + "/examples");
  fs.writeFileSync(folder + "/.curlrc", 'silent\nshow-error\nwrite-out = "%{stderr}%{http_code}\\n"\n'); // the status, beside the answer
  site = await startSite();
});
after(async () => {
  await site?.close();
  fs.rmSync(folder, { recursive: true });
});

/** Runs a line as it stands in a bash of its own. out is the answer so far, status the last request's; end() ends it. */
function bash(line, env = {}) {
  const run = { out: "", err: "", token: "" };
  const child = spawn("bash", ["-c", `${line}\nprintf %s "$TOKEN" >&3`], { cwd: folder, detached: true, stdio: ["ignore", "pipe", "pipe", "pipe"], env: { ...process.env, CURL_HOME: folder, ...env } });
  child.stdout.on("data", text => run.out += text);
  child.stderr.on("data", text => run.err += text);
  child.stdio[3].on("data", text => run.token += text);
  run.over = new Promise(done => child.once("close", () => done(run.closed = true)));
  run.end = () => {
    if (!run.closed) process.kill(-child.pid);
    return run.over;
  };
  return run;
}

// --- what an answer looks like ---

const exact = new Set(["channel", "user", "event", "data", "type", "encoding", "code", "online", "recovered"]), counted = new Set(["deleted", "acknowledged", "disconnected"]);
const parse = text => JSON.parse(text.replace(/\{…\}/g, '{"…":0}').replace(/\[…\]/g, '["…"]').replace(/,…\}/g, ',"…":0}').replace(/,…\]/g, ',"…"]'));

/** Says what is other in got than in want: numbers and positions may be others, "…" stands for anything more. */
function differs(want, got, name = "") {
  if (Array.isArray(want)) {
    if (!Array.isArray(got)) return `${name} is no list`;
    const open = want.at(-1) === "…", items = open ? want.slice(0, -1) : want;
    if (!open && items.length !== got.length) return `${name} has ${got.length} items`;
    return items.map((w, i) => open ? got.every(g => differs(w, g, name)) && `${name} has none like ${JSON.stringify(w)}` : differs(w, got[i], `${name}[${i}]`)).find(Boolean);
  }
  if (want && typeof want === "object") {
    if (!got || typeof got !== "object") return `${name} is no object`;
    const missing = Object.keys(want).find(k => k !== "…" && !(k in got)), more = !("…" in want) && Object.keys(got).find(k => !(k in want));
    if (missing || more) return `${name} has ${missing ? "no " + missing : "besides " + more}`;
    return Object.keys(want).filter(k => k !== "…").map(k => differs(want[k], got[k], `${name}.${k}`)).find(Boolean);
  }
  const key = name.replace(/^.*\./, "");
  if (counted.has(key)) return want !== got && `${name} is ${got}`;
  if (exact.has(key) && typeof want !== "number" || key === "position") return key === "position" ? !(typeof got === "string" && /^\w+\.\d+(,(\w+\.)?\d+)*$/.test(got)) && `${name} is ${got}` : want !== got && `${name} is ${JSON.stringify(got)}`;
  return (want === null ? got !== null && typeof got !== "number" : typeof want !== typeof got) && `${name} is ${JSON.stringify(got)}`;
}

/** Says how an answer differs from the one that the page shows: each of its lines has to be there, in order. */
function answersOtherwise(shown, out) {
  if (!shown) return "";
  let rest = out.split("\n");
  for (const want of shown.split("\n").filter(Boolean)) {
    const [, head, body] = want.match(/^(data: |id: |event: |)(.*)$/);
    let why = "nothing like " + want;
    const fits = got => {
      if (!got.startsWith(head)) return false;
      const text = got.slice(head.length);
      if (head === "id: ") return /^\w+\.\d+(,(\w+\.)?\d+)*$/.test(text);
      if (body.startsWith("eyJ")) return /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/.test(text);
      if (!body.startsWith("{")) return text.replace(/\d+$/, "") === body.replace(/\d+$/, "");
      try {
        const other = differs(parse(body), JSON.parse(text));
        if (other) why = `${other}, in ${text}`;
        return !other;
      } catch {
        return false;
      }
    };
    const at = rest.findIndex(fits);
    if (at < 0) return why;
    rest = rest.slice(at + 1);
  }
  return "";
}

/**
 * Runs lines ({line, answer} by id, in order) and compares. subscribed says whether somebody is there to get what they push;
 * push(text) publishes in the channel of the lines; token is the client's where the line does not have it.
 */
async function runAll(lines, { subscribed, push, env = {}, behind = () => {} }) {
  for (const { id, flows, waits, status, answer: has } of all) {
    const { line, answer } = lines.get(id), run = bash(line, env), say = why => `${id}: ${why}\n$ ${line}\n${run.out}\n${run.err}`;
    try {
      if (flows || waits) {
        let n = 0;
        await until(say("runs"), async () => {
          if (n++ % 10 === 0) await push("hello");
          return run.closed || !answersOtherwise(answer, run.out);
        }).catch(() => {});
        assert.ok(waits || !run.closed, say("it has ended"));
      } else {
        await run.over;
      }
      assert.equal(answersOtherwise(answer, run.out), "", say("another answer than is shown"));
      if (has === "") assert.equal(run.out, "", say("an answer"));
      if (flows) continue;
      const got = Number(run.err.trim().split("\n").at(-1));
      const wanted = id === "load" ? [201, 202] : status === 201 && !subscribed ? [201, 202] : status ? [status] : [0];
      assert.ok(wanted.includes(got), say(`status ${got}, not ${wanted}`));
      if (line.startsWith("export TOKEN=") && id === "encke-token") env.TOKEN = run.token;
      if (id === "twice") assert.equal(...run.out.trim().split("\n"), say("two answers"));
      if (id === "library") assert.ok(fs.readFileSync(folder + "/encke.js", "utf8").includes("class Encke"));
    } finally {
      await run.end();
    }
    await behind(id);
  }
}

const extract = page => page.$$eval(".line", all => all.map(e => [e.id.replace(/^line-/, ""), { line: e.querySelector("code").textContent, answer: e.querySelector(".answer pre")?.textContent ?? "" }]));
const entry = (page, text) => page.locator(".feed li", { hasText: text }).first().waitFor();
const say = (page, name, value) => page.locator(`input[name=${name}]`).fill(value);
const pushTo = (backend, channel, headers = {}) => (text, more = {}) => fetch(`${backend}/channels/${channel}`, { method: "POST", body: new TextEncoder().encode(text), headers: { ...headers, ...more } });

describe("curl", { concurrency: true }, () => {
  test("every line of the page does what stands beside it, and arrives in the page", async () => {
    const p = await site.person(), page = await p.open("/curl/");
    await page.locator(".state[data-state=open]").waitFor();
    await page.getByText("1 connection: this page").waitFor();
    const lines = new Map(await extract(page)), channel = await page.inputValue("input[name=channel]"), user = await page.inputValue("input[name=user]");
    assert.deepEqual([...lines.keys()], all.map(l => l.id));
    assert.equal(await page.inputValue("input[name=backend]"), site.backend);
    const arrives = {
      text: "hello", json: '{"home":2,"away":1}', event: "2:1", "event-url": "3:1", binary: "3 bytes: AQID", picture: "image/svg+xml", several: "to both", object: '{"home":3,"away":1}', batch: "2", load: /\d\.\d\d \d+\.\d\d/,
      twice: "paid", expect: "mine", ttl: "door is open", user: "hello", users: "lunch?", letter: "you have won",
    };
    const ended = { disconnect: "A line has ended this page's connection.", revoke: "A line has revoked this page's token." };
    const token = (await page.locator("#line-as-query code").textContent()).match(/token=([^"]*)"/)[1];
    await runAll(lines, { subscribed: true, push: pushTo(site.backend, channel), env: { TOKEN: token }, behind: async id => {
      if (arrives[id]) await entry(page, arrives[id]);
      if (!ended[id]) return;
      await page.getByRole("alert").filter({ hasText: ended[id] }).waitFor();
      await until("it comes back", async () => {
        const again = page.getByRole("button", { name: "Connect again" });
        if (await again.isVisible()) await again.click({ timeout: 1000 }).catch(() => {});
        return page.locator(".state[data-state=open]").isVisible();
      });
    } });
    assert.equal(await page.locator(".feed img").evaluate(i => i.naturalWidth > 0), true);
    assert.equal(await page.locator(".feed li", { hasText: "paid" }).count(), 1);
    await page.locator(".feed .letter", { hasText: "you have won" }).waitFor();
    assert.equal(user.length, 20);
    p.check(/WebSocket|401|403/);
  });

  test("the fields: another server, with a key and a token", async () => {
    const other = await startOther("a-key&of|the\"test$;"), p = await site.person(), page = await p.open("/curl/");
    await page.locator(".state[data-state=open]").waitFor();
    const before = await page.locator("#line-text code").textContent();
    await page.getByText("What stands in the lines").click();
    for (const [name, wrong] of [["backend", "javascript:alert(1)"], ["backend", "http://a b"], ["backend", "http://$(id)"], ["encke", ""], ["key", "it's not one"], ["token", '"; id'], ["user", "a b"], ["channel", "a'b"], ["channel", ""]]) {
      await say(page, name, wrong);
      await page.locator(`#wrong-${name}`).filter({ hasText: /./ }).waitFor();
      assert.equal(await page.locator("#line-text code").textContent(), before, wrong);
    }
    const token = await someone(other, "4711", "curl:other");
    for (const [name, value] of Object.entries({ backend: other.backend + "/", encke: other.encke, key: other.key, token, user: "4711", channel: "curl:other" })) await say(page, name, value);
    assert.equal(await page.locator(".wrong", { hasText: /./ }).count(), 0);
    await runAll(new Map(await extract(page)), { subscribed: true, push: pushTo(other.backend, "curl:other", { Authorization: "Bearer " + other.key }) });
    await say(page, "key", "");
    const refused = bash(await page.locator("#line-text code").textContent());
    await refused.over;
    assert.match(refused.out, /"code":"bad_key"/);
    p.check();
  });

  test("README.md has the same lines, and they run", async () => {
    const other = await startOther(), text = fs.readFileSync(readmePath, "utf8");
    assert.equal(text, written(text), "README.md is not what readme.mjs writes");
    const here = line => line.replaceAll(plain.backend, other.backend).replaceAll(plain.encke, other.encke).replaceAll(plain.site, site.url);
    const blocks = [...text.split("<!-- lines:begin -->")[1].matchAll(/```sh\n([^]*?)\n```/g)].flatMap(([, block]) => block.split("\n\n"));
    const found = blocks.map(block => {
      const rows = block.split("\n"), answer = rows.slice(2).map(r => r.replace(/^# ?(=> (\d+ ?)?)?/, "")).join("\n");
      return { what: rows[0], line: here(rows[1]), answer };
    });
    found.forEach((f, i) => assert.ok(f.what.startsWith("# " + all[i].what), f.what));
    await someone(other, plain.user, plain.channel);
    await runAll(new Map(found.map((f, i) => [all[i].id, f])), { subscribed: true, push: pushTo(other.backend, plain.channel) });
  });

  test("by keyboard: find a line, copy it, and what it pushes is there after a reload and from the start of a late comer", async () => {
    const p = await site.person(), page = await p.open("/curl/");
    await p.context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: site.url });
    await page.locator(".state[data-state=open]").waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("LETTER away");
    await page.getByText(`of ${all.length}`).waitFor();
    assert.deepEqual(await page.$$eval(".line:not([hidden])", all => all.filter(e => e.checkVisibility()).map(e => e.id)), ["line-away"]);
    await page.keyboard.type(" nonsense");
    await page.getByText("No line has all of these words").waitFor();
    await page.keyboard.press("Escape");
    await page.getByText(`${all.length} lines`).waitFor();
    await page.keyboard.type("somebody was");
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate("document.activeElement.getAttribute('aria-label')"), "Copy: Somebody was faster");
    await page.keyboard.press("Shift+Tab");
    await page.keyboard.press("Escape");
    await page.keyboard.type("json everything");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Copy: Everything in one object" }).filter({ hasText: "Copied" }).waitFor();
    const copied = await page.evaluate("navigator.clipboard.readText()");
    assert.equal(copied, await page.locator("#line-object code").textContent());
    await bash(copied.replace('"away":1', '"away":7')).over;
    await entry(page, '"away":7');
    await page.getByRole("status").filter({ hasText: "Arrived" }).waitFor();
    await page.reload();
    await entry(page, '"away":7');
    assert.equal(await page.locator(".feed li").count(), 1);
    await page.getByRole("button", { name: "Whole message" }).press("Enter");
    assert.match(await page.locator(".whole").textContent(), /^\{"channel":.*"position":.*"event":"score".*\}$/);
    await page.getByRole("button", { name: "Clear" }).click();
    assert.equal(await page.locator(".feed li").count(), 0);

    const channel = await page.inputValue("input[name=channel]"), second = await site.person({ viewport: { width: 375, height: 740 } }), late = await second.open("/curl/");
    await late.locator(".settings summary").press("Enter");
    await say(late, "channel", channel);
    await late.keyboard.press("Tab");
    await entry(late, '"away":7');
    await page.getByText("2 connections, 2 known by name").waitFor();
    await say(late, "channel", "secrets");
    await late.keyboard.press("Tab");
    await late.getByRole("alert").filter({ hasText: "does not let this page read secrets" }).waitFor();
    await page.getByText("1 connection: this page").waitFor();
    p.check();
    second.check(/40[34]/);
  });

  test("letters stay until they are acknowledged", async () => {
    const p = await site.person(), page = await p.open("/curl/");
    const user = await page.locator("input[name=user]").inputValue(), waiting = async () => (await fetch(`${site.backend}/users/${user}/mailbox`)).json();
    await page.locator(".state[data-state=open]").waitFor();
    for (const id of ["letter", "letter"]) await bash(await page.locator(`#line-${id} code`).textContent()).over;
    await until("both are there", async () => await page.locator(".feed .letter").count() === 2);
    assert.equal((await waiting()).total, 2);
    await page.getByRole("button", { name: "Acknowledge" }).first().press("Enter");
    await page.getByText("it will not come again").waitFor();
    assert.equal((await waiting()).total, 1);
    await page.reload();
    await until("one is there", async () => await page.locator(".feed .letter").count() === 1);
    p.check();
  });

  test("whatever comes is text, and much of it is no harm", async () => {
    const p = await site.person(), page = await p.open("/curl/");
    await page.locator(".state[data-state=open]").waitFor();
    const channel = await page.inputValue("input[name=channel]"), push = pushTo(site.backend, channel);
    const markup = "<img src=x onerror=alert(1)><script>alert(2)</script>";
    await push(markup, { "Encke-Event": "x".repeat(100) });
    await pushTo(site.backend, channel, { "Content-Type": "text/html; <b>" })(markup);
    for (const data of ["null", "[]", "0", "{}", `{"__proto__":{"a":1}}`, JSON.stringify({ [markup]: markup })]) await pushTo(site.backend, channel, { "Content-Type": "application/json" })(data);
    await pushTo(site.backend, channel, { "Content-Type": "image/svg+xml" })("<svg xmlns='http://www.w3.org/2000/svg' onload='alert(3)'><script>alert(4)</script></svg>");
    await pushTo(site.backend, channel, { "Content-Type": "image/png" })("no picture");
    await push("w".repeat(60000));
    await entry(page, "characters more");
    assert.equal(await page.locator(".feed script, .feed [onerror], .feed [onload]").count(), 0);
    assert.equal(await page.locator(".feed li", { hasText: markup }).count(), 3);
    assert.equal(await page.locator(".feed li").count(), 11);
    const batch = Array.from({ length: 500 }, (_, i) => JSON.stringify({ channel, data: "one of many " + i })).join("\n");
    await fetch(site.backend + "/publish", { method: "POST", headers: { "Content-Type": "application/x-ndjson" }, body: batch });
    await entry(page, "one of many 499");
    assert.equal(await page.locator(".feed li").count(), 100);
    assert.match(await page.locator(".feed li").nth(99).textContent(), /one of many 400/);
    await looks(page, "curl-many");
    p.check();
  });

  test("Encke is killed, and comes back", async () => {
    const own = await startSite(), p = await own.person(), page = await p.open("/curl/");
    try {
      await page.locator(".state[data-state=open]").waitFor();
      const push = pushTo(own.backend, await page.inputValue("input[name=channel]"));
      await push("before");
      await entry(page, "before");
      process.kill(Number(execFileSync("pgrep", ["-P", String(own.process.pid)], { encoding: "utf8" })), "SIGKILL");
      await own.ended;
      await page.locator(".state:not([data-state=open])").waitFor();
      await own.start();
      await push("while nobody was there");
      await page.locator(".state[data-state=open]").waitFor({ timeout: 40000 });
      await entry(page, "Encke was started again");
      await entry(page, "while nobody was there");
      await push("after");
      await entry(page, "after");
      p.check(/WebSocket|ERR_|Failed to load|fetch/);
    } finally {
      await own.close();
    }
  });

  test("how it looks", async () => {
    const p = await site.person(), page = await p.open("/curl/");
    await page.locator(".state[data-state=open]").waitFor();
    for (const id of ["text", "json", "event", "picture", "letter"]) await bash(await page.locator(`#line-${id} code`).textContent()).over;
    await entry(page, "you have won");
    await page.locator(".settings summary").press("Enter");
    await looks(page, "curl");
    p.check();
  });
});

/** Somebody who is in a channel all the time, until a line ends that. Returns the token. */
async function someone({ encke }, user, channel) {
  const made = bash(`bin/encke token --sub ${user} --channels '${channel}=subscribe'`);
  await made.over;
  const reader = bash(`curl -sN '${encke}/sse?channels=${channel},${channel}:b&token=${made.out.trim()}'`);
  await until("somebody reads", () => reader.out.includes("id: "));
  after(reader.end);
  return made.out.trim();
}

/** An Encke beside the site's, until the test ends; with a key its backend listener wants that. */
async function startOther(key) {
  const ports = await Promise.all([0, 1].map(() => new Promise(done => {
    const s = net.createServer().listen(0, "127.0.0.1", () => { const { port } = s.address(); s.close(() => done(port)); });
  })));
  const o = { encke: `http://127.0.0.1:${ports[0]}`, backend: `http://127.0.0.1:${ports[1]}`, key };
  const child = spawn(process.env.ENCKE_BINARY, ["serve", "--config", root + "examples/encke.toml", "--listen", `127.0.0.1:${ports[0]}`, "--backend", `127.0.0.1:${ports[1]}`], { env: key ? { ...process.env, ENCKE_BACKEND_KEY: key } : process.env, stdio: "ignore" });
  const over = new Promise(done => child.once("exit", done));
  after(() => { child.kill(); return over; });
  await until("the other Encke is ready", () => fetch(o.backend + "/readyz").then(r => r.ok, () => false));
  return o;
}
