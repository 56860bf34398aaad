// What is pushed, and what of it stands in which chart.

/** A column of each number; those of the cores follow, all together first. */
const columns = ["load", "used", "memory", "in", "out", "within", "read", "written", "process", "rss", "clients", "delivered"];
const CPU = columns.length, most = 257, largest = 1e15;

const column = name => columns.indexOf(name);
const line = (name, label) => ({ column: column(name), label });

/** The charts from above. `top` is the column of the greatest value there can be, or a number; without it the axis follows what is there. */
export const charts = [
  { id: "cpu", name: "Processor", unit: "percent", top: 100, wide: true, lines: [{ column: CPU, label: "All cores" }] },
  { id: "net", name: "Network", unit: "speed", least: 10240, lines: [line("in", "In"), line("out", "Out"), line("within", "Loopback")] },
  { id: "disk", name: "Disk", unit: "speed", least: 10240, lines: [line("read", "Read"), line("written", "Written")] },
  { id: "memory", name: "Memory", unit: "bytes", limit: column("memory"), lines: [line("used", "Used")] },
  { id: "load", name: "Load", unit: "number", least: 1, lines: [line("load", "Running or waiting")] },
  { id: "process", name: "Encke: processor", unit: "percent", least: 10, lines: [line("process", "Of one core")] },
  { id: "rss", name: "Encke: memory", unit: "bytes", least: 1048576, lines: [line("rss", "Resident")] },
  { id: "clients", name: "Encke: connections", unit: "number", least: 5, lines: [line("clients", "Clients")] },
  { id: "delivered", name: "Encke: deliveries", unit: "rate", least: 10, lines: [line("delivered", "Publications to clients")] },
];

/** The line of a core, from 0. */
export const core = n => ({ column: CPU + 1 + n, label: `Core ${n}`, core: n });

/** How many cores a row of values has. */
export const cores = values => Math.max(0, values.length - CPU - 1);

const figure = (x, max) => x === null || typeof x === "number" && x >= 0 && x <= max;
const figures = (a, n, max = largest) => Array.isArray(a) && a.length === n && a.every(x => figure(x, max));

/**
 * The point of a publication: {at, values}, or null when it is not one of ours. `time` is when Encke took it, which cannot be made up:
 * a point from another time is none.
 */
export function point(data, time) {
  if (typeof data !== "object" || !data || Array.isArray(data)) return null;
  const { at, cpu, load, memory, net, disk, encke } = data;
  if (!Number.isFinite(at) || !(Math.abs(at - time) <= 10000)) return null;
  if (!Array.isArray(cpu) || cpu.length > most || !figures(cpu, cpu.length, 100) || !figure(load, 1e6)) return null;
  if (!figures(memory, 2) || !figures(net, 3) || !figures(disk, 2) || !figures(encke, 4)) return null;
  return { at, values: [load, ...memory, ...net, ...disk, ...encke, ...cpu].map(x => x ?? NaN) };
}
