// Requests over HTTP: with the token, within a time, and with problems (RFC 9457) as errors.

import { backoff, bearer, fetchWithin, sleep, spread, type Fetch } from './time.js';
import type { Token } from './token.js';
import { asError, PushwireError, type Outgoing, type SendOptions, type Sent } from './types.js';

const ANSWER_MS = 10_000;
const RETRY_FOR_MS = 30_000;
const AGAIN = ['unreachable', 'in_flight', 'token_failed'];
const MAX_DOUBLINGS = 3; // a message waits at most 4 s for its next attempt

export interface Call {
  /** JSON. */
  body?: string;
  signal?: AbortSignal | undefined;
  withinMs?: number;
}

export const UNREACHABLE = 'The server is out of reach, or refuses this page.';

/** May the answer be another one the next time? */
export const passes = (status: number): boolean => [408, 425, 429].includes(status) || status > 501;

/** Did the server itself say so, or a proxy before it? */
export const isOurs = (code: string): boolean => !code.startsWith('http_');

/** What an answer says that is no 2xx. */
export async function problemOf(response: Response): Promise<PushwireError> {
  const { status, headers } = response;
  const { code, detail, field } = await response.json().catch(() => ({}));
  return new PushwireError(code ?? `http_${status}`, detail ?? `The answer is ${status}.`, {
    status,
    field,
    retryMs: Number(headers.get('Retry-After')) * 1000 || undefined,
  });
}

export class Http {
  #base: () => Promise<string>;
  #token: Token;
  #closing: AbortSignal;
  #send: Fetch;

  constructor(base: () => Promise<string>, token: Token, closing: AbortSignal, send: Fetch) {
    this.#base = base;
    this.#token = token;
    this.#closing = closing;
    this.#send = send;
  }

  /** The answer's JSON; POST when there is a body. A refused token is renewed once. */
  async json<R>(path: string, call: Call = {}): Promise<R> {
    let response = await this.#fetch(path, call, false);
    if (response.status === 401 && this.#token.renewable) {
      response = await this.#fetch(path, call, true);
    }
    if (!response.ok) throw await problemOf(response);
    return response.json().catch(() => {
      throw new PushwireError('bad_answer', 'The answer is not JSON.');
    });
  }

  async #fetch(path: string, call: Call, fresh: boolean): Promise<Response> {
    const init: RequestInit = {};
    try {
      const headers = bearer(await this.#token.get(fresh));
      init.headers = headers;
      if (call.body) {
        init.method = 'POST';
        init.body = call.body;
        headers['Content-Type'] = 'application/json';
      }
      const url = (await this.#base()) + path;
      const ms = call.withinMs ?? ANSWER_MS;
      return await fetchWithin(this.#send, ms, url, init, call.signal, this.#closing);
    } catch (error) {
      if (this.#closing.aborted) throw new PushwireError('closed', 'The client was closed.');
      if (call.signal?.aborted) throw new PushwireError('aborted', 'The call was aborted.');
      throw asError(error, 'unreachable', `${UNREACHABLE} ${error}`);
    }
  }

  /** Tries for 30 s with one key, so that it arrives once however often it was sent. */
  async send(user: string, message: Outgoing, { key, signal }: SendOptions): Promise<Sent> {
    const body = encode({ sender: user, ...message, key: key ?? newKey() });
    const until = Date.now() + RETRY_FOR_MS;
    for (let attempt = 0; ; attempt++) {
      const withinMs = Math.min(ANSWER_MS, until - Date.now());
      try {
        const answer = await this.json<Sent>('/send-message', { body, signal, withinMs });
        const { id, kept = false, delivered = 0, duplicate = false, receivers } = answer;
        return { id, delivered, duplicate, kept, ...(receivers && { receivers }) };
      } catch (e) {
        const error = e as PushwireError;
        const wait =
          (error.retryMs && spread(error.retryMs)) ?? backoff(Math.min(attempt, MAX_DOUBLINGS));
        const again = AGAIN.includes(error.code) || passes(error.status ?? 0);
        if (!again) throw error;
        if (Date.now() + wait >= until) throw error;
        await sleep(wait, signal, this.#closing);
      }
    }
  }
}

/** Once for all attempts: whatever becomes of the object, a retry has the same body. */
function encode(outgoing: object): string {
  try {
    return JSON.stringify(outgoing);
  } catch (error) {
    throw new PushwireError('bad_field', `It is no JSON: ${error}`, { field: 'message' });
  }
}

/** A hundred random bits. Nothing rests on their being secret, and crypto is not everywhere. */
export const newKey = (): string => [0, 0].map(() => Math.random().toString(36).slice(2)).join('');
