// An event stream, read by fetch: an EventSource can set no headers, POST nothing, and tell neither
// why it ended nor that it is alive.

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

export const openEventStream: Open = (attempt, hooks) => {
  const closing = new AbortController();
  const { signal } = closing;

  function take(frame: Frame | undefined): void {
    if (!frame || signal.aborted) return;
    hooks.frame(frame);
    if (frame.type === 'bye') hooks.end(CLOSE_CODES[frame['code'] as string] ?? GOING_AWAY);
  }

  /** The server has each frame on one line; a comment is a sign of life. */
  async function run(): Promise<void> {
    const init = posted(beyond(attempt), attempt.token);
    const response = await attempt.fetch(address(attempt, 'sse'), { ...init, signal });
    if (!response.ok) return refuse(response, hooks);
    const reader = response.body!.getReader();
    const decoder = new TextDecoder();
    for (let text = ''; ; ) {
      const { done, value } = await reader.read();
      if (done) return hooks.end(LOST);
      const lines = (text + decoder.decode(value, { stream: true })).split('\n');
      text = lines.pop()!;
      take({ type: '' });
      for (const line of lines) if (line.startsWith('data: ')) take(parse(line.slice(6)));
    }
  }

  run().catch(error => signal.aborted || hooks.end(LOST, error));
  return { close: () => closing.abort() };
};
