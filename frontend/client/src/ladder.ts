// Which transport to try: the best that gets through, and when to try a better one again.

import { spread } from './time.js';

/** A transport that has worked before is not given up for one failure. */
const PATIENCE = 3;
/** On a lower rung the better ones are tried again: after so long, then twice as long, and so on. */
const FIRST_CLIMB_MS = 20_000;
const LAST_CLIMB_MS = 1_800_000;

export class Ladder {
  /** The rung of the present attempt; 0 is the best. */
  at = 0;
  #height: number;
  #next = 0;
  #failures = 0; // in a row
  #proven = new Set<number>();
  #climbMs = FIRST_CLIMB_MS;
  #climbAt: number | undefined;

  constructor(height: number) {
    this.#height = height;
  }

  /** Another network: what was blocked may pass. */
  reset(): void {
    this.#next = this.#failures = 0;
    this.#climbMs = FIRST_CLIMB_MS;
    this.#climbAt = undefined;
    this.#proven.clear();
  }

  begin(): void {
    this.at = this.#next;
  }

  onSession(): void {
    this.#proven.add(this.at);
  }

  onLasting(): void {
    this.#failures = 0;
    if (!this.at) this.#climbMs = FIRST_CLIMB_MS;
  }

  /** One rung down, or up again from the last. True: that one is worth an attempt at once. */
  fall(): boolean {
    if (++this.#failures < (this.#proven.has(this.at) ? PATIENCE : 1)) return false;
    this.#failures = 0;
    this.#next = (this.at + 1) % this.#height;
    return this.#next > 0;
  }

  /** Next comes the best one that ever worked. */
  stay(): void {
    this.#next = Math.min(this.at, ...this.#proven);
  }

  /** ms until the better ones are tried; undefined: there is none. */
  climbIn(): number | undefined {
    if (!this.at) return undefined;
    this.#climbAt ??= Date.now() + spread(this.#climbMs);
    return this.#climbAt - Date.now();
  }

  /** The trial of all better ones is over, with this one, or with none. */
  climbed(to?: number): void {
    this.#climbAt = undefined;
    if (to === undefined) this.#climbMs = Math.min(2 * this.#climbMs, LAST_CLIMB_MS);
    else this.at = this.#next = to;
  }
}
