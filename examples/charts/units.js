// Numbers as people read them, and the scales of axes.

const powers = ["B", "KiB", "MiB", "GiB", "TiB"];

const plain = (x, digits) => x.toLocaleString("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits });

/** Three digits that count: 0.42, 4.2, 42.0, 420. */
const short = x => plain(x, x && x < 1 ? 2 : x < 100 ? 1 : 0);

function bytes(x) {
  let i = 0;
  for (; x >= 1000 && i < powers.length - 1; i++) x /= 1024; // at 1000, so that no number has four digits
  return `${i ? short(x) : plain(x, 0)} ${powers[i]}`;
}

/** For each unit, a number as text. NaN is not known. */
export const units = {
  percent: x => `${plain(x, 1)} %`,
  bytes,
  speed: x => `${bytes(x)}/s`,
  number: x => plain(x, x % 1 ? 2 : 0),
  rate: x => `${short(x)}/s`,
};

export const text = (unit, x) => Number.isNaN(x) ? "–" : units[unit](x);

/** The least round number that is not below x and not below least: in bytes 1, 2, 5, 10, …, 500 of a power of 1024. */
export function ceiling(unit, x, least) {
  const most = Math.max(x, least), of = unit === "bytes" || unit === "speed" ? 1024 ** Math.max(0, Math.floor(Math.log2(most) / 10)) : 1;
  const y = most / of, ten = 10 ** Math.floor(Math.log10(y)), n = [1, 2, 5, 10].find(n => y <= n * ten * (1 + 1e-9)) * ten;
  return n >= 1000 && of > 1 ? of * 1024 : n * of;
}

/** A label of an axis: without digits that say nothing. */
export const label = (unit, x) => units[unit](x).replace(/\.0+(?= |\/|$)/, "");

/** A moment as a clock shows it, to a tenth of a second. */
export function moment(ms) {
  const d = new Date(ms), two = n => String(n).padStart(2, "0");
  return `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}.${Math.floor(d.getMilliseconds() / 100)}`;
}

/** A length of time: 0.4 s, 12 s, 3 min 20 s, 1 h. */
export function span(ms) {
  const s = ms / 1000;
  if (s < 60) return `${plain(s, s % 1 >= .05 ? 1 : 0)} s`;
  const h = Math.floor(s / 3600), m = Math.floor(s / 60) % 60, rest = Math.floor(s % 60);
  return [h && `${h} h`, m && `${m} min`, rest && `${rest} s`].filter(Boolean).join(" ");
}
