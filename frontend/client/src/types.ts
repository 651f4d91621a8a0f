/// <reference lib="esnext.disposable" preserve="true" />
// What an application sees of the client. Times are RFC 3339, ids are 19 digits in rising order.

import type { ChannelState } from './channels.js';
import type { Code } from './codes.js';

export type { ChannelState, Code };

export interface Message<T = unknown> {
  id: string;
  sender: string;
  /** Of an event its one argument, or the list of them. */
  message: T;
  /** What an event is called. */
  event?: string;
  /** The arguments of an event, where there is not exactly one. */
  args?: unknown[];
  /** Base64: the bytes that `{ _placeholder: true, num: n }` among the arguments stands for. */
  attachments?: string[];
  /** The channel it came by; without one it is the user's own mail or a broadcast. */
  channel?: string;
  sentAt: string;
}

/** Messages after the cursor `after` are no longer kept, up to and including `resumes`. */
export interface Gap {
  after: string;
  resumes: string;
  /** Only this channel has the gap; without it, the whole stream. */
  channel?: string;
}

/** A message that was not fetched: it is larger than `max`, and not kept or not to be had. */
export interface TooLarge {
  id: string;
  sender: string;
  /** Bytes of its `message`, or of the event with all that it brings. */
  size: number;
  event?: string;
  kept: boolean;
  channel?: string;
  sentAt: string;
}

/** This channel's messages do not come: it is refused, or a new token no longer covers it. */
export interface Unsubscribed {
  channel: string;
  code: Code;
  detail: string;
}

/** The next attempt. */
export interface Retry {
  inMs: number;
  /** Why there has to be one. */
  code: Code;
}

/**
 * connecting: before the first welcome. reconnecting: lost, and trying again. offline: stopped, or
 * the browser knows no network. unauthorized: no token was accepted; nothing more is tried.
 */
export type State = 'connecting' | 'online' | 'reconnecting' | 'offline' | 'unauthorized';

export type TransportName = 'ws' | 'sse' | 'poll';

export interface Events<T = unknown> {
  message: Message<T>;
  gap: Gap;
  state: State;
  error: PushwireError;
  unsubscribed: Unsubscribed;
  retry: Retry;
  tooLarge: TooLarge;
}

/** What the client needs of a WebSocket: a browser's, Node's, and the one of `ws` have it. */
export interface WebSocketLike {
  onopen: any;
  onmessage: any;
  onclose: any;
  onerror: any;
  send(text: string): void;
  close(): void;
}

/** Where the cursor is kept; a Storage is one. */
export interface CursorStorage {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
}

type OrPromise<T> = T | Promise<T>;

export interface ConnectOptions {
  user: string;
  /** Where the server is, with its path if it has one; default: the page's origin. */
  url?: string | (() => OrPromise<string>) | undefined;
  /** A function is asked anew when a token runs out or is refused. One that gives nothing, or throws
   * a PushwireError `unauthorized`, ends it: state `unauthorized`. */
  token?: string | (() => OrPromise<string | null | undefined>) | undefined;
  channels?: string[] | undefined;
  /** The server keeps this device's cursor, which `ack` moves; a new one begins with all. */
  device?: string | undefined;
  /** Where to begin when there is no cursor yet: all that is kept (default), now (not with
   * `device`), or after an id. */
  start?: 'all' | 'now' | (string & {}) | undefined;
  /** Where the cursor is kept; default: local. */
  storage?: 'local' | 'session' | 'memory' | CursorStorage | undefined;
  /** Which ones to try, in this order; default: all that the platform has. */
  transports?: TransportName[] | undefined;
  /** One connection for all tabs; default: yes, where the cursor is shared too. */
  shareTabs?: boolean | undefined;
  /** How many bytes a frame may have, 1024 at least; what is larger is fetched by itself. */
  max?: number | undefined;
  /** Closes the client. */
  signal?: AbortSignal | undefined;
  /** For platforms without their own, as Node before 22. */
  WebSocket?: (new (url: string, protocols: string[]) => WebSocketLike) | undefined;
  /** Makes all requests; default: the platform's. */
  fetch?: ((url: string, init: RequestInit) => Promise<Response>) | undefined;
  /** With each request; a WebSocket has none in browsers. */
  headers?: Record<string, string> | (() => OrPromise<Record<string, string>>) | undefined;
  /** Is told what the connection does: console.debug will do. No token is in it. */
  debug?: ((what: string, ...more: unknown[]) => void) | undefined;
}

/** To one user, to many, or to a channel. */
export type Outgoing = {
  /** Seconds it is kept for the absent; 0: only for who is online. */
  ttl?: number | undefined;
  /** The id of a session that does not get it. */
  except?: string | undefined;
} & (
  | { message: unknown; event?: never; args?: never; attachments?: never }
  | { event: string; message: unknown; args?: never; attachments?: string[] | undefined }
  | { event: string; args: unknown[]; message?: never; attachments?: string[] | undefined }
) &
  (
    | { receiver: string; receivers?: never; channel?: never }
    | { receivers: string[]; receiver?: never; channel?: never }
    | { channel: string; receiver?: never; receivers?: never }
  );

export interface SendOptions {
  /** A retry with the same key is not delivered twice; default: a new one for each call. */
  key?: string | undefined;
  signal?: AbortSignal | undefined;
}

export interface Sent {
  id: string;
  /** Sessions that were open for it; 0 when it is a duplicate. */
  delivered: number;
  duplicate: boolean;
  /** It waits for who is away. */
  kept: boolean;
  /** Of `receivers`, each one's sessions. */
  receivers?: { receiver: string; delivered: number }[];
}

export interface HistoryOptions {
  /** Only what is older than this id; default: from the newest. */
  before?: string | undefined;
  limit?: number | undefined;
  /** A channel's messages; default: the user's own mail, without channels and broadcasts. */
  channel?: string | undefined;
}

export interface ChannelHandlers<T = unknown> {
  onMessage?: ((message: Message<T>) => void) | undefined;
  /** At each change, and once at first: `subscribing`, `subscribed`, or `refused` with why. */
  onState?: ((state: ChannelState, error?: PushwireError) => void) | undefined;
}

export interface Client<T = unknown> extends Disposable {
  readonly state: State;
  readonly user: string;
  /** Why it is not online, if something went wrong. */
  readonly reason: PushwireError | undefined;
  /** Calls f for each such event until the returned function is called. */
  on<K extends keyof Events<T>>(kind: K, f: (event: Events<T>[K]) => void): () => void;
  /** Adds a channel to the stream until the returned function is called. */
  subscribe(channel: string, handlers?: ChannelHandlers<T>): () => void;
  /** Tells the server that this device has everything up to this id; needs `device`. */
  ack(id: string): void;
  /** What is kept, newest first. */
  history(options?: HistoryOptions): Promise<{ messages: Message<T>[]; more: boolean }>;
  /** Sends over HTTP, and while the server is out of reach again with the same key for 30 s. */
  send(message: Outgoing, options?: SendOptions): Promise<Sent>;
  /** Tries at once instead of waiting on, and begins again after a pause or a refusal. */
  reconnect(): void;
  /** Offline until reconnect(); sending goes on. */
  pause(): void;
  close(): void;
}

/** Whatever fails; `code` says how, `detail` in a sentence. */
export class PushwireError extends Error {
  override readonly name = 'PushwireError';
  declare readonly status?: number;
  /** The field of the request that is wrong. */
  declare readonly field?: string;
  /** How soon to try again, where the server said so. */
  declare readonly retryMs?: number;
  /** The channel that this client is not, or no longer, subscribed to. */
  declare readonly channel?: string;

  constructor(
    readonly code: Code,
    readonly detail: string,
    more?: {
      status?: number;
      field?: string | undefined;
      retryMs?: number | undefined;
      channel?: string | undefined;
    },
  ) {
    super(detail);
    Object.assign(this, more);
  }
}

/** An error of ours as it is, any other with this code. */
export const asError = (error: unknown, code: Code, detail = String(error)): PushwireError =>
  error instanceof PushwireError ? error : new PushwireError(code, detail);
