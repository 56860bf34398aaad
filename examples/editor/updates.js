// What may be an update of a text that many write. Everybody with a token may publish what they like.
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
