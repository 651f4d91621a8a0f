import { fetchWithin, sleep } from './time.js';
import { address, beyond, posted, refuse, type Frame, type Open } from './transport.js';

const WAIT_SECONDS = 25;
const SLACK_MS = 10_000;
/** A server that does not wait is not asked more often than this. */
const PACE_MS = 1000;
/** The first answer never waits, and a server that is full gives it, too: only the second request,
 * which waits, has a place there. If it is not refused in this time, it has. */
const SETTLE_MS = 1000;
const LOST = 1006;

interface Page {
  messages: object[];
  next: string;
  gap: object | null;
}

export const openPoll: Open = (attempt, hooks) => {
  const closing = new AbortController();
  const { signal } = closing;
  let greeting: ReturnType<typeof setTimeout> | undefined;
  let greeted = false;

  function greet(cursor: string | undefined): void {
    clearTimeout(greeting);
    if (!greeted && !signal.aborted) hooks.frame({ type: 'welcome', cursor });
    greeted = true;
  }

  /** Asks until it is refused. */
  async function run(): Promise<void> {
    const at = { ...attempt };
    let cursor: string | undefined;
    for (let wait = 0; !signal.aborted; wait = WAIT_SECONDS) {
      const began = Date.now();
      const url = address(at, 'poll', { wait: String(wait) });
      const init = posted(beyond(at), await attempt.current());
      const response = await fetchWithin(at.fetch, wait * 1000 + SLACK_MS, url, init, signal);
      if (!response.ok) return refuse(response, { frame: hooks.frame, end });
      const page = (await response.json()) as Page;
      const frames: object[] = page.messages.map(message => ({ type: 'message', ...message }));
      if (page.gap) frames.unshift({ type: 'gap', ...page.gap });
      if (wait) greet(cursor);
      else {
        // Without a cursor the device's counts, which lies before these.
        cursor = at.after ?? (frames.length ? undefined : page.next);
        greeting = setTimeout(greet, SETTLE_MS, cursor);
      }
      for (const frame of frames) {
        if (!signal.aborted) hooks.frame(frame as Frame);
      }
      at.after = page.next;
      const tooSoon = wait && !page.messages.length && Date.now() - began < PACE_MS;
      if (tooSoon) await sleep(PACE_MS, signal);
    }
  }

  function end(code: number, why?: unknown): void {
    clearTimeout(greeting);
    if (!signal.aborted) hooks.end(code, why);
  }

  run().catch(error => end(LOST, error));
  return {
    close() {
      clearTimeout(greeting);
      closing.abort();
    },
  };
};
