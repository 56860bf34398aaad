// Keeps the page up to date: new entries come over an EventSource, which reconnects and resumes by itself.
"use strict";
(() => {
  const { channel, since, encke } = document.currentScript.dataset;
  const list = document.getElementById("entries"), state = document.getElementById("state");
  const form = document.querySelector("form"), wrong = document.getElementById("wrong");
  const known = new Set([...list.children].map(li => li.dataset.id));

  const clock = seconds => new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  for (const t of list.querySelectorAll("time")) t.textContent = clock(Date.parse(t.dateTime) / 1000);
  const toEnd = () => window.scrollTo(0, document.body.scrollHeight);
  const atEnd = () => window.innerHeight + window.scrollY >= document.body.scrollHeight - 80;

  const show = entry => {
    if (known.has(entry.id)) return; // in the book when the page was made, and pushed too
    known.add(entry.id);
    const follow = atEnd(), li = document.createElement("li"), name = document.createElement("b");
    const time = document.createElement("time"), text = document.createElement("p");
    [name.textContent, time.textContent, text.textContent] = [entry.name, clock(entry.time), entry.text];
    li.dataset.id = entry.id;
    li.className = "new";
    li.append(name, " ", time, text);
    list.append(li);
    if (follow) toEnd();
  };

  const catchUp = async () => {
    const answer = await fetch("?entries");
    if (answer.ok) (await answer.json()).entries.forEach(show);
  };

  const live = (text, on) => { state.textContent = text; state.className = on ? "live" : ""; };
  const base = encke || `${location.protocol}//${location.hostname}:8080`;
  const from = since === "" ? "" : `&since=${encodeURIComponent(since)}`;
  let opened = 0;
  const source = new EventSource(`${base}/sse?channels=${encodeURIComponent(channel)}${from}`);
  source.onopen = () => {
    live("live", true);
    if (opened++ > 0 || since === "") catchUp();
  };
  source.onerror = () => live(source.readyState === EventSource.CLOSED ? "not live: reload to see what is new" : "reconnecting…", false);
  source.onmessage = e => {
    const publication = JSON.parse(e.data);
    if (publication.event === "entry") show(publication.data);
  };
  source.addEventListener("gap", catchUp); // too old for the server's history: the book has it

  form.addEventListener("submit", async e => {
    e.preventDefault();
    const button = form.querySelector("button");
    button.disabled = true;
    wrong.textContent = "";
    try {
      const answer = await fetch("", { method: "POST", body: new FormData(form), redirect: "manual" });
      if (answer.type !== "opaqueredirect") throw new Error(await answer.text());
      form.text.value = "";
      toEnd();
      if (state.className === "") await catchUp();
    } catch (error) {
      wrong.textContent = error.message || "That did not work; try again.";
    }
    button.disabled = false;
    form.text.focus();
  });
  form.text.addEventListener("keydown", e => {
    if (e.key === "Enter" && !e.shiftKey && !e.isComposing) { e.preventDefault(); form.requestSubmit(); }
  });
  try {
    form.name.value = localStorage.getItem("name") ?? "";
    form.name.addEventListener("change", () => localStorage.setItem("name", form.name.value));
  } catch { /* storage is off */ }
  toEnd();
})();
