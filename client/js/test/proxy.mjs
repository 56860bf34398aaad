// A proxy of the kind that clients meet on their way, which also serves the page: it can refuse upgrades, hold back streams, and
// cut what lasts. One for each test.
import { readFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";

const files = {
  "/page.html": ["text/html", '<!doctype html><meta charset="utf-8"><title>test</title><link rel="icon" href="data:,"><script type="module" src="/page.js"></script>'],
  "/page.js": ["text/javascript", `
    import { Encke } from "/encke.js";
    window.open_ = (options = {}) => {
      const got = window.got = { messages: [], gaps: [], states: [], errors: [], letters: [] };
      const token = options.token;
      const encke = window.encke = new Encke(options.url ?? "/", { ...options, ...token === "callback" && { token: async () => (await fetch("/token")).text() } });
      for (const type of ["message", "gap", "error", "state", "letter"]) encke.on(type, x => { got[type + "s"].push(type === "error" ? x.code : type === "state" ? x : { at: x.position, data: x.data, reason: x.reason }); });
      window.sub = encke.subscribe(options.channel ?? "a");
    };
    window.loaded = true;`],
};

export async function startProxy(server, more = {}) {
  const proxy = { refuse: false, hold: [], cut: 0, sockets: new Set(), hits: [], ...more };
  const last = (...sockets) => {
    for (const s of sockets) {
      proxy.sockets.add(s);
      s.on("close", () => proxy.sockets.delete(s)).on("error", () => {});
    }
    if (proxy.cut) setTimeout(() => sockets.forEach(s => s.destroy()), proxy.cut);
  };
  const ups = new Set();
  // forget drops what WebSockets have on the server's side, and says nothing to the client.
  proxy.forget = () => ups.forEach(up => {
    up.forgotten = true;
    up.unpipe();
    up.destroy();
  });
  const web = http.createServer((req, res) => {
    const path = new URL(req.url, "http://x").pathname;
    proxy.hits.push(req.method === "OPTIONS" ? "OPTIONS" : path);
    if (path === "/encke.js") return res.writeHead(200, { "Content-Type": "text/javascript" }).end(readFileSync(new URL("../encke.js", import.meta.url)));
    if (path === "/token") return res.end(proxy.token());
    if (files[path]) return res.writeHead(200, { "Content-Type": files[path][0] }).end(files[path][1]);
    if (proxy.cutWaiting && path === "/poll" && !req.url.includes("wait=0")) return res.destroy();
    const up = http.request({ host: "127.0.0.1", port: server.port, path: req.url, method: req.method, headers: req.headers }, answer => {
      const held = proxy.hold.some(p => req.url.startsWith(p));
      res.writeHead(answer.statusCode, answer.headers);
      res.flushHeaders();
      if (held) answer.resume();
      else answer.on("error", () => res.destroy()).pipe(res);
    });
    up.on("error", () => res.destroy());
    res.on("close", () => up.destroy());
    if (/^\/(sse|stream|poll)/.test(path)) last(res);
    req.pipe(up);
  });
  web.on("upgrade", (req, socket, head) => {
    proxy.hits.push("upgrade");
    if (proxy.refuse) return socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    const up = net.connect(server.port, "127.0.0.1", () => {
      up.write(`${req.method} ${req.url} HTTP/1.1\r\n` + req.rawHeaders.reduce((s, x, i) => s + x + (i % 2 ? "\r\n" : ": "), "") + "\r\n");
      up.write(head);
      up.pipe(socket).pipe(up);
    });
    last(socket, up);
    socket.on("close", () => up.destroy());
    up.on("close", () => up.forgotten || socket.destroy());
    ups.add(up);
  });
  await new Promise(done => web.listen(0, "127.0.0.1", done));
  proxy.url = `http://127.0.0.1:${web.address().port}`;
  proxy.stop = () => {
    web.close();
    web.closeAllConnections();
    proxy.sockets.forEach(s => s.destroy());
  };
  return proxy;
}
