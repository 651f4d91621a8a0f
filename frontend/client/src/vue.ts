// For Vue 3: the same lists as the hooks of React, as refs. On a server nothing connects, and they
// are empty and connecting.

import {
  computed,
  inject,
  onMounted,
  onScopeDispose,
  provide,
  shallowRef,
  type ComputedRef,
  type InjectionKey,
} from 'vue';
import { inboxFor, openInbox, type Inbox, type InboxOptions, type Store } from './inbox.js';
import type { ChannelState, Client, Message, PushwireError, Sent, State } from './types.js';

const KEY: InjectionKey<Inbox<unknown>> = Symbol('pushwire');

/** In `setup` of the component around all that use it: connects while that is mounted. */
export function providePushwire(options: InboxOptions<any>): void {
  const inbox = inboxFor<unknown>(options);
  provide(KEY, inbox);
  let close = () => {};
  onMounted(() => void (close = openInbox<unknown>(inbox, () => options)));
  onScopeDispose(() => close());
}

function useInbox<T>(): Inbox<T> {
  const inbox = inject(KEY);
  if (!inbox) throw new Error('Call providePushwire() in a component around this.');
  return inbox as Inbox<T>;
}

function useStore<S extends object>(store: Store<S>): ComputedRef<S> {
  const state = shallowRef(store.snapshot);
  onScopeDispose(store.subscribe(() => void (state.value = store.snapshot)));
  return computed(() => state.value);
}

export interface Notifications<T> {
  /** Newest first. */
  items: ComputedRef<readonly Message<T>[]>;
  /** Of these items; with `moreUnread` there may be more among those that are not loaded. */
  unread: ComputedRef<number>;
  moreUnread: ComputedRef<boolean>;
  isRead(id: string): boolean;
  markRead(id: string | readonly string[] | 'all'): void;
  status: ComputedRef<State>;
  error: ComputedRef<PushwireError | undefined>;
  hasMore: ComputedRef<boolean>;
  loadMore(): Promise<void>;
  client: ComputedRef<Client<T> | undefined>;
}

/** The user's own messages, broadcasts, and channels that no useChannel shows. */
export function useNotifications<T = unknown>(): Notifications<T> {
  const inbox = useInbox<T>();
  const [all, own] = [useStore(inbox), useStore(inbox.own)];
  const count = computed(() => (all.value, own.value, inbox.unread()));
  onMounted(() => inbox.show());
  return {
    items: computed(() => own.value.items),
    unread: computed(() => count.value.unread),
    moreUnread: computed(() => count.value.moreUnread),
    isRead: id => (all.value, inbox.isRead(id)),
    markRead: id => inbox.markRead(id),
    status: computed(() => all.value.status),
    error: computed(() => own.value.error ?? all.value.error),
    hasMore: computed(() => own.value.hasMore),
    loadMore: () => inbox.own.loadMore(),
    client: computed(() => all.value.client as Client<T> | undefined),
  };
}

export interface Channel<T> {
  /** Oldest first. */
  messages: ComputedRef<readonly Message<T>[]>;
  status: ComputedRef<State>;
  /** Does what is new come? `refused`: `error` says why. */
  subscription: ComputedRef<ChannelState>;
  error: ComputedRef<PushwireError | undefined>;
  hasMore: ComputedRef<boolean>;
  loadMore(): Promise<void>;
  send(message: unknown): Promise<Sent>;
}

/** One channel: what it keeps of late, and what comes, while the component is mounted. */
export function useChannel<T = unknown>(name: string): Channel<T> {
  const inbox = useInbox<T>();
  const list = inbox.channel(name);
  const [all, state] = [useStore(inbox), useStore(list)];
  let letGo = () => {};
  onMounted(() => void (letGo = inbox.hold(name)));
  onScopeDispose(() => letGo());
  return {
    messages: computed(() => [...state.value.items].reverse()),
    status: computed(() => all.value.status),
    subscription: computed(() => state.value.state),
    error: computed(() => state.value.error),
    hasMore: computed(() => state.value.hasMore),
    loadMore: () => list.loadMore(),
    send: async message => inbox.send(name, message),
  };
}
