import { startSite, sleep, until } from "./site.mjs";
const site = await startSite();
try {
  const a = await site.person();
  const pa = await a.open("/editor/");
  await pa.locator(".cm-content[contenteditable=true]").waitFor();
  await pa.locator(".cm-content").click();
  await pa.keyboard.insertText("long words ".repeat(9090));
  await sleep(4000);
  console.log(await pa.locator("#saved").innerText(), "|", await pa.locator("#wrong").innerText(), "|", await pa.locator("#count").innerText(), "|", await pa.locator(".state").innerText(), a.errors);
} finally { await site.close(); console.log(site.log.slice(-1200)); }
