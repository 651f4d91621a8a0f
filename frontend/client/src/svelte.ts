// For Svelte 4 and 5: the same lists as the hooks of React, as stores for `$`.

import { inboxFor, openInbox, type InboxOptions, type Store } from './inbox.js';
import type { ChannelState, Client, Message, PushwireError, Sent, State } from './types.js';

/** The contract of Svelte's stores. */
export interface Readable<V> {
  subscribe(run: (value: V) => void): () => void;
}

export interface Notifications<T> {
  /** Newest first. */
  items: readonly Message<T>[];
  /** Of these items; with `moreUnread` there may be more among those that are not loaded. */
  unread: number;
  moreUnread: boolean;
  isRead(id: string): boolean;
  status: State;
  error: PushwireError | undefined;
  hasMore: boolean;
}

export interface Channel<T> {
  /** Oldest first. */
  messages: readonly Message<T>[];
  status: State;
  /** Does what is new come? `refused`: `error` says why. */
  subscription: ChannelState;
  error: PushwireError | undefined;
  hasMore: boolean;
}

export interface Pushwire<T> {
  /** The user's own messages, broadcasts, and channels whose store nobody has. */
  notifications: Readable<Notifications<T>> & {
    markRead(id: string | readonly string[] | 'all'): void;
    loadMore(): Promise<void>;
  };
  /** Subscribed to while somebody has the store. */
  channel(name: string): Readable<Channel<T>> & {
    send(message: unknown): Promise<Sent>;
    loadMore(): Promise<void>;
  };
  readonly client: Client<T>;
  close(): void;
}

/** Connects, in a browser: until close(), as in onDestroy. */
export function pushwire<T = unknown>(options: InboxOptions<T>): Pushwire<T> {
  const inbox = inboxFor<T>(options);
  const close =
    'client' in options || globalThis.window ? openInbox(inbox, () => options) : () => {};
  return {
    notifications: {
      subscribe(run) {
        inbox.show();
        return follow([inbox, inbox.own], run, () => {
          const { status, error: failed } = inbox.snapshot;
          const { items, hasMore, error = failed } = inbox.own.snapshot;
          const isRead = (id: string) => inbox.isRead(id);
          return { items, hasMore, error, status, isRead, ...inbox.unread() };
        });
      },
      markRead: id => inbox.markRead(id),
      loadMore: () => inbox.own.loadMore(),
    },
    channel(name) {
      const list = inbox.channel(name);
      return {
        subscribe(run) {
          const letGo = inbox.hold(name);
          const stop = follow([inbox, list], run, () => {
            const { items, state: subscription, error, hasMore } = list.snapshot;
            const messages = [...items].reverse();
            return { messages, status: inbox.snapshot.status, subscription, error, hasMore };
          });
          return () => {
            stop();
            letGo();
          };
        },
        send: async message => inbox.send(name, message),
        loadMore: () => list.loadMore(),
      };
    },
    get client() {
      return inbox.client;
    },
    close,
  };
}

function follow<V>(stores: Store<any>[], run: (value: V) => void, value: () => V): () => void {
  const undo = stores.map(store => store.subscribe(() => run(value())));
  run(value());
  return () => undo.forEach(f => f());
}
