// Lists that stand beside the room where there is space, and else open over it by a button.

/** For pairs of a button and what it opens. Returns what closes all. Escape and a click beside it do that too. */
export function drawers(...pairs) {
  let open = null;

  function set(pair) {
    const [button, drawer] = pair ?? open ?? [];
    if (!button) return;
    open = pair;
    drawer.classList.toggle("open", !!pair);
    button.setAttribute("aria-expanded", String(!!pair));
    for (const e of document.querySelectorAll(".top, #room, #side, #who")) e.inert = !!pair && e !== drawer;
    (pair ? drawer.querySelector(".close") : button).focus();
  }

  for (const pair of pairs) {
    pair[0].addEventListener("click", () => set(pair));
    pair[1].querySelector(".close").addEventListener("click", () => set(null));
    pair[1].addEventListener("keydown", e => e.key === "Escape" && set(null));
  }
  document.addEventListener("pointerdown", e => {
    if (open && !open[1].contains(e.target)) set(null);
  });
  // where it stands beside the room again it is no drawer
  addEventListener("resize", () => open && !open[1].querySelector(".close").checkVisibility() && set(null));
  return () => set(null);
}
