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
import { connect } from './client.js';
import { Inbox, type Store } from './inbox.js';
import type { Client, ConnectOptions, Message, PushwireError, Sent, State } from './types.js';

type Props = (ConnectOptions | { client: Client<unknown> }) & { children?: ReactNode };

const Context = createContext<Inbox<unknown> | undefined>(undefined);

/** By what a connection is told from another one. A new token function is none. */
function keyOf(props: Props): string {
  if ('client' in props) return '';
  const { user, url, channels, device, start, storage, transports, shareTabs } = props;
  const where = typeof url === 'function' ? '()' : url;
  return JSON.stringify([user, where, channels, device, start, storage, transports, shareTabs]);
}

/** Has the connection: its own, made from the options, or the `client` given, which it leaves open. */
export function PushwireProvider(props: Props): ReactNode {
  const given = 'client' in props ? props.client : undefined;
  const key = keyOf(props);
  const latest = useRef(props);
  useEffect(() => {
    latest.current = props;
  });
  const inbox = useMemo(() => {
    const server = 'client' in props || typeof props.url !== 'string' ? '' : props.url;
    return new Inbox<unknown>(server, given?.user ?? (props as ConnectOptions).user);
    // eslint-disable-next-line
  }, [given, key]);
  useEffect(() => {
    if (given) return inbox.open(given, false);
    const client = connectBy(() => latest.current as ConnectOptions);
    const close = inbox.open(client, (latest.current as ConnectOptions).device !== undefined);
    return () => {
      close();
      client.close();
    };
  }, [inbox, given]);
  return createElement(Context.Provider, { value: inbox }, props.children);
}

/** Functions are asked for when they are needed, so that a render with new ones changes them. */
function connectBy(options: () => ConnectOptions): Client<unknown> {
  const { token, url, ...rest } = options();
  const call = <R>(f: R | (() => R | Promise<R>)) =>
    typeof f === 'function' ? (f as () => R | Promise<R>)() : f;
  return connect<unknown>({
    ...rest,
    ...(url === undefined ? {} : { url: () => call<string>(options().url!) }),
    ...(token === undefined ? {} : { token: async () => call<string>(options().token!) }),
  });
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

export interface Notifications<T> {
  /** Newest first. */
  items: readonly Message<T>[];
  /** Of these items. */
  unread: number;
  isRead(id: string): boolean;
  markRead(id: string | 'all'): void;
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
  const { status, error, marks } = useStore(inbox);
  const { items, hasMore } = useStore(inbox.own);
  useEffect(() => inbox.show(), [inbox]);
  const unread = useMemo(
    () => items.filter(({ id }) => !inbox.isRead(id)).length,
    // The marks themselves are the inbox's own.
    [inbox, items, marks],
  );
  const markRead = useCallback((id: string) => inbox.markRead(id), [inbox]);
  const isRead = useCallback((id: string) => inbox.isRead(id), [inbox, marks]);
  const loadMore = useCallback(() => inbox.own.loadMore(), [inbox]);
  return {
    items,
    unread,
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
  send(message: unknown): Promise<Sent>;
}

/** One channel: what it keeps of late, and what comes, while this is mounted. */
export function useChannel<T = unknown>(name: string): Channel<T> {
  const inbox = useInbox<T>();
  const { status } = useStore(inbox);
  const { items } = useStore(inbox.channel(name));
  useEffect(() => inbox.hold(name), [inbox, name]);
  const messages = useMemo(() => [...items].reverse(), [items]);
  const send = useCallback(
    async (message: unknown) => inbox.client.send({ channel: name, message }),
    [inbox, name],
  );
  return { messages, status, send };
}
