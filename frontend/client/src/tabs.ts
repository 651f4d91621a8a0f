// One connection for all tabs: whoever holds the lock leads and has it; the others listen to what
// the leader posts. When the leader closes, crashes or is put to sleep, the next one takes over.
//
// Every tab knows the channels of all, so that a new leader can ask for them at once. A tab holds a
// lock of its own, too; who gets that one knows that the tab is gone.

const ANSWER_MS = 3000;

export interface TabsHooks<E> {
  /** This tab leads from now on. */
  lead(): void;
  /** Not any more: another one had reason to take over. */
  follow(): void;
  /** What the leader posted; never this tab's own. */
  hear(event: E): void;
  /** What the leader tells whoever asks. */
  hello(): E;
  /** A tab woke up and doubts what the leader says. */
  wake(): void;
  /** The channels of all other tabs have changed. */
  onChannels(): void;
}

type Word<E> = { from: string; channels: string[]; ask?: boolean } | { event: E } | { wake: true };

export class Tabs<E> {
  #name: string;
  #id: string;
  #hooks: TabsHooks<E>;
  #bus: BroadcastChannel;
  #mine: string[] = [];
  #others = new Map<string, string[]>();
  #closing = new AbortController();
  #waiting = new AbortController(); // for the lock
  #doubt: ReturnType<typeof setTimeout> | undefined;
  #release: (() => void) | undefined;
  leading = false;

  static get possible(): boolean {
    return typeof BroadcastChannel === 'function' && !!globalThis.navigator?.locks;
  }

  constructor(name: string, id: string, channels: string[], hooks: TabsHooks<E>) {
    this.#name = name;
    this.#id = id;
    this.#mine = channels;
    this.#hooks = hooks;
    this.#bus = new BroadcastChannel(name);
    this.#bus.onmessage = event => this.#hear(event.data as Word<E>);
    this.#hold(this.#lockOf(id), () => this.#introduce(true));
    this.#queue();
    this.#ask();
  }

  /** Of the other tabs. */
  get channels(): string[] {
    return [...this.#others.values()].flat();
  }

  setChannels(channels: string[]): void {
    this.#mine = channels;
    this.#introduce(false);
  }

  /** The leader's word to all others. */
  post(event: E): void {
    this.#say({ event });
  }

  /** A leader that does not answer is asleep, and loses its place. */
  wake(): void {
    if (!this.leading) this.#ask();
  }

  close(): void {
    this.leading = false;
    clearTimeout(this.#doubt);
    this.#closing.abort();
    this.#waiting.abort();
    this.#release?.();
    this.#bus.close();
  }

  #say(word: Word<E>): void {
    if (!this.#closing.signal.aborted) this.#bus.postMessage(word);
  }

  #introduce(ask: boolean): void {
    this.#say({ from: this.#id, channels: this.#mine, ask });
  }

  #ask(): void {
    this.#say({ wake: true });
    clearTimeout(this.#doubt);
    this.#doubt = setTimeout(() => this.#queue(true), ANSWER_MS);
  }

  #hear(word: Word<E>): void {
    if ('from' in word) return this.#meet(word.from, word.channels, word.ask);
    if ('event' in word) {
      clearTimeout(this.#doubt);
      if (!this.leading) this.#hooks.hear(word.event);
    } else if (this.leading) {
      this.#hooks.wake();
      this.post(this.#hooks.hello());
    }
  }

  #meet(other: string, channels: string[], ask: boolean | undefined): void {
    const known = this.#others.has(other);
    this.#others.set(other, channels);
    this.#hooks.onChannels();
    if (ask) this.#introduce(false);
    if (known) return;
    this.#hold(this.#lockOf(other), () => {
      this.#others.delete(other);
      this.#hooks.onChannels();
      return true;
    });
  }

  // ---- locks ----

  #lockOf(id: string): string {
    return `${this.#name}#${id}`;
  }

  /** Waits for a lock and keeps it until this tab closes, unless `then` says that it is done. */
  #hold(name: string, then: () => boolean | void): void {
    const { signal } = this.#closing;
    navigator.locks
      .request(name, { signal }, () => {
        if (signal.aborted || then()) return undefined;
        return new Promise<void>(resolve => signal.addEventListener('abort', () => resolve()));
      })
      .catch(() => {}); // closed while waiting
  }

  /** Leads when its turn comes, or by force at once. */
  #queue(steal = false): void {
    clearTimeout(this.#doubt);
    this.#waiting.abort();
    this.#waiting = new AbortController();
    const { signal } = this.#closing;
    navigator.locks
      .request(this.#name, steal ? { steal } : { signal: this.#waiting.signal }, () => {
        if (signal.aborted) return undefined;
        return new Promise<void>(resolve => {
          this.#release = resolve;
          this.#lead();
        });
      })
      .catch(() => {
        // Given up while waiting, or taken away while leading.
        if (!this.leading || signal.aborted) return;
        this.leading = false;
        this.#hooks.follow();
        this.#queue();
      });
  }

  #lead(): void {
    clearTimeout(this.#doubt);
    this.leading = true;
    this.#hooks.lead();
    this.post(this.#hooks.hello());
  }
}
