// Looks at the server once a second while somebody looks at it; remembers two minutes of that.

import type { PushwireError } from 'pushwire';
import { ask } from '../server.js';
import { Store } from '../store.js';
import { parseMetrics, type Sample } from './metrics.js';
import { SPAN_MS } from './path.js';

const EVERY_MS = 1000;
const USERS_EVERY = 3; // looks
export const MOST_USERS = 200;

interface Watched {
  /** In memory only. */
  key: string | undefined;
  /** Of the last look. */
  samples: readonly Sample[];
  /** undefined: nobody has looked yet. */
  ready: boolean | undefined;
  /** Why it is not ready, or may not be looked at. */
  problem: PushwireError | undefined;
  users: readonly string[];
  moreUsers: boolean;
  usersProblem: PushwireError | undefined;
}

class Watch extends Store<Watched> {
  #looks = 0;
  #timer: number | undefined;
  #watchers = 0;

  constructor() {
    super({
      key: undefined,
      samples: [],
      ready: undefined,
      problem: undefined,
      users: [],
      moreUsers: false,
      usersProblem: undefined,
    });
  }

  /** Until the returned function is called. */
  start(): () => void {
    if (this.#watchers++ === 0) void this.#go();
    return () => {
      if (--this.#watchers === 0) window.clearTimeout(this.#timer);
    };
  }

  setKey(key: string): void {
    this.#looks = 0;
    this.set({ key, problem: undefined, usersProblem: undefined });
  }

  async #go(): Promise<void> {
    window.clearTimeout(this.#timer);
    const began = Date.now();
    if (!document.hidden && !this.#refused()) await this.#look();
    if (this.#watchers === 0) return;
    window.clearTimeout(this.#timer);
    const left = began + EVERY_MS - Date.now();
    this.#timer = window.setTimeout(() => void this.#go(), Math.max(left, EVERY_MS / 2));
  }

  /** Asking again with the same key would only fill the server's counters. */
  #refused(): boolean {
    const { problem } = this.snapshot;
    return problem?.status === 401 || problem?.status === 403;
  }

  async #look(): Promise<void> {
    const first = this.#looks++ % USERS_EVERY === 0;
    await Promise.all([this.#lookAtMetrics(), first && this.#lookAtUsers()]);
  }

  async #lookAtMetrics(): Promise<void> {
    // One that is not ready still tells how it is.
    const [ready, metrics] = await Promise.allSettled([
      ask('/readyz'),
      ask('/metrics', { credential: this.snapshot.key }).then(answer => answer.text()),
    ]);
    const failed = [ready, metrics].find(({ status }) => status === 'rejected');
    this.set({
      ready: ready.status === 'fulfilled',
      problem: (failed as PromiseRejectedResult | undefined)?.reason as PushwireError | undefined,
    });
    if (metrics.status === 'rejected') return;
    const sample = parseMetrics(metrics.value, Date.now());
    const samples = this.snapshot.samples.filter(({ at }) => at > sample.at - SPAN_MS);
    this.set({ samples: [...samples, sample] });
  }

  async #lookAtUsers(): Promise<void> {
    try {
      const path = `/users?online=true&limit=${MOST_USERS}`;
      const answer = await ask(path, { credential: this.snapshot.key });
      const { users, next } = await answer.json();
      this.set({ users, moreUsers: !!next, usersProblem: undefined });
    } catch (error) {
      this.set({ users: [], moreUsers: false, usersProblem: error as PushwireError });
    }
  }
}

export const watch = new Watch();
