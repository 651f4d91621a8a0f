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

  constructor(key: string) {
    this.#key = key;
  }

  /** Reads what is stored, and calls f when another tab changes it, until the returned is called. */
  open(f: () => void): () => void {
    const look = (event: StorageEvent) => {
      if (event.key !== this.#key && event.key !== null) return;
      this.#marks = parse(event.newValue);
      f();
    };
    try {
      this.#marks = parse(localStorage.getItem(this.#key));
    } catch {
      // None to be had: the marks live as long as the page.
    }
    globalThis.addEventListener?.('storage', look);
    return () => globalThis.removeEventListener?.('storage', look);
  }

  has(id: string): boolean {
    return !isNewer(id, this.#marks.upTo) || this.#marks.also.includes(id);
  }

  add(id: string): void {
    if (this.has(id)) return;
    const also = [...this.#marks.also, id].sort();
    // Too many to keep apart: what is older than they are counts as read, too.
    const upTo = also.length > MOST ? also.shift()! : this.#marks.upTo;
    this.#save({ upTo, also });
  }

  addUpTo(id: string): void {
    if (!isNewer(id, this.#marks.upTo)) return;
    this.#save({ upTo: id, also: this.#marks.also.filter(other => isNewer(other, id)) });
  }

  #save(marks: Marks): void {
    this.#marks = marks;
    try {
      localStorage.setItem(this.#key, JSON.stringify(marks));
    } catch {
      // Full or forbidden.
    }
  }
}
