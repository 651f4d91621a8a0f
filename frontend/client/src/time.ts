// Waiting, and not waiting for ever.

const FIRST_MS = 500;
const LONGEST_MS = 30_000;

/** How long to wait before the next attempt: full jitter, so that many clients spread themselves. */
export function backoff(attempt: number): number {
  return Math.random() * Math.min(LONGEST_MS, FIRST_MS * 2 ** attempt);
}

/** What the server told all who asked: not before it, and not all at once. */
export const spread = (ms: number): number => ms * (1 + Math.random() / 2);

type Signals = (AbortSignal | undefined)[];

/** Calls f once, when one of them is aborted; returns how to call that off. */
function onAbort(signals: Signals, f: () => void): () => void {
  for (const signal of signals) {
    if (signal?.aborted) f();
    signal?.addEventListener('abort', f);
  }
  return () => signals.forEach(signal => signal?.removeEventListener('abort', f));
}

/** Resolves after ms, or as soon as one of the signals says so. */
export function sleep(ms: number, ...signals: Signals): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(done, ms);
    const off = onAbort(signals, done);
    function done() {
      clearTimeout(timer);
      queueMicrotask(() => off());
      resolve();
    }
  });
}

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** fetch, with a time in which the head of the answer must come. */
export async function fetchWithin(
  fetch: Fetch,
  ms: number,
  url: string,
  init: RequestInit,
  ...signals: Signals
): Promise<Response> {
  const limit = new AbortController();
  const stop = () => limit.abort();
  const timer = setTimeout(stop, ms);
  const off = onAbort(signals, stop);
  try {
    return await fetch(url, { ...init, signal: limit.signal });
  } finally {
    clearTimeout(timer);
    off();
  }
}

/** The header that carries a token; none without one. */
export const bearer = (token: string | undefined): Record<string, string> =>
  token ? { Authorization: `Bearer ${token}` } : {};
