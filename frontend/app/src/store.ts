// State outside of React: what outlives a view, and what a test can look at without one.

import { useSyncExternalStore } from 'react';

export class Store<S extends object | undefined> {
  #listeners = new Set<() => void>();
  snapshot: S;

  constructor(first: S) {
    this.snapshot = first;
  }

  subscribe = (f: () => void): (() => void) => {
    this.#listeners.add(f);
    return () => void this.#listeners.delete(f);
  };

  set(change: Partial<NonNullable<S>>): void {
    this.snapshot = { ...this.snapshot, ...change } as S;
    for (const f of [...this.#listeners]) f();
  }
}

export const useStore = <S extends object | undefined>(store: Store<S>): S =>
  useSyncExternalStore(store.subscribe, () => store.snapshot);

/** Storage may be full or forbidden; the page then merely forgets. */
export function recall(where: 'localStorage' | 'sessionStorage', key: string): string | undefined {
  try {
    return window[where].getItem(`pushwire.${key}`) ?? undefined;
  } catch {
    return undefined;
  }
}

export function remember(
  where: 'localStorage' | 'sessionStorage',
  key: string,
  value: string,
): void {
  try {
    window[where].setItem(`pushwire.${key}`, value);
  } catch {
    // Forgets.
  }
}
