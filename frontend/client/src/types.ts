/// <reference lib="esnext.disposable" preserve="true" />
// What an application sees of the client. Times are RFC 3339, ids are 19 digits in rising order.

export interface Message<T = unknown> {
  id: string;
  sender: string;
  message: T;
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

export interface ConnectOptions {
  user: string;
  /** Where the server is, with its path if it has one; default: the page's origin. */
  url?: string | (() => string | Promise<string>);
  /** A function is asked anew when a token runs out or is refused. */
  token?: string | (() => Promise<string>);
  channels?: string[];
  /** The server keeps this device's cursor, which `ack` moves; a new one begins with all. */
  device?: string;
  /** Where to begin when there is no cursor yet: all that is kept (default), now (not with
   * `device`), or after an id. */
  start?: 'all' | 'now' | (string & {});
  /** Where the cursor is kept; default: local. */
  storage?: 'local' | 'session' | 'memory';
  /** Which ones to try, in this order; default: all that the platform has. */
  transports?: TransportName[];
  /** One connection for all tabs; default: yes, where the cursor is shared too. */
  shareTabs?: boolean;
  /** Closes the client. */
  signal?: AbortSignal;
  /** For platforms without their own, as Node before 22. */
  WebSocket?: new (url: string, protocols: string[]) => WebSocketLike;
}

export type Outgoing =
  | { receiver: string; message: unknown }
  | { channel: string; message: unknown };

export interface SendOptions {
  /** A retry with the same key is not delivered twice; default: a new one for each call. */
  key?: string;
  signal?: AbortSignal;
}

export interface Sent {
  id: string;
  /** Sessions that were open for it; 0 when it is a duplicate. */
  delivered: number;
  duplicate: boolean;
}

export interface HistoryOptions {
  /** Only what is older than this id; default: from the newest. */
  before?: string;
  limit?: number;
  /** A channel's messages; default: the user's own mail, without channels and broadcasts. */
  channel?: string;
}

export interface Client<T = unknown> extends Disposable {
  readonly state: State;
  readonly user: string;
  /** Calls f for each such event until the returned function is called. */
  on<K extends keyof Events<T>>(kind: K, f: (event: Events<T>[K]) => void): () => void;
  /** Adds a channel to the stream until the returned function is called. */
  subscribe(channel: string): () => void;
  /** Tells the server that this device has everything up to this id; needs `device`. */
  ack(id: string): void;
  /** What is kept, newest first. */
  history(options?: HistoryOptions): Promise<{ messages: Message<T>[]; more: boolean }>;
  /** Sends over HTTP, and while the server is out of reach again with the same key for 30 s. */
  send(message: Outgoing, options?: SendOptions): Promise<Sent>;
  close(): void;
}

/** `code` is one of the server's (docs/errors.md), or unreachable, aborted, closed, bad_answer. */
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
    readonly code: string,
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
