// What shows that something has come: a card that goes by itself, words for those who do not see it, a desktop notification.
import { el } from "../shared.js";

const box = document.querySelector("#toasts"), say = document.querySelector("#say"), shout = document.querySelector("#shout");
const AT_ONCE = 3, STAYS = 8000;

/** Says something to those who listen: at once when it is important. */
export function announce(text, important = false) {
  const line = important ? shout : say;
  line.textContent = "";
  line.append(el("span", {}, text)); // the same words twice are two announcements
}

/** An icon of the page. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg"), use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", "#" + name);
  svg.append(use);
  return svg;
}

/**
 * Shows a toast and announces it. open is called when it is clicked. One that is important stays until it is dismissed; others stay
 * while the pointer or the focus is on them. Of several, the newest three are shown.
 */
export function toast({ title, text = "", important = false, id = "", open }) {
  announce(text ? `${title}: ${text.slice(0, 200)}` : title, important);
  const look = el("button", { type: "button", class: "look" }, el("b", {}, title), el("span", {}, text));
  const away = el("button", { type: "button", class: "away", "aria-label": "Dismiss" }, icon("close"));
  const card = el("div", { class: "toast" + (important ? " important" : ""), "data-note": id, role: "group", "aria-label": title }, look, away);
  const end = () => card.remove();
  look.onclick = () => { end(); open(); };
  away.onclick = end;
  card.onkeydown = e => e.key === "Escape" && end();
  if (!important) {
    let timer;
    const start = () => { clearTimeout(timer); timer = setTimeout(() => card.matches(":hover, :focus-within") ? start() : end(), STAYS); };
    start();
  }
  box.append(card);
  while (box.childElementCount > AT_ONCE) box.firstElementChild.remove();
}

/** Takes away the toasts of notes that have been read. */
export function settle(ids) {
  for (const card of [...box.children]) if (ids.includes(card.dataset.note)) card.remove();
}

// Desktop notifications: asked for by a click only, shown only while the page is not seen, remembered for this browser.
const remembered = "notifications.desktop";

const wanted = () => window.Notification?.permission === "granted" && localStorage.getItem(remembered) === "yes";

/** Makes the button that turns them on and off; there is none where the browser has no such thing (or the page is not from https or localhost). */
export function desktopButton(row) {
  if (!("Notification" in window) || !isSecureContext) return;
  const button = row.querySelector("button"), words = row.querySelector("small");
  row.hidden = false;
  const show = () => {
    button.setAttribute("aria-pressed", wanted());
    words.textContent = wanted() ? "On, while this page is out of sight." : "";
  };
  show();
  button.onclick = async () => {
    const on = !wanted();
    localStorage.setItem(remembered, on ? "yes" : "no");
    if (on && Notification.permission !== "granted") await Notification.requestPermission();
    show();
    if (on && !wanted()) words.textContent = "The browser does not allow it: see its settings for this site.";
  };
}

/** Shows one, where it is wanted. Windows of one browser show it once. */
export function desktop(title, text, id, open) {
  if (!wanted() || !document.hidden) return;
  try {
    const n = new Notification(title, { body: text.slice(0, 200), tag: id, icon: "/icon.svg" });
    n.onclick = () => { window.focus(); n.close(); open(); };
  } catch { /* on phones this is for service workers alone */ }
}
