// What one sent, which no server gives back: kept for this tab, and shared with the others of the same
// user, so that all show both sides of a conversation.

import { recall, remember, Store } from './store.js';

/** A message of one's own; without an id it is still under way. */
export interface Outgoing {
  /** The idempotency key: whoever sends it again, it arrives once. */
  key: string;
  id?: string;
  to: string;
  text: string;
  sentAt: string;
  /** Somebody was there when it came. */
  delivered?: boolean;
}

interface Kept {
  sent: readonly Outgoing[];
}

type Word = { user: string } & ({ ask: true } | { sent: readonly Outgoing[] });

const MOST = 500;

const nameOf = (user: string) => `sent.${user}`;

function stored(user: string): readonly Outgoing[] {
  try {
    const all = JSON.parse(recall('sessionStorage', nameOf(user)) ?? '[]') as unknown;
    return Array.isArray(all) ? (all as Outgoing[]) : [];
  } catch {
    return [];
  }
}

/** By key: an id that is known to either stays known. */
export function merge(mine: readonly Outgoing[], others: readonly Outgoing[]): Outgoing[] {
  const byKey = new Map(mine.map(one => [one.key, one]));
  for (const one of others) {
    const known = byKey.get(one.key);
    byKey.set(one.key, known?.id ? known : { ...known, ...one });
  }
  return [...byKey.values()].sort((a, b) => (a.sentAt < b.sentAt ? -1 : 1)).slice(-MOST);
}

export class Sent extends Store<Kept> {
  #user: string;
  #bus: BroadcastChannel | undefined;

  constructor(user: string) {
    super({ sent: stored(user) });
    this.#user = user;
    if (typeof BroadcastChannel !== 'function') return;
    this.#bus = new BroadcastChannel('pushwire.sent');
    this.#bus.onmessage = ({ data }: { data: Word }) => {
      if (data.user !== user) return;
      if ('sent' in data) this.#keep(merge(this.snapshot.sent, data.sent));
      else this.#say({ user, sent: this.#done() });
    };
    this.#say({ user, ask: true });
  }

  /** Those that may not have arrived when the page was left. */
  get pending(): readonly Outgoing[] {
    return this.snapshot.sent.filter(({ id }) => !id);
  }

  put(one: Outgoing): void {
    this.#keep(merge(this.snapshot.sent, [one]));
    if (one.id) this.#say({ user: this.#user, sent: [one] });
  }

  drop(key: string): void {
    this.#keep(this.snapshot.sent.filter(one => one.key !== key));
  }

  close(): void {
    this.#bus?.close();
  }

  #done(): readonly Outgoing[] {
    return this.snapshot.sent.filter(({ id }) => id);
  }

  #say(word: Word): void {
    this.#bus?.postMessage(word);
  }

  #keep(sent: readonly Outgoing[]): void {
    this.set({ sent });
    remember('sessionStorage', nameOf(this.#user), JSON.stringify(sent));
  }
}
