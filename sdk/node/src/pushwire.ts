// The sender.

import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { ofProblem, PushwireError } from './errors.js';
import type {
  Asking,
  Gap,
  HistoryOptions,
  Options,
  Outgoing,
  Page,
  Presence,
  SendOptions,
  Sent,
  Stored,
  Token,
  TokenOptions,
} from './types.js';
import type { LineReceipt, LineResult, Receipt } from './wire.js';

const FIRST_WAIT_MS = 100; // doubled with each attempt
const LONGEST_WAIT_MS = 4000;
const LINES = 1000; // of one request
const BYTES = 4 << 20;
const USERS = 1000;

type Json = Record<string, any>;

interface Call extends Asking {
  method: 'GET' | 'POST';
  path: string;
  body?: string;
  type?: string;
}

/** With jitter; never less than the server asked for. */
function waitAfter(attempt: number, atLeastMs = 0): number {
  const most = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** attempt);
  return atLeastMs + most * (1 / 8 + Math.random() * (7 / 8));
}

/** undefined, or a number that was meant as an id, would become a user of its own. */
function name(value: unknown, what: string): string {
  if (typeof value !== 'string' || !value)
    throw new TypeError(`${what} is a text that is not empty`);
  return value;
}

const newKey = (): string => randomBytes(12).toString('hex');

function encode(value: object): string {
  try {
    return JSON.stringify(value);
  } catch (cause) {
    throw new PushwireError('bad_field', `it is no JSON: ${cause}`, { field: 'message', cause });
  }
}

function sentOf(told: Receipt | LineReceipt): Sent {
  const { id, delivered = 0, duplicate, kept, durable } = told;
  return { id, delivered, duplicate: duplicate === true, kept, durable };
}

function parse(line: string): Json {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw new PushwireError('bad_answer', 'the answer is no JSON; is this a Pushwire server?', {
      cause,
    });
  }
}

/**
 * Sends by the server at `url`. Make one and keep it: it may be used by any number of calls at once, and
 * its connections stay open from one to the next. A call rejects with a PushwireError if the server refuses
 * it or stays out of reach, and with a TypeError if it can be no call.
 */
export class Pushwire {
  readonly #url: string;
  readonly #sender: string | undefined;
  readonly #timeoutMs: number;
  readonly #retryForMs: number;
  readonly #headers: Record<string, string>;
  readonly #fetch: typeof fetch;

  constructor(options: Options = {}) {
    const { url = 'http://localhost:8000', key, sender, timeoutMs = 10_000 } = options;
    const { protocol, username, search, hash } = new URL(url);
    if (!/^https?:$/.test(protocol) || search || hash) {
      throw new TypeError(`url is http://… or https://…, not ${url}`);
    }
    if (username) throw new TypeError('url has no room for credentials; give the key as `key`');
    this.#url = url.replace(/\/+$/, '');
    this.#sender = sender;
    this.#timeoutMs = timeoutMs;
    this.#retryForMs = options.retryForMs ?? 30_000;
    this.#headers = key ? { Authorization: `Bearer ${key}` } : {};
    this.#fetch = options.fetch ?? ((...call) => fetch(...call));
  }

  // ---- sending ----

  /** To a user, or to several as one message. */
  async send(
    to: string | readonly string[],
    message: unknown,
    options?: SendOptions,
  ): Promise<Sent> {
    const where = Array.isArray(to)
      ? { receivers: to.map(user => name(user, 'a receiver')) }
      : { receiver: name(to, 'a receiver') };
    return this.#send(where, message, options);
  }

  /** To everyone who listens to the channel. */
  async publish(channel: string, message: unknown, options?: SendOptions): Promise<Sent> {
    return this.#send({ channel: name(channel, 'a channel') }, message, options);
  }

  /** To everyone. */
  async broadcast(message: unknown, options?: SendOptions): Promise<Sent> {
    return this.#send({ broadcast: true }, message, options);
  }

  async #send(where: object, message: unknown, options: SendOptions = {}): Promise<Sent> {
    const { sender = this.#sender, event, except, ttl, key = newKey(), signal } = options;
    if (message === undefined) throw new TypeError('a message is JSON; undefined is none');
    const body = encode({ ...where, event, message, except, sender, ttl, key });
    const told = await this.#json({ method: 'POST', path: '/send-message', body, signal });
    return sentOf(told as Receipt);
  }

  /**
   * Many in few requests. The results are in the order of the messages: what became of each, or why it was
   * refused; one that is refused holds up no other. Those that the server could not take just then are
   * tried again, and may come later than those behind them.
   *
   * If the server stays out of reach or lets nobody in this rejects, and the error's `results` are of the
   * messages before. To repeat such a call give the messages keys of your own.
   */
  async sendMany(
    messages: Iterable<Outgoing> | AsyncIterable<Outgoing>,
    { signal }: Asking = {},
  ): Promise<(Sent | PushwireError)[]> {
    const results: (Sent | PushwireError)[] = [];
    try {
      for await (const lines of this.#requests(messages)) {
        results.push(...(await this.#sendLines(lines, signal)));
      }
    } catch (error) {
      if (error instanceof PushwireError) error.results = results;
      throw error;
    }
    return results;
  }

  async *#requests(
    messages: Iterable<Outgoing> | AsyncIterable<Outgoing>,
  ): AsyncGenerator<string[]> {
    const once = newKey();
    let [number, size, lines] = [0, 0, [] as string[]];
    for await (const message of messages) {
      const line = `${encode({ key: `${once}-${number++}`, sender: this.#sender, ...message })}\n`;
      const bytes = Buffer.byteLength(line);
      if (lines.length && (lines.length === LINES || size + bytes > BYTES)) {
        yield lines;
        [size, lines] = [0, []];
      }
      lines.push(line);
      size += bytes;
    }
    if (lines.length) yield lines;
  }

  async #sendLines(lines: string[], signal?: AbortSignal): Promise<(Sent | PushwireError)[]> {
    const results: (Sent | PushwireError)[] = lines.map(
      () => new PushwireError('overloaded', 'the server did not take it'),
    );
    const until = Date.now() + this.#retryForMs;
    let left = [...lines.keys()];
    for (let attempt = 0; ; attempt++) {
      const body = left.map(at => lines[at]).join('');
      const type = 'application/x-ndjson';
      const answer = await this.#insist({
        method: 'POST',
        path: '/send-messages',
        body,
        type,
        signal,
      });
      const later = note(left, answer, results);
      if (later.length < left.length) attempt = 0;
      const wait = waitAfter(attempt);
      if (!later.length || Date.now() + wait > until) return results;
      await this.#pause(wait, signal);
      left = later;
    }
  }

  // ---- asking ----

  /** Who is online, and when those who are not were last seen. (Scope `read`) */
  async presence(
    users: readonly string[],
    { signal }: Asking = {},
  ): Promise<Map<string, Presence>> {
    const found = new Map<string, Presence>();
    for (let at = 0; at < users.length; at += USERS) {
      const body = encode({ users: users.slice(at, at + USERS) });
      const told = await this.#json({ method: 'POST', path: '/users/query', body, signal });
      for (const { user, online, sessions, last_seen } of told['users']) {
        found.set(user, { online, sessions, lastSeen: last_seen ?? null });
      }
    }
    return found;
  }

  /**
   * What is kept for a user or a channel: the newest first, or from the cursor `after` on, oldest first.
   * (Scope `read`)
   */
  async history<T = unknown>(
    of: string | { channel: string },
    { after, before = '', limit = 100, signal }: HistoryOptions = {},
  ): Promise<Page<T>> {
    const owner =
      typeof of === 'object'
        ? `channels/${encodeURIComponent(name(of.channel, 'a channel'))}`
        : `users/${encodeURIComponent(name(of, 'a user'))}`;
    const order = after === undefined ? { before } : { after };
    const query = new URLSearchParams({ ...order, limit: String(limit) });
    const told = await this.#json({ method: 'GET', path: `/${owner}/messages?${query}`, signal });
    const messages = (told['messages'] as Json[]).map(
      ({ sent_at, id, sender, message, channel, event, args, attachments }): Stored<T> => ({
        id,
        sender,
        message: args ?? message,
        sentAt: sent_at,
        ...(channel && { channel }),
        ...(event && { event }),
        ...(args && { args }),
        ...(attachments && { attachments }),
      }),
    );
    return { messages, next: told['next'], more: told['more'], gap: told['gap'] as Gap | null };
  }

  // ---- tokens ----

  /** A token with which the user may receive, and with `publish` send. (Scope `token`) */
  async token(user: string, { channels, publish, ttl, signal }: TokenOptions = {}): Promise<Token> {
    const body = encode({ user: name(user, 'a user'), channels, publish, ttl });
    const told = await this.#json({ method: 'POST', path: '/tokens', body, signal });
    return { token: told['token'], user: told['user'], expiresAt: told['expires_at'] };
  }

  /**
   * Closes the user's sessions and refuses the tokens issued before now; how many were closed. (Scope
   * `manage`)
   */
  async revoke(user: string, { signal }: Asking = {}): Promise<number> {
    const path = `/users/${encodeURIComponent(name(user, 'a user'))}/revoke`;
    return (await this.#json({ method: 'POST', path, body: '{}', signal }))['closed'];
  }

  // ---- how it gets there ----

  async #json(call: Call): Promise<Json> {
    return parse(await this.#insist(call));
  }

  /**
   * Until there is an answer, or retryForMs is over. What is asked can be asked twice: messages have keys,
   * and the rest says how things are to be.
   */
  async #insist(call: Call): Promise<string> {
    const until = Date.now() + this.#retryForMs;
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#ask(call);
      } catch (error) {
        if (!(error instanceof PushwireError) || !error.passes) throw error;
        const wait = waitAfter(attempt, error.retryAfterMs);
        if (Date.now() + wait > until) throw error;
        await this.#pause(wait, call.signal);
      }
    }
  }

  async #ask({ method, path, body, type = 'application/json', signal }: Call): Promise<string> {
    const over = new AbortController();
    const stop = (): void => over.abort();
    const timer = setTimeout(stop, this.#timeoutMs);
    signal?.addEventListener('abort', stop);
    try {
      if (signal?.aborted) stop();
      const headers =
        body === undefined ? this.#headers : { ...this.#headers, 'Content-Type': type };
      const init: RequestInit = { method, headers, signal: over.signal };
      if (body !== undefined) init.body = body;
      const response = await this.#fetch(this.#url + path, init);
      const text = await response.text();
      if (response.ok) return text;
      throw ofProblem(problem(text), response.status, response.headers.get('Retry-After'));
    } catch (cause) {
      if (cause instanceof PushwireError) throw cause;
      if (signal?.aborted) throw new PushwireError('aborted', 'the call was aborted', { cause });
      const reason = over.signal.aborted ? `not within ${this.#timeoutMs} ms` : reasonOf(cause);
      throw new PushwireError('unreachable', `no answer: ${reason}`, { cause });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', stop);
    }
  }

  async #pause(ms: number, signal?: AbortSignal): Promise<void> {
    await pause(ms, undefined, signal && { signal }).catch(cause => {
      throw new PushwireError('aborted', 'the call was aborted', { cause });
    });
  }
}

function problem(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // of somebody before the server
  }
}

/** fetch hides it. */
function reasonOf(error: unknown): string {
  const { message, cause } = Object(error) as { message?: string; cause?: { message?: string } };
  return cause?.message || message || String(error);
}

/**
 * What came of each line. Returns those to be sent again: refused for a moment, or not taken at all, which
 * the last result says of all that follow.
 */
function note(left: number[], answer: string, results: (Sent | PushwireError)[]): number[] {
  const settled = new Set<number>();
  const told = answer.split('\n').filter(Boolean);
  left.slice(0, told.length).forEach((at, i) => {
    const one = parse(told[i] as string) as LineResult;
    const result = 'id' in one ? sentOf(one) : ofProblem(one, one['status']);
    results[at] = result;
    const again =
      result instanceof PushwireError && (result.passes || result.code === 'too_many_lines');
    if (!again) settled.add(at);
  });
  return left.filter(at => !settled.has(at));
}
