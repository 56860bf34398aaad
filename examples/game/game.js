// Wires the page together: who flies, what is wished, what comes.
import { ask, connect, el, rename, visitor } from "/shared.js";
import { Sky } from "./draw.js";
import { Input } from "./input.js";
import { Meter } from "./meter.js";
import { Pilot } from "./pilot.js";
import { parse, States } from "./states.js";

const WAYS = ["ws", "sse", "stream", "longpoll", "poll"];
const SOONEST = 50, KEEP_ALIVE = 1000, STALE = 2500; // ms
const $ = selector => document.querySelector(selector);
const canvas = $("canvas"), words = $(".words"), dialog = $("dialog"), alarm = $("main > [role=alert]"), status = $("#status");
const coarse = matchMedia("(pointer: coarse)"), fingers = matchMedia("(any-pointer: coarse)");

let encke, seat, who, crowded = false;
let wants = false; // to fly
let own = null; // the number of one's comet in states
let missing = 0; // since when it is not in them
let joining = false, steered = false, flew = false, sentAt = 0, joinedAt = 0, later, n = Date.now(), lastT = 0;

const states = new States(), pilot = new Pilot(), sky = new Sky(canvas), meter = new Meter($(".meter"));
const input = new Input(canvas, $(".boost"), () => own !== null, () => {
  if (input.d >= 0) steered = true;
  wish();
});

/**
 * Every window of a browser is a player of its own: its seat is the first that no other window has. Where the browser has no locks (pages
 * that came over plain http from another machine), it is drawn by lot.
 */
async function takeSeat() {
  const mine = Number(sessionStorage.getItem("seat"));
  const take = (i, options) => new Promise(done => {
    navigator.locks.request(`game seat ${i}`, options, lock => {
      done(lock !== null);
      return lock && new Promise(() => {}); // until the window is closed
    }).catch(() => done(false));
  });
  const keep = i => {
    sessionStorage.setItem("seat", i);
    return i;
  };
  if (!navigator.locks) return keep(mine || 1 + Math.floor(Math.random() * 4));
  if (mine && await take(mine, { signal: AbortSignal.timeout(500) })) return mine; // a reload: the page before is just going
  for (let i = 1; i <= 4; i++) if (await take(i, { ifAvailable: true })) return keep(i);
  crowded = true;
  return 4;
}

// --- flying ---

async function join() {
  if (joining || !wants) return;
  joining = true;
  joinedAt = performance.now();
  try {
    const { id } = await ask("POST", `/game/join?seat=${seat}`, {});
    if (!wants) return void ask("POST", `/game/leave?seat=${seat}`, {});
    own = id;
    missing = joinedAt = performance.now();
    say("");
    wish();
  } catch (e) {
    say(e instanceof TypeError ? "The site cannot be reached. Trying again…" : e.message);
    setTimeout(join, 3000);
  } finally {
    joining = false;
    show();
  }
}

function leave() {
  wants = false;
  own = null;
  pilot.land();
  input.release();
  ask("POST", `/game/leave?seat=${seat}`, {}).catch(() => {}); // it is taken out anyhow when nothing comes any more
  status.textContent = "You are watching.";
  show();
  $(".play").focus();
}

function fly() {
  if (!who.name) return askName();
  wants = true;
  say("");
  canvas.focus();
  show();
  join();
}

/** Sends what the player wants now, at most every 50 ms. */
function wish() {
  const now = performance.now(), wait = sentAt + SOONEST - now;
  if (own === null || encke.state !== "open") return;
  if (wait > 0) {
    later ??= setTimeout(() => {
      later = undefined;
      wish();
    }, wait);
    return;
  }
  sentAt = now;
  const w = { n: ++n, t: Math.round(now), d: input.d, b: input.b };
  pilot.wish(w.d, w.b, now);
  if (encke.transport !== "ws") return post(w);
  encke.publish("game:wishes", w).then(() => meter.roundTrip(performance.now() - now), e => {
    if (!/connection_lost|timeout|closed|needs_websocket/.test(e.code)) say(e.message); // of those the next wish is better than this one
  });
}

// where the transport cannot publish: one request at a time, and the newest wish that waits
let posting = false, next;
async function post(w) {
  next = w;
  if (posting) return;
  posting = true;
  while (next) {
    const began = performance.now(), body = next;
    next = undefined;
    try {
      await ask("POST", `/game/wish?seat=${seat}`, body);
      meter.roundTrip(performance.now() - began);
    } catch {} // the lamp and the words say how it is
  }
  posting = false;
}

// --- what comes ---

function take({ data }) {
  const state = parse(data), now = performance.now(), before = states.latest;
  if (!state) return;
  const { fresh, at } = states.add(state, now), me = state.comets.get(own);
  if (fresh) pilot.land();
  sky.happened(fresh ? null : before, state, own);
  if (me) {
    missing = 0;
    pilot.correct(me, at, now);
    if (me.t > lastT) {
      lastT = me.t;
      meter.wishSeen(now - me.t);
    }
  } else if (own !== null) {
    missing ||= now;
    pilot.land();
  }
  announce(before, state);
  draw();
}

/** The comets as they are shown at a moment: the others a little in the past, one's own with the wishes that are still on their way. */
function shown(now) {
  const comets = states.comets(now);
  const mine = states.latest?.comets.get(own) && pilot.at(now);
  if (!mine) return comets;
  const rest = comets.filter(c => c.id !== own), me = states.latest.comets.get(own);
  return [...rest, { ...me, x: mine.x, y: mine.y, vx: mine.vx, vy: mine.vy, energy: mine.energy, boost: input.b && input.d >= 0 && mine.energy > 0 && !mine.dazed }];
}

let frame, drawnAt = 0, tableWas;
function draw() {
  frame ??= requestAnimationFrame(() => {
    const now = performance.now(), ms = Math.min(100, now - drawnAt);
    frame = undefined;
    drawnAt = now;
    pilot.settle(ms);
    sky.draw({ comets: shown(now), dust: states.latest?.dust ?? new Map(), own, stick: input.stick }, now, ms);
    if (live(now)) draw(); // nothing new, nothing to draw
  });
}
sky.onresize = () => {
  tableWas = ""; // other colours
  draw();
};

// --- words and figures ---

function say(text) {
  alarm.hidden = !text;
  if (alarm.textContent !== text) alarm.textContent = text;
}

const ranks = state => [...state.comets.values()].sort((a, b) => b.score - a.score || a.id - b.id);
const clock = ticks => `${Math.floor(Math.ceil(ticks / 20) / 60)}:${String(Math.ceil(ticks / 20) % 60).padStart(2, "0")}`;
const points = k => k === 1 ? "1 point" : `${k} points`;

function winners(state) {
  const all = ranks(state), best = all.filter(c => c.score === all[0]?.score);
  if (!all[0]?.score) return "Nobody wins";
  if (best.length > 1) return `A draw: ${best.map(c => c.name).join(" and ")}`;
  return best[0].id === own ? "You win" : `${best[0].name} wins`;
}

// seldom: when a round begins or is over, and four times in between
function announce(before, state) {
  const me = state.comets.get(own), mark = [90, 60, 30, 10].find(s => before && before.left > s * 20 && state.left <= s * 20);
  if (state.pause && before && !before.pause) status.textContent = `${winners(state)}.${me ? ` You have ${points(me.score)}.` : ""}`;
  else if (!state.pause && before?.pause) status.textContent = "A new round.";
  else if (me && mark && !state.pause) {
    const place = 1 + [...state.comets.values()].filter(c => c.score > me.score).length;
    status.textContent = `${points(me.score)}, place ${place} of ${state.comets.size}, ${mark} seconds left.`;
  } else if (me && !flew) {
    status.textContent = `You fly with ${state.comets.size - 1} others. ${Math.ceil(state.left / 20)} seconds left.`;
  }
  flew = Boolean(me);
}

function table(state) {
  const all = ranks(state), was = JSON.stringify([own, all.map(c => [c.id, c.name, c.score, c.away])]);
  if (was === tableWas) return;
  tableWas = was;
  $(".table").replaceChildren(...all.map(c => el("li", { class: c.id === own ? "me" : undefined },
    el("i", { style: `background:${sky.colour(c.id, own)}` }),
    el("span", {}, c.name, ...[c.bot && "bot", c.away && "away", c.id === own && "you"].filter(Boolean).flatMap(t => [" ", el("small", {}, t)])),
    el("b", {}, String(c.score)))));
}

const live = now => now - (states.latestAt ?? -STALE) < STALE;

function headline(state, now) {
  if (encke && encke.state !== "open") return ["No connection", "The game goes on as soon as there is one."];
  if (crowded) return ["Watching", "Four windows of this browser fly already."];
  const flows = live(now);
  if (flows && state.pause) return [winners(state), `The next round begins in ${Math.ceil(state.left / 20)} s.`];
  if (wants && flows && own !== null && !steered) return coarse.matches ? ["Pull anywhere to fly", "Your other thumb boosts."] : ["Fly with the arrow keys", "Space boosts."];
  if (wants) return flows || joining || now - missing < STALE ? null : ["Nothing comes from the arena", "Waiting for the site…"];
  if (flows && state.comets.size) return ["You are watching", ""];
  return ["The arena is empty", "Fly, and two bots come along."];
}

/** Brings all that is not on the canvas up to date: four times a second, and when the player does something. */
function show() {
  const now = performance.now(), state = states.latest, text = headline(state, now), set = (e, t) => e.textContent !== t && (e.textContent = t);
  words.hidden = !text;
  if (text) {
    set(words.querySelector("h2"), text[0]);
    set(words.querySelector("p"), text[1]);
  }
  $("main").classList.toggle("flying", wants);
  $(".play").hidden = wants || crowded || !who;
  $(".leave").hidden = !wants;
  $(".rename").hidden = !who?.name;
  $(".boost").hidden = !(own !== null && fingers.matches);
  if (state) {
    const out = $(".clock output");
    set($(".clock h2"), state.pause ? "Pause" : `Round ${state.round}`);
    set(out, state.comets.size ? clock(state.left) : "–:––");
    out.classList.toggle("soon", !state.pause && state.left <= 200);
    table(state);
  }
  meter.show({ rate: states.rate(now), jitter: states.latest ? states.jitter : undefined, way: encke?.transport, latency: encke?.latency });
  const gone = missing && now - missing > STALE / 2 || !live(now);
  if (own !== null && gone && encke.state === "open" && now - joinedAt > STALE) join(); // taken out, or the site has begun anew
}

function askName() {
  dialog.querySelector("input").value = who.name;
  dialog.showModal();
  dialog.querySelector("input").select();
}

dialog.querySelector("form").addEventListener("submit", async e => {
  const wrong = dialog.querySelector("[role=alert]");
  e.preventDefault();
  try {
    const v = await rename(dialog.querySelector("input").value);
    wrong.hidden = Boolean(v.name);
    if (!v.name) return void (wrong.textContent = "A name has at least one letter that can be seen.");
    who = v;
    dialog.close();
    fly();
  } catch (e) {
    wrong.hidden = false;
    wrong.textContent = e instanceof TypeError ? "The site cannot be reached. Try again." : e.message;
  }
});
$(".watch").addEventListener("click", () => dialog.close());
dialog.addEventListener("close", show);
$(".play").addEventListener("click", fly);
$(".leave").addEventListener("click", leave);
$(".rename").addEventListener("click", askName);
$(".meter").open = matchMedia("(min-width: 56rem)").matches;

seat = await takeSeat();
try {
  who = await visitor();
} catch {
  say("The site cannot be reached. Reload the page to try again.");
}
if (who) {
  const way = new URLSearchParams(location.search).get("transport"); // to try another: ?transport=sse
  encke = connect(`/game/token?seat=${seat}`, { shared: false, interval: 200, ...WAYS.includes(way) && { transports: [way] } });
  encke.on("state", state => {
    if (state === "open") say("");
    show();
  });
  encke.on("error", e => say(e.code === "callback_failed" ? "The site cannot be reached. Trying again…" : e.message));
  encke.subscribe("game:arena", take);
  setInterval(show, 250);
  setInterval(() => performance.now() - sentAt > KEEP_ALIVE * 0.9 && wish(), KEEP_ALIVE);
  globalThis.game = { states, encke, shown: () => shown(performance.now()), get own() { return own; } }; // for the console, and the tests
  if (who.name && !crowded) fly();
  else if (!crowded) askName();
  draw();
  show();
}
