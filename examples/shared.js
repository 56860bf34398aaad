// What the examples' pages have in common.
import { Encke } from "./encke.js";
import { url } from "./config.js";

/** Who looks at this page: {id, name}. */
export const visitor = async () => (await fetch("/visitor")).json();

/** Changes the visitor's name, and returns the visitor as it is now. */
export async function rename(name) {
  return ask("PUT", "/visitor", { name });
}

/**
 * Asks the site for something. Throws an Error with its words when it refuses (status is then the HTTP status), and one that says so
 * when it cannot be reached within 15 s.
 */
export async function ask(method, path, body) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  const answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal: AbortSignal.timeout(15000) })
    .catch(() => { throw new Error("The site cannot be reached just now."); });
  if (!answer.ok) throw Object.assign(new Error((await answer.text()).trim() || `${answer.status}`), { status: answer.status });
  return answer.headers.get("Content-Type")?.startsWith("application/json") ? answer.json() : answer.text();
}

/**
 * Connects to Encke with tokens that the site makes at a path (none without a path), and shows the connection's state in the
 * element with the class "state".
 */
export function connect(tokens, options = {}) {
  const encke = new Encke(url, { token: tokens && (() => ask("POST", tokens)), shared: tokens || true, ...options });
  const lamp = document.querySelector(".state");
  const words = { connecting: "connecting…", open: "live", waiting: "not connected, trying again", offline: "offline", closed: "closed" };
  const show = () => {
    lamp.dataset.state = encke.state;
    lamp.textContent = words[encke.state];
    lamp.title = encke.transport ?? "";
  };
  if (lamp) {
    encke.on("state", show);
    show();
  }
  return encke;
}

/** A colour for somebody, always the same: a CSS value. */
export function colour(id) {
  let n = 0;
  for (const c of id) n = (n * 31 + c.charCodeAt(0)) % 8;
  return `var(--c${n})`;
}

/** Makes an element: el("p", {class: "dim"}, "text", child…). Text is text, never markup. */
export function el(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  for (const [k, v] of Object.entries(attributes)) if (v !== undefined && v !== false) e.setAttribute(k, v);
  e.append(...children);
  return e;
}
