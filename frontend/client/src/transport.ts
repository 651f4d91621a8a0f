// What the ways to receive have in common: WebSocket, Server-Sent Events, long poll.
//
// A transport is one attempt at one session. It tells each frame, and its end once, by a close code
// of the contract (docs/wire.md), whatever its own way of ending is. After close() it says nothing.

export interface Frame {
  type: string;
  [field: string]: unknown;
}

export interface Attempt {
  /** The server, without a slash at its end. */
  base: string;
  user: string;
  after: string | undefined;
  channels: string[];
  device?: string | undefined;
  /** The token to begin with. */
  token: string | undefined;
  /** The one to go on with; only a long poll asks. */
  current: () => Promise<string | undefined>;
  WebSocket?: typeof WebSocket | undefined;
}

export interface Hooks {
  frame(frame: Frame): void;
  end(code: number): void;
}

export interface Transport {
  /** Only where clients can send frames. */
  send?(frame: object): void;
  close(): void;
}

export type Open = (attempt: Attempt, hooks: Hooks) => Transport;

/** Names with a comma can only be said by a `subscribe` frame. */
export const sayable = (channel: string): boolean => !channel.includes(',');

/** The address of this attempt, its query included. */
export function address(attempt: Attempt, transport: string, more: Record<string, string> = {}) {
  const query = new URLSearchParams(more);
  const channels = attempt.channels.filter(sayable).join();
  if (attempt.after !== undefined) query.set('after', attempt.after);
  if (channels) query.set('channels', channels);
  if (attempt.device) query.set('device', attempt.device);
  return `${attempt.base}/${transport}/${encodeURIComponent(attempt.user)}?${query}`;
}

export function parse(text: unknown): Frame | undefined {
  try {
    const frame = JSON.parse(text as string) as Frame;
    return typeof frame?.type === 'string' ? frame : undefined;
  } catch {
    return undefined;
  }
}
