'use client';
// Hooks for React 18 and 19. Nothing here touches the browser before an effect runs, so a server can
// render it: the first snapshot is empty and connecting.

import {
  createContext,
  createElement,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useSyncExternalStore,
  type ReactNode,
} from 'react';
import { Inbox, inboxFor, openInbox, type InboxOptions, type Store } from './inbox.js';
import type { ChannelState, Client, Message, PushwireError, Sent, State } from './types.js';

export type PushwireProviderProps = InboxOptions<any> & { children?: ReactNode };

const Context = createContext<Inbox<unknown> | undefined>(undefined);

/** By what a connection is told from another one. A new function is none. */
function keyOf(props: PushwireProviderProps): string {
  if ('client' in props) return '';
  const { user, url, channels, device, start, storage, transports, shareTabs, max } = props;
  const where = typeof url === 'function' ? '()' : url;
  const kept = typeof storage === 'object' ? '{}' : storage;
  return JSON.stringify([user, where, channels, device, start, kept, transports, shareTabs, max]);
}

/** Has the connection: its own, made from the options, or the `client` given, which it leaves open. */
export function PushwireProvider(props: PushwireProviderProps): ReactNode {
  const given = 'client' in props ? props.client : undefined;
  const key = keyOf(props);
  const latest = useRef(props);
  useEffect(() => {
    latest.current = props;
  });
  const inbox = useMemo(
    () => inboxFor<unknown>(props),
    // eslint-disable-next-line
    [given, key],
  );
  useEffect(() => openInbox<unknown>(inbox, () => latest.current), [inbox]);
  return createElement(Context.Provider, { value: inbox }, props.children);
}

function useInbox<T>(): Inbox<T> {
  const inbox = useContext(Context);
  if (!inbox) throw new Error('Put a <PushwireProvider> around this.');
  return inbox as Inbox<T>;
}

function useStore<S extends object>(store: Store<S>): S {
  return useSyncExternalStore(
    store.subscribe,
    () => store.snapshot,
    () => store.first,
  );
}

/** The provider's client; undefined before it is mounted, as on a server. */
export function useClient<T = unknown>(): Client<T> | undefined {
  const inbox = useInbox<T>();
  return useStore(inbox).client as Client<T> | undefined;
}

export interface Notifications<T> {
  /** Newest first. */
  items: readonly Message<T>[];
  /** Of these items; with `moreUnread` there may be more among those that are not loaded. */
  unread: number;
  moreUnread: boolean;
  isRead(id: string): boolean;
  markRead(id: string | readonly string[] | 'all'): void;
  status: State;
  /** The last one; gone when online again. */
  error?: PushwireError;
  hasMore: boolean;
  /** An older page; what goes wrong with it is in `error`. */
  loadMore(): Promise<void>;
}

/** The user's own messages, broadcasts, and channels that no useChannel shows. */
export function useNotifications<T = unknown>(): Notifications<T> {
  const inbox = useInbox<T>();
  const { status, error: failed, marks } = useStore(inbox);
  const { items, hasMore, error = failed } = useStore(inbox.own);
  useEffect(() => inbox.show(), [inbox]);
  const count = useMemo(
    () => inbox.unread(),
    // The marks themselves are the inbox's own.
    [inbox, items, hasMore, marks],
  );
  const markRead = useCallback((id: string | readonly string[]) => inbox.markRead(id), [inbox]);
  const isRead = useCallback((id: string) => inbox.isRead(id), [inbox, marks]);
  const loadMore = useCallback(() => inbox.own.loadMore(), [inbox]);
  return {
    items,
    ...count,
    isRead,
    markRead,
    status,
    hasMore,
    loadMore,
    ...(error && { error }),
  };
}

export interface Channel<T> {
  /** Oldest first. */
  messages: readonly Message<T>[];
  status: State;
  /** Does what is new come? `refused`: `error` says why. */
  subscription: ChannelState;
  error?: PushwireError;
  send(message: unknown): Promise<Sent>;
  hasMore: boolean;
  /** An older page; what goes wrong with it is in `error`. */
  loadMore(): Promise<void>;
}

/** One channel: what it keeps of late, and what comes, while this is mounted. */
export function useChannel<T = unknown>(name: string): Channel<T> {
  const inbox = useInbox<T>();
  const { status } = useStore(inbox);
  const list = inbox.channel(name);
  const { items, hasMore, state, error } = useStore(list);
  useEffect(() => inbox.hold(name), [inbox, name]);
  const messages = useMemo(() => [...items].reverse(), [items]);
  const send = useCallback(async (message: unknown) => inbox.send(name, message), [inbox, name]);
  const loadMore = useCallback(() => list.loadMore(), [list]);
  return {
    messages,
    status,
    subscription: state,
    send,
    hasMore,
    loadMore,
    ...(error && { error }),
  };
}
