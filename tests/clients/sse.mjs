// npm eventsource: two channels on one connection, resumed by Last-Event-ID alone after the connection was cut.
import { EventSource } from "eventsource";
import assert from "node:assert";
import net from "node:net";
const [, , site, backend] = process.argv;
const push = (c, text) => fetch(`${backend}channels/${c}`, { method: "POST", body: text, headers: { "Content-Type": "text/plain" } });

// A proxy that can cut: the client must not notice but by its own reconnect.
const target = new URL(site), pairs = new Set();
const proxy = net.createServer(c => {
  const s = net.connect(target.port, target.hostname);
  pairs.add(c);
  c.pipe(s); s.pipe(c);
  for (const x of [c, s]) x.on("error", () => {}).on("close", () => { c.destroy(); s.destroy(); pairs.delete(c); });
});
await new Promise(ok => proxy.listen(0, "127.0.0.1", ok));

const got = [];
let opens = 0;
const es = new EventSource(`http://127.0.0.1:${proxy.address().port}/sse?channels=ea,eb`);
es.onopen = () => opens++;
es.onmessage = e => got.push(JSON.parse(e.data));
const until = async (what, ok) => {
  for (const end = Date.now() + 20000; !ok(); await new Promise(ok => setTimeout(ok, 5)))
    if (Date.now() > end) throw new Error(`never: ${what}; got ${JSON.stringify(got)}`);
};
await until("open", () => opens === 1);
let sent = 0;
for (let round = 1; round <= 3; round++) {
  for (let i = 0; i < 5; i++) await push(i % 2 ? "ea" : "eb", String(++sent));
  await until("live messages", () => got.length === sent);
  for (const c of pairs) c.destroy();
  for (let i = 0; i < 5; i++) await push(i % 2 ? "ea" : "eb", String(++sent)); // while it is away
  await until("missed messages", () => got.length === sent);
}
for (const c of ["ea", "eb"]) {
  const offsets = got.filter(p => p.channel === c).map(p => p.offset);
  assert.deepEqual(offsets, offsets.map((_, i) => i + 1));
}
assert.ok(opens >= 4);
es.close();
proxy.close();
console.log(`${sent} messages over ${opens} connections`);
process.exit(0);
