/** The client of Encke, a Comet server. README.md beside this file shows its use and how it works inside. */

export type TransportName = "ws" | "sse" | "stream" | "longpoll" | "poll";

/**
 * - `connecting`: a connection is being made, or made again
 * - `open`: it carries messages
 * - `waiting`: until the next try; after the server's advice, else after a random time that grows
 * - `offline`: the browser says that there is no network; it is tried again all the same, at the latest after 30 s
 * - `closed`: by `close()`, or by a refusal that will not get better by itself; `connect()` tries again after that
 */
export type State = "connecting" | "open" | "waiting" | "offline" | "closed";

/** A publication, as PROTOCOL.md says. */
export interface Message<Data = unknown> {
  readonly channel: string;
  readonly offset: number;
  /** What to give as `since` to get what follows. */
  readonly position: string;
  /** Unix time in milliseconds. */
  readonly time: number;
  readonly data: Data;
  readonly event?: string;
  /** Who published it, where a client did. */
  readonly user?: string;
  readonly type?: string;
  readonly encoding?: "base64";
}

/**
 * Messages that cannot be given. The reasons are the server's: `expired`, `epoch`, `unknown`, `skipped`; and `lost`, which no
 * working server makes a client say.
 */
export interface Gap {
  readonly channel: string;
  readonly gap: true;
  readonly reason: "expired" | "epoch" | "unknown" | "skipped" | "lost";
  /** The place from which messages follow. */
  readonly position: string;
}

/** A message to this user that is kept until it is acknowledged. */
export interface Letter<Data = unknown> {
  readonly channel: string;
  /** Its number, which grows from letter to letter. */
  readonly mail: number;
  readonly time: number;
  readonly data: Data;
  readonly event?: string;
  readonly type?: string;
  readonly encoding?: "base64";
  /** Acknowledges this letter alone. Tried again until it has succeeded or the page is closed. */
  ack(): Promise<unknown>;
}

export interface Published {
  readonly channel: string;
  readonly offset: number;
  readonly position: string;
  readonly subscribers: number;
}

export interface PublishOptions {
  /** Names the message's event. */
  event?: string;
  /**
   * 1 to 128 printable ASCII characters, a user's own: the message is stored once however often it is sent, and sent again when the
   * connection breaks before the answer. Without one such a publish fails with `connection_lost`: it may or may not be published.
   */
  id?: string;
}

/** What went wrong. */
export class EnckeError extends Error {
  constructor(code: string, message?: string, more?: object);
  readonly name: "EnckeError";
  /**
   * The server's code (PROTOCOL.md "Errors"), or one of
   * - `connection_lost`: the network, or the server without a word
   * - `timeout`: no answer in time
   * - `closed`: by `close()`
   * - `needs_websocket`: publishing over another transport
   * - `callback_failed`: the token callback threw, or gave what is no token
   * - `wrong_user`: it gave another user's token
   */
  readonly code: string;
  /** HTTP status or WebSocket close code, where there was one. */
  readonly status?: number;
  /** When the server says to come back, in ms. */
  readonly retry?: number;
  /** The channel that was refused, or in which something was, where it is about one. */
  readonly channel?: string;
}

export interface SubscribeOptions {
  /** Where to begin: a position, `"0"` for all that is kept; absent: from now on. */
  since?: string;
}

export interface Change {
  join?: Member[];
  leave?: string[];
  /** Members whose info is another now. */
  update?: Member[];
}

export interface Member {
  readonly user: string;
  /** As of when the list was asked for; a member who has joined since has none. */
  readonly connections?: number;
  readonly info?: unknown;
}

/** Who is in a channel, live. Needs the right to see it. */
export interface Presence {
  readonly channel: string;
  /** By user; empty where the server keeps counts only, or there are too many (then `too_many`). */
  readonly members: ReadonlyMap<string, Member>;
  readonly users?: number;
  readonly connections?: number;
  readonly too_many?: boolean;
  stop(): void;
}

/** A place in a channel, which moves on with each message: each is given once and in order, or a gap is told before. */
export interface Subscription<Data = any> {
  readonly channel: string;
  /** The last position given: what to subscribe with later to go on from here. Until the server has said: what was asked for. */
  readonly since: string;
  on(type: "message", handler: (message: Message<Data>) => void): () => void;
  on(type: "gap", handler: (gap: Gap) => void): () => void;
  /** The server has refused the channel, or taken the right back: the subscription is over. */
  on(type: "error", handler: (error: EnckeError) => void): () => void;
  /** Only over WebSocket; otherwise rejects with `needs_websocket`. */
  publish(data: Data, options?: PublishOptions): Promise<Published>;
  /**
   * Calls back with who is here, first without a change, then with each; again without one after a gap, when the list is new.
   * Ends with the subscription, or when it is called again.
   */
  presence(callback: (presence: Presence, change?: Change) => void): Presence;
  unsubscribe(): void;
}

export interface Options {
  /**
   * The JSON Web Token that says who the user is, or a function that makes one. A function is asked again after four fifths of a
   * token's life (`iat` to `exp`), and at once when the server does not take the last one any more. Without a token: a stranger.
   */
  token?: string | null | (() => string | null | undefined | Promise<string | null | undefined>);
  /**
   * One connection for all tabs of a browser with the same server, user and transports; default true. With a name, of those that have the
   * same: pages whose tokens allow different things must not share, since the token of one of them counts. Where Web Locks or
   * BroadcastChannel are missing, and outside of pages, each Encke has its own in any case.
   */
  shared?: boolean | string;
  /** Which transports to try, the best first. Default: all, in the order of `TransportName`. */
  transports?: readonly TransportName[];
  /** Letters are acknowledged when all handlers have returned and their promises are fulfilled (`auto`), or by `letter.ack()`. */
  ack?: "auto" | "manual";
  /** ms in which a transport has to show that it carries messages, and a request has to be answered; default 8000. */
  timeout?: number;
  /** ms: try number n waits a random time up to backoff * 2^n, at most 30 s; default 1000. */
  backoff?: number;
  /** ms between interval polls, four times as long in a hidden page; default 5000. */
  interval?: number;
  /** s that a long poll may take; default 25. */
  wait?: number;
  /** What to use in place of the global ones; Node 20 has no WebSocket (use `ws`), Node no EventSource. */
  WebSocket?: unknown;
  EventSource?: unknown;
  fetch?: (input: string, init?: any) => Promise<any>;
}

export interface Counters {
  /** Messages and gaps given, once each however many subscriptions of this page have the channel. */
  readonly messages: number;
  readonly gaps: number;
  /** Messages that came twice and were given once. */
  readonly duplicates: number;
  readonly letters: number;
  /** How often the state became `open`. */
  readonly connects: number;
}

export class Encke {
  /** @param url the server's, http(s) or ws(s), absolute or in a page relative: `"/"` */
  constructor(url: string | URL, options?: Options);
  readonly state: State;
  /** What carries the messages, or did last. */
  readonly transport: TransportName | null;
  /**
   * The last round trip measured, in ms: of a ping every 25 s over WebSocket, of requests that need not wait with polls, and once, at its
   * beginning, with SSE; null where there was none yet, which with `stream` may be for good.
   */
  readonly latency: number | null;
  /** The user of the token, as soon as there is one. */
  readonly user: string | null;
  readonly counters: Counters;

  /** Calls back for each message of a channel. Throws `closed` after `close()`. */
  subscribe<Data = any>(channel: string, callback?: ((message: Message<Data>) => void) | null, options?: SubscribeOptions): Subscription<Data>;
  /** Calls back for each message to this user, whose channel is subscribed by itself. Returns what ends it. */
  subscribeUser<Data = any>(callback: (message: Message<Data>) => void): () => void;
  /** Publishes as soon as there is a connection; rejects with `timeout` when there is none in time. */
  publish(channel: string, data: unknown, options?: PublishOptions): Promise<Published>;
  /** Tries at once, also when `closed` by a refusal. */
  connect(): void;
  /** Ends everything; no timer, listener or connection is left. */
  close(): void;

  /** Each returns a function that takes the handler away. */
  on(type: "message", handler: (message: Message<any>) => void): () => void;
  on(type: "gap", handler: (gap: Gap) => void): () => void;
  /** Letters for which there is no handler wait for one. */
  on(type: "letter", handler: (letter: Letter<any>) => unknown): () => void;
  on(type: "state", handler: (state: State) => void): () => void;
  /** Refusals: of a channel (`error.channel`), or of the connection. That a network fails is no error but a state. */
  on(type: "error", handler: (error: EnckeError) => void): () => void;
}
