// The id of the last message that was given to the application, and where it outlives the page.
//
// Storage is the browser's and may refuse (full, private, none at all); then the cursor lives as
// long as the page.

import type { ConnectOptions, CursorStorage } from './types.js';

type Kind = NonNullable<ConnectOptions['storage']>;

/** Ids are text of rising digits; "0" lies before all. */
export const isNewer = (a: string, b: string): boolean =>
  a.length === b.length ? a > b : a.length > b.length;

function store(kind: Kind): CursorStorage | undefined {
  if (typeof kind === 'object') return kind;
  try {
    if (kind !== 'memory') return kind === 'local' ? localStorage : sessionStorage;
  } catch {
    // A browser that forbids it throws at the mere look.
  }
  return undefined;
}

export class Cursor {
  #key: string;
  #store: CursorStorage | undefined;
  #at: string | undefined;

  /** `start` is where to begin when nothing is stored; undefined: where the server says. */
  constructor(key: string, kind: Kind, start: string | undefined) {
    this.#key = key;
    this.#store = store(kind);
    this.#at = this.#stored() ?? start;
  }

  get at(): string | undefined {
    return this.#at;
  }

  /** Has this been given to the application already? */
  covers(id: string): boolean {
    return this.#at !== undefined && !isNewer(id, this.#at);
  }

  move(id: string | undefined): void {
    this.#at = id;
  }

  /** `back`: even to before what another tab has stored. */
  save(back = false): void {
    const stored = this.#stored();
    if (this.#at === undefined || (stored && !back && !isNewer(this.#at, stored))) return;
    try {
      this.#store?.setItem(this.#key, this.#at);
    } catch {
      // Full: the cursor lives on in memory.
    }
  }

  #stored(): string | undefined {
    try {
      const text = this.#store?.getItem(this.#key);
      return text && /^\d{1,19}$/.test(text) ? text : undefined;
    } catch {
      return undefined;
    }
  }
}
