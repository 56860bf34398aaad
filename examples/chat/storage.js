// What a browser keeps for the page. Where it keeps nothing (private windows, storage that is full) the page goes on without.

/** What was kept, if it is of the same kind as the default: an array, or an object. */
export function load(storage, name, otherwise) {
  try {
    const kept = JSON.parse(storage.getItem("chat:" + name));
    return kept && typeof kept === "object" && Array.isArray(kept) === Array.isArray(otherwise) ? kept : otherwise;
  } catch {
    return otherwise;
  }
}

export function save(storage, name, value) {
  try {
    storage.setItem("chat:" + name, JSON.stringify(value));
  } catch {
    // kept for as long as the page is open
  }
}
