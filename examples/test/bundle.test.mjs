// The client as others get it: packed by npm, installed, bundled, and run where there is no browser.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import { fileURLToPath } from "node:url";
import { after, before, test } from "node:test";
import { startSite } from "./site.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
let site, dir;
before(async () => {
  site = await startSite();
  dir = fs.mkdtempSync(os.tmpdir() + "/encke-bundle-");
});
after(async () => {
  fs.rmSync(dir, { recursive: true, force: true });
  await site?.close();
});

test("npm pack, esbuild, Node", async () => {
  const run = (command, ...args) => execFileSync(command, args, { cwd: dir, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  const [{ filename, files }] = JSON.parse(run("npm", "pack", root + "client/js", "--json", "--offline"));
  assert.deepEqual(files.map(f => f.path).sort(), ["README.md", "encke.d.ts", "encke.js", "package.json"]);
  fs.mkdirSync(dir + "/node_modules/encke", { recursive: true });
  run("tar", "-xzf", filename, "-C", "node_modules/encke", "--strip-components=1");
  fs.writeFileSync(dir + "/app.js", `import { Encke } from "encke";
const encke = new Encke(${JSON.stringify(site.encke)});
const sub = encke.subscribe("charts:bundled", message => { console.log(message.data, encke.transport); encke.close(); });
setInterval(() => { if (sub.since) { console.log("ready"); } }, 50).unref();
`);
  run(root + "examples/node_modules/.bin/esbuild", "app.js", "--bundle", "--format=esm", "--platform=neutral", "--outfile=bundle.mjs");
  const child = spawn(process.execPath, ["bundle.mjs"], { cwd: dir, stdio: ["ignore", "pipe", "inherit"] });
  let out = "";
  const ended = new Promise(done => child.on("exit", done));
  const ready = new Promise(done => child.stdout.on("data", text => { out += text; if (out.includes("ready")) done(); }));
  await Promise.race([ready, ended]);
  const pushed = await fetch(site.backend + "/channels/charts:bundled", { method: "POST", body: "hello" });
  assert.equal(pushed.status, 201);
  assert.equal(await ended, 0); // nothing is left that would keep it
  assert.match(out, /hello stream\n$/);
});
