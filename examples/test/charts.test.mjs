// Live charts: that what is drawn is what was pushed, with holes where something is missing.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import { after, before, describe, test } from "node:test";
import { charts, cores, point } from "../charts/figures.js";
import { Series, SKIPPED, trace } from "../charts/series.js";
import { ceiling, label, span, text } from "../charts/units.js";
import { looks, shot, startSite, until } from "./site.mjs";

let site;
before(async () => { site = await startSite(); });
after(() => site?.close());

const ask = async path => (await fetch(site.backend + path)).json();
const history = async channel => (await ask(`/channels/${channel}/history?limit=1000`)).publications;
const push = (channel, data) => fetch(`${site.backend}/channels/${channel}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(data) });
const count = async (page, id) => +(await page.textContent("#" + id)).replaceAll(",", "");
const chart = (page, id) => page.locator(`[data-chart=${id}]`);
const plot = (page, id) => page.locator(`[data-chart=${id}] .plot`);
const says = (page, id) => plot(page, id).getAttribute("aria-valuetext");
const live = page => until("points have been drawn as they came", async () => /^[\d,]+ ms ± \d+$/.test(await page.textContent("#delay")));
const percent = x => x === null ? "–" : `${(Math.round(+(10 * x).toFixed(6)) / 10).toFixed(1)} %`; // half up, as it is written in decimals
const clock = at => new Date(Math.floor(at / 100) * 100).toTimeString().slice(0, 8) + "." + Math.floor(at / 100) % 10;

// --- without a page ----------------------------------------------------------------------------------------------------

let seed = 7;
const random = n => (seed = (seed * 48271) % 2147483647) % n;

test("a series keeps the order of time, the newest, and knows its holes", () => {
  for (let round = 0; round < 50; round++) {
    const s = new Series(20);
    let model = [];
    for (let i = 0; i < 30; i++) {
      const t = 100 * random(60), told = random(5) ? 0 : SKIPPED;
      assert.equal(s.put(t, [t, -t], 100, told), !model.some(p => p.t === t));
      if (!model.some(p => p.t === t)) model.push({ t, told });
    }
    model.sort((a, b) => a.t - b.t);
    assert.deepEqual([...s.t.slice(0, s.length)], model.map(p => p.t));
    assert.deepEqual([...s.columns[1].slice(0, s.length)], model.map(p => -p.t));
    for (let i = 1; i < s.length; i++) assert.equal(s.joined(i), !model[i].told && model[i].t - model[i - 1].t <= 400);
    for (let t = -200; t < 6200; t += 30) {
      const i = s.nearest(t), j = model.filter(p => p.t <= t).length, inside = j > 0 && j < s.length && s.joined(j);
      const best = model.map((p, k) => [Math.abs(p.t - t), k]).sort((a, b) => a[0] - b[0] || a[1] - b[1])[0];
      assert.equal(i, inside || best[0] <= 50 ? best[1] : -1);
    }
    for (let i = 0; i < 100; i++) s.put(10000 + i, [i], 1);
    assert.ok(s.length >= 20 && s.length <= 40 && s.last === 10099);
    assert.deepEqual(s.range(0, 10089), { min: 90, max: 99, last: 99 });
  }
});

test("a line goes through the first, least, greatest and last of each column of pixels", () => {
  for (let round = 0; round < 100; round++) {
    const s = new Series(300), per = 1 + random(900), runs = [], want = [];
    for (let i = 0, t = 1e12; i < 200; i++) s.put(t += 1 + random(150), [random(12) ? random(1000) : NaN], 100, random(20) ? 0 : SKIPPED);
    trace(s, 0, 0, per, (x, v) => runs.push([[x, v]]), (x, v) => runs.at(-1).push([x, v]));
    for (let i = 0; i < s.length; i++) {
      const v = s.columns[0][i], x = Math.floor(s.t[i] / per);
      if (Number.isNaN(v)) continue;
      if (!i || Number.isNaN(s.columns[0][i - 1]) || !s.joined(i)) want.push([]);
      const run = want.at(-1);
      if (run.at(-1)?.x === x) run.at(-1).all.push(v);
      else run.push({ x, all: [v] });
    }
    assert.equal(runs.length, want.length);
    runs.forEach((run, i) => want[i].forEach(({ x, all }) => {
      const drawn = run.filter(p => p[0] === x).map(p => p[1]);
      assert.deepEqual([drawn[0], drawn.at(-1), Math.min(...drawn), Math.max(...drawn)], [all[0], all.at(-1), Math.min(...all), Math.max(...all)]);
      assert.ok(drawn.length <= 4);
    }));
  }
});

const good = (at = Date.now()) => ({ at, cpu: [1, 2], load: 0, memory: [1, 2], net: [1, 2, 3], disk: [1, null], encke: [1, 2, 3, 4] });
const rubbish = () => [null, 7, "x", [], {}, "<img src=x onerror=alert(1)>", { ...good(), at: "now" }, { ...good(), at: 1e300 }, { ...good(), at: Date.now() + 60000 },
  { ...good(), cpu: "many" }, { ...good(), cpu: [1, 101] }, { ...good(), cpu: [-1] }, { ...good(), cpu: Array(300).fill(1) }, { ...good(), cpu: [["<b>"]] },
  { ...good(), memory: [1] }, { ...good(), memory: [1, 1e16] }, { ...good(), net: { 0: 1, length: 3 } }, { ...good(), load: "1" }, { ...good(), disk: undefined },
  { ...good(), encke: [1, 2, 3, 4, 5] }];

test("a point is what the site pushes, and nothing else", () => {
  const p = point(good(5), 5);
  assert.equal(cores(p.values), 1);
  assert.ok(Number.isNaN(p.values[7]));
  for (const r of rubbish()) assert.equal(point(r, Date.now()), null, JSON.stringify(r));
});

test("units", () => {
  for (const [unit, x, want] of [["percent", 12.34, "12.3 %"], ["bytes", 0, "0 B"], ["bytes", 999, "999 B"], ["bytes", 1000, "0.98 KiB"], ["bytes", 1536, "1.5 KiB"],
    ["bytes", 25276067840, "23.5 GiB"], ["speed", 123 * 1048576, "123 MiB/s"], ["speed", NaN, "–"], ["number", 3, "3"], ["number", 1.236, "1.24"], ["rate", 9.99, "10.0/s"], ["rate", 120.4, "120/s"]]) {
    assert.equal(text(unit, x), want);
  }
  for (const [unit, x, least, want] of [["number", 3, 1, 5], ["number", 0, 1, 1], ["percent", 11, 10, 20], ["speed", 0, 10240, 10240], ["speed", 11000, 0, 20480],
    ["speed", 600 * 1024, 0, 1048576], ["speed", 3 << 20, 0, 5 << 20]]) assert.equal(ceiling(unit, x, least), want, `${x}`);
  assert.equal(label("speed", 5 << 20), "5 MiB/s");
  assert.deepEqual([400, 12000, 200000, 3600000, 3000000].map(span), ["0.4 s", "12 s", "3 min 20 s", "1 h", "50 min"]);
});

// --- with pages --------------------------------------------------------------------------------------------------------

describe("beside each other", { concurrency: true }, () => {
  test("ten a second only while somebody looks; who comes late has what was before; what is read is what was pushed", async () => {
    await until("the hour has begun", async () => (await history("charts:hour")).length > 3);
    assert.equal((await fetch(site.backend + "/channels/charts:now")).status, 404, "something was pushed for nobody");

    const p = await site.person(), page = await p.open("/charts/");
    await live(page);
    await until("figures are shown", async () => await count(page, "shown") > 100);
    assert.equal(await page.locator("[data-chart=cpu] tbody tr").count(), os.cpus().length + 1);
    const total = +/MemTotal: +(\d+)/.exec(fs.readFileSync("/proc/meminfo", "utf8"))[1] * 1024;
    await until("all of /proc/meminfo", async () => (await page.textContent("#memory-says")).endsWith("of " + text("bytes", total)));

    // the hour, stopped, by keyboard alone
    await page.locator("input:checked").focus();
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    assert.ok(await page.isChecked("input[value='3600000']"));
    for (let i = 0; i < 2; i++) await page.keyboard.press("Tab");
    assert.equal(await page.evaluate("document.activeElement.getAttribute('aria-label')"), "Processor: read a moment");
    await page.keyboard.press("Space");
    await until("it stands", () => page.textContent("#since"));
    const pushed = (await history("charts:hour")).map(m => m.data), read = [];
    for (let i = 0; i < 4; i++) {
      await page.keyboard.press("Shift+ArrowLeft");
      read.unshift(await says(page, "cpu"));
    }
    const from = pushed.findIndex(d => read[0].startsWith(clock(d.at)));
    assert.ok(from >= 0, read[0]);
    assert.deepEqual(read, pushed.slice(from, from + read.length).map(d => `${clock(d.at)}: ` + d.cpu.map((x, i) => `${i ? `Core ${i - 1}` : "All cores"} ${percent(x)}`).join(", ")));

    // the table: of the moment, and the least and greatest of all
    const seen = pushed.filter(d => d.at <= pushed[from + read.length - 1].at);
    const column = seen.map(d => d.cpu[0]);
    assert.deepEqual(await page.locator("[data-chart=cpu] tbody tr").first().locator("td").allTextContents(),
      [pushed[from].cpu[0], Math.min(...column), Math.max(...column)].map(percent));
    assert.equal(await page.locator("[data-chart=cpu] thead th").nth(1).textContent(), clock(pushed[from].at));

    // the picture: the line passes where the value is
    const { x, alpha } = await page.evaluate(value => {
      const c = document.querySelector("[data-chart=cpu] .lines"), g = c.getContext("2d");
      const cross = new DOMMatrix(getComputedStyle(document.querySelector("[data-chart=cpu] .cross")).transform).e - c.offsetLeft;
      const pad = 1.5 * devicePixelRatio, y = Math.round(c.height - pad - value / 100 * (c.height - 2 * pad)), x = Math.round(cross * devicePixelRatio);
      const { data } = g.getImageData(x - 2, Math.max(0, y - 1), 5, 3);
      return { x, alpha: Math.max(...data.filter((_, i) => i % 4 === 3)) };
    }, pushed[from].cpu[0]);
    assert.ok(alpha > 150, `no line at ${x}: ${alpha}`);

    // a line that is switched off is gone, also after a reload, and so is the window
    const shown = await count(page, "shown");
    await page.getByRole("button", { name: "Core 0" }).press("Enter");
    assert.ok(await count(page, "shown") < shown);
    await page.getByRole("button", { name: "Go on" }).press("Enter");
    assert.equal(await page.textContent("#since"), "");
    await page.reload();
    await live(page);
    assert.ok(await page.isChecked("input[value='3600000']"));
    assert.equal(await page.getByRole("button", { name: "Core 0" }).getAttribute("aria-pressed"), "false");
    assert.ok(await count(page, "shown") >= pushed.length * 12);
    p.check();
    await p.leave();
    await until("it has been noticed that nobody looks", async () => (await ask("/channels/charts:now")).subscribers === 0);
    const before = (await ask("/channels/charts:now")).offset, slow = (await ask("/channels/charts:hour")).offset;
    await until("the hour goes on", async () => (await ask("/channels/charts:hour")).offset > slow + 1);
    assert.ok((await ask("/channels/charts:now")).offset <= before + 1);
  });

  test("a picture that moves is the picture drawn anew", async () => {
    const p = await site.person({ deviceScaleFactor: 2 }), page = await p.open("/"); // where nothing else is subscribed or drawn
    const worst = await page.evaluate(async () => {
      const css = Object.assign(document.createElement("link"), { rel: "stylesheet", href: "/charts/charts.css" });
      await new Promise(done => {
        css.onload = done;
        document.head.append(css);
      });
      const { Chart } = await import("/charts/chart.js"), { Series } = await import("/charts/series.js");
      const spec = { id: "test", name: "Test", unit: "percent", top: 100, lines: [{ column: 0, label: "A" }] };
      const make = async left => {
        const c = new Chart(spec, new Set(), () => {});
        c.element.style = `position: fixed; top: 0; left: ${left}px; width: 600px; z-index: 9`;
        document.querySelector("main").append(c.element);
        while (!c.ratio) await new Promise(requestAnimationFrame); // it has no size yet
        return c;
      };
      const moving = await make(0), s = new Series(3000), pixels = c => c.lines.getContext("2d").getImageData(0, 0, c.lines.width, c.lines.height).data;
      let n = 1, now = 1.7e12, differs = 0, painted = 0;
      const random = () => (n = n * 48271 % 2147483647) / 2147483647;
      for (let i = 0; i < 1500; i++) {
        now += 20 + random() * 60;
        if (random() < .8) s.put(now - random() * 10, [random() < .02 ? NaN : random() * 100], 100, random() < .02 ? 1 : 0, 3);
        moving.draw({ series: s, now, span: 30000 });
        if (i % 300 !== 299) continue;
        const fresh = await make(620);
        fresh.draw({ series: s, now, span: 30000 });
        const a = pixels(moving), b = pixels(fresh);
        for (let j = 0; j < a.length; j++) {
          if (b[j]) painted++;
          if (Math.abs(a[j] - b[j]) > 64) differs++;
        }
        fresh.element.remove();
      }
      return { differs, painted };
    });
    assert.ok(worst.painted > 10000 && worst.differs < worst.painted / 1000, JSON.stringify(worst));
    p.check();
    await p.leave();
  });
});

test("a slow reader ends with the newest, and says what it skipped; the hour has it all", async () => {
  const slow = await site.person(), page = await slow.open("/charts/"), quick = await site.person(), other = await quick.open("/charts/");
  await live(page);
  await live(other);
  const was = (await ask("/stats")).skipped.latest;
  // it is stuck until a request is answered, while much comes that is no point for anybody, and some points after it
  let free;
  const stuck = new Promise(done => page.route("**/stuck", route => {
    free = () => route.fulfill({ body: "" });
    done();
  }));
  await page.evaluate(() => setTimeout(() => {
    const request = new XMLHttpRequest();
    request.open("GET", "/stuck", false);
    request.send();
  }));
  await stuck;
  const heavy = randomBytes(45000).toString("base64");
  const leftOut = async () => (await ask("/stats")).skipped.latest - was; // counted when a reader has caught up
  for (let i = 0; i < 200; i++) assert.ok((await push("charts:now", heavy)).ok); // 12 MB: more than the kernel and the browser hold
  const { offset } = await ask("/channels/charts:hour");
  await until("two seconds of points", async () => (await ask("/channels/charts:hour")).offset > offset + 1);
  await free();
  const counted = await until("what Encke has left out is what the pages miss", async () => {
    const all = await leftOut(), here = await count(page, "skipped"), there = await count(other, "skipped");
    return here > 0 && all === here + there && { here, there };
  });
  assert.match(await page.textContent("#note"), /^[\d,]+ publications? from .* skipped: this page/);
  assert.ok(counted.there < counted.here, JSON.stringify(counted));

  // the newest is there: stopped, the last point is one of the last that Encke has
  await until("it goes on", async () => {
    const [{ data }] = await history("charts:now");
    const cell = await page.locator("[data-chart=load] td").first().textContent();
    return cell === text("number", data.load) && await page.locator("[data-chart=cpu] td").first().textContent() === percent(data.cpu[0]);
  });
  await page.click("#pause");
  await plot(page, "cpu").focus();
  const said = []; // leftwards, some steps into the hole
  for (let i = 0; i < 100 && said.filter(text => /skipped/.test(text)).length < 3; i++) {
    await page.keyboard.press("ArrowLeft");
    said.push(await says(page, "cpu"));
  }
  const hole = said.at(-1);
  assert.match(hole, /: \d+ skipped$/, said.join("\n"));
  assert.ok(+/(\d+) skipped/.exec(hole)[1] <= counted.here);
  assert.ok(await page.locator("[data-chart=cpu] .dot:visible").count() === 0);
  assert.equal(await page.locator("[data-chart=cpu] td").first().textContent(), "–");
  // and the line is not drawn there: only the pale stripes
  const most = await page.evaluate(() => {
    const c = document.querySelector("[data-chart=load] .lines"), cross = document.querySelector("[data-chart=load] .cross");
    const x = Math.round((new DOMMatrix(getComputedStyle(cross).transform).e - c.offsetLeft) * devicePixelRatio);
    return Math.max(...c.getContext("2d").getImageData(x, 0, 1, c.height).data.filter((_, i) => i % 4 === 3));
  });
  assert.ok(most > 0 && most < 200, `${most}`);
  await shot(page, "charts-skipped");

  await page.check("input[value='3600000']", { force: true });
  await page.click("#pause");
  const all = (await history("charts:hour")).length;
  await until("the hour is whole", async () => await count(page, "shown") >= all * 12);
  slow.check();
  quick.check();
  await quick.leave();
  await slow.leave();
});

test("rubbish is counted and not shown; Encke ends and comes back: the lines have a hole, which is told", async () => {
  const p = await site.person(), page = await p.open("/charts/");
  await live(page);
  const all = rubbish();
  for (const r of all) for (const channel of ["charts:now", "charts:hour"]) assert.ok((await push(channel, r)).ok);
  await until("it is counted", async () => await count(page, "ignored") === 2 * all.length);
  assert.equal(await page.locator("img, main b:not(.dot)").count(), 0);
  assert.equal(await page.locator("[data-chart=cpu] tbody tr").count(), os.cpus().length + 1);
  const points = await count(page, "received");
  await until("it goes on", async () => await count(page, "received") > points);

  process.kill(+execFileSync("pgrep", ["-P", site.process.pid]), "SIGKILL");
  await until("it is seen", async () => await page.getAttribute(".state", "data-state") !== "open");
  await site.ended;
  const before = await count(page, "received");
  await site.start();
  await until("it goes on", async () => await count(page, "received") > before + 5);
  assert.equal(await page.getAttribute(".state", "data-state"), "open");
  await until("the hole is told", async () => /^The points from .* did not come/.test(await page.textContent("#note")));
  await page.click("#pause");
  await plot(page, "net").focus();
  let hole;
  for (let i = 0; i < 100 && !/missed$/.test(hole); i++) {
    await page.keyboard.press("ArrowLeft");
    hole = await says(page, "net");
  }
  assert.match(hole, /: missed$/);
  await page.keyboard.press("Escape");
  assert.equal(await says(page, "net"), "now");
  await page.keyboard.press("Space");
  await looks(page, "charts");
  p.check(/WebSocket|ERR_CONNECTION|Failed to load/);
});
