// The page: the lines, what stands in them, and the search. What arrives is in feed.js, the lines themselves are in lines.js.
import { ask, connect, el, visitor } from "/shared.js";
import { url } from "/config.js";
import { Feed } from "./feed.js";
import { fill, groups, parts } from "./lines.js";

const form = document.querySelector("form.fields"), nav = document.querySelector(".lines nav"), list = document.querySelector(".groups");
const find = document.querySelector("#find"), found = document.querySelector("#found"), none = document.querySelector(".none");

// What a field takes: nothing that a shell or a quoted string would read in another way.
const name = { fits: /^[A-Za-z0-9_.:@-]+$/, wrong: "Take letters, digits and . _ : @ -" };
const address = { fits: /^https?:\/\/(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?(\/[\w.~/-]*)?$/, wrong: "An address looks like http://127.0.0.1:8081" };
const rules = {
  channel: { ...name, least: 1 }, user: { ...name, least: 1 }, backend: { ...address, least: 1 }, encke: { ...address, least: 1 },
  key: { fits: /^[\x21-\x26\x28-\x7e]*$/, wrong: "A key has no spaces, and here no '" }, token: { fits: /^[\w.+/=~-]*$/, wrong: "A token has letters, digits and . _ - only" },
};
const values = { site: location.origin, encke: url, token: "$TOKEN", key: "", keyfor: "" };
const lines = new Map(); // by id: { card, code, line, answer, data }
let made = ""; // the token that the site has made last

/** Shows every line as it is with the present values. */
function write() {
  for (const { code, answer, line, data } of lines.values()) {
    code.replaceChildren(...parts(line, values).map(p => !p.name ? p.text : el("span", { class: p.name === "token" && p.text.length > 20 ? "long" : "", title: p.text }, p.text)));
    answer?.replaceChildren(fill(data, values));
  }
  document.querySelector(".standing").textContent = [values.channel, values.backend, values.key && "with a key"].filter(Boolean).join(" · ");
}

/** Takes what stands in a field when it can be used, and says what is wrong when not: then the lines keep what they had. */
function take(input) {
  const { fits, wrong, least = 0 } = rules[input.name], text = input.value.trim(), ok = text.length >= least && fits.test(text);
  document.querySelector(`#wrong-${input.name}`).textContent = ok ? "" : wrong;
  input.setAttribute("aria-invalid", String(!ok));
  if (!ok) return false;
  values[input.name] = input.name === "key" ? text && ` -H 'Authorization: Bearer ${text}'` : input.name === "token" ? text || made || "$TOKEN" : text.replace(/\/+$/, "");
  if (input.name === "key") values.keyfor = text && ` KEY='${text}'`;
  write();
  return true;
}

function card(line) {
  const code = el("code"), button = el("button", { type: "button", "aria-label": `Copy: ${line.what}` }, "Copy");
  const answer = line.answer === undefined && !line.status ? null : el("div", { class: "answer" },
    el("b", { class: line.status >= 400 ? "refused" : "", title: line.status ? "HTTP status" : undefined }, line.status ? String(line.status) : "prints"),
    el("pre"));
  const e = el("article", { class: "line card", id: `line-${line.id}` }, el("h3", {}, line.what), button, el("pre", {}, code));
  if (answer) e.append(answer);
  if (line.flows || line.note) e.append(el("p", { class: "note" }, [line.note, line.flows && "Ctrl-C ends it."].filter(Boolean).join(" ")));
  button.addEventListener("click", () => copy(code, button));
  lines.set(line.id, { card: e, code, line: line.line, answer: answer?.querySelector("pre"), data: line.answer ?? "" });
  return e;
}

async function copy(code, button) {
  let done = false;
  try {
    await navigator.clipboard.writeText(code.textContent);
    done = true;
  } catch {} // pages over plain HTTP from another machine have no clipboard
  if (!done) {
    getSelection().selectAllChildren(code);
    done = document.execCommand("copy");
  }
  button.textContent = done ? "Copied" : "Press Ctrl-C";
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}

function show() {
  for (const group of groups) {
    nav.append(el("a", { href: `#${group.id}-lines` }, group.title));
    list.append(el("section", { id: `${group.id}-lines`, "aria-labelledby": `${group.id}-title` }, el("h2", { id: `${group.id}-title` }, group.title), el("p", {}, group.text), ...group.lines.map(card)));
  }
  write();
}

/** Leaves the lines that have all the words, in whatever stands with them. */
function search() {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
  let n = 0;
  for (const group of groups) {
    let some = false;
    for (const { id } of group.lines) {
      const { card } = lines.get(id), text = `${group.title} ${card.textContent}`.toLowerCase(), has = words.every(w => text.includes(w));
      card.hidden = !has;
      some ||= has;
      n += has;
    }
    document.getElementById(`${group.id}-lines`).hidden = !some;
  }
  none.hidden = n > 0;
  nav.hidden = words.length > 0;
  found.textContent = words.length ? `${n} of ${lines.size}` : `${lines.size} lines`;
}

function searchFor(text) {
  find.value = text;
  search();
  find.focus();
}

show();
search();
find.addEventListener("input", search);
find.addEventListener("keydown", e => e.key === "Escape" && searchFor(""));
none.querySelector("button").addEventListener("click", () => searchFor(""));
document.addEventListener("keydown", e => {
  if (e.key !== "/" || e.ctrlKey || e.metaKey || e.altKey || e.target.closest("input, textarea")) return;
  e.preventDefault();
  find.focus();
});
const head = document.querySelector(".top");
new ResizeObserver(() => document.documentElement.style.setProperty("--head", getComputedStyle(head).position === "sticky" ? `${head.offsetHeight}px` : "0px")).observe(head);

const feed = new Feed(document.querySelector(".live"));
try {
  const [me, where] = await Promise.all([visitor(), ask("GET", "/curl/where")]);
  Object.assign(values, { backend: where.backend, channel: `curl:${me.id}`, user: me.id });
} catch (e) {
  feed.trouble(`The site does not answer: ${e.message} Load the page again.`, () => location.reload());
  throw e;
}
for (const input of form.querySelectorAll("input")) {
  input.value = ["key", "token"].includes(input.name) ? "" : values[input.name];
  input.addEventListener("input", () => take(input));
}
form.addEventListener("submit", e => e.preventDefault());
write();

// Letters stay until the person acknowledges them, here or by a line.
const encke = connect("/curl/token", { ack: "manual", token: async () => {
  made = await ask("POST", "/curl/token");
  take(form.elements.token);
  return made;
} });
feed.connect(encke);
feed.follow(values.channel);
form.elements.channel.addEventListener("change", () => feed.follow(values.channel));
