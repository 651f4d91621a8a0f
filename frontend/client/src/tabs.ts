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
  /** What the leader tells whoever asks; a tab that woke up does. */
  hello(): E;
  /** The channels of all other tabs have changed. */
  onChannels(): void;
}

type Word<E> = { from: string; channels: string[]; ask?: boolean } | { event: E } | { wake: true };

export interface Tabs<E> {
  /** Of the other tabs. */
  channels(): string[];
  /** Of this one. */
  setChannels(channels: string[]): void;
  /** The leader's word to all others. */
  post(event: E): void;
  /** A leader that does not answer is asleep, and loses its place. */
  wake(): void;
  /** Takes the lead from whoever has it. */
  lead(): void;
  close(): void;
}

export const canShare = (): boolean =>
  typeof BroadcastChannel === 'function' && !!globalThis.navigator?.locks;

/** `id` is this tab's own among all with this name. News come later, never from within. */
export function joinTabs<E>(
  name: string,
  id: string,
  mine: string[],
  hooks: TabsHooks<E>,
): Tabs<E> {
  const { locks } = navigator;
  const bus = new BroadcastChannel(name);
  const others = new Map<string, string[]>(); // and their channels
  const closing = new AbortController();
  let waiting = new AbortController(); // for the lock
  let doubt: ReturnType<typeof setTimeout> | undefined;
  let leading = false;

  function say(word: Word<E>): void {
    if (!closing.signal.aborted) bus.postMessage(word);
  }

  const introduce = (ask: boolean) => say({ from: id, channels: mine, ask });
  const post = (event: E) => say({ event });

  function ask(): void {
    say({ wake: true });
    clearTimeout(doubt);
    doubt = setTimeout(queue, ANSWER_MS, true);
  }

  bus.onmessage = ({ data }: { data: Word<E> }) => {
    if ('from' in data) {
      meet(data.from, data.channels);
      if (data.ask) introduce(false);
    } else if ('event' in data) {
      clearTimeout(doubt);
      if (!leading) hooks.hear(data.event);
    } else if (leading) {
      post(hooks.hello());
    }
  };

  function meet(other: string, channels: string[]): void {
    const known = others.has(other);
    others.set(other, channels);
    hooks.onChannels();
    if (known) return;
    hold(other, () => {
      others.delete(other);
      hooks.onChannels();
      return true;
    });
  }

  // ---- locks ----

  const untilClosed = () =>
    new Promise<void>(resolve => closing.signal.addEventListener('abort', () => resolve()));

  /** Waits for a tab's own lock and keeps it until this one closes, unless `then` is all. */
  function hold(tab: string, then: () => boolean | void): void {
    const { signal } = closing;
    locks
      .request(`${name}#${tab}`, { signal }, () =>
        signal.aborted || then() ? undefined : untilClosed(),
      )
      .catch(() => {}); // closed while waiting
  }

  /** Leads when its turn comes, or by force at once. */
  function queue(steal?: boolean): void {
    waiting.abort();
    waiting = new AbortController();
    const { signal } = waiting;
    locks
      .request(name, steal ? { steal } : { signal }, () => {
        if (closing.signal.aborted) return undefined;
        lead();
        return untilClosed();
      })
      .catch((error: Error) => {
        if (closing.signal.aborted) return;
        if (leading) {
          leading = false; // it was taken away
          hooks.follow();
          queue();
        } else if (error.name !== 'AbortError') {
          lead(); // a page without locks, as in a sandbox: each for itself
        }
      });
  }

  function lead(): void {
    clearTimeout(doubt);
    leading = true;
    hooks.lead();
    post(hooks.hello());
  }

  hold(id, () => introduce(true));
  queue();
  ask();
  return {
    channels: () => [...others.values()].flat(),
    setChannels(channels) {
      mine = channels;
      introduce(false);
    },
    post,
    wake() {
      if (!leading) ask();
    },
    lead: () => queue(true),
    close() {
      clearTimeout(doubt);
      closing.abort();
      waiting.abort();
      bus.close();
    },
  };
}
