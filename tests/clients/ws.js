// npm ws: both subprotocols, binary, compression, large messages, commands.
"use strict";
const WebSocket = require("ws");
const assert = require("assert");
const [, , site, backend] = process.argv;
const base = site.replace(/^http/, "ws");
const post = (path, body, type) => fetch(backend + path, { method: "POST", body, headers: { "Content-Type": type } });

// open returns a socket with next(), which resolves to what it hears, in order.
function open(path, protocols, options) {
  const w = new WebSocket(base + path, protocols, options);
  const heard = [], waiting = [];
  w.on("message", (data, binary) => { const m = { data, binary }; waiting.length ? waiting.shift()(m) : heard.push(m); });
  w.next = () => heard.length ? Promise.resolve(heard.shift()) : new Promise(ok => waiting.push(ok));
  w.json = async () => JSON.parse((await w.next()).data);
  return new Promise((ok, no) => { w.on("open", () => ok(w)); w.on("error", no); });
}

(async () => {
  const a = await open("ws?channels=wsa", undefined, { perMessageDeflate: true });
  assert.equal(a.extensions.split(";")[0], "permessage-deflate");
  const hello = await a.json();
  assert.equal(hello.subscribed.channel, "wsa");
  const big = { text: "all work and no play ".repeat(2000) };
  assert.equal((await post("channels/wsa?event=novel", JSON.stringify(big), "application/json")).status, 201);
  const p = await a.json();
  assert.deepEqual(p.data, big);
  assert.equal(p.event, "novel");

  a.send(JSON.stringify({ id: 7, subscribe: { channel: "wsb" } }));
  assert.equal((await a.json()).id, 7);
  await post("channels/wsb", Buffer.from([0, 255, 1]), "application/octet-stream");
  const b = await a.json();
  assert.deepEqual([b.encoding, b.data], ["base64", "AP8B"]);
  a.send(JSON.stringify({ id: "x", publish: { channel: "wsb", data: 1 } }));
  assert.equal((await a.json()).error.code, "forbidden");
  a.send(JSON.stringify({ id: 8, ping: {} }));
  assert.ok((await a.json()).pong.time > 1.7e12);
  a.send("{nonsense");
  assert.equal((await a.json()).error.code, "bad_json");

  const raw = await open("ws?channels=wsr", "encke.raw", { perMessageDeflate: false });
  assert.equal(raw.protocol, "encke.raw");
  await post("channels/wsr", Buffer.from([9, 8, 7]), "application/octet-stream");
  await post("channels/wsr", "text", "text/plain");
  let m = await raw.next();
  assert.ok(m.binary && m.data.equals(Buffer.from([9, 8, 7])));
  m = await raw.next();
  assert.ok(!m.binary && m.data.toString() === "text");

  const back = await open("ws?channels=wsa&since=" + p.position.replace(/\d+$/, "0"));
  assert.equal((await back.json()).subscribed.recovered, true);
  assert.deepEqual((await back.json()).data, big);

  for (const deflate of [false, true]) {
    const echo = await open("echo", undefined, { perMessageDeflate: deflate });
    for (const n of [1, 125, 126, 65535]) {
      const sent = Buffer.alloc(n, "ab");
      echo.send(sent);
      assert.ok((await echo.next()).data.equals(sent));
    }
    const pong = new Promise(ok => echo.once("pong", ok));
    echo.ping("are you there");
    assert.equal((await pong).toString(), "are you there");
    const closed = new Promise(ok => echo.once("close", ok));
    echo.close(4321, "bye");
    assert.equal(await closed, 4321);
  }
  console.log("ready for the end");
  const codes = await Promise.all([a, raw, back].map(w => new Promise(ok => w.once("close", ok))));
  assert.deepEqual(codes, [1001, 1001, 1001]); // the test has sent SIGTERM
  console.log("closed with 1001");
})().catch(e => { console.error(e); process.exit(1); });
