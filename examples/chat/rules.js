// What the page takes from others and lets pass from people: names of rooms, and messages. No part of this touches the page.

/** The rooms that are always there. */
export const FIXED = [
  { name: "lobby", topic: "Come in and say hello" },
  { name: "questions", topic: "Ask; somebody knows" },
  { name: "tea-kitchen", topic: "Anything but work" },
];

/** How long a message may be, in UTF-16 units; with 3 bytes for each it stays below the rule's max-message-size. */
export const MAX_TEXT = 1000;

const MAX_CODE = 100;

/**
 * The name of a room from what somebody has typed or linked: small letters, figures, - and _, of any script. "" where nothing is left
 * or it is too long.
 */
export function roomName(text) {
  const name = text.normalize("NFKC").toLowerCase().trim().replace(/\s+/g, "-").replace(/[^\p{L}\p{N}\p{M}_-]/gu, "")
    .replace(/(\p{M}{2})\p{M}+/gu, "$1").replace(/^[-_\p{M}]+|[-_]+$/gu, "");
  return roomCode(name).length <= MAX_CODE ? name : "";
}

/** The same in characters that a channel's name may have: others as =C3=BC. */
export const roomCode = name => Array.from(new TextEncoder().encode(name), byte => {
  const c = String.fromCharCode(byte);
  return /[a-z0-9_-]/.test(c) ? c : "=" + byte.toString(16).toUpperCase().padStart(2, "0");
}).join("");

/** A text as it is sent: without control characters, and without the space around. */
export const cleanText = text => text.replace(/\r\n?/g, "\n").replace(/[^\P{Cc}\n]/gu, " ").toWellFormed().trim();

/**
 * A message for the list from a publication: {key, user, id, text, time}; null for what is none. Its author is whom Encke says that it
 * was. Only what the site has pushed has no such user: there the site says for whom.
 */
export function readMessage({ user, time, data, event, type, encoding }) {
  if (event || type || encoding || !data || typeof data !== "object" || !Number.isFinite(time)) return null;
  const author = user ?? data.user, { id, text } = data;
  if (!isUser(author) || typeof id !== "string" || !/^[A-Za-z0-9]{8,40}$/.test(id)) return null;
  if (typeof text !== "string" || text.length > MAX_TEXT) return null;
  const clean = cleanText(text);
  return clean ? { key: author + " " + id, user: author, id, text: clean, time } : null;
}

export const isUser = user => typeof user === "string" && /^[A-Za-z0-9_.:@=~$+!-]{1,120}$/.test(user);

/** An id that no other message of this person has. */
export const newID = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), b => (b % 36).toString(36)).join("");

/** A text in pieces: strings, and addresses as {href}. */
export function pieces(text) {
  return text.split(/(https?:\/\/[^\s<>"]*[^\s<>".,;:!?')\]}])/).map((piece, i) => i % 2 && URL.canParse(piece) ? { href: piece } : piece).filter(Boolean);
}

/** A name inside a sentence, whatever its direction of writing. */
export const isolate = name => "\u2068" + name + "\u2069";
