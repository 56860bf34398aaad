// Writes the lines into README.md, between its marks: node examples/curl/readme.mjs. A test holds README.md against it.
import fs from "node:fs";
import { fileURLToPath } from "node:url";
import { fill, groups, plain } from "./lines.js";

export const path = fileURLToPath(new URL("README.md", import.meta.url));
const [from, to] = ["<!-- lines:begin -->", "<!-- lines:end -->"];

const comment = text => text.split("\n").map(t => `# ${t}`.trim()).join("\n");
const more = l => [l.note, l.flows && "Ctrl-C ends it."].filter(Boolean).join(" ");
const line = l => [comment(l.what + (more(l) ? `. ${more(l)}` : "")), fill(l.line, plain), l.status || l.answer ? comment(`=> ${[l.status, fill(l.answer ?? "", plain)].filter(Boolean).join(" ")}`) : ""].filter(Boolean).join("\n");

/** README.md with its lines written anew. */
export function written(readme) {
  const [before, rest] = readme.split(from), [, after] = rest.split(to);
  return `${before}${from}\n${groups.map(g => `### ${g.title}\n${g.text}\n\n\`\`\`sh\n${g.lines.map(line).join("\n\n")}\n\`\`\`\n`).join("\n")}${to}${after}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) fs.writeFileSync(path, written(fs.readFileSync(path, "utf8")));
