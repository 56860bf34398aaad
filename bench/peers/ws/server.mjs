// Plain `ws` on Node as a peer of encke: server.mjs --public HOST:PORT --backend HOST:PORT --threads N [--max-pending N]
//
// With one thread, one process has both listeners. With more, node:cluster runs N workers that hold the WebSockets; the
// primary deals new connections out to them, takes the backend's POSTs and passes each message to every worker.

import cluster from "node:cluster";
import { createServer } from "node:http";
import { parseArgs } from "node:util";
import { WebSocketServer } from "ws";

const { values: options } = parseArgs({
  options: {
    public: { type: "string" },
    backend: { type: "string" },
    threads: { type: "string", default: "1" },
    "max-pending": { type: "string", default: String(1 << 20) }, // bytes that may wait for one subscriber
  },
});
const threads = Number(options.threads);
const maxPending = Number(options["max-pending"]);
const backlog = 4096;

const channels = new Map(); // name → Set of WebSocket, of this process

// The payload goes out as one text frame to all who are subscribed in this process. Who does not read is cut off.
function broadcast(name, payload) {
  const subscribers = channels.get(name);
  if (!subscribers) return;
  for (const socket of subscribers) {
    if (socket.bufferedAmount > maxPending) socket.terminate();
    else socket.send(payload, { binary: false });
  }
}

function subscribe(socket, name) {
  if (!name) return;
  let subscribers = channels.get(name);
  if (!subscribers) channels.set(name, (subscribers = new Set()));
  subscribers.add(socket);
  socket.on("close", () => {
    subscribers.delete(socket);
    if (subscribers.size === 0 && channels.get(name) === subscribers) channels.delete(name);
  });
}

function listen(server, address) {
  const [host, port] = address.split(":");
  server.listen({ host, port: Number(port), backlog });
}

function servePublic() {
  const server = createServer((request, response) => response.writeHead(426).end());
  const sockets = new WebSocketServer({ server, path: "/ws", perMessageDeflate: false });
  sockets.on("connection", (socket, request) => {
    socket.on("error", () => socket.terminate());
    subscribe(socket, new URL(request.url, "http://localhost").searchParams.get("channels"));
  });
  listen(server, options.public);
}

// publish(name, payload, done) is called for every POST /channels/NAME, in the order of arrival.
function serveBackend(publish) {
  const server = createServer((request, response) => {
    const name = /^\/channels\/([^/?]+)$/.exec(request.url)?.[1];
    if (request.method !== "POST" || !name) return response.writeHead(404, { "Content-Length": 0 }).end();
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", () =>
      publish(name, parts.length === 1 ? parts[0] : Buffer.concat(parts), () =>
        response.writeHead(200, { "Content-Length": 0 }).end(),
      ),
    );
  });
  server.keepAliveTimeout = 0; // no limit
  listen(server, options.backend);
}

function stop() {
  process.exit(0);
}

if (threads === 1) {
  process.on("SIGTERM", stop);
  servePublic();
  serveBackend((name, payload, done) => {
    broadcast(name, payload);
    done();
  });
} else if (cluster.isPrimary) {
  process.on("SIGTERM", stop); // a worker ends by itself when its primary has gone
  cluster.setupPrimary({ serialization: "advanced" }); // passes a Buffer as bytes, not as JSON
  const workers = Array.from({ length: threads }, () => cluster.fork());
  cluster.on("exit", (worker, code, signal) => {
    console.error(`a worker ended: ${signal ?? code}`);
    process.exit(1);
  });
  // The POST is answered when every worker's pipe has taken the message, so that a fast backend waits for slow workers.
  serveBackend((name, payload, done) => {
    let waiting = workers.length;
    for (const worker of workers) {
      worker.send({ name, payload }, () => {
        if (--waiting === 0) done();
      });
    }
  });
} else {
  process.on("message", ({ name, payload }) => broadcast(name, payload));
  servePublic();
}
