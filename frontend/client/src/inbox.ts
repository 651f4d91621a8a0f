// What the hooks of React, Vue and Svelte show, without any of them: lists that grow forwards by the stream and backwards by
// history, and which of it was read. A snapshot is one object until something changes.

import { isNewer } from './cursor.js';
import { ReadMarks } from './read_marks.js';
import { connect } from './client.js';
import {
  PushwireError,
  type ChannelState,
  type Client,
  type ConnectOptions,
  type Message,
  type Sent,
  type State,
} from './types.js';

const PAGE = 50;
/** A list that has grown beyond this lets go of its oldest; loadMore() brings them back. */
const MOST = 1000;
/** Bursts are shown at most this often, so that they don't render message by message. */
const PACE_MS = 100;

/** A snapshot and who wants to hear of its changes: what useSyncExternalStore takes. */
export class Store<S extends object> {
  #listeners = new Set<() => void>();
  readonly first: S;
  snapshot: S;

  constructor(first: S) {
    this.snapshot = this.first = first;
  }

  subscribe = (f: () => void): (() => void) => {
    this.#listeners.add(f);
    return () => void this.#listeners.delete(f);
  };

  set(change: Partial<S>): void {
    this.snapshot = { ...this.snapshot, ...change };
    for (const f of [...this.#listeners]) f();
  }
}

export interface ListState<T> {
  /** Newest first. */
  items: readonly Message<T>[];
  hasMore: boolean;
  /** Of a channel: does what is new come? */
  state: ChannelState;
  /** Why the channel is refused, or what went wrong with a page. */
  error: PushwireError | undefined;
}

/** One list, of the user's own or of one channel. It has a client while the provider is mounted. */
export class List<T> extends Store<ListState<T>> {
  #channel: string | undefined;
  #client: Client<T> | undefined;
  #arrived: Message<T>[] = [];
  #pause: ReturnType<typeof setTimeout> | undefined;
  #loading: Promise<void> | undefined;
  #loaded = false;
  #early = false; // what comes between the first page and the first session, may be in neither

  constructor(channel?: string) {
    super({ items: [], hasMore: false, state: 'subscribing', error: undefined });
    this.#channel = channel;
  }

  open(client: Client<T>): void {
    this.#client = client;
    this.#early = client.state !== 'online';
    void this.load();
  }

  onOnline(): void {
    if (this.#loaded && !this.#early) return;
    this.#early = false;
    void Promise.resolve(this.#loading).then(() => this.#page(undefined));
  }

  close(): void {
    this.#client = undefined;
    this.#arrived = [];
    clearTimeout(this.#pause);
    this.#pause = this.#loading = undefined;
    this.#loaded = false;
    this.set(this.first);
  }

  add(message: Message<T>): void {
    this.#arrived.push(message);
    if (this.#pause === undefined) this.#show();
  }

  /** The newest page, if we don't have it yet. */
  load(): Promise<void> {
    return this.#loaded ? Promise.resolve() : this.#page(undefined);
  }

  loadMore(): Promise<void> {
    return this.#loaded ? this.#page(this.snapshot.items.at(-1)?.id) : this.load();
  }

  #page(before: string | undefined): Promise<void> {
    this.#loading ??= this.#ask(before).finally(() => (this.#loading = undefined));
    return this.#loading;
  }

  async #ask(before: string | undefined): Promise<void> {
    const client = this.#client;
    if (!client) return;
    const channel = this.#channel === undefined ? {} : { channel: this.#channel };
    try {
      const page = await client.history({
        limit: PAGE,
        ...channel,
        ...(before === undefined ? {} : { before }),
      });
      if (client !== this.#client) return;
      this.#loaded = true;
      this.#merge(page.messages);
      const { items, hasMore } = this.snapshot;
      const isLast = items.length === 0 || items.at(-1) === page.messages.at(-1);
      this.set({ hasMore: isLast ? page.more : hasMore, error: undefined });
    } catch (error) {
      if (client === this.#client) this.set({ error: error as PushwireError });
    }
  }

  #show(): void {
    const arrived = this.#arrived;
    this.#arrived = [];
    this.#pause = setTimeout(() => {
      this.#pause = undefined;
      if (this.#arrived.length) this.#show();
    }, PACE_MS);
    this.#merge(arrived);
    if (this.snapshot.items.length > MOST)
      this.set({ items: this.snapshot.items.slice(0, MOST), hasMore: true });
  }

  /** By id: stream and history overlap. */
  #merge(more: readonly Message<T>[]): void {
    const { items } = this.snapshot;
    const newest = items[0];
    const byId = new Map(more.map(item => [item.id, item]));
    const isNews = !newest || more.every(({ id }) => isNewer(id, newest.id));
    if (!isNews) for (const item of items) byId.set(item.id, item);
    const merged = [...byId.values()].sort((a, b) => (isNewer(a.id, b.id) ? -1 : 1));
    this.set({ items: isNews ? merged.concat(items) : merged });
  }
}

export interface InboxState {
  status: State;
  error: PushwireError | undefined;
  /** Changes with every mark. */
  marks: number;
  client: Client<unknown> | undefined;
}

/** Everything a provider hands down. What comes by a channel that somebody shows goes to that
 * channel's list, all else to the user's own. */
export class Inbox<T> extends Store<InboxState> {
  readonly own = new List<T>();
  #marks: ReadMarks;
  #channels = new Map<string, { list: List<T>; users: number; undo?: () => void }>();
  #client: Client<T> | undefined;
  #ownWanted = false;

  /** `server` parts the read marks of different servers. */
  constructor(server: string, user: string) {
    super({ status: 'connecting', error: undefined, marks: 0, client: undefined });
    this.#marks = new ReadMarks(`pushwire:read:${JSON.stringify([server, user])}`);
  }

  /** Shows this client's stream until the returned function is called; that empties everything. */
  open(client: Client<T>, ack: boolean): () => void {
    const undo = [
      client.on('message', message => {
        this.#listOf(message).add(message);
        if (ack) client.ack(message.id);
      }),
      client.on('error', error => this.set({ error })),
      client.on('state', status => this.#onState(status)),
      this.#marks.open(() => this.#marked()),
    ];
    this.#client = client;
    this.set({ status: client.state, client: client as Client<unknown> });
    if (this.#ownWanted) this.own.open(client);
    for (const name of this.#channels.keys()) this.#openChannel(name);
    return () => {
      for (const f of undo) f();
      this.#client = undefined;
      this.own.close();
      for (const channel of this.#channels.values()) {
        channel.undo?.();
        channel.list.close();
      }
      this.set(this.first);
    };
  }

  /** Loads the user's own messages from now on. */
  show(): void {
    if (this.#ownWanted) return;
    this.#ownWanted = true;
    if (this.#client) this.own.open(this.#client);
  }

  /** The list of a channel, always the same one. */
  channel(name: string): List<T> {
    let channel = this.#channels.get(name);
    if (!channel) {
      channel = { list: new List<T>(name), users: 0 };
      this.#channels.set(name, channel);
    }
    return channel.list;
  }

  /** Subscribes to it until the last one who held it lets go. */
  hold(name: string): () => void {
    this.channel(name);
    const channel = this.#channels.get(name)!;
    if (!channel.users++ && this.#client) this.#openChannel(name);
    return () => {
      if (--channel.users) return;
      channel.undo?.();
      channel.list.close(); // and stays: StrictMode lets go and comes back to the same one
    };
  }

  isRead(id: string): boolean {
    return this.#marks.has(id);
  }

  markRead(id: string | readonly string[]): void {
    const newest = this.own.snapshot.items[0]?.id;
    if (id !== 'all') this.#marks.add(typeof id === 'string' ? [id] : id);
    else if (newest !== undefined) this.#marks.addUpTo(newest);
    this.#marked();
  }

  /** Among the own items, and whether older ones, that are not loaded, may be unread, too. */
  unread(): { unread: number; moreUnread: boolean } {
    const { items, hasMore } = this.own.snapshot;
    const unread = items.filter(({ id }) => !this.isRead(id)).length;
    const oldest = items.at(-1);
    const moreUnread = hasMore && (!oldest || !this.#marks.coversBefore(oldest.id));
    return { unread, moreUnread };
  }

  send(name: string, message: unknown): Promise<Sent> {
    return this.client.send({ channel: name, message });
  }

  get client(): Client<T> {
    if (this.#client) return this.#client;
    throw new PushwireError('closed', 'Nothing can be sent before the provider is mounted.');
  }

  #marked(): void {
    this.set({ marks: this.snapshot.marks + 1 });
  }

  #onState(status: State): void {
    const online = status === 'online';
    this.set(online ? { status, error: undefined } : { status });
    // What could not be loaded before, can be now.
    if (online && this.#ownWanted) this.own.onOnline();
    if (online) for (const { list, users } of this.#channels.values()) if (users) list.onOnline();
  }

  #openChannel(name: string): void {
    const channel = this.#channels.get(name)!;
    if (!channel.users) return;
    channel.undo = this.#client!.subscribe(name, {
      onState: (state, error) => channel.list.set({ state, error }),
    });
    channel.list.open(this.#client!);
  }

  #listOf(message: Message<T>): List<T> {
    const channel = message.channel === undefined ? undefined : this.#channels.get(message.channel);
    return channel?.users ? channel.list : this.own;
  }
}

export type InboxOptions<T> = ConnectOptions | { client: Client<T> };

/** An inbox with its connection: its own, made from the options, or the `client` given, which it
 * leaves open. `latest` gives the options of now: functions are asked for when they are needed. */
export function openInbox<T>(inbox: Inbox<T>, latest: () => InboxOptions<T>): () => void {
  const options = latest();
  if ('client' in options) return inbox.open(options.client, false);
  const client = connectBy<T>(latest as () => ConnectOptions);
  const close = inbox.open(client, options.device !== undefined);
  return () => {
    close();
    client.close();
  };
}

export function inboxFor<T>(options: InboxOptions<T>): Inbox<T> {
  if ('client' in options) return new Inbox<T>('', options.client.user);
  return new Inbox<T>(typeof options.url === 'string' ? options.url : '', options.user);
}

/** What is kept is shown page by page, so the stream begins with what is new. */
function connectBy<T>(latest: () => ConnectOptions): Client<T> {
  const { token, url, headers, device, ...rest } = latest();
  const call = <R>(f: R | (() => R)): R => (typeof f === 'function' ? (f as () => R)() : f);
  return connect<T>({
    start: device === undefined ? 'now' : 'all',
    ...rest,
    device,
    url: url === undefined ? undefined : async () => call(latest().url!),
    token: token === undefined ? undefined : async () => call(latest().token),
    headers: headers === undefined ? undefined : async () => call(latest().headers ?? {}),
  });
}
