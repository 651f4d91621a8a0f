// The user's token: asked for once, shared by all who need it, asked for anew when it runs out.

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

export class Token {
  #source: string | (() => Promise<string>) | undefined;
  #known: string | undefined;
  #pending: Promise<string> | undefined;
  #until = Infinity;

  constructor(source: string | (() => Promise<string>) | undefined) {
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

  /** Rejects as the application's function did. `fresh`: the one we have was refused. */
  async get(fresh = false): Promise<string | undefined> {
    const source = this.#source;
    if (typeof source !== 'function') return source;
    if (this.#pending) return this.#pending;
    if (this.#known !== undefined && !fresh && Date.now() < this.#until) return this.#known;
    this.#pending = source();
    try {
      this.#known = await this.#pending;
      this.#until = Date.now() + lifetime(this.#known) * SHARE;
      return this.#known;
    } finally {
      this.#pending = undefined;
    }
  }
}
