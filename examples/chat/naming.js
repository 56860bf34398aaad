// What one is called: the dialog that asks, and where it is shown.
import { colour, el, rename } from "/shared.js";
import { initial } from "./messages.js";

const $ = id => document.getElementById(id);

export class Naming {
  #dialog = $("naming");
  #form = this.#dialog.querySelector("form");
  #me = { id: "", name: "" };

  /** renamed(me) is called when the site has taken a name. */
  constructor(renamed) {
    this.#form.addEventListener("submit", async e => {
      e.preventDefault();
      try {
        const me = await rename(this.#form.elements.name.value);
        if (!me.name) return this.#wrong("A name has at least one letter.");
        this.show(me);
        renamed(me);
      } catch (e) {
        this.#wrong(e.message);
      }
    });
    $("no-name").addEventListener("click", () => this.#dialog.close());
    for (const button of [$("rename"), $("nameless").querySelector("button")]) button.addEventListener("click", () => this.ask());
  }

  ask() {
    const { name } = this.#form.elements;
    name.value = this.#me.name;
    this.#wrong("");
    $("no-name").textContent = this.#me.name ? "Leave it" : "Only read";
    this.#dialog.showModal();
    name.select();
  }

  /** Shows who one is; who has no name cannot write. */
  show(me) {
    this.#me = me;
    if (me.name) this.#dialog.close();
    const face = document.querySelector(".self .face");
    face.style.setProperty("--face", colour(me.id));
    face.textContent = me.name ? initial(me.name) : "?";
    $("self").replaceChildren(el("bdi", {}, me.name || "No name yet"));
    $("rename").textContent = me.name ? "Change name" : "Choose a name";
    $("say").hidden = !me.name;
    $("nameless").hidden = !!me.name;
  }

  #wrong(words) {
    this.#form.querySelector(".wrong").textContent = words;
  }
}
