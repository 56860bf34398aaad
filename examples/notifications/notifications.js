// One person's desk: inbox, colleagues, and what has been sent.
import { ask, connect, el } from "../shared.js";
import { newest, Notes } from "./notes.js";
import { announce, desktop, desktopButton, icon, settle, toast } from "./toasts.js";

const $ = (query, from = document) => from.querySelector(query);
const trouble = $("#trouble"), say = (where, text) => { where.hidden = !text; (where.querySelector("span") ?? where).textContent = text; };

const initials = name => name.split(/\s+/).map(part => part[0]).join("").slice(0, 2);
const face = p => el("span", { class: "face", style: `--own: var(--c${list.indexOf(p)})`, "aria-hidden": "true" }, initials(p.name));
const here = () => el("i", { class: "here" });

function time(ms) {
  const at = new Date(ms), today = at.toDateString() === new Date().toDateString();
  return el("time", { datetime: at.toISOString(), title: at.toLocaleString() },
    at.toLocaleString([], today ? { hour: "2-digit", minute: "2-digit" } : { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }));
}

const list = await ask("GET", "people").catch(error => (say(trouble, error.message), $("button", trouble).onclick = () => location.reload(), []));
const people = new Map(list.map(p => [p.id, p])), asked = new URLSearchParams(location.search).get("as");
if (people.has(asked)) desk(people.get(asked));
else if (people.size) choose();

function choose() {
  $("#who").hidden = false;
  if (asked !== null) say(trouble, "There is nobody of that name here: choose another.");
  $("button", trouble).hidden = asked !== null;
  $(".choose").append(...list.map(p => el("li", {}, el("a", { class: "card", href: "?as=" + p.id }, face(p), el("span", {}, el("b", {}, p.name), el("small", {}, p.role))))));
}

function desk(me) {
  const notes = new Notes(me.id, people), own = `people/${me.id}/`;
  $("#desk").hidden = $(".bell").hidden = $(".state").hidden = false;
  $("#first").textContent = "Be a colleague in a second window, and write a note to " + me.name.split(" ")[0] + ".";

  // --- the site, as this person

  const signIn = () => ask("POST", own + "session");
  const site = (method, what, body) => ask(method, own + what, body).catch(async error => {
    if (error.status !== 401) throw error;
    await signIn(); // the site was started anew and knows nobody any more
    return ask(method, own + what, body);
  });

  // --- what comes

  let coming = [], first = true, refreshing, loaded;

  /** Asks the site for the inbox; one at a time. Never rejects: what goes wrong is said, and tried again with the next connection. */
  const refresh = () => refreshing ??= (async () => {
    const at = performance.now();
    try {
      const { fresh, forgotten } = notes.merge(await site("GET", "inbox"), at);
      say(trouble, "");
      if (forgotten) say($("#forgotten"), `The site was started again and keeps notes in memory only: ${forgotten === 1 ? "1 earlier note is" : forgotten + " earlier notes are"} gone.`);
      arrived(fresh, first);
      first = false;
      await tellRead();
    } catch (error) {
      say(trouble, `The inbox may be out of date. ${error.message}`);
    }
    draw();
  })().finally(() => { refreshing = undefined; });
  $("button", trouble).onclick = () => {
    if (encke.state === "closed") encke.connect();
    refresh();
  };

  /** Notes that were not known. At the beginning only what was kept is worth a word: the rest another device has shown already. */
  function arrived(fresh, atFirst) {
    for (const n of fresh) n.away = n.state === "kept" && n.from !== me.id;
    const waited = fresh.filter(n => n.away);
    if (atFirst && waited.length) {
      toast({ title: waited.length === 1 ? "A note was kept for you" : `${waited.length} notes were kept for you`, text: `${waited.length === 1 ? "It" : "They"} came while you were away.`, open: toFirst });
    } else if (!atFirst) {
      for (const n of fresh) if (n.state !== "read") tell(n);
    }
  }

  function tell(n) {
    if (!coming.push(n) || coming.length > 1) return;
    setTimeout(() => { // what comes together is told together
      const now = coming.filter(n => n.state !== "read"), open = n => () => show(n.id);
      coming = [];
      const single = now.length > 3 ? now.filter(n => n.important).slice(-2) : now;
      if (single.length < now.length) toast({ title: `${now.length} new notes`, text: `The last from ${people.get(now.at(-1).from).name}`, open: toFirst });
      for (const n of single) {
        const title = `${n.important ? "Important, from" : "From"} ${people.get(n.from).name}`;
        toast({ title, text: n.text, important: n.important, id: n.id, open: open(n) });
        desktop(title, n.text, n.id, open(n));
      }
    }, 100);
  }

  const encke = connect(own + "token", { token: async () => { await signIn(); return ask("POST", own + "token"); } });
  encke.on("letter", async letter => { // acknowledged when this has returned; one that is no note too, or it would come for ever
    await loaded;
    if (notes.take(letter.data)) tell(notes.got.get(letter.data.id));
    draw();
  });
  encke.subscribeUser(({ event, data }) => {
    if (typeof data !== "object" || data === null) return;
    if (event === "read") notes.raise(data.ids, "read");
    if (event === "state") notes.raise(data.ids, data.state);
    if (event === "sent") notes.take(data, notes.sent);
    draw();
  });
  encke.on("gap", refresh);
  encke.on("error", error => say(trouble, `No notes can come: ${error.message.replace(/\.$/, "")}.`));
  encke.on("state", state => state === "open" && refresh());
  loaded = signIn().then(refresh, refresh);

  // --- what one has read

  const toTell = new Set(); // what the site does not know yet

  async function tellRead() {
    if (!toTell.size) return;
    const ids = [...toTell].slice(0, 100);
    await site("POST", "read", { ids });
    for (const id of ids) toTell.delete(id);
  }

  function markRead(ids) {
    for (const id of ids) toTell.add(id);
    notes.raise(ids, "read");
    draw();
    tellRead().catch(error => say(trouble, `Your other devices do not know yet what you have read. ${error.message}`));
  }

  // --- drawing

  const shown = { got: 20, sent: 10 };
  let drawing = false;

  /** Draws soon, once for all that has changed. */
  function draw() {
    if (drawing) return;
    drawing = true;
    queueMicrotask(() => {
      drawing = false;
      fill($(".inbox"), notes.got, "got", letter);
      fill($(".sent"), notes.sent, "sent", receipt);
      const unread = notes.unread(), n = unread.length;
      settle(newest(notes.got).filter(n => n.state === "read").map(n => n.id));
      $(".bell b").textContent = n || "";
      $(".bell").setAttribute("aria-label", n ? `${n} unread ${n === 1 ? "note" : "notes"}: go to the newest` : "No unread notes: go to the inbox");
      $("#unread").textContent = n ? `${n} unread` : "";
      $("#all").hidden = n < 2;
      document.title = `${n ? `(${n}) ` : ""}${me.name}: notifications`;
      (n ? navigator.setAppBadge?.(n) : navigator.clearAppBadge?.())?.catch(() => {});
    });
  }

  /** Brings a list to what a box has, the newest first, and keeps the elements that stay (and what is open or focused in them). */
  function fill(section, box, name, make) {
    const all = newest(box), some = all.slice(0, shown[name]), ol = $("ol", section), old = new Map([...ol.children].map(li => [li.dataset.note, li]));
    $(".empty", section).hidden = all.length > 0 || first;
    $(".older", section).hidden = all.length <= some.length;
    some.forEach((n, i) => {
      const li = old.get(n.id) ?? make(n);
      old.delete(n.id);
      li.dataset.state = n.state;
      li.update?.(n);
      if (ol.children[i] !== li) ol.insertBefore(li, ol.children[i] ?? null);
    });
    for (const li of old.values()) li.remove();
  }
  for (const [name, section] of [["got", $(".inbox")], ["sent", $(".sent")]]) {
    $(".older", section).onclick = () => {
      const next = $("ol", section).childElementCount;
      shown[name] += 20;
      draw();
      queueMicrotask(() => $("ol", section).children[next]?.querySelector("summary")?.focus());
    };
  }

  const flag = () => el("span", { class: "flag" }, icon("flag"), "Important");

  function letter(n) {
    const from = people.get(n.from), status = el("span", { class: "hidden-text" });
    const head = el("summary", {}, el("i", { class: "dot" }), face(from),
      el("span", { class: "from" }, status, el("b", {}, from.id === me.id ? "Yourself" : from.name), n.important ? flag() : "", n.away ? el("small", {}, "while you were away") : ""),
      time(n.time), el("span", { class: "start" }, n.text.slice(0, 200)));
    const reply = el("button", { type: "button" }, icon("reply"), "Reply");
    const li = el("li", { "data-note": n.id }, el("details", { class: n.important ? "important" : "" }, head, el("div", {}, el("p", { class: "text" }, n.text), reply)));
    li.update = n => { status.textContent = n.state === "read" ? "" : "Unread. "; };
    reply.onclick = () => write(n.from);
    $("details", li).ontoggle = e => e.target.open && n.state !== "read" && markRead([n.id]);
    return li;
  }

  function receipt(n) {
    const to = people.get(n.to), how = el("span", { class: "how" });
    const li = el("li", { "data-note": n.id }, el("details", { class: "card" }, el("summary", {}, el("span", { class: "from" }, el("b", {}, to.id === me.id ? "Yourself" : to.name), n.important ? flag() : ""),
      time(n.time), el("span", { class: "start" }, n.text.slice(0, 200)), how), el("div", {}, el("p", { class: "text" }, n.text))));
    li.update = n => how.dataset.state === n.state || (how.dataset.state = n.state,
      how.replaceChildren(icon(n.state), { kept: `Kept until ${to.name.split(" ")[0]} is here`, delivered: "Delivered", read: "Read" }[n.state]));
    return li;
  }

  /** Opens a note and brings it into sight. */
  function show(id) {
    const at = newest(notes.got).findIndex(n => n.id === id);
    if (at < 0) return;
    shown.got = Math.max(shown.got, at + 1);
    draw();
    queueMicrotask(() => {
      const details = $(`.inbox li[data-note="${id}"] details`);
      details.open = true;
      $("summary", details).focus();
      details.scrollIntoView({ block: "nearest", behavior: "smooth" });
    });
  }

  function toFirst() {
    const n = notes.unread()[0];
    const summary = n && $(`.inbox li[data-note="${n.id}"] summary`);
    (summary ?? $("#inbox")).focus();
    (summary ?? $("#inbox")).scrollIntoView({ block: "nearest", behavior: "smooth" });
  }
  $(".bell").onclick = toFirst;
  $("#all").onclick = () => {
    markRead(notes.unread().map(n => n.id));
    $("#inbox").focus();
  };

  // --- who is here

  const rows = new Map();
  for (const p of list) if (p.id !== me.id) {
    const words = el("small", {}), [given, family] = p.name.split(" ");
    const row = el("button", { type: "button", "data-user": p.id }, el("span", { class: "face-and-dot" }, face(p), here()),
      el("span", { class: "name" }, el("b", {}, given, el("span", {}, " " + family)), words), icon("pen"));
    row.onclick = () => write(p.id);
    rows.set(p.id, (known, is) => {
      row.dataset.here = known ? is : "unknown";
      words.replaceChildren(el("span", {}, p.role + (known ? ", " : "")), known ? (is ? "here" : "away") : "");
    });
    rows.get(p.id)(false);
    $(".colleagues ul").append(el("li", {}, row));
  }
  let members = null;
  const showHere = () => { for (const [id, set] of rows) set(members !== null && encke.state === "open", members?.has(id)); };
  encke.subscribe("office").presence(presence => { members = presence.members; showHere(); });
  encke.on("state", showHere);

  // --- this person's own card

  $(".me").append(face(me), el("span", {}, el("small", {}, "You are"), el("b", {}, me.name), el("small", {}, me.role)), el("a", { href: "./" }, "Change", el("span", { class: "hidden-text" }, " who you are")));
  for (const e of document.querySelectorAll(".try .name")) e.textContent = me.name.split(" ")[0];
  $("#again").href = location.href;
  $("#copy").onclick = async () => {
    const done = await navigator.clipboard?.writeText(location.href).then(() => true, () => false);
    const phone = /^(localhost|127\..*|\[::1\])$/.test(location.hostname) ? ` On a phone, put this machine's name or address in place of ${location.hostname}.` : "";
    $("#copied").textContent = (done ? "Copied." : location.href) + phone;
  };
  desktopButton($("#desktop"));

  // --- writing

  const dialog = $("dialog"), form = $("form"), wrong = $(".wrong", form), field = form.elements;
  field.to.append(...list.filter(p => p.id !== me.id).map(p => el("option", { value: p.id }, `${p.name}, ${p.role}`)), el("option", { value: me.id }, "Yourself, as a reminder"));
  let key; // says to the site that it is the same note, when it is sent again after an error
  const newKey = () => { key = [...crypto.getRandomValues(new Uint8Array(10))].map(b => b.toString(16).padStart(2, "0")).join(""); };

  function write(to) {
    if (to && !field.text.value) field.to.value = to;
    else if (to && field.to.value !== to) {
      field.to.value = to;
      newKey();
    }
    say(wrong, "");
    dialog.showModal();
    field.text.focus();
  }
  newKey();
  $("#write").onclick = () => write();
  $(".cancel", form).onclick = () => dialog.close();
  form.oninput = () => {
    newKey();
    say(wrong, "");
    $(".left", form).textContent = field.text.value.length > 800 ? `${1000 - field.text.value.length} characters left` : "";
  };
  field.text.onkeydown = e => { if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) { e.preventDefault(); form.requestSubmit(); } };
  form.onsubmit = async e => {
    e.preventDefault();
    if (form.inert) return;
    form.inert = true; // nothing is changed in what is on its way
    try {
      const n = await site("POST", "notes", { to: field.to.value, text: field.text.value, important: field.important.value === "yes", key });
      notes.take(n, notes.sent);
      form.reset();
      newKey();
      dialog.close();
      announce(`Sent to ${people.get(n.to).name}.`);
      draw();
    } catch (error) {
      say(wrong, `Not sent: ${error.message} What you have written is still here.`);
      form.inert = false;
      field.text.focus();
    } finally {
      form.inert = false;
    }
  };
  draw();
}
