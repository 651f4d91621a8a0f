import { address, beyond, parse, posted, refuse, type Frame, type Open } from './transport.js';

const LOST = 1006;
const GOING_AWAY = 1001;

/** An event stream has no close codes: its last word, `bye`, tells as much. */
const CLOSE_CODES: Record<string, number> = {
  kicked: 4403,
  forbidden: 4403,
  missing_scope: 4403,
  unauthorized: 4401,
  token_expired: 4440,
};

const closeCode = (bye: Frame | undefined): number =>
  CLOSE_CODES[bye?.['code'] as string] ?? GOING_AWAY;

/** An EventSource cannot POST. The server has each frame on one line. */
async function read(response: Response, take: (frame: Frame | undefined) => void): Promise<void> {
  const reader = response.body!.getReader();
  const decoder = new TextDecoder();
  for (let text = ''; ; ) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (text + decoder.decode(value, { stream: true })).split('\n');
    text = lines.pop()!;
    for (const line of lines) if (line.startsWith('data: ')) take(parse(line.slice(6)));
  }
}

const openPosted: Open = (attempt, hooks) => {
  const closing = new AbortController();
  const { signal } = closing;

  function take(frame: Frame | undefined): void {
    if (!frame || signal.aborted) return;
    hooks.frame(frame);
    if (frame.type === 'bye') hooks.end(closeCode(frame));
  }

  async function run(): Promise<void> {
    const init = posted(attempt.channels, attempt.token);
    const response = await fetch(address(attempt, 'sse'), { ...init, signal });
    if (!response.ok) return refuse(response, hooks);
    await read(response, take);
    hooks.end(LOST);
  }

  run().catch(() => signal.aborted || hooks.end(LOST));
  return { close: () => closing.abort() };
};

export const openEventSource: Open = (attempt, hooks) => {
  if (beyond(attempt)) return openPosted(attempt, hooks);
  // An EventSource can set no headers.
  const token: Record<string, string> = attempt.token ? { token: attempt.token } : {};
  const source = new EventSource(address(attempt, 'sse', token));
  for (const type of ['welcome', 'message', 'gap', 'bye']) {
    source.addEventListener(type, event => {
      const frame = parse((event as MessageEvent).data);
      if (frame) hooks.frame(frame);
      if (type === 'bye') hooks.end(closeCode(frame));
    });
  }
  // It would come back by itself, but with the token and the channels of its beginning.
  source.onerror = () => hooks.end(LOST);
  return {
    close() {
      source.onerror = null;
      source.close();
    },
  };
};
