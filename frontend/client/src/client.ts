// What connect() returns: one tab's view of one user's stream. It gives each message once, keeps the
// cursor, and has the connection, unless another tab has it for all.

import { openConnection, type Connection } from './connection.js';
import { Cursor } from './cursor.js';
import { Emitter } from './emitter.js';
import { Http, newKey } from './http.js';
import { Stream } from './stream.js';
import { canShare, joinTabs, type Tabs } from './tabs.js';
import { backoff, sleep, type Fetch } from './time.js';
import { Token } from './token.js';
import type { Frame } from './transport.js';
import {
  asError,
  PushwireError,
  type ChannelHandlers,
  type ChannelState,
  type Client,
  type Code,
  type ConnectOptions,
  type Events,
  type Gap,
  type Message,
  type State,
  type TooLarge,
  type TransportName,
} from './types.js';

/** What went wrong, as it travels between tabs. */
interface Why {
  code: Code;
  detail: string;
  channel?: string | undefined;
}

/** What the tab with the connection tells the others, and itself. */
type News<T> =
  | { kind: 'message'; message: Message<T> }
  | { kind: 'tooLarge'; message: TooLarge }
  | { kind: 'gap'; gap: Gap }
  | {
      kind: 'state';
      state: State;
      cursor?: string | undefined;
      why?: Why | undefined;
      inMs?: number;
    }
  | { kind: 'channel'; channel: string; state: ChannelState }
  | ({ kind: 'error'; final: boolean } & Why);

interface WireMessage {
  id: string;
  sender: string;
  message?: unknown;
  args?: unknown[];
  channel?: string;
  sent_at: string;
}

interface Page {
  messages: WireMessage[];
  more: boolean;
}

/** A channel, and who wants it. */
interface Subscription<T> {
  state: ChannelState;
  error?: PushwireError | undefined;
  handlers: Set<ChannelHandlers<T>>;
}

/** Of a message that is larger than `max`. */
const FETCHES = 3;

function toMessage<M>({ sent_at: sentAt, ...rest }: { sent_at: string; args?: unknown[] }): M {
  return { ...rest, ...(rest.args && { message: rest.args }), sentAt } as M;
}

const NAME = /^(?!\.\.?$)[^/\p{Cc}\p{Cs}]+$/u;
const MOST_BYTES = 128;

function usable({ WebSocket = globalThis.WebSocket, transports }: ConnectOptions): TransportName[] {
  const present = { ws: !!WebSocket, sse: !!globalThis.ReadableStream, poll: true };
  return (transports ?? (Object.keys(present) as TransportName[])).filter(name => present[name]);
}

function refuse(field: string, detail: string): never {
  throw new PushwireError('bad_field', detail, { field });
}

/** What is no name is refused here, as one that is not known yet would else be sent as "undefined". */
function checkName(field: string, name: unknown): void {
  const good = typeof name === 'string' && NAME.test(name);
  // Each byte that is escaped, is one.
  if (!good || encodeURIComponent(name).replace(/%../g, '.').length > MOST_BYTES)
    refuse(field, 'A name is a text of 1-128 bytes, without a slash.');
}

const channelPath = (name: string) => `/channels/${encodeURIComponent(name)}`;

/** Connects, and stays connected until close(). Wrong options throw a PushwireError at once. */
export function connect<T = unknown>(options: ConnectOptions): Client<T> {
  const { user, url, device, start = 'all', storage = 'local', headers } = options;
  const transports = usable(options);
  const here = globalThis.location;
  checkName('user', user);
  if (device !== undefined) checkName('device', device);
  options.channels?.forEach(channel => checkName('channels', channel));
  if (!transports.length) refuse('transports', 'None of these is here.');
  if (device && start === 'now') refuse('start', 'A device has a cursor.');
  if (url === undefined && !here) refuse('url', 'Say where the server is.');

  const fetcher: Fetch = async (url, init) => {
    const more = typeof headers === 'function' ? await headers() : headers;
    return (options.fetch ?? fetch)(url, { ...init, headers: { ...more, ...init.headers } });
  };
  const events = new Emitter<Events<T>>();
  const closing = new AbortController();
  const { signal } = closing;
  const token = new Token(options.token);
  const http = new Http(findServer, token, signal, fetcher);
  const path = `/users/${encodeURIComponent(user)}`;
  const channels = new Map<string, Subscription<T>>();
  let state: State = 'connecting';
  let reason: PushwireError | undefined;

  /** It is to be connected: until it is paused, or nothing more is tried. */
  let running = true;
  // From when the address is known:
  let name: string | undefined; // of this stream, in this browser
  let stream: Stream;
  let tabs: Tabs<News<T>> | undefined;
  let connection: Connection | undefined; // in the tab that has it
  /** What waits until a large message is fetched. */
  let queue: Frame[] | undefined;

  // ---- beginning and ending ----

  async function findServer(): Promise<string> {
    const text = typeof url === 'function' ? await url() : url;
    const { href } = new URL(text ?? here.origin, here?.href);
    return href.replace(/^ws/, 'http').replace(/\/+$/, '');
  }

  async function begin(): Promise<void> {
    for (let attempt = 0; !signal.aborted; attempt++) {
      const server = await findServer().catch((error: unknown) => {
        events.emit('error', (reason = asError(error, 'unreachable')));
      });
      if (server) return beginAt(server);
      await sleep(backoff(attempt), signal);
    }
  }

  function beginAt(server: string): void {
    if (signal.aborted) return;
    name = `pushwire:${JSON.stringify([server, user, device])}`;
    // The server knows where a device is; a new one begins there with all that is kept.
    const all = device ? undefined : '0';
    const from = start === 'all' ? all : start === 'now' ? undefined : start;
    stream = new Stream(new Cursor(name, device ? 'memory' : storage, from));
    listen();
    join();
  }

  function join(): void {
    if (!name || !running || tabs || connection) return;
    const ours = storage === 'local' || device;
    if (!canShare() || !(options.shareTabs ?? ours)) return lead();
    tabs = joinTabs<News<T>>(name, newKey(), [...channels.keys()], {
      lead,
      follow: disconnect,
      hear,
      hello() {
        connection?.wake(false); // is it true?
        return { kind: 'state', state, cursor: stream.cursor.at };
      },
      onChannels: tellChannels,
    });
  }

  function listen(): void {
    const on = (target: EventTarget | undefined, kind: string, f: () => unknown) =>
      target?.addEventListener?.(kind, f, { signal });
    const wake = (newNetwork: boolean) => {
      connection?.wake(newNetwork);
      tabs?.wake();
    };
    on(globalThis, 'online', () => wake(true));
    on(globalThis, 'offline', () => wake(false));
    on(globalThis.document, 'visibilitychange', () => document.hidden || wake(false));
    // A page that the browser puts aside must neither look online nor lead the other tabs.
    on(globalThis, 'pagehide', part);
    on(globalThis, 'pageshow', join);
  }

  function part(): void {
    tabs?.close();
    disconnect();
    tabs = undefined;
  }

  /** Ends what connects this tab with the rest of the world; sending over HTTP goes on. */
  function leave(): void {
    running = false;
    part();
  }

  function pause(): void {
    leave();
    setState('offline');
  }

  function reconnect(): void {
    if (signal.aborted) return;
    if (connection) return connection.reconnect();
    if (tabs) return tabs.lead();
    running = true;
    if (state !== 'connecting') setState('reconnecting');
    join();
  }

  function close(): void {
    if (signal.aborted) return;
    closing.abort();
    pause();
    events.clear();
  }

  // ---- the connection, in the tab that has it ----

  const allChannels = () => [...channels.keys(), ...(tabs?.channels() ?? [])];

  function tellChannels(): void {
    connection?.setChannels(allChannels());
  }

  function lead(): void {
    stream.joined = true;
    if (state !== 'connecting') publish({ kind: 'state', state: 'reconnecting' });
    connection = openConnection(
      {
        ...options,
        base: findServer,
        token,
        transports,
        fetch: fetcher,
        after: () => stream.cursor.at,
        onAck: sendAck,
        onFrame,
        onState(next, why, inMs) {
          const news = { kind: 'state', state: next, why: why && toWhy(why), inMs } as News<T>;
          // Another tab may have a better token: it takes over and finds out itself.
          if (next === 'unauthorized') hear(news);
          else publish(news);
        },
        onChannel: (channel, state) => publish({ kind: 'channel', channel, state }),
        onError(error, final) {
          const news = { kind: 'error', final, ...toWhy(error) } as const;
          if (state === 'unauthorized') hear(news);
          else publish(news);
        },
        check: channel => http.json(channelPath(channel)).then(() => undefined, isRefusal),
        debug: (...what) => options.debug?.(...what),
      },
      allChannels(),
      state,
    );
  }

  const toWhy = ({ code, detail, channel }: PushwireError): Why => ({ code, detail, channel });
  const isRefusal = (error: PushwireError) => (error.status === 403 ? error : undefined);

  function disconnect(): void {
    connection?.close();
    connection = queue = undefined;
  }

  function publish(news: News<T>): void {
    tabs?.post(news);
    hear(news);
  }

  function onFrame(frame: Frame): void {
    if (queue) return void queue.push(frame);
    const { type, ...rest } = frame;
    if (type === 'welcome') stream.onWelcome(frame['cursor'] as string | undefined);
    else if (type === 'gap') publish({ kind: 'gap', gap: rest as unknown as Gap });
    else if (stream.cursor.covers(String(frame['id']))) return;
    else if (type === 'too_large') void fetchLarge(rest as unknown as WireMessage & TooLarge);
    else give({ kind: 'message', message: toMessage(rest as unknown as WireMessage) });
  }

  function give(news: News<T> & { kind: 'message' | 'tooLarge' }): void {
    publish(news);
    stream.save();
  }

  /** In its place in the stream: what comes after it waits. */
  async function fetchLarge(outline: WireMessage & TooLarge & { after?: string }): Promise<void> {
    const mine: Frame[] = (queue = []);
    const { channel, after, id, kept } = outline;
    const query = new URLSearchParams({ after: after!, wait: '0', ...(channel && { channel }) });
    let found: WireMessage | undefined;
    for (let attempt = 0; kept && !found && attempt < FETCHES && queue === mine; attempt++) {
      if (attempt) await sleep(backoff(attempt), signal);
      const page = http.json<Page>(`/poll/${encodeURIComponent(user)}?${query}`);
      const { messages } = await page.catch(() => ({ messages: [] }));
      found = messages.find(message => message.id === id);
    }
    if (queue !== mine) return; // the next session begins with it again
    if (found) give({ kind: 'message', message: toMessage(found) });
    else give({ kind: 'tooLarge', message: toMessage(outline) });
    queue = undefined;
    mine.forEach(onFrame);
  }

  function sendAck(id: string): void {
    const body = JSON.stringify({ device, id });
    http.json(`${path}/ack`, { body }).catch(error => events.emit('error', error));
  }

  // ---- what this tab hears, from its own connection or another's ----

  const isMine = (channel: string | undefined) => channel === undefined || channels.has(channel);

  function hear(news: News<T>): void {
    const { kind } = news;
    if (kind === 'message' || kind === 'tooLarge') hearMessage(news);
    else if (kind === 'gap') {
      if (stream.onGap(news.gap) && isMine(news.gap.channel)) events.emit('gap', news.gap);
    } else if (kind === 'state') hearState(news);
    else if (kind === 'channel') hearChannel(news.channel, news.state);
    else if (isMine(news.channel)) hearError(news);
  }

  function hearMessage({ kind, message }: News<T> & { kind: 'message' | 'tooLarge' }): void {
    const { id, channel } = message;
    if (!stream.take(id) || !isMine(channel)) return;
    if (kind === 'tooLarge') return events.emit(kind, message as TooLarge);
    events.emit(kind, message as Message<T>);
    for (const { onMessage } of channels.get(channel!)?.handlers ?? [])
      events.call(onMessage, message as Message<T>);
  }

  function hearState({ state: next, cursor, why, inMs }: News<T> & { kind: 'state' }): void {
    if (cursor && !stream.onOthers(cursor)) return tabs?.lead();
    if (why) reason = toError(why);
    setState(next);
    if (why && inMs !== undefined) events.emit('retry', { inMs, code: why.code });
  }

  function hearChannel(channel: string, next: ChannelState, error?: PushwireError): void {
    const subscription = channels.get(channel);
    if (!subscription || subscription.state === next) return;
    Object.assign(subscription, { state: next, error });
    for (const { onState } of subscription.handlers) events.call(onState, next, error);
  }

  function hearError(news: News<T> & { kind: 'error' }): void {
    const error = toError(news);
    const { code, detail, channel, final } = news;
    if (final) {
      reason = error;
      leave();
      if (state !== 'unauthorized') setState('offline');
    }
    events.emit('error', error);
    if (channel === undefined) return;
    hearChannel(channel, 'refused', error);
    events.emit('unsubscribed', { channel, code, detail });
  }

  function toError({ code, detail, channel }: Why): PushwireError {
    return new PushwireError(code, detail, { channel });
  }

  function setState(next: State): void {
    if (next === 'online') reason = undefined;
    if (next === state) return;
    state = next;
    events.emit('state', state);
  }

  function subscribe(channel: string, handlers: ChannelHandlers<T>): () => void {
    checkName('channel', channel);
    let subscription = channels.get(channel);
    const isNew = !subscription;
    subscription ??= { state: 'subscribing', handlers: new Set() };
    channels.set(channel, subscription);
    const mine = { ...handlers }; // of its own, so that they may be given twice
    subscription.handlers.add(mine);
    events.call(mine.onState, subscription.state, subscription.error);
    const tell = () => {
      tabs?.setChannels([...channels.keys()]);
      tellChannels();
    };
    if (isNew && name) tell();
    return () => {
      if (!subscription.handlers.delete(mine) || subscription.handlers.size) return;
      channels.delete(channel);
      tell();
    };
  }

  options.channels?.forEach(channel => subscribe(channel, {}));
  options.signal?.addEventListener('abort', close);
  if (options.signal?.aborted) close();
  // Not before the caller is through: it may close at once, as React's StrictMode does.
  void Promise.resolve().then(begin);

  return {
    user,
    get state() {
      return state;
    },
    get reason() {
      return reason;
    },
    on: (kind, f) => events.on(kind, f),
    subscribe: (channel, handlers = {}) => subscribe(channel, handlers),
    ack(id) {
      if (!device) refuse('device', 'Only a device acknowledges.');
      if (connection) connection.ack(id);
      else sendAck(id);
    },
    async history({ before = '', limit, channel } = {}) {
      if (channel !== undefined) checkName('channel', channel);
      const of = channel === undefined ? path : channelPath(channel);
      const query = new URLSearchParams({ before, ...(limit && { limit: String(limit) }) });
      const { messages, more } = await http.json<Page>(`${of}/messages?${query}`);
      return { messages: messages.map(wire => toMessage<Message<T>>(wire)), more };
    },
    send: (message, more = {}) => http.send(user, message, more),
    reconnect,
    pause,
    close,
    [Symbol.dispose]: close,
  };
}
