// What connect() returns: one tab's view of one user's stream. It gives each message once, keeps the
// cursor, and has the connection, unless another tab has it for all.

import { openConnection, type Connection } from './connection.js';
import { Cursor, isNewer } from './cursor.js';
import { Emitter } from './emitter.js';
import { Http, newKey } from './http.js';
import { canShare, joinTabs, type Tabs } from './tabs.js';
import { backoff, sleep } from './time.js';
import { Token } from './token.js';
import type { Frame } from './transport.js';
import {
  PushwireError,
  type Client,
  type ConnectOptions,
  type Events,
  type Gap,
  type Message,
  type State,
  type TransportName,
} from './types.js';

/** What the tab with the connection tells the others, and itself. */
type News<T> =
  | { kind: 'message'; message: Message<T> }
  | { kind: 'gap'; gap: Gap }
  | { kind: 'state'; state: State; cursor?: string | undefined }
  | { kind: 'error'; code: string; detail: string; channel: string | undefined; final: boolean };

interface WireMessage {
  id: string;
  sender: string;
  message: unknown;
  channel?: string;
  sent_at: string;
}

interface Page {
  messages: WireMessage[];
  more: boolean;
}

function toMessage<T>({ sent_at: sentAt, ...rest }: WireMessage): Message<T> {
  return { ...rest, sentAt } as Message<T>;
}

const NAME = /^(?!\.\.?$)[^/\p{Cc}\p{Cs}]+$/u;
const MOST_BYTES = 128;

function usable({ WebSocket = globalThis.WebSocket, transports }: ConnectOptions): TransportName[] {
  const present = { ws: !!WebSocket, sse: !!globalThis.EventSource, poll: true };
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

/** Connects, and stays connected until close(). Wrong options throw a PushwireError at once. */
export function connect<T = unknown>(options: ConnectOptions): Client<T> {
  const { user, url, device, start = 'all', storage = 'local' } = options;
  const transports = usable(options);
  const here = globalThis.location;
  checkName('user', user);
  if (device !== undefined) checkName('device', device);
  options.channels?.forEach(channel => checkName('channels', channel));
  if (!transports.length) refuse('transports', 'None of these is here.');
  if (device && start === 'now') refuse('start', 'A device has a cursor.');
  if (url === undefined && !here) refuse('url', 'Say where the server is.');

  const events = new Emitter<Events<T>>();
  const closing = new AbortController();
  const { signal } = closing;
  const token = new Token(options.token);
  const http = new Http(findServer, token, signal);
  const path = `/users/${encodeURIComponent(user)}`;
  /** How often each is subscribed to. */
  const channels = new Map(options.channels?.map(channel => [channel, 1]));
  let state: State = 'connecting';

  // From when the address is known:
  let cursor: Cursor | undefined;
  let tabs: Tabs<News<T>> | undefined;
  let connection: Connection | undefined; // in the tab that has it

  let joined = false; // the place in the stream is known
  let back = false; // a gap led the cursor back
  let lastGap = '';

  // ---- beginning and ending ----

  async function findServer(): Promise<string> {
    const text = typeof url === 'function' ? await url() : url;
    const { href } = new URL(text ?? here.origin, here?.href);
    return href.replace(/^ws/, 'http').replace(/\/+$/, '');
  }

  async function begin(): Promise<void> {
    for (let attempt = 0; !signal.aborted; attempt++) {
      const server = await findServer().catch((error: unknown) => {
        events.emit('error', new PushwireError('unreachable', String(error)));
      });
      if (server) return beginAt(server);
      await sleep(backoff(attempt), signal);
    }
  }

  function beginAt(server: string): void {
    if (signal.aborted) return;
    const name = `pushwire:${JSON.stringify([server, user, device])}`;
    // The server knows where a device is; a new one begins there with all that is kept.
    const all = device ? undefined : '0';
    const from = start === 'all' ? all : start === 'now' ? undefined : start;
    cursor = new Cursor(name, device ? 'memory' : storage, from);
    listen(name);
    join(name);
  }

  function join(name: string): void {
    if (!cursor || tabs || connection) return;
    if (!canShare() || !(options.shareTabs ?? (device || storage === 'local'))) return lead();
    tabs = joinTabs<News<T>>(name, newKey(), [...channels.keys()], {
      lead,
      follow: disconnect,
      hear,
      hello() {
        connection?.wake(false); // is it true?
        return { kind: 'state', state, cursor: cursor?.at };
      },
      onChannels: tellChannels,
    });
  }

  function listen(name: string): void {
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
    on(globalThis, 'pageshow', () => join(name));
  }

  function part(): void {
    tabs?.close();
    disconnect();
    tabs = undefined;
  }

  /** Ends what connects this tab with the rest of the world; sending over HTTP goes on. */
  function leave(): void {
    part();
    cursor = undefined;
  }

  function close(): void {
    if (signal.aborted) return;
    closing.abort();
    leave();
    setState('offline');
    events.clear();
  }

  // ---- the connection, in the tab that has it ----

  const allChannels = () => [...channels.keys(), ...(tabs?.channels() ?? [])];

  function tellChannels(): void {
    connection?.setChannels(allChannels());
  }

  function count(channel: string, change: number): void {
    const before = channels.get(channel) ?? 0;
    if (before + change) channels.set(channel, before + change);
    else channels.delete(channel);
    if (before && before + change) return;
    tabs?.setChannels([...channels.keys()]);
    tellChannels();
  }

  function lead(): void {
    joined = true;
    if (state !== 'connecting') publish({ kind: 'state', state: 'reconnecting' });
    connection = openConnection(
      {
        ...options,
        base: findServer,
        token,
        transports,
        after: () => cursor?.at,
        onAck: sendAck,
        onFrame,
        // Another tab may have a better token: it takes over and finds out itself.
        onState: next =>
          next === 'unauthorized' ? setState(next) : publish({ kind: 'state', state: next }),
        onError({ code, detail, channel }, final) {
          const news = { kind: 'error', code, detail, channel, final } as const;
          if (state === 'unauthorized') hear(news);
          else publish(news);
        },
      },
      allChannels(),
      state,
    );
  }

  function disconnect(): void {
    connection?.close();
    connection = undefined;
  }

  function publish(news: News<T>): void {
    tabs?.post(news);
    hear(news);
  }

  function onFrame({ type, ...frame }: Frame): void {
    if (!cursor) return;
    if (type === 'welcome') {
      if (cursor.at === undefined) cursor.move(frame['cursor'] as string | undefined);
      cursor.save();
    } else if (type === 'gap') {
      publish({ kind: 'gap', gap: frame as unknown as Gap });
    } else if (!cursor.covers(String(frame['id']))) {
      publish({ kind: 'message', message: toMessage<T>(frame as unknown as WireMessage) });
      cursor?.save(back);
      back = false;
    }
  }

  function sendAck(id: string): void {
    const body = JSON.stringify({ device, id });
    http.json(`${path}/ack`, { body }).catch(error => events.emit('error', error));
  }

  // ---- what this tab hears, from its own connection or another's ----

  const isMine = (channel: string | undefined) => channel === undefined || channels.has(channel);

  function hear(news: News<T>): void {
    if (news.kind === 'message') hearMessage(news.message);
    else if (news.kind === 'gap') hearGap(news.gap);
    else if (news.kind === 'state') hearState(news.state, news.cursor);
    else if (isMine(news.channel)) hearError(news);
  }

  function hearMessage(message: Message<T>): void {
    if (!cursor || cursor.covers(message.id)) return; // a double
    cursor.move(message.id);
    if (isMine(message.channel)) events.emit('message', message);
  }

  /** Ahead of the cursor it moves nothing: what other addresses keep may still fill the way there.
   * Behind it, the server never gave such a cursor, and counts from there. */
  function hearGap(gap: Gap): void {
    if (gap.channel === undefined && cursor?.at && isNewer(cursor.at, gap.resumes)) {
      cursor.move(gap.resumes);
      back = true;
    }
    // Until a message moves the cursor, each session begins with the same gap.
    const same = JSON.stringify(gap);
    if (same !== lastGap && isMine(gap.channel)) events.emit('gap', gap);
    lastGap = same;
  }

  /** A tab that joins begins where the others are; one that fell behind, as it was put aside, has
   * the stream from its own cursor again by leading. */
  function hearState(next: State, at: string | undefined): void {
    if (at && cursor && !cursor.covers(at)) {
      if (joined) return tabs?.lead();
      cursor.move(at);
    }
    if (at) joined = true;
    setState(next);
  }

  function hearError({ code, detail, channel, final }: News<T> & { kind: 'error' }): void {
    if (final) leave();
    if (final && state !== 'unauthorized') setState('offline');
    events.emit('error', new PushwireError(code, detail, { channel }));
  }

  function setState(next: State): void {
    if (next === state) return;
    state = next;
    events.emit('state', state);
  }

  options.signal?.addEventListener('abort', close);
  if (options.signal?.aborted) close();
  // Not before the caller is through: it may close at once, as React's StrictMode does.
  void Promise.resolve().then(begin);

  return {
    user,
    get state() {
      return state;
    },
    on: (kind, f) => events.on(kind, f),
    subscribe(channel) {
      checkName('channel', channel);
      count(channel, 1);
      let change = -1;
      return () => {
        if (change) count(channel, change);
        change = 0;
      };
    },
    ack(id) {
      if (!device) refuse('device', 'Only a device acknowledges.');
      if (connection) connection.ack(id);
      else sendAck(id);
    },
    async history({ before = '', limit, channel } = {}) {
      if (channel !== undefined) checkName('channel', channel);
      const of = channel === undefined ? path : `/channels/${encodeURIComponent(channel)}`;
      const query = new URLSearchParams({ before, ...(limit && { limit: String(limit) }) });
      const { messages, more } = await http.json<Page>(`${of}/messages?${query}`);
      return { messages: messages.map(wire => toMessage<T>(wire)), more };
    },
    send: (message, more = {}) => http.send(user, message, more),
    close,
    [Symbol.dispose]: close,
  };
}
