// The page: CodeMirror bound to the text, and who is here. What makes it joint is in provider.js and cursors.js.
import { ask, connect, el, rename, visitor } from "/shared.js";
import { defaultKeymap } from "@codemirror/commands";
import { markdown } from "@codemirror/lang-markdown";
import { HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { Compartment, EditorState } from "@codemirror/state";
import { EditorView, keymap, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { yCollab, yUndoManagerKeymap } from "y-codemirror.next";
import * as Y from "yjs";
import { Cursors } from "./cursors.js";
import { Colours, People, cleanName, guest } from "./people.js";
import { EnckeProvider } from "./provider.js";
import { Spare } from "./spare.js";
import { TEXT } from "./updates.js";

const LONGEST = 100000; // characters of a text; what others made longer is shown all the same

const $ = id => document.getElementById(id);
const name = documentName(new URLSearchParams(location.search).get("doc") ?? "") || "notes";
document.title = `${name} · Joint editing`;
$("title").textContent = name;

const me = await visitor();
const doc = new Y.Doc(), text = doc.getText(TEXT), undos = new Y.UndoManager(text);
const encke = connect("/editor/token", { shared: false }); // the tokens of the other examples' tabs have other rights
const colours = new Colours();
const look = (user, name) => {
  const color = colours.of(user);
  return { name: cleanName(name) || guest(user), color, colorLight: `color-mix(in srgb, ${color} 16%, transparent)` };
};

// --- the text ---

let view; // show() is called before there is one

const spare = new Spare(name, doc.clientID);
const provider = new EnckeProvider(encke, "doc:" + name, doc, {
  load: () => ask("GET", "/editor/doc?name=" + name),
  save: snapshot => ask("PUT", "/editor/doc", { name, ...snapshot }),
  publish: update => ask("POST", "/editor/update", { name, ...update }),
}, () => show());
for (const update of spare.take()) Y.applyUpdate(doc, update, spare); // and so it is sent

const cursors = new Cursors(encke, "cursor:" + name, doc, me, look);
const editable = new Compartment();
view = new EditorView({
  parent: $("text"),
  state: EditorState.create({
    extensions: [
      keymap.of([...yUndoManagerKeymap, ...defaultKeymap]), // Tab leaves the text, as everywhere on a page
      markdown(),
      syntaxHighlighting(HighlightStyle.define([
        { tag: tags.heading, class: "md-heading" }, { tag: tags.strong, class: "md-strong" }, { tag: tags.emphasis, class: "md-emphasis" },
        { tag: [tags.link, tags.url], class: "md-link" }, { tag: tags.monospace, class: "md-code" }, { tag: [tags.quote, tags.processingInstruction], class: "md-dim" },
      ])),
      EditorView.lineWrapping,
      EditorView.contentAttributes.of({ "aria-labelledby": "title", spellcheck: "true", autocapitalize: "sentences" }),
      placeholder("Write something. Whoever opens this page writes in the same text."),
      editable.of(EditorView.editable.of(false)),
      EditorState.transactionFilter.of(bounded),
      EditorView.updateListener.of(u => u.docChanged && count()),
      yCollab(text, cursors.awareness, { undoManager: undos }),
    ],
  }),
});

function bounded(tr) {
  if (!tr.docChanged || !tr.isUserEvent("input") || tr.newDoc.length <= LONGEST || tr.newDoc.length <= tr.startState.doc.length) return tr;
  queueMicrotask(() => say(`A text has at most ${LONGEST.toLocaleString("en")} characters. Open another document for the rest.`));
  return [];
}

// --- how it is ---

let opened, said = "", clearing, sending;

function say(words, ms = 8000) {
  said = words;
  clearTimeout(clearing);
  clearing = setTimeout(() => { said = ""; show(); }, ms);
  show();
}

function show() {
  if (!view) return;
  const { waits } = provider;
  put($("wrong"), said || provider.problem);
  if (provider.ready && !opened) {
    opened = true;
    view.dispatch({ effects: editable.reconfigure(EditorView.editable.of(true)) });
    count();
  }
  if (provider.ready && !waits) spare.put(null);
  else later();
  $("again").hidden = encke.state !== "closed";
  if (encke.state === "closed") return status("The connection was ended. What you write is kept here.", 0);
  if (encke.state !== "open" && opened) return status("Not connected. What you write is kept here and sent when you are back.", encke.state === "connecting" ? 1500 : 0);
  if (!provider.ready) return status("Fetching the text…", opened ? 1500 : 0);
  status(waits ? "Sending…" : "All changes are sent.", waits ? 1500 : 0);
}

// says how it is, after a while if it still is so then: not at each key
let next;
function status(words, ms) {
  if (next === words && ms) return;
  clearTimeout(sending);
  next = words;
  sending = setTimeout(() => put($("saved"), words), ms);
}

const put = (e, words) => { if (e.textContent !== words) e.textContent = words; };

let keeping;
const keep = () => spare.put(provider.unsent());
const later = () => { keeping ??= setTimeout(() => { keeping = undefined; if (provider.waits) keep(); }, 500); };
addEventListener("pagehide", () => provider.waits && keep());
document.addEventListener("visibilitychange", () => document.hidden && provider.waits && keep());
encke.on("state", show);
$("again").addEventListener("click", () => encke.connect());

let counting;
function count() {
  counting ??= setTimeout(() => {
    counting = undefined;
    const words = view.state.doc.length > LONGEST ? 0 : view.state.doc.toString().match(/[\p{L}\p{N}]\S*/gu)?.length ?? 0;
    put($("count"), words === 1 ? "1 word" : `${words.toLocaleString("en")} words`);
  }, 300);
}

// --- who is here ---

const people = new People($("people"), $("news"), me.id);
let here, seeing;
function see() {
  seeing ??= setTimeout(() => {
    seeing = undefined;
    if (!here) return;
    people.show([...here.members.values()].map(({ user, info }) => {
      return { user, ...look(user, user === me.id ? cursors.me.name : cursors.nameOf(user) ?? info?.name) };
    }), here.users);
  }, 100);
}
cursors.awareness.on("change", see);
provider.started.then(subscription => subscription.presence((presence, change) => {
  here = presence;
  for (const user of change?.leave ?? []) cursors.left(user);
  colours.keep(user => here.members.has(user) || cursors.nameOf(user) !== undefined);
  see();
}));

// --- buttons and forms ---

function tools() {
  $("undo").disabled = !undos.canUndo();
  $("redo").disabled = !undos.canRedo();
}
for (const type of ["stack-item-added", "stack-item-popped", "stack-cleared"]) undos.on(type, tools);
for (const type of ["undo", "redo"]) $(type).onclick = () => {
  undos[type]();
  view.focus();
};

$("link").onclick = async () => {
  const url = new URL(location.pathname + "?doc=" + name, location.href).href;
  try {
    await navigator.clipboard.writeText(url);
    flash($("link").lastChild, "Copied");
  } catch {
    say("The link: " + url, 30000);
  }
};

function flash(e, words) {
  const before = e.dataset.words ??= e.textContent;
  put(e, words);
  setTimeout(() => put(e, before), 2500);
}

const naming = $("rename"), opening = $("open");
naming.elements.name.value = me.name;
naming.elements.name.placeholder = guest(me.id);
naming.onsubmit = async e => {
  e.preventDefault();
  const words = naming.querySelector("p");
  try {
    const { name } = await rename(naming.elements.name.value);
    naming.elements.name.value = name;
    cursors.rename(name);
    put(words, name ? `Others see you as ${name}.` : `Others see you as ${guest(me.id)}.`);
  } catch (e) {
    put(words, e.message);
  }
};

opening.onsubmit = e => {
  e.preventDefault();
  const to = documentName(opening.elements.doc.value);
  put(opening.querySelector("p"), to ? "" : "A name needs at least one letter a to z, or a figure.");
  if (to) location.href = "?doc=" + to;
};

// a document's name as the site takes it
function documentName(words) {
  return words.normalize("NFKD").toLowerCase().replace(/[\u0300-\u036f]/g, "").replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 40).replace(/-$/, "");
}

show();
tools();
