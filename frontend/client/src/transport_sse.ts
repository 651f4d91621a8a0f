import { address, parse, type Open } from './transport.js';

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

export const openEventSource: Open = (attempt, hooks) => {
  // An EventSource can set no headers.
  const token: Record<string, string> = attempt.token ? { token: attempt.token } : {};
  const source = new EventSource(address(attempt, 'sse', token));
  for (const type of ['welcome', 'message', 'gap', 'bye']) {
    source.addEventListener(type, event => {
      const frame = parse((event as MessageEvent).data);
      if (frame) hooks.frame(frame);
      if (type === 'bye') hooks.end(CLOSE_CODES[frame?.['code'] as string] ?? GOING_AWAY);
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
