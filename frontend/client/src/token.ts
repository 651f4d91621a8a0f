// The user's token: asked for once, shared by all who need it, asked for anew when it runs out.

import { asError, PushwireError, type ConnectOptions } from './types.js';

/** The share of a token's life after which it is renewed. */
const SHARE = 0.8;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** How many ms this JWT has left, or, as this machine's clock is wrong, how many it had at first. */
function lifetime(token: string): number {
  try {
    const { exp, iat } = JSON.parse(
      atob(token.split('.')[1]!.replace(/-/g, '+').replace(/_/g, '/')),
    ) as { exp: number; iat?: number };
    const now = Date.now() / 1000;
    const whole = exp - (iat ?? now);
    const left = exp > now ? Math.min(exp - now, whole) : whole;
    return left > 0 ? left * 1000 : Infinity;
  } catch {
    return Infinity; // it does not say
  }
}

function noToken(): never {
  throw new PushwireError('unauthorized', 'There is no token.');
}

export class Token {
  #source: ConnectOptions['token'];
  #known: string | undefined;
  #pending: Promise<string> | undefined;
  #until = Infinity;

  constructor(source: ConnectOptions['token']) {
    this.#source = source;
  }

  /** Can another one be had? */
  get renewable(): boolean {
    return typeof this.#source === 'function';
  }

  /** ms until it should be renewed, fit for a timer; undefined: no need is known. */
  get renewIn(): number | undefined {
    if (this.#until === Infinity) return undefined;
    return Math.min(Math.max(this.#until - Date.now(), 1000), LONGEST_TIMER_MS);
  }

  /** Rejects with a PushwireError: the function's own, `token_failed` for what else it throws, and
   * `unauthorized` if it has none to give. `fresh`: the one we have was refused. */
  async get(fresh = false): Promise<string | undefined> {
    const source = this.#source;
    if (typeof source !== 'function') return source;
    if (this.#pending) return this.#pending;
    if (this.#known !== undefined && !fresh && Date.now() < this.#until) return this.#known;
    try {
      this.#pending = Promise.resolve(source()).then(found => found || noToken());
      this.#known = await this.#pending;
      this.#until = Date.now() + lifetime(this.#known) * SHARE;
      return this.#known;
    } catch (error) {
      throw asError(error, 'token_failed');
    } finally {
      this.#pending = undefined;
    }
  }
}
