// What goes in and comes out. Times are RFC 3339; ids are 19 digits, in rising order.

export interface Options {
  /** Where the server is, with its path if it has one; default: http://localhost:8000. */
  url?: string | undefined;
  /** A publisher's key, pw_…, where the server asks for one. */
  key?: string | undefined;
  /** Who sends, where a call does not say; the key may fix it. */
  sender?: string | undefined;
  /** How long one attempt waits for the server; default: 10 s. */
  timeoutMs?: number | undefined;
  /** For how long a call tries again before it rejects; default: 30 s. 0: one attempt. */
  retryForMs?: number | undefined;
  /** In place of the platform's. */
  fetch?: typeof fetch | undefined;
}

export interface Asking {
  signal?: AbortSignal | undefined;
}

export interface SendOptions extends Asking {
  sender?: string | undefined;
  /** Makes it an event of this name, whose one argument the message is. */
  event?: string | undefined;
  /** The id of a session that does not get it. */
  except?: string | undefined;
  /** Seconds for which it is kept; 0: for who is online now, nobody else. */
  ttl?: number | undefined;
  /**
   * The same key again is the same message, and is not sent twice. Without one each call is a message of
   * its own, sent once however often it is tried.
   */
  key?: string | undefined;
}

/** One of `sendMany`. */
export type Outgoing = (
  | { receiver: string }
  | { receivers: readonly string[] }
  | { channel: string }
  | { broadcast: true }
) &
  (
    | { message: unknown; event?: string | undefined; args?: undefined }
    | { event: string; args: readonly unknown[]; message?: undefined }
  ) & {
    /** Of an event: base64, for `{ _placeholder: true, num: n }` among its arguments. */
    attachments?: readonly string[] | undefined;
    except?: string | undefined;
    sender?: string | undefined;
    ttl?: number | undefined;
    key?: string | undefined;
  };

/** The server has it. */
export interface Sent {
  id: string;
  /** Sessions that were open for it; 0 of a duplicate. */
  delivered: number;
  /** An earlier attempt had got through, and nothing was sent again. */
  duplicate: boolean;
  /** It waits for who is away. */
  kept: boolean;
  /** It is on disk. */
  durable: boolean;
}

export interface Presence {
  online: boolean;
  sessions: number;
  lastSeen: string | null;
}

/** A message that is kept. */
export interface Stored<T = unknown> {
  id: string;
  sender: string;
  /** Of an event its one argument, or the list of them. */
  message: T;
  sentAt: string;
  channel?: string;
  event?: string;
  /** The arguments of an event, where there is not exactly one. */
  args?: unknown[];
  attachments?: string[];
}

/** What followed `after`, up to and including `resumes`, is no longer kept. */
export interface Gap {
  after: string;
  resumes: string;
}

export interface Page<T = unknown> {
  messages: Stored<T>[];
  /** The cursor of the next page; null where nothing is older. */
  next: string | null;
  more: boolean;
  gap: Gap | null;
}

export interface HistoryOptions extends Asking {
  /** From this cursor on, oldest first; '0': all. */
  after?: string | undefined;
  /** Newest first, older than this id; default: from the newest. */
  before?: string | undefined;
  limit?: number | undefined;
}

export interface TokenOptions extends Asking {
  /** Names, or beginnings that end in `*`. */
  channels?: readonly string[] | undefined;
  /** Whether, or to which channels, the user may send. */
  publish?: boolean | readonly string[] | undefined;
  /** Seconds. */
  ttl?: number | undefined;
}

/** What a receiver shows to be let in. */
export interface Token {
  token: string;
  user: string;
  expiresAt: string;
}
