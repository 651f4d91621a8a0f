// Which messages this browser's user has read: everything up to one id, and some above it. Kept in
// localStorage, so all tabs agree; a server knows nothing of it.

import { isNewer } from './cursor.js';

const MOST = 500;

interface Marks {
  upTo: string;
  also: string[];
}

const NONE: Marks = { upTo: '0', also: [] };

function parse(text: string | null): Marks {
  try {
    const { upTo, also } = JSON.parse(text ?? '') as Marks;
    return typeof upTo === 'string' && Array.isArray(also) ? { upTo, also } : NONE;
  } catch {
    return NONE;
  }
}

export class ReadMarks {
  #key: string;
  #marks = NONE;
  #also = new Set<string>();

  constructor(key: string) {
    this.#key = key;
  }

  /** Reads what is stored, and calls f when another tab changes it, until the returned is called. */
  open(f: () => void): () => void {
    const look = (event: StorageEvent) => {
      if (event.key !== this.#key && event.key !== null) return;
      this.#set(parse(event.newValue));
      f();
    };
    try {
      this.#set(parse(localStorage.getItem(this.#key)));
    } catch {
      // None to be had: the marks live as long as the page.
    }
    globalThis.addEventListener?.('storage', look);
    return () => globalThis.removeEventListener?.('storage', look);
  }

  has(id: string): boolean {
    return !isNewer(id, this.#marks.upTo) || this.#also.has(id);
  }

  /** Is everything read that is older? */
  coversBefore(id: string): boolean {
    return !isNewer(id, this.#marks.upTo);
  }

  add(ids: readonly string[]): void {
    const news = ids.filter(id => !this.has(id));
    if (!news.length) return;
    const also = [...this.#marks.also, ...news].sort((a, b) => (isNewer(a, b) ? 1 : -1));
    // Too many to keep apart: what is older than they are counts as read, too.
    const upTo = also.splice(0, Math.max(0, also.length - MOST)).at(-1) ?? this.#marks.upTo;
    this.#save({ upTo, also });
  }

  addUpTo(id: string): void {
    if (!isNewer(id, this.#marks.upTo)) return;
    this.#save({ upTo: id, also: this.#marks.also.filter(other => isNewer(other, id)) });
  }

  #set(marks: Marks): void {
    this.#marks = marks;
    this.#also = new Set(marks.also);
  }

  #save(marks: Marks): void {
    this.#set(marks);
    try {
      localStorage.setItem(this.#key, JSON.stringify(marks));
    } catch {
      // Full or forbidden.
    }
  }
}
