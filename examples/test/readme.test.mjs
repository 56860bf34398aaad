// README.md's ten minutes with PHP, as it stands there: its files, its commands, and a browser.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { until } from "./site.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url)), run = promisify(execFile);
const freePort = () => new Promise(done => {
  const s = net.createServer().listen(0, "127.0.0.1", () => { const { port } = s.address(); s.close(() => done(port)); });
});
const ports = { 8080: await freePort(), 8081: await freePort(), 8000: await freePort() };
const readme = fs.readFileSync(root + "README.md", "utf8").split("## Ten minutes with PHP")[1].split("\n`encke serve --help`")[0].replace(/\b(8080|8081|8000)\b/g, port => ports[port]);
const blocks = [...readme.matchAll(/```(\w+)\n([^]*?)```/g)].map(([, kind, text]) => ({ kind, text }));
const of = kind => blocks.filter(b => b.kind === kind).map(b => b.text);
const folder = fs.mkdtempSync(os.tmpdir() + "/encke-readme-"), running = [];
const start = (program, ...args) => running.push(spawn(program, args, { cwd: folder, stdio: "ignore" }));
const answers = url => fetch(url).then(r => r.ok, () => false);

before(() => {
  fs.mkdirSync(folder + "/bin");
  fs.symlinkSync(process.env.ENCKE_BINARY, folder + "/bin/encke");
  fs.symlinkSync(root + "client", folder + "/client");
});
after(async () => {
  for (const child of running) {
    const over = new Promise(done => child.once("exit", done));
    if (child.exitCode === null && child.kill()) await over;
  }
  fs.rmSync(folder, { recursive: true });
});

test("a page is told by PHP, with what came before it was there", async () => {
  const [prepare, push, terminal] = of("sh"), [page] = of("html"), [token, client, alone] = of("php"), [events] = of("js");
  assert.equal(blocks.length, 8);
  await run("sh", ["-c", prepare.split("\n")[0]], { cwd: folder });
  assert.equal(prepare.split("\n")[1], "ENCKE_TOKEN_SECRET_FILE=secret make run");
  start("bin/encke", "serve", "--dev", "--token-secret-file", "secret", "--listen", `127.0.0.1:${ports[8080]}`, "--backend", `127.0.0.1:${ports[8081]}`); // as make run, at other ports
  for (const [name, text] of [["site/index.html", page], ["site/token.php", token], ["push.php", client], ["alone.php", alone]]) fs.writeFileSync(`${folder}/${name}`, text);
  await until("Encke is ready", () => answers(`http://127.0.0.1:${ports[8081]}/readyz`));
  const [first, second] = push.split("\n").map(line => line.replace(/ +#.*/, "").split(" "));
  assert.equal((await run(first[0], first.slice(1), { cwd: folder })).stdout, "42 is away: kept\n");
  start(...second);
  await until("PHP serves", () => answers(`http://localhost:${ports[8000]}/`));

  const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"] });
  try {
    const seen = await browser.newPage(), errors = [], heard = [];
    seen.on("pageerror", e => errors.push(String(e)));
    seen.on("console", m => heard.push(m.text()));
    await seen.goto(`http://localhost:${ports[8000]}/`);
    const said = (...texts) => until(`${texts}; there is ${JSON.stringify(heard)} and ${errors}`, async () => (await seen.$$eval("li", all => all.map(e => e.textContent).sort().join())) === texts.sort().join());
    await said("hello", "for you: you have won");
    assert.equal((await run("php", ["push.php"], { cwd: folder })).stdout, "42 is here\n");
    await said("hello", "for you: you have won", "hello", "for you: you have won");
    await seen.evaluate(events);
    await until("EventSource is there", async () => /"subscribers":2/.test(await (await fetch(`http://127.0.0.1:${ports[8081]}/channels/news`)).text()));
    await run("php", ["alone.php"], { cwd: folder });
    await said("hello", "for you: you have won", "hello", "for you: you have won", "from PHP alone");
    await until("EventSource was told", () => heard.some(text => text.includes("from PHP alone") || text === "{text: from PHP alone}"));
    assert.deepEqual(errors, []);

    const [follow, online, here] = terminal.trim().split("\n").map(line => line.replace(/ +#.*/, ""));
    assert.match((await run("sh", ["-c", online], { cwd: folder })).stdout, /"online":true,"connections":\d/);
    assert.match((await run("sh", ["-c", here], { cwd: folder })).stdout, /"members":\[\{"user":"42"/);
    const reader = spawn("sh", ["-c", `exec ${follow}`], { cwd: folder, stdio: ["ignore", "pipe", "ignore"] });
    running.push(reader);
    let out = "";
    reader.stdout.on("data", text => out += text);
    await until("curl follows", () => out.includes("id: "));
    await run("php", ["alone.php"], { cwd: folder });
    await until("curl was told", () => out.includes('"data":{"text":"from PHP alone"}'));
  } finally {
    await browser.close();
  }
});
