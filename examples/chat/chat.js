// The page: which room is shown, what comes from Encke and goes to it, and what one has read.
import { url } from "/config.js";
import { connect, el, visitor } from "/shared.js";
import { Aloud } from "./aloud.js";
import { drawers } from "./drawers.js";
import { Here } from "./here.js";
import { Messages } from "./messages.js";
import { Names } from "./names.js";
import { Naming } from "./naming.js";
import { Outbox } from "./outbox.js";
import { Room } from "./room.js";
import { cleanText, FIXED, MAX_TEXT, roomName } from "./rules.js";
import { load, save } from "./storage.js";

const $ = id => document.getElementById(id);
const OWN_ROOMS = 20;

const rooms = new Map(FIXED.map(r => [r.name, new Room(r.name, r.topic, true)]));
let me = { id: "", name: "" }, encke, room, began = Date.now();

const names = new Names(ids => {
  messages.rename(ids);
  here.drawSoon();
});
const say = $("say"), text = say.elements.text;
const messages = new Messages($("scroller"), names, {
  ended: seen,
  retry: item => {
    outbox.deliver(item);
    text.focus();
  },
  discard: item => {
    outbox.take(item.room, item.id);
    text.focus();
  },
});
const outbox = new Outbox(rooms, {
  connection: () => encke,
  words,
  changed: r => r === room && messages.outbox(),
  failed: sorry => aloud.say(sorry),
});
const here = new Here(names), aloud = new Aloud($("news"), names);
const closeDrawers = drawers([$("show-rooms"), $("side")], [$("show-people"), $("who")]);
const tabs = new BroadcastChannel("chat");
const naming = new Naming(now => {
  tabs.postMessage("renamed");
  become(now);
  text.focus();
});

// --- Encke ---------------------------------------------------------------------------------------------------------------------

/** Connects, again when the name is another: a token says it. What has been read so far goes on from its place. */
function start() {
  encke?.close();
  encke = connect("/chat/token");
  encke.on("state", state => {
    if (state === "open") alarm("");
    note();
  });
  encke.on("error", e => alarm(words(e)));
  names.follow(encke);
  for (const r of rooms.values()) follow(r);
  here.enter(encke, room, me.id);
}

/** Follows a room: first all that is kept of it, then what comes. */
function follow(r) {
  r.sub = encke.subscribe(r.channel, m => arrive(r, m), { since: r.sub?.since || "0" });
  r.sub.on("gap", gap => {
    r.gap(gap);
    if (r === room) messages.drawSoon();
  });
}

function arrive(r, publication) {
  const item = r.take(publication);
  if (!item) return;
  if (r.isUnread(item, me.id)) {
    const old = item.time <= began; // from before this page was opened
    if (!r.unread && !(r.fresh && old) && (old || !inSight(r))) r.fresh = item;
    r.unread++;
    if (!old && r === room) aloud.message(item);
  }
  if (r === room) {
    here.said(item.user);
    if (item.user === me.id) messages.draw(); // in the same moment as it goes from those on their way
    else messages.drawSoon();
  }
  if (item.user === me.id) outbox.take(r, item.id);
  showUnread();
}

let calm = 0;

/** Says what is wrong; a while later no more, unless it is final. */
function alarm(words) {
  clearTimeout(calm);
  if ($("trouble").textContent !== words) $("trouble").textContent = words;
  calm = setTimeout(() => encke?.state === "closed" || alarm(""), 20000);
}

function words({ code, message }) {
  switch (code) {
    case "callback_failed": return "The site does not answer. It is tried again; if that goes on, reload the page.";
    case "wrong_user": return "You are somebody else for the site now. Reload the page.";
    case "connection_lost": case "timeout": case "closed": return "There is no connection.";
    case "forbidden": return "The server does not allow this.";
    case "channel_full": return "This room is full.";
    case "message_too_large": return "This is too long.";
    case "too_many_commands": return "That was very fast: wait a moment.";
    default: return message;
  }
}

// --- what one writes -----------------------------------------------------------------------------------------------------------

function send(words) {
  room.fresh = null;
  messages.clearLine();
  messages.toEnd();
  here.typed();
  outbox.send(room, words);
}

say.addEventListener("submit", e => {
  e.preventDefault();
  const words = cleanText(text.value);
  if (!words || words.length > MAX_TEXT) return note();
  text.value = "";
  grow();
  send(words);
  text.focus();
});
text.addEventListener("keydown", e => {
  if (e.key !== "Enter" || e.shiftKey || e.isComposing || matchMedia("(pointer: coarse)").matches) return;
  e.preventDefault();
  say.requestSubmit();
});
text.addEventListener("input", () => {
  grow();
  if (text.value.trim()) here.type(encke);
});

function grow() {
  text.style.height = "";
  text.style.height = text.scrollHeight + 2 + "px";
  note();
}

function note() {
  const over = cleanText(text.value).length - MAX_TEXT;
  $("note").className = over > 0 ? "wrong" : "dim";
  const line = over > 0 ? `Too long by ${over} ${over === 1 ? "character" : "characters"}.` : encke.state === "open" ? "" : "Not connected. What you send goes out when the connection is back within some seconds.";
  if ($("note").textContent !== line) $("note").textContent = line;
}

// --- which room ----------------------------------------------------------------------------------------------------------------

function fromURL() {
  const name = roomName(new URLSearchParams(location.search).get("room") ?? "") || "lobby";
  return rooms.get(name) ?? add(name);
}

function add(name) {
  const own = [...rooms.values()].filter(r => !r.fixed);
  if (own.length >= OWN_ROOMS) drop(own.find(r => r !== room && !r.outbox.length) ?? own[0]);
  const r = new Room(name, "Whoever has its link or knows its name comes in", false);
  r.read = load(localStorage, "read", {})[name] ?? began;
  rooms.set(name, r);
  if (encke) follow(r);
  save(localStorage, "rooms", [...new Set([...load(localStorage, "rooms", []), name])].slice(-OWN_ROOMS)); // other tabs have theirs in it
  return r;
}

function drop(r) {
  r.sub?.unsubscribe();
  rooms.delete(r.name);
  save(localStorage, "rooms", load(localStorage, "rooms", []).filter(name => name !== r.name));
  const { [r.name]: _, ...read } = load(localStorage, "read", {});
  save(localStorage, "read", read);
}

const href = name => "?room=" + encodeURIComponent(name);

function open(r, how) {
  if (how) history[how](null, "", href(r.name));
  if (r === room) return;
  if (room) {
    room.draft = text.value;
    if (!room.unread) room.fresh = null;
  }
  room = r;
  if (encke) here.enter(encke, r, me.id);
  messages.show(r, me.id);
  $("name").replaceChildren(el("span", { class: "hash" }, "#"), r.name);
  $("topic").textContent = r.topic;
  $("say-label").textContent = "Message to " + r.name;
  text.placeholder = "Message to #" + r.name;
  text.value = r.draft;
  if (encke) grow();
  alarm("");
  listRooms();
}

function listRooms() {
  $("rooms").replaceChildren(...[...rooms.values()].map(r => {
    const a = el("a", { href: href(r.name), "aria-current": r === room && "page" }, el("span", {}, el("span", { class: "hash", "aria-hidden": "true" }, "# "), el("bdi", {}, r.name)), el("span", { class: "badge", hidden: "" }));
    a.onclick = e => {
      if (e.metaKey || e.ctrlKey || e.shiftKey || e.button) return;
      e.preventDefault();
      closeDrawers();
      open(r, "pushState");
      if (!matchMedia("(pointer: coarse)").matches) text.focus();
    };
    r.link = a;
    const li = el("li", {}, a);
    if (r.fixed) return li;
    const leave = el("button", { class: "plain leave", type: "button", "aria-label": "Leave " + r.name, title: "Leave" });
    leave.append($("side").querySelector(".close svg").cloneNode(true));
    leave.onclick = () => {
      drop(r);
      if (r === room) open(rooms.get("lobby"), "pushState");
      listRooms();
      room.link.focus();
    };
    li.append(leave);
    return li;
  }));
  showUnread();
}

$("open").addEventListener("submit", e => {
  e.preventDefault();
  const input = e.target.elements.room, name = roomName(input.value);
  e.target.querySelector(".wrong").textContent = name ? "" : "A room's name has letters or figures, and not too many.";
  if (!name) return input.focus();
  input.value = "";
  closeDrawers();
  open(rooms.get(name) ?? add(name), "pushState");
  text.focus();
});
addEventListener("popstate", () => open(fromURL()));

$("link").addEventListener("click", async () => {
  const label = $("link").lastElementChild, link = new URL(href(room.name), location.href).href;
  try {
    await navigator.clipboard.writeText(link);
    label.textContent = "Copied";
    aloud.say("The link is copied.");
  } catch { // only pages over https, and of this machine, may
    prompt("The room's link:", link);
  }
  setTimeout(() => { label.textContent = "Copy link"; }, 2000);
});

// --- what one has read ---------------------------------------------------------------------------------------------------------

const inSight = r => r === room && messages.atEnd && !document.hidden;

/** The end of the list is in sight, or no more. */
function seen() {
  const last = room.items.at(-1);
  if (last && inSight(room) && room.read < last.time) {
    room.read = last.time;
    save(localStorage, "read", { ...load(localStorage, "read", {}), [room.name]: room.read });
  }
  if (inSight(room)) room.unread = 0;
  showUnread();
}

function showUnread() {
  let all = 0, elsewhere = 0;
  for (const r of rooms.values()) {
    all += r.unread;
    if (r !== room) elsewhere += r.unread;
    if (!r.link) continue;
    const badge = r.link.lastElementChild;
    badge.hidden = !r.unread;
    badge.replaceChildren(short(r.unread), el("span", { class: "hidden-text" }, " unread"));
    r.link.classList.toggle("news", !!r.unread);
  }
  const badge = $("elsewhere"), newer = $("newer");
  badge.hidden = !elsewhere;
  badge.replaceChildren(short(elsewhere), el("span", { class: "hidden-text" }, " unread"));
  newer.hidden = messages.atEnd;
  newer.textContent = room.unread ? `${short(room.unread)} new ${room.unread === 1 ? "message" : "messages"} ↓` : "To the newest ↓";
  document.title = `${all ? `(${short(all)}) ` : ""}#${room.name} – Chat`;
}

const short = n => n > 99 ? "99+" : String(n);

$("newer").addEventListener("click", () => {
  messages.toEnd();
  seen();
  text.focus();
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  messages.days();
  seen();
});
addEventListener("storage", e => { // another tab has read on
  if (e.key !== "chat:read") return;
  const read = load(localStorage, "read", {});
  for (const r of rooms.values()) {
    if (!(read[r.name] > r.read)) continue;
    r.read = read[r.name];
    r.count(me.id);
  }
  showUnread();
});
setInterval(() => messages.days(), 60000);

// --- who one is ----------------------------------------------------------------------------------------------------------------

function become(now) {
  me = now;
  names.set(me.id, me.name);
  naming.show(me);
  start();
}

// Another tab of this browser has a new name: its connection may carry this one's messages too.
tabs.onmessage = () => visitor().then(become, e => alarm(e.message));

// --- beginning -----------------------------------------------------------------------------------------------------------------

// The server's time: what is older was said before this page was opened.
async function serverTime() {
  try {
    const { pong } = await (await fetch(url + "/ping", { signal: AbortSignal.timeout(2000) })).json();
    return pong.time;
  } catch {
    return Date.now();
  }
}

async function begin() {
  try {
    [me, began] = await Promise.all([visitor(), serverTime()]);
  } catch {
    alarm("The site does not answer. Trying again…");
    return setTimeout(begin, 3000);
  }
  const read = load(localStorage, "read", {});
  for (const r of rooms.values()) r.read = read[r.name] ?? began;
  for (const name of load(localStorage, "rooms", []).slice(0, OWN_ROOMS)) if (!rooms.has(name) && name && name === roomName(name)) add(name);
  outbox.restore();
  open(fromURL());
  become(me);
  if (!me.name) naming.ask();
}
begin();
