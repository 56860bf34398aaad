// The page: what comes, what of it is looked at, and the hands on it.
import { connect } from "/shared.js";
import { url } from "/config.js";
import { Chart } from "./chart.js";
import { Clock } from "./clock.js";
import { charts as specs, point } from "./figures.js";
import { JOINED, MISSED, SKIPPED, Series } from "./series.js";
import { moment } from "./units.js";

const $ = id => document.getElementById(id);
const spans = [30000, 300000, 3600000], HOUR = spans[2];

// ten points a second for five minutes, with points from the hour before this page came; and a point a second for an hour
const recent = new Series(3200), hour = new Series(3700);
const clock = new Clock(url);
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const counts = { received: 0, skipped: 0, ignored: 0 };

const kept = (() => {
  try {
    const { span, hidden } = JSON.parse(sessionStorage.getItem("charts"));
    return { span: spans.includes(span) ? span : spans[0], hidden: new Set(hidden.filter(h => typeof h === "string").slice(0, 300)) };
  } catch {
    return { span: spans[0], hidden: new Set() };
  }
})();
const keep = () => {
  try {
    sessionStorage.setItem("charts", JSON.stringify({ span: kept.span, hidden: [...kept.hidden] }));
  } catch {} // it is not remembered
};

let stopped = null; // while paused: {recent, hour, now, received}
let ago = null; // the moment that is read, in ms before the right edge
let begun = Infinity; // the first of this page's own ten a second
let fresh = NaN; // a point that has not been drawn yet
let delays = [], heard = performance.now();

const charts = specs.map(spec => new Chart(spec, kept.hidden, () => { keep(); write(); }));
$("charts").append(...charts.map(c => c.element));

/** What is to be seen: the series, the time at the right edge, and how much before it. */
function view() {
  const from = stopped ?? { recent, hour, now: clock.now() };
  // whoever wants no motion gets a new picture once a second
  const now = !stopped && calm.matches ? Math.floor(from.now / 1000) * 1000 : from.now;
  return { series: kept.span === HOUR ? from.hour : from.recent, now, span: kept.span, still: !!stopped };
}

// --- what comes --------------------------------------------------------------------------------------------------------

// A page of its own connection, not one for all tabs: each is as slow as it is itself, and then skips what it cannot take.
const encke = connect(null, { shared: false });
clock.set();
setInterval(() => clock.set(3), 60000);

/**
 * Takes what comes in a channel. take(point, told, lost) is given each point that is one, why it is not joined to the one before, and
 * how many publications are missing between them (NaN: nobody knows).
 */
function follow(channel, options, take) {
  let told = JOINED, lost = 0, epoch, offset;
  const s = encke.subscribe(channel, m => {
    const [now] = m.position.split(".");
    if (told !== JOINED) lost += now === epoch ? m.offset - offset - 1 : NaN;
    [epoch, offset] = [now, m.offset];
    const p = point(m.data, m.time);
    if (!p) return void counts.ignored++; // a gap stands before the next one as well
    take(p, told, lost);
    [told, lost] = [JOINED, 0];
  }, options);
  s.on("gap", ({ reason }) => { told = reason === "skipped" ? SKIPPED : MISSED; });
}

follow("charts:now", {}, ({ at, values }, told, lost) => {
  const before = recent.last;
  if (at < before - 10000) { // the clock there was set back
    recent.clear();
    hour.clear();
    begun = Infinity;
  }
  counts.received++;
  heard = performance.now();
  if (at < begun) begun = at;
  for (const c of charts) c.grow(values);
  if (recent.put(at, values, 100, told, lost) && kept.span !== HOUR) fresh = at;
  if (told === JOINED || !Number.isFinite(before)) return;
  if (told === SKIPPED) counts.skipped += lost || 0;
  const from = `${moment(before)} to ${moment(at)}`, n = Number.isNaN(lost) ? "The points" : `${lost.toLocaleString("en-GB")} publication${lost === 1 ? "" : "s"}`;
  $("note").textContent = told === SKIPPED ? `${n} from ${from} skipped: this page, or its network, was too slow. It goes on with the newest.` :
    `${n} from ${from} did not come: the connection was cut. The lines have a hole there.`;
});

follow("charts:hour", { since: "0" }, ({ at, values }, told, lost) => {
  counts.received++;
  for (const c of charts) c.grow(values);
  if (hour.put(at, values, 1000, told, lost) && kept.span === HOUR) fresh = at;
  if (at < begun) recent.put(at, values, 1000, told, lost);
});

encke.on("error", e => wrong(`Encke refuses: ${e.message || e.code}. Reload the page to try again.`));

function wrong(text) {
  $("wrong").textContent = text;
  $("wrong").hidden = !text;
}

// --- what is drawn -----------------------------------------------------------------------------------------------------

function frame() {
  requestAnimationFrame(frame);
  const v = view();
  for (const c of charts) {
    c.draw(v);
    c.mark(v, ago);
  }
  if (Number.isNaN(fresh) || stopped) return;
  delays.push(clock.now() - fresh);
  fresh = NaN;
}
requestAnimationFrame(frame);

/** Four times a second, and when somebody does something: numbers that change faster cannot be read. */
function write() {
  const v = view();
  for (const c of charts) c.write(v, ago);
  const n = x => x.toLocaleString("en-GB");
  $("shown").textContent = n(charts.reduce((sum, c) => sum + c.shown(v), 0));
  $("received").textContent = n(counts.received);
  $("skipped").textContent = n(counts.skipped);
  $("ignored").textContent = n(counts.ignored);
  $("ignored").parentElement.hidden = !counts.ignored;
  if (delays.length && !Number.isNaN(clock.error)) {
    delays.sort((a, b) => a - b);
    $("delay").textContent = `${n(Math.max(0, Math.round(delays[delays.length >> 1])))} ms ± ${Math.ceil(clock.error)}`;
    delays = [];
  }
  const quiet = encke.state === "open" && performance.now() - heard > 6000;
  if (quiet) wrong("No figures come, though Encke is there: the site that measures seems not to run. Start it again with make examples.");
  else if ($("wrong").textContent.startsWith("No figures")) wrong("");
  const come = stopped && counts.received - stopped.received;
  $("since").textContent = stopped ? `Stopped at ${moment(stopped.now)}; ${come === 1 ? "1 point has" : `${n(come)} points have`} come since.` : "";
}
setInterval(write, 250);

// --- hands -------------------------------------------------------------------------------------------------------------

function pause() {
  stopped = stopped ? null : { recent: recent.still(), hour: hour.still(), now: view().now, received: counts.received };
  delays = [];
  $("pause").lastChild.textContent = stopped ? "Go on" : "Pause";
  $("pause").dataset.stopped = !!stopped;
  write();
}
$("pause").addEventListener("click", pause);

for (const input of document.querySelectorAll("input[name=span]")) {
  input.checked = +input.value === kept.span;
  input.addEventListener("change", () => {
    if (ago !== null) ago *= +input.value / kept.span; // the same place on the screen
    kept.span = +input.value;
    fresh = NaN;
    keep();
    write();
  });
}

function read(to) {
  ago = to === null ? null : Math.min(kept.span, Math.max(0, to));
  write();
}

/** The next point in a direction from the moment that is read. */
function neighbour(v, by) {
  const { series } = v, i = series.after(v.now - (ago ?? 0) + (by > 0 ? .01 : -.01)) - 1 + (by > 0 ? 1 : 0);
  return series.length ? v.now - series.t[Math.min(series.length - 1, Math.max(0, i))] : ago;
}

for (const c of charts) {
  const at = e => read(c.ago(e.clientX));
  c.plot.addEventListener("pointermove", at);
  c.plot.addEventListener("pointerdown", at);
  c.plot.addEventListener("pointerleave", e => e.pointerType === "mouse" && read(null));
  c.plot.addEventListener("keydown", e => {
    const v = view(), now = ago ?? 0;
    const to = { ArrowLeft: now + v.span / 100, ArrowDown: now + v.span / 100, ArrowRight: now - v.span / 100, ArrowUp: now - v.span / 100,
      PageDown: now + v.span / 10, PageUp: now - v.span / 10, Home: v.span, End: 0, Escape: null }[e.key];
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.key === " ") pause();
    else if (e.shiftKey && /Arrow/.test(e.key)) read(neighbour(v, /Left|Down/.test(e.key) ? -1 : 1));
    else if (to !== undefined) read(to);
    else return;
    e.preventDefault();
    c.say(view(), ago);
  });
  c.plot.addEventListener("blur", () => read(null));
}
document.addEventListener("pointerdown", e => e.target.closest(".plot") || ago === null || read(null));

const repaint = () => charts.forEach(c => c.repaint());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
document.body.dataset.ready = "true";
