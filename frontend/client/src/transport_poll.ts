import { passes, retryMs } from './http.js';
import { bearer, fetchWithin, sleep } from './time.js';
import { address, type Frame, type Open } from './transport.js';

const WAIT_SECONDS = 25;
const SLACK_MS = 10_000;
/** A server that does not wait is not asked more often than this. */
const PACE_MS = 1000;
const LOST = 1006;

interface Page {
  messages: object[];
  next: string;
  gap: object | null;
}

const CLOSE_CODES: Record<number, number> = { 401: 4401, 403: 4403 };

const closeCode = (status: number) =>
  CLOSE_CODES[status] ?? (status < 500 && !passes(status) ? 4400 : LOST);

export const openPoll: Open = (attempt, hooks) => {
  const closing = new AbortController();
  const { signal } = closing;

  /** Asks until it is refused; the first answer, which never waits, is the welcome. */
  async function run(): Promise<void> {
    const at = { ...attempt };
    for (let wait = 0; !signal.aborted; wait = WAIT_SECONDS) {
      const began = Date.now();
      const url = address(at, 'poll', { wait: String(wait) });
      const headers = bearer(await attempt.current());
      const response = await fetchWithin(wait * 1000 + SLACK_MS, url, { headers }, signal);
      if (!response.ok) return hooks.end(closeCode(response.status), retryMs(response));
      const page = (await response.json()) as Page;
      const frames: object[] = page.messages.map(message => ({ type: 'message', ...message }));
      if (page.gap) frames.unshift({ type: 'gap', ...page.gap });
      if (!wait) frames.unshift({ type: 'welcome', cursor: at.after ?? page.next });
      for (const frame of frames) {
        if (!signal.aborted) hooks.frame(frame as Frame);
      }
      at.after = page.next;
      const tooSoon = wait && !page.messages.length && Date.now() - began < PACE_MS;
      if (tooSoon) await sleep(PACE_MS, signal);
    }
  }

  run().catch(() => {
    if (!signal.aborted) hooks.end(LOST);
  });
  return { close: () => closing.abort() };
};
