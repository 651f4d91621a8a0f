// What the ways to receive have in common: WebSocket, Server-Sent Events, long poll.
//
// A transport is one attempt at one session. It tells each frame, and its end once, by a close code
// of the contract (docs/wire.md), whatever its own way of ending is. After close() it says nothing.

import { isOurs, passes, problemOf } from './http.js';
import { bearer, spread, type Fetch } from './time.js';
import type { ConnectOptions } from './types.js';

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
  /** How many bytes of one message this client takes at once. */
  max?: number | undefined;
  fetch: Fetch;
  /** The token to begin with. */
  token: string | undefined;
  /** The one to go on with; only a long poll asks. */
  current: () => Promise<string | undefined>;
  WebSocket?: ConnectOptions['WebSocket'] | undefined;
}

export interface Hooks {
  frame(frame: Frame): void;
  end(code: number, why?: unknown): void;
}

export interface Transport {
  /** Only where clients can send frames. */
  send?(frame: object): void;
  close(): void;
}

export type Open = (attempt: Attempt, hooks: Hooks) => Transport;

/** Servers and proxies take addresses of 8 kB; the rest is for paths and tokens. */
const MOST_OF_CHANNELS = 3000;

type Pair = readonly [string, string | 0 | undefined];

// URLSearchParams is only half there in React Native.
const encode = (pairs: Pair[]): string =>
  pairs
    .filter(([, value]) => value)
    .map(([name, value]) => `${name}=${encodeURIComponent(value!)}`)
    .join('&');

/** A comma parts names; one that has a comma has a parameter to itself. */
function channelPairs({ channels }: Attempt): Pair[] {
  const alone = channels.filter(channel => channel.includes(','));
  const list = channels.filter(channel => !channel.includes(',')).join();
  return [['channels', list], ...alone.map(channel => ['channel', channel] as const)];
}

/** The channels, if an address has no room for them: then each transport has its own way. */
export const beyond = (attempt: Attempt): string[] | undefined =>
  encode(channelPairs(attempt)).length > MOST_OF_CHANNELS ? attempt.channels : undefined;

/** The address of this attempt, its query included. */
export function address(attempt: Attempt, transport: string, more: Record<string, string> = {}) {
  const query = encode([
    ...Object.entries(more),
    ['after', attempt.after],
    ...(beyond(attempt) ? [] : channelPairs(attempt)),
    ['device', attempt.device],
    ['max', attempt.max && String(attempt.max)],
  ]);
  return `${attempt.base}/${transport}/${encodeURIComponent(attempt.user)}?${query}`;
}

/** How to ask by POST for what is beyond an address. */
export const posted = (channels: string[] | undefined, token: string | undefined): RequestInit => {
  const headers = bearer(token);
  if (!channels) return { headers };
  headers['Content-Type'] = 'application/json';
  return { method: 'POST', headers, body: JSON.stringify({ channels }) };
};

/** 4400 stops, be it our mistake or that this user may not, which the problem tells. Whatever stands
 * before the server knows neither: what it refuses today may pass tomorrow. */
const closeCode = (status: number, code: string) =>
  status === 401 ? 4401 : isOurs(code) && status < 500 && !passes(status) ? 4400 : 1006;

/** An answer that is no 2xx, as frames and a close tell it. */
export async function refuse(response: Response, hooks: Hooks): Promise<void> {
  const { code, retryMs } = await problemOf(response);
  hooks.frame({ type: 'bye', code, retry_ms: retryMs && spread(retryMs) });
  hooks.end(closeCode(response.status, code));
}

export function parse(text: unknown): Frame | undefined {
  try {
    const frame = JSON.parse(text as string) as Frame;
    return typeof frame?.type === 'string' ? frame : undefined;
  } catch {
    return undefined;
  }
}
