// The channels of one connection: those that are wanted, and what the present session knows of them.

/** subscribed: its messages come. refused: it is asked for again with each session and token. */
export type ChannelState = 'subscribing' | 'subscribed' | 'refused';

export class Channels {
  #wanted: Set<string>;
  #asked = new Set<string>(); // of this session
  #subscribed = new Set<string>();
  #refused = new Set<string>(); // an address with one of them would be, as a whole
  #leaving: string[] = []; // unsubscribed from, and not answered yet
  #onChange: (channel: string, state: ChannelState) => void;

  constructor(wanted: Iterable<string>, onChange: (channel: string, state: ChannelState) => void) {
    this.#wanted = new Set(wanted);
    this.#onChange = onChange;
  }

  /** For the address of the next session. */
  named(): string[] {
    return [...this.#wanted].filter(channel => !this.#refused.has(channel));
  }

  want(all: Iterable<string>): void {
    this.#wanted = new Set(all);
    for (const channel of this.#refused)
      if (!this.#wanted.has(channel)) this.#refused.delete(channel);
    for (const channel of this.#wanted)
      if (this.#subscribed.has(channel)) this.#onChange(channel, 'subscribed');
  }

  /** A session is to begin, with these in its address; until it does, nothing is subscribed to. */
  begin(asked: Iterable<string>): void {
    this.#asked = new Set(asked);
    this.#leaving = [];
    for (const channel of this.#subscribed) this.#onChange(channel, 'subscribing');
    this.#subscribed.clear();
  }

  onSession(): void {
    for (const channel of this.#asked) this.onSubscribed(channel);
  }

  onSubscribed(channel: string): void {
    this.#refused.delete(channel);
    this.#subscribed.add(channel);
    this.#onChange(channel, 'subscribed');
  }

  /** Nobody asked for it: the new token does not cover it. Asking again tells so, or mends it. */
  onUnsubscribed(channel: string): void {
    const at = this.#leaving.indexOf(channel);
    if (at >= 0) return void this.#leaving.splice(at, 1);
    this.#asked.delete(channel);
  }

  /** Who asks tells of it, with the reason. False: it is told already, or is none of ours. */
  onRefused(channel: string): boolean {
    if (!this.#wanted.has(channel) || this.#refused.has(channel)) return false;
    this.#refused.add(channel);
    this.#subscribed.delete(channel);
    return true;
  }

  isRefused(channel: string): boolean {
    return this.#refused.has(channel);
  }

  /** Another token may cover what was refused. */
  onToken(): void {
    for (const channel of this.#refused) this.#asked.delete(channel);
  }

  /** What to tell the session. `byFrame`: it can be told, and then knows. */
  changes(byFrame: boolean): { missing: string[]; left: string[] } {
    const missing = [...this.#wanted].filter(channel => !this.#asked.has(channel));
    const left = [...this.#asked].filter(channel => !this.#wanted.has(channel));
    if (byFrame) {
      this.#leaving.push(...left);
      for (const channel of left) this.#subscribed.delete(channel);
      this.#asked = new Set(this.#wanted);
    }
    return { missing, left };
  }
}
