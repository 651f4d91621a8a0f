// Where one is: #chat/bob is the conversation with bob, #rooms/tea the room tea.

import { useSyncExternalStore } from 'react';

export const VIEWS = ['chat', 'inbox', 'rooms', 'live'] as const;
export type View = (typeof VIEWS)[number];

export interface Route {
  view: View;
  /** With whom, or which room. */
  of: string | undefined;
}

export function parseRoute(hash: string): Route {
  const [first = '', ...rest] = hash.replace(/^#/, '').split('/');
  const view = VIEWS.find(one => one === first) ?? 'chat';
  try {
    return { view, of: decodeURIComponent(rest.join('/')) || undefined };
  } catch {
    return { view, of: undefined };
  }
}

export const hashOf = (view: View, of?: string): string =>
  of === undefined ? `#${view}` : `#${view}/${encodeURIComponent(of)}`;

function subscribe(f: () => void): () => void {
  window.addEventListener('hashchange', f);
  return () => window.removeEventListener('hashchange', f);
}

const hash = (): string => window.location.hash;

export function useRoute(): Route {
  return parseRoute(useSyncExternalStore(subscribe, hash));
}

export function go(view: View, of?: string): void {
  window.location.hash = hashOf(view, of);
}

/** A link for somebody else: who one is there, and to whom. */
export function invitation(page: string, user: string, peer: string): string {
  return `${page.replace(/[?#].*$/, '')}?${new URLSearchParams({ user })}${hashOf('chat', peer)}`;
}
