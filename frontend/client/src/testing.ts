// A client without a server, for the tests of an application.

import { Emitter } from './emitter.js';
import {
  PushwireError,
  type ChannelHandlers,
  type ChannelState,
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
  /** As the server answers a subscription. */
  setChannel(channel: string, state: ChannelState, error?: PushwireError): void;
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
  const channels = new Map<string, Set<ChannelHandlers<T>>>();
  const kept = [...(options.kept ?? [])];
  const sent: (Outgoing & SendOptions)[] = [];
  const acked: string[] = [];
  let state = options.state ?? 'online';
  let closed = false;
  let failure: PushwireError | undefined;
  let reason: PushwireError | undefined;
  let last = FIRST_ID;

  const nextId = () => String(++last);

  function failOnce(): void {
    const error = failure ?? (closed && new PushwireError('closed', 'The client was closed.'));
    failure = undefined;
    if (error) throw error;
  }

  function setState(next: State): void {
    if (next === 'online') reason = undefined;
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
    get reason() {
      return reason;
    },
    get channels() {
      return new Set(channels.keys());
    },
    on: (kind, f) => events.on(kind, f),
    subscribe(channel, handlers = {}) {
      const all = channels.get(channel) ?? new Set();
      const mine = { ...handlers };
      channels.set(channel, all.add(mine));
      mine.onState?.('subscribed');
      return () => {
        all.delete(mine);
        if (!all.size) channels.delete(channel);
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
      return { id: nextId(), delivered: 1, duplicate: false, kept: true };
    },
    reconnect: () => setState('online'),
    pause: () => setState('offline'),
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
      for (const { onMessage } of channels.get(full.channel ?? '') ?? []) onMessage?.(full);
      return full;
    },
    setState,
    gap: gap => events.emit('gap', { after: String(FIRST_ID), resumes: nextId(), ...gap }),
    fail(error) {
      reason = error;
      events.emit('error', error);
    },
    setChannel(channel, next, error) {
      for (const { onState } of channels.get(channel) ?? []) onState?.(next, error);
      const { code = 'forbidden', detail = '' } = error ?? {};
      if (next === 'refused') events.emit('unsubscribed', { channel, code, detail });
    },
    failNext: error => void (failure = error),
  };
}
