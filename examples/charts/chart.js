// One chart: two canvases, a table of its lines, and the moment that is read.
import { el } from "/shared.js";
import { SKIPPED, trace } from "./series.js";
import { ceiling, label, moment, span, text } from "./units.js";
import { core, cores } from "./figures.js";

/** The seconds before now that are written below, where there is room and where there is little. */
const times = {
  30000: [[30, 25, 20, 15, 10, 5], [30, 20, 10]],
  300000: [[300, 240, 180, 120, 60], [300, 180, 60]],
  3600000: [[3600, 3000, 2400, 1800, 1200, 600], [3600, 2400, 1200]],
};
const many = 8; // of more cores than these, the rest begin hidden

/** hidden: the names of lines that are not to be seen, kept by the page; changed() is called when one is switched. */
export class Chart {
  rows = []; // {spec, name, on, colour, button, cells}
  top = 0;
  seen = true;

  constructor(spec, hidden, changed) {
    Object.assign(this, { spec, hidden, changed });
    const id = `${spec.id}-says`;
    this.says = el("p", { id, class: "says" }, "No figures yet.");
    this.grid = el("canvas", { class: "grid", "aria-hidden": "true" });
    this.lines = el("canvas", { class: "lines", "aria-hidden": "true" });
    this.when = el("span");
    this.cross = el("div", { class: "cross", hidden: "", "aria-hidden": "true" }, this.when);
    this.plot = el("div", { class: "plot", tabindex: "0", role: "slider", "aria-label": `${spec.name}: read a moment`, "aria-describedby": id,
      "aria-valuemin": "0", "aria-valuemax": "0", "aria-valuenow": "0", "aria-valuetext": "now" }, this.grid, this.lines, this.cross);
    this.head = el("th", { scope: "col" }, "Now");
    this.body = el("tbody");
    const table = el("table", {}, el("caption", { class: "hidden-text" }, `${spec.name}: lines`),
      el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "Line"), this.head, el("th", { scope: "col" }, "Min"), el("th", { scope: "col" }, "Max"))), this.body);
    this.element = el("section", { class: `card chart${spec.wide ? " wide" : ""}`, "data-chart": spec.id, "aria-labelledby": `${spec.id}-name` },
      el("header", {}, el("h2", { id: `${spec.id}-name` }, spec.name), this.says), this.plot, el("div", { class: "table" }, table));
    this.pen = this.lines.getContext("2d");
    for (const line of spec.lines) this.#add(line);
    new ResizeObserver(([e]) => this.#size(e)).observe(this.lines);
    new IntersectionObserver(all => { this.seen = all.at(-1).isIntersecting; }, { rootMargin: "100px" }).observe(this.element);
  }

  #add(line) {
    const name = `${this.spec.id}.${line.label}`, n = this.rows.length;
    const single = this.spec.lines.length === 1;
    const colour = single && !n ? "--accent" : this.spec.wide ? `--c${n % 8}` : `--c${[0, 3, 5][n]}`;
    if (line.core >= many) this.hidden.add(name);
    const button = el("button", { type: "button", class: "line" }, el("i", { style: `--line-colour: var(${colour})` }), line.label);
    const dot = el("b", { class: "dot", hidden: "", style: `--line-colour: var(${colour})` });
    const cells = [el("td"), el("td"), el("td")];
    const row = { line, name, colour, button, cells, dot, main: !n && single };
    button.addEventListener("click", () => {
      if (!this.hidden.delete(name)) this.hidden.add(name);
      this.changed();
    });
    this.rows.push(row);
    this.body.append(el("tr", {}, el("th", { scope: "row" }, button), ...cells));
    this.cross.append(dot);
  }

  /** Shows lines for as many cores as there are. */
  grow(values) {
    for (let n = this.rows.length - 1; this.spec.wide && n < cores(values); n++) this.#add(core(n));
  }

  #size(entry) {
    const exact = entry.devicePixelContentBoxSize?.[0], ratio = devicePixelRatio;
    const width = Math.max(1, Math.round(exact?.inlineSize ?? entry.contentRect.width * ratio));
    const height = Math.max(1, Math.round(exact?.blockSize ?? entry.contentRect.height * ratio));
    this.ratio = ratio;
    Object.assign(this.lines, { width, height });
    Object.assign(this.grid, { width: Math.round(this.grid.clientWidth * ratio), height: Math.round(this.grid.clientHeight * ratio) });
    this.repaint();
  }

  /** Everything is drawn anew the next time: a new size, other colours. */
  repaint() {
    const style = getComputedStyle(this.element);
    this.css = name => style.getPropertyValue(name).trim();
    this.key = "";
    this.gridKey = "";
  }

  #visible() {
    return this.rows.filter(r => !this.hidden.has(r.name));
  }

  /** The greatest value on the axis: grows at once, shrinks when more than half would be empty. */
  #scale(view, visible) {
    const { unit, top, limit, least } = this.spec, { series } = view;
    if (top) return top;
    if (limit !== undefined) {
      const { max } = series.range(limit, view.now - view.span);
      return max > 0 ? max : 1;
    }
    let max = 0;
    for (const r of visible) max = Math.max(max, series.range(r.line.column, view.now - view.span).max || 0);
    const fitting = ceiling(unit, max, least);
    return fitting > this.top || max < this.top * .4 || view.span !== this.span ? fitting : this.top;
  }

  /**
   * Draws what is to be seen of view {series, now, span}, if it looks different from the last time. Pixels' columns are numbered from the
   * beginning of time, so that a point is always drawn in the same one, and a picture that has been drawn only moves: what is new is
   * drawn at its right end.
   */
  draw(view) {
    const { lines, pen, ratio } = this, { width, height } = lines, { series, span } = view;
    if (!this.seen || !ratio) return;
    const per = span / width, right = Math.floor(view.now / per), fresh = series.length !== this.length || series.last !== this.to;
    const visible = this.#visible();
    const names = visible.map(r => r.name).join();
    if (fresh || names !== this.names || span !== this.span || !this.key) this.top = this.#scale(view, visible);
    const key = [series.changes, view.still, names, span, this.top, width, height].join();
    const move = right - this.right, whole = key !== this.key || move < 0 || move >= width;
    if (!whole && !move && !fresh) return;
    Object.assign(this, { names, span, per, right, left: right - width + 1, view });

    let clip = 0, from = Math.max(0, series.after((this.left - 1) * per) - 1);
    if (!whole) {
      pen.globalCompositeOperation = "copy";
      if (move) pen.drawImage(lines, -move, 0);
      pen.globalCompositeOperation = "source-over";
      const wide = Math.ceil(2 * ratio), drawn = Math.floor(this.to / per) - this.left;
      clip = Math.max(0, Math.min(drawn, width - move) - wide);
      from = Math.max(from, series.after((clip + this.left - wide) * per) - 2);
    }
    pen.save();
    pen.beginPath();
    pen.rect(clip, 0, width - clip, height);
    pen.clip();
    pen.clearRect(clip, 0, width - clip, height);
    this.#holes(series, from);
    for (const row of [...visible].reverse()) this.#line(series, row, from);
    pen.restore();

    Object.assign(this, { key, length: series.length, to: series.last });
    this.#drawGrid();
  }

  y(value) {
    const h = this.lines.height, pad = this.ratio * 1.5;
    return h - pad - value / this.top * (h - 2 * pad);
  }

  #line(series, { line, colour, main }, from) {
    const { pen, left, lines: { height } } = this, stroke = new Path2D(), area = main && new Path2D();
    let begin, end;
    const close = () => {
      if (begin === undefined) return;
      area.lineTo(end, height);
      area.lineTo(begin, height);
      area.closePath();
    };
    trace(series, line.column, from, this.per, (x, v) => {
      const px = x - left, py = this.y(v);
      stroke.moveTo(px, py);
      stroke.lineTo(px + .5, py); // something of a point that stands alone, too
      if (!area) return;
      close();
      area.moveTo(begin = end = px, py);
    }, (x, v) => {
      const py = this.y(v);
      stroke.lineTo(x - left + .5, py);
      area?.lineTo?.(end = x - left + .5, py);
    });
    const paint = this.css(colour);
    if (area) {
      close();
      pen.globalAlpha = .14;
      pen.fillStyle = paint;
      pen.fill(area);
      pen.globalAlpha = 1;
    }
    pen.strokeStyle = paint;
    pen.lineWidth = (main || !this.spec.wide ? 1.6 : 1.1) * this.ratio;
    pen.lineJoin = pen.lineCap = "round";
    pen.stroke(stroke);
  }

  // Where publications are missing, a hatched strip. Its stripes keep their places when the picture moves.
  #holes(series, from) {
    const { pen, left, per, ratio, lines: { height } } = this, every = 6 * ratio;
    for (let i = Math.max(1, from); i < series.length; i++) {
      if (!series.told[i]) continue;
      const a = Math.floor(series.t[i - 1] / per), b = Math.max(a + 1, Math.floor(series.t[i] / per));
      pen.save();
      pen.beginPath();
      pen.rect(a - left, 0, b - a, height);
      pen.clip();
      pen.fillStyle = pen.strokeStyle = this.css("--warn");
      pen.globalAlpha = .1;
      pen.fill();
      pen.globalAlpha = .5;
      pen.lineWidth = ratio;
      pen.beginPath();
      for (let x = Math.floor(a / every) * every - height; x < b; x += every) {
        pen.moveTo(x - left, height);
        pen.lineTo(x - left + height, 0);
      }
      pen.stroke();
      pen.restore();
    }
  }

  #drawGrid() {
    const { grid, lines, ratio, top, spec } = this, key = [top, this.span, grid.width, grid.height, ratio].join();
    if (key === this.gridKey) return;
    this.gridKey = key;
    const pen = grid.getContext("2d"), x0 = Math.round(lines.offsetLeft * ratio), y0 = Math.round(lines.offsetTop * ratio);
    pen.clearRect(0, 0, grid.width, grid.height);
    pen.font = `${12 * ratio}px system-ui, sans-serif`;
    pen.strokeStyle = this.css("--line");
    pen.fillStyle = this.css("--dim");
    pen.lineWidth = Math.max(1, Math.round(ratio));
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    const rows = /^(5|10)/.test(label(spec.unit, top)) && !spec.top ? 5 : 4; // so that each is a round number
    for (let i = 0; i <= rows; i++) {
      const y = y0 + Math.round(this.y(top * i / rows)) + (pen.lineWidth % 2) / 2;
      pen.beginPath();
      pen.moveTo(x0, y);
      pen.lineTo(x0 + lines.width, y);
      pen.stroke();
      pen.fillText(i ? label(spec.unit, top * i / rows) : "0", x0 - 8 * ratio, y);
    }
    pen.textBaseline = "alphabetic";
    const marks = times[this.span]?.[lines.width / ratio < 420 ? 1 : 0] ?? [this.span / 1000];
    for (const s of [...marks, 0]) {
      const left = 1 - s * 1000 / this.span;
      pen.textAlign = left === 1 ? "right" : left ? "center" : "left";
      pen.fillText(s ? `−${span(s * 1000)}` : "now", x0 + lines.width * left, grid.height - 3 * ratio);
    }
  }

  /** The time at a place in the window, from the left edge of the plot in CSS pixels: in ms before the right edge. */
  ago(clientX) {
    const box = this.lines.getBoundingClientRect();
    return Math.min(1, Math.max(0, 1 - (clientX - box.left) / box.width)) * this.span;
  }

  /** What a moment of the view says: {at, index, hole}. Index is -1 where there is no point. */
  look(view, ago) {
    const t = view.now - ago, { series } = view, index = series.nearest(t, view.span / 2 / Math.max(1, this.lines.width));
    const next = series.after(t);
    return { at: index < 0 ? t : series.t[index], index, told: index < 0 && next < series.length ? series.told[next] : 0, lost: series.lost[next] };
  }

  /** Shows the line at a moment, or takes it away (ago null). */
  mark(view, ago) {
    this.cross.hidden = ago === null || !this.ratio;
    if (this.cross.hidden) return;
    const { at, index, told, lost } = this.look(view, ago), width = this.lines.clientWidth;
    const x = Math.min(width, Math.max(0, width - (view.now - at) / view.span * width));
    this.cross.style.transform = `translateX(${this.lines.offsetLeft + x}px)`;
    put(this.when, index >= 0 ? moment(at) : why(told, lost));
    this.when.classList.toggle("left", x > width / 2);
    for (const { name, line, dot } of this.rows) {
      const v = index < 0 ? NaN : view.series.columns[line.column]?.[index] ?? NaN;
      dot.hidden = Number.isNaN(v) || this.hidden.has(name);
      if (!dot.hidden) dot.style.transform = `translateY(${this.lines.offsetTop + this.y(v) / this.ratio}px)`;
    }
  }

  /** Writes the numbers: of the moment that is read or the newest, and the least and greatest of the window. */
  write(view, ago) {
    const { series, now, span: length } = view, found = ago === null ? null : this.look(view, ago), { unit } = this.spec;
    put(this.head, !found ? "Now" : moment(found.at));
    let first;
    for (const row of this.rows) {
      const on = !this.hidden.has(row.name), range = series.range(row.line.column, now - length);
      if (!(series.last > now - length)) range.last = NaN;
      row.button.setAttribute("aria-pressed", on);
      const value = !found ? range.last : found.index < 0 ? NaN : series.columns[row.line.column]?.[found.index] ?? NaN;
      [value, range.min, range.max].forEach((v, i) => put(row.cells[i], text(unit, v)));
      first ??= range;
    }
    put(this.says, Number.isNaN(first.min) ? "No figures yet." :
      `${this.rows[0].line.label}: now ${text(unit, first.last)}, from ${text(unit, first.min)} to ${text(unit, first.max)} in ${span(length)}` +
      (this.spec.limit === undefined ? "" : `, of ${text(unit, series.range(this.spec.limit, now - length).last)}`));
    for (const [k, v] of [["valuemin", -length / 1000], ["valuemax", 0], ["valuenow", ago ? -(ago / 1000).toFixed(1) : 0]]) this.plot.setAttribute("aria-" + k, v);
  }

  /** Says the moment that is read, to those who hear it: when it was changed by the keyboard only. */
  say(view, ago) {
    const found = ago === null ? null : this.look(view, ago);
    this.plot.setAttribute("aria-valuetext", !found ? "now" : found.index < 0 ? `${moment(found.at)}: ${why(found.told, found.lost)}` : `${moment(found.at)}: ` +
      this.#visible().map(({ line }) => `${line.label} ${text(this.spec.unit, view.series.columns[line.column]?.[found.index] ?? NaN)}`).join(", "));
  }

  /** How many numbers are to be seen. */
  shown(view) {
    return (view.series.length - view.series.after(view.now - view.span)) * this.#visible().length;
  }
}

const why = (told, lost) => !told ? "nothing measured" : told === SKIPPED ? `${Number.isNaN(lost) ? "" : lost + " "}skipped` : "missed";

const put = (e, text) => e.textContent !== text && (e.textContent = text);
