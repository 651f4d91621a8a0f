// What connect() returns: one tab's view of one user's stream. It gives each message once, keeps the
// cursor, and has the connection, unless another tab has it for all.

import { Connection } from './connection.js';
import { Cursor, isNewer } from './cursor.js';
import { Emitter } from './emitter.js';
import { Http, newKey } from './http.js';
import { Tabs } from './tabs.js';
import { backoff, sleep } from './time.js';
import { Token } from './token.js';
import type { Frame } from './transport.js';
import {
  PushwireError,
  type Client,
  type ConnectOptions,
  type Events,
  type Gap,
  type HistoryOptions,
  type Message,
  type Outgoing,
  type SendOptions,
  type Sent,
  type State,
  type TransportName,
} from './types.js';

/** What the tab with the connection tells the others, and itself. */
type News<T> =
  | { kind: 'message'; message: Message<T> }
  | { kind: 'gap'; gap: Gap }
  | { kind: 'state'; state: State; cursor?: string | undefined }
  | { kind: 'error'; code: string; detail: string; final: boolean };

interface WireMessage {
  id: string;
  sender: string;
  message: unknown;
  channel?: string;
  sent_at: string;
}

function toMessage<T>(wire: WireMessage): Message<T> {
  const { id, sender, message, channel, sent_at } = wire;
  const head = { id, sender, message: message as T, sentAt: sent_at };
  return channel === undefined ? head : { ...head, channel };
}

const isId = (user: string) =>
  !/^\.{0,2}$|[\u0000-\u001f\u007f-\u009f/]/.test(user) &&
  new TextEncoder().encode(user).length <= 128;

function usable(options: ConnectOptions): TransportName[] {
  const present: Record<TransportName, boolean> = {
    ws: typeof (options.WebSocket ?? globalThis.WebSocket) === 'function',
    sse: typeof globalThis.EventSource === 'function',
    poll: true,
  };
  return (options.transports ?? ['ws', 'sse', 'poll']).filter(name => present[name]);
}

function refuseWhatCannotBe(options: ConnectOptions): void {
  const refuse = (field: string, detail: string) => {
    throw new PushwireError('bad_field', detail, { field });
  };
  if (!isId(options.user)) refuse('user', '1-128 bytes, without control characters and without /.');
  if (!usable(options).length) refuse('transports', 'This platform has none of them.');
  if (options.url === undefined && !globalThis.location) refuse('url', 'Say where the server is.');
}

class PushwireClient<T> implements Client<T> {
  readonly user: string;
  #options: ConnectOptions;
  #state: State = 'connecting';
  #events = new Emitter<Events<T>>();
  #closing = new AbortController();
  #token: Token;
  #http: Http;
  #channels = new Map<string, number>(); // how often each is subscribed to

  // From when the address is known:
  #cursor: Cursor | undefined;
  #tabs: Tabs<News<T>> | undefined;
  #connection: Connection | undefined; // in the tab that has it

  #joined = false; // the stream's place is known
  #back = false; // a gap led the cursor back
  #lastGap = '';

  constructor(options: ConnectOptions) {
    refuseWhatCannotBe(options);
    this.#options = options;
    this.user = options.user;
    this.#token = new Token(options.token);
    this.#http = new Http(this.#base, this.#token, this.#closing.signal);
    for (const channel of options.channels ?? []) this.#channels.set(channel, 1);
    options.signal?.addEventListener('abort', () => this.close());
    if (options.signal?.aborted) this.close();
    // Not before the caller is through: it may close at once, as React's StrictMode does.
    void Promise.resolve().then(() => this.#start());
  }

  get state(): State {
    return this.#state;
  }

  on<K extends keyof Events<T>>(kind: K, f: (event: Events<T>[K]) => void): () => void {
    return this.#events.on(kind, f);
  }

  subscribe(channel: string): () => void {
    this.#count(channel, 1);
    let undo = () => this.#count(channel, -1);
    return () => {
      undo();
      undo = () => {};
    };
  }

  ack(id: string): void {
    if (!this.#options.device) {
      throw new PushwireError('missing_field', 'ack needs the option device.', { field: 'device' });
    }
    if (this.#connection) this.#connection.ack(id);
    else this.#sendAck(id);
  }

  async history(o: HistoryOptions = {}): Promise<{ messages: Message<T>[]; more: boolean }> {
    const where =
      o.channel === undefined
        ? `users/${encodeURIComponent(this.user)}`
        : `channels/${encodeURIComponent(o.channel)}`;
    const query = new URLSearchParams({ before: o.before ?? '' });
    if (o.limit !== undefined) query.set('limit', String(o.limit));
    const path = `/${where}/messages?${query}`;
    const page = await this.#http.json<{ messages: WireMessage[]; more: boolean }>(path);
    return { messages: page.messages.map(wire => toMessage<T>(wire)), more: page.more };
  }

  send(message: Outgoing, options: SendOptions = {}): Promise<Sent> {
    return this.#http.send(this.user, message, options);
  }

  close(): void {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    this.#leave();
    this.#setState('offline');
    this.#events.clear();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  // ---- beginning and ending ----

  #base = async (): Promise<string> => {
    const { url } = this.#options;
    const text = typeof url === 'function' ? await url() : url;
    const here = globalThis.location;
    return new URL(text ?? here.origin, here?.href).href.replace(/^ws/, 'http').replace(/\/+$/, '');
  };

  async #start(): Promise<void> {
    const { signal } = this.#closing;
    let base: string | undefined;
    for (let attempt = 0; base === undefined && !signal.aborted; attempt++) {
      try {
        base = await this.#base();
      } catch (error) {
        this.#events.emit('error', new PushwireError('unreachable', String(error)));
        await sleep(backoff(attempt), signal);
      }
    }
    if (base === undefined || signal.aborted) return;
    const { user } = this;
    const { device, start = 'all', storage = 'local', shareTabs } = this.#options;
    const begin =
      start === 'now' ? undefined : start === 'all' ? (device ? undefined : '0') : start;
    const kept = device ? 'memory' : storage;
    this.#cursor = new Cursor(`pushwire:cursor:${JSON.stringify([base, user])}`, kept, begin);
    this.#listen();
    if (Tabs.possible && (shareTabs ?? (!!device || storage === 'local'))) {
      this.#share(`pushwire:${JSON.stringify([base, user, device])}`);
    } else {
      this.#connect();
    }
  }

  /** Ends what connects this tab with the rest of the world; sending over HTTP goes on. */
  #leave(): void {
    this.#tabs?.close();
    this.#disconnect();
    this.#tabs = undefined;
    this.#cursor = undefined;
  }

  #listen(): void {
    const { signal } = this.#closing;
    const on = (target: EventTarget | undefined, kind: string, f: (event: Event) => void) =>
      target?.addEventListener?.(kind, f, { signal });
    on(globalThis, 'online', () => this.#wake(true));
    on(globalThis, 'offline', () => this.#wake(false));
    on(globalThis, 'pageshow', e => (e as PageTransitionEvent).persisted && this.#wake(false));
    on(globalThis.document, 'visibilitychange', () => document.hidden || this.#wake(false));
  }

  #wake(newNetwork: boolean): void {
    this.#connection?.wake(newNetwork);
    this.#tabs?.wake();
  }

  // ---- one connection for all tabs ----

  #share(name: string): void {
    this.#tabs = new Tabs<News<T>>(name, newKey(), [...this.#channels.keys()], {
      lead: () => this.#connect(),
      follow: () => this.#disconnect(),
      hear: news => this.#hear(news),
      hello: () => ({ kind: 'state', state: this.#state, cursor: this.#cursor?.at }),
      wake: () => this.#connection?.wake(false),
      onChannels: () => this.#tellChannels(),
    });
  }

  #count(channel: string, change: 1 | -1): void {
    const before = this.#channels.get(channel) ?? 0;
    if (before + change) this.#channels.set(channel, before + change);
    else this.#channels.delete(channel);
    if (before && before + change) return;
    this.#tabs?.setChannels([...this.#channels.keys()]);
    this.#tellChannels();
  }

  #tellChannels(): void {
    this.#connection?.setChannels([...this.#channels.keys(), ...(this.#tabs?.channels ?? [])]);
  }

  #connect(): void {
    this.#joined = true;
    this.#connection = new Connection({
      base: this.#base,
      user: this.user,
      token: this.#token,
      device: this.#options.device,
      transports: usable(this.#options),
      WebSocket: this.#options.WebSocket,
      after: () => this.#cursor?.at,
      onAck: id => this.#sendAck(id),
      onState: state => this.#onState(state),
      onFrame: frame => this.#onFrame(frame),
      onError: (error, final) => this.#onError(error, final),
    });
    this.#tellChannels();
    this.#connection.start();
  }

  #disconnect(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }

  // ---- what the connection says ----

  #publish(news: News<T>): void {
    this.#tabs?.post(news);
    this.#hear(news);
  }

  /** Another tab may have a better token: it takes over and finds out itself. */
  #onState(state: State): void {
    if (state === 'unauthorized') this.#setState(state);
    else this.#publish({ kind: 'state', state });
  }

  #onError({ code, detail }: PushwireError, final: boolean): void {
    const news = { kind: 'error', code, detail, final } as const;
    if (this.#state === 'unauthorized') this.#hear(news);
    else this.#publish(news);
  }

  #onFrame(frame: Frame): void {
    const cursor = this.#cursor;
    if (!cursor) return;
    if (frame.type === 'welcome') {
      if (cursor.at === undefined) cursor.move(String(frame['cursor']));
      cursor.save();
    } else if (frame.type === 'gap') {
      const { after, resumes, channel } = frame as unknown as Gap;
      this.#publish({ kind: 'gap', gap: { after, resumes, ...(channel && { channel }) } });
    } else {
      const message = toMessage<T>(frame as unknown as WireMessage);
      if (cursor.covers(message.id)) return; // a double
      this.#publish({ kind: 'message', message });
      cursor.save(this.#back);
      this.#back = false;
    }
  }

  // ---- what this tab hears, from its own connection or another's ----

  #hear(news: News<T>): void {
    if (news.kind === 'message') this.#hearMessage(news.message);
    else if (news.kind === 'gap') this.#hearGap(news.gap);
    else if (news.kind === 'state') this.#hearState(news.state, news.cursor);
    else this.#hearError(news.code, news.detail, news.final);
  }

  #isMine(channel: string | undefined): boolean {
    return channel === undefined || this.#channels.has(channel);
  }

  #hearMessage(message: Message<T>): void {
    if (!this.#cursor || this.#cursor.covers(message.id)) return;
    this.#cursor.move(message.id);
    if (this.#isMine(message.channel)) this.#events.emit('message', message);
  }

  /** Ahead of the cursor it moves nothing: what other addresses keep may still fill the way there.
   * Behind it, the server never gave such a cursor, and counts from there. */
  #hearGap(gap: Gap): void {
    const { at } = this.#cursor ?? {};
    if (gap.channel === undefined && at !== undefined && isNewer(at, gap.resumes)) {
      this.#cursor!.move(gap.resumes);
      this.#back = true;
    }
    // Until a message moves the cursor, each session begins with the same gap.
    const same = JSON.stringify(gap);
    if (same !== this.#lastGap && this.#isMine(gap.channel)) this.#events.emit('gap', gap);
    this.#lastGap = same;
  }

  /** A tab that joins begins where the others are. */
  #hearState(state: State, cursor: string | undefined): void {
    if (!this.#joined && cursor !== undefined) {
      if (!this.#cursor?.covers(cursor)) this.#cursor?.move(cursor);
      this.#joined = true;
    }
    this.#setState(state);
  }

  #hearError(code: string, detail: string, final: boolean): void {
    if (final) this.#leave();
    if (final && this.#state !== 'unauthorized') this.#setState('offline');
    this.#events.emit('error', new PushwireError(code, detail));
  }

  #setState(state: State): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#events.emit('state', state);
  }

  #sendAck(id: string): void {
    const body = { device: this.#options.device, id };
    this.#http
      .json(`/users/${encodeURIComponent(this.user)}/ack`, { body })
      .catch((error: PushwireError) => this.#events.emit('error', error));
  }
}

/** Connects, and stays connected until close(). Wrong options throw a PushwireError at once. */
export function connect<T = unknown>(options: ConnectOptions): Client<T> {
  return new PushwireClient<T>(options);
}
