// A client without a server, for the tests of an application.

import { Emitter } from './emitter.js';
import {
  PushwireError,
  type Client,
  type Events,
  type Gap,
  type HistoryOptions,
  type Message,
  type Outgoing,
  type SendOptions,
  type Sent,
  type State,
} from './types.js';

export interface FakeClient<T = unknown> extends Client<T> {
  /** As if the server had sent it; without an id it gets the next one. */
  receive(message: T, more?: Partial<Omit<Message<T>, 'message'>>): Message<T>;
  setState(state: State): void;
  gap(gap?: Partial<Gap>): void;
  fail(error: PushwireError): void;
  /** The next send() or history() rejects with this. */
  failNext(error: PushwireError): void;
  /** What history() gives, oldest first; what was received is added. */
  readonly kept: Message<T>[];
  readonly sent: (Outgoing & SendOptions)[];
  readonly acked: string[];
  readonly channels: ReadonlySet<string>;
  readonly closed: boolean;
}

export interface FakeOptions<T> {
  user?: string;
  state?: State;
  kept?: Message<T>[];
}

const FIRST_ID = 1_882_455_365_830_836_224n;
const PAGE = 100;

export function fakeClient<T = unknown>(options: FakeOptions<T> = {}): FakeClient<T> {
  const events = new Emitter<Events<T>>();
  const channels = new Map<string, number>();
  const kept = [...(options.kept ?? [])];
  const sent: (Outgoing & SendOptions)[] = [];
  const acked: string[] = [];
  let state = options.state ?? 'online';
  let closed = false;
  let failure: PushwireError | undefined;
  let last = FIRST_ID;

  const nextId = () => String(++last);

  function failOnce(): void {
    const error = failure ?? (closed && new PushwireError('closed', 'The client was closed.'));
    failure = undefined;
    if (error) throw error;
  }

  function setState(next: State): void {
    if (next === state) return;
    state = next;
    events.emit('state', state);
  }

  function close(): void {
    closed = true;
    setState('offline');
    events.clear();
  }

  return {
    user: options.user ?? 'alice',
    kept,
    sent,
    acked,
    get state() {
      return state;
    },
    get closed() {
      return closed;
    },
    get channels() {
      return new Set(channels.keys());
    },
    on: (kind, f) => events.on(kind, f),
    subscribe(channel) {
      channels.set(channel, (channels.get(channel) ?? 0) + 1);
      let undone = false;
      return () => {
        if (undone) return;
        undone = true;
        const left = channels.get(channel)! - 1;
        if (left) channels.set(channel, left);
        else channels.delete(channel);
      };
    },
    ack: id => void acked.push(id),
    async history({ before, limit = PAGE, channel }: HistoryOptions = {}) {
      failOnce();
      const all = kept.filter(m => m.channel === channel && (!before || m.id < before)).reverse();
      return { messages: all.slice(0, limit), more: all.length > limit };
    },
    async send(message, more = {}): Promise<Sent> {
      failOnce();
      sent.push({ ...message, ...more });
      return { id: nextId(), delivered: 1, duplicate: false };
    },
    close,
    [Symbol.dispose]: close,
    receive(message, more = {}) {
      const full = {
        id: nextId(),
        sender: 'bob',
        sentAt: new Date().toISOString(),
        message,
        ...more,
      };
      kept.push(full);
      events.emit('message', full);
      return full;
    },
    setState,
    gap: gap => events.emit('gap', { after: String(FIRST_ID), resumes: nextId(), ...gap }),
    fail: error => events.emit('error', error),
    failNext: error => void (failure = error),
  };
}
