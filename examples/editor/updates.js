// Updates of a text that many write. Everybody with a token may publish what they like: what may be an update is said here.
import { fromBase64 } from "lib0/buffer";
import * as Y from "yjs";

/** How many bytes an update, or a whole document, may have. In base64 it is what encke.toml lets a message have. */
export const MOST = 384 << 10;

/** The text's name in its Y.Doc. */
export const TEXT = "text";

/**
 * Says whether bytes are a Yjs update as pages make them: text that was written, and text that was deleted. Whatever else Yjs can hold,
 * pictures for instance, would count as a character in the text and as none in the editor, which then shows another place than it
 * changes; and so would a carriage return, as editors make one line break of it and the line feed behind it. Never throws.
 */
export function isUpdate(bytes) {
  if (!(bytes instanceof Uint8Array) || bytes.length > MOST) return false;
  try {
    return Y.decodeUpdate(bytes).structs.every(isText);
  } catch {
    return false; // random bytes
  }
}

function isText(struct) {
  if (struct instanceof Y.GC || struct instanceof Y.Skip) return true;
  if (!(struct instanceof Y.Item) || struct.parentSub !== null || !(struct.parent === null || struct.parent === TEXT)) return false;
  const { content } = struct;
  return content instanceof Y.ContentDeleted || content instanceof Y.ContentString && !content.str.includes("\r");
}

/** The update that a message or the site says in base64, or undefined when it is none. */
export function read(text) {
  if (typeof text !== "string" || text.length > MOST / 3 * 4) return;
  try {
    const update = fromBase64(text);
    return isUpdate(update) ? update : undefined;
  } catch {}
}

/**
 * A document as an update, or what a state vector lacks of it. What waits in it for something that never came is left out when there is
 * not room enough: nobody honest leaves much of that.
 */
export function encode(doc, vector) {
  const all = Y.encodeStateAsUpdate(doc, vector), { pendingStructs, pendingDs } = doc.store;
  if (all.length <= MOST) return all;
  Object.assign(doc.store, { pendingStructs: null, pendingDs: null });
  try {
    return Y.encodeStateAsUpdate(doc, vector);
  } finally {
    Object.assign(doc.store, { pendingStructs, pendingDs });
  }
}

/** Whether two documents have the same, apart from what waits in them. */
export const same = (a, b) => Y.equalSnapshots(Y.snapshot(a), Y.snapshot(b));

// Positions of one channel are epoch.offset (PROTOCOL.md "Positions").
export const epoch = position => position.split(".")[0];
export const offset = position => +position.split(".")[1];
