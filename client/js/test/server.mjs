// Starts the real server, as a process of its own, and pushes to it.
import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import net from "node:net";

export const binary = process.env.ENCKE_BINARY ?? "/tmp/js-bin/encke";
const secret = "a secret of at least thirty-two bytes, for tests";

export const sleep = ms => new Promise(done => setTimeout(done, ms));

export async function until(what, condition, ms = 10000) {
  for (const end = Date.now() + ms; ; await sleep(10)) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${typeof what === "function" ? what() : what}`);
  }
}

const freePort = () => new Promise(done => {
  const s = net.createServer().listen(0, "127.0.0.1", () => {
    const { port } = s.address();
    s.close(() => done(port));
  });
});

const base64url = x => Buffer.from(x).toString("base64url");

export function makeToken(sub, seconds = 3600, more = {}) {
  const now = Math.floor(Date.now() / 1000);
  const body = base64url('{"alg":"HS256","typ":"JWT"}') + "." + base64url(JSON.stringify({ sub, iat: now, exp: now + seconds, ...more }));
  return body + "." + createHmac("sha256", secret).update(body).digest("base64url");
}

export async function startServer(...args) {
  const port = await freePort(), backendPort = await freePort();
  const s = { url: `http://127.0.0.1:${port}`, port, backend: `http://127.0.0.1:${backendPort}`, log: "" };
  s.launch = async () => {
    s.process = spawn(binary, ["serve", "--dev", "--loops", "2", "--listen", `127.0.0.1:${port}`, "--backend", `127.0.0.1:${backendPort}`, ...args],
      { env: { ...process.env, ENCKE_TOKEN_SECRET: secret }, stdio: ["ignore", "pipe", "pipe"] });
    s.ended = new Promise(done => s.process.once("exit", done));
    for (const out of [s.process.stdout, s.process.stderr]) out.on("data", text => s.log += text);
    await until(() => "the server is ready:\n" + s.log, () => fetch(s.backend + "/readyz").then(r => r.ok, () => false));
  };
  s.stop = async (signal = "SIGTERM") => {
    s.process.kill(signal);
    await s.ended;
  };
  s.post = async (path, body, headers = {}) => {
    const r = await fetch(s.backend + path, { method: "POST", body, headers });
    if (!r.ok) throw new Error(`${path}: ${r.status} ${await r.text()}`);
    return r.status === 204 ? null : r.json();
  };
  s.push = (channel, data) => s.post(`/channels/${channel}`, JSON.stringify(data), { "Content-Type": "application/json" });
  s.stats = () => fetch(s.backend + "/stats").then(r => r.json());
  await s.launch();
  return s;
}
