// One session with the server, kept alive: over the best transport that gets through, with back-off
// and jitter, with a token that is good, and never trusting a socket that only looks open.
//
// Every attempt has a number, and what comes from an older one is ignored; so a call that returns
// late (a token, an address, a close) can never disturb the present one.

import { UNREACHABLE } from './http.js';
import { openEventSource } from './transport_sse.js';
import { openPoll } from './transport_poll.js';
import { openWebSocket } from './transport_ws.js';
import { type Attempt, type Frame, type Open, type Transport } from './transport.js';
import { backoff, spread } from './time.js';
import type { Token } from './token.js';
import { PushwireError, type ConnectOptions, type State, type TransportName } from './types.js';

const WELCOME_MS = 10_000;
const PONG_MS = 3000;
/** Comments of an event stream are hidden from us: after so much silence we ask anew. */
const SILENCE_SECONDS = 120;
/** A transport that has worked before is not given up for one failure. */
const PATIENCE = 3;
/** A session that was shorter has proved nothing. */
const LASTING_MS = 5000;
/** On a lower rung the better ones are tried again: after so long, then twice as long, and so on. */
const FIRST_CLIMB_MS = 20_000;
const LAST_CLIMB_MS = 1_800_000;

const OPEN: Record<TransportName, Open> = {
  ws: openWebSocket,
  sse: openEventSource,
  poll: openPoll,
};

// Close codes of docs/wire.md; any other one means back off and come back with the cursor.
const STOP = [1000, 1002, 1003, 1007, 1008, 1009, 4400, 4403];
const TOKEN = [4401, 4440];
const LOST = 1006;

export interface ConnectionOptions {
  base: () => Promise<string>;
  user: string;
  token: Token;
  device?: string | undefined;
  transports: TransportName[];
  WebSocket?: ConnectOptions['WebSocket'] | undefined;
  /** The cursor to come back with. */
  after: () => string | undefined;
  /** Where clients send no frames: this device has everything up to that id. */
  onAck(id: string): void;
  onState(state: State): void;
  /** welcome, message and gap, as they came. */
  onFrame(frame: Frame): void;
  /** What went wrong; `final`: nothing more is tried. */
  onError(error: PushwireError, final: boolean): void;
}

export interface Connection {
  /** The browser came back from somewhere: sleep, another network, a hidden tab. */
  wake(newNetwork: boolean): void;
  setChannels(channels: Iterable<string>): void;
  ack(id: string): void;
  /** Ends it without a word. */
  close(): void;
}

interface Bye {
  code: string;
  retry_ms?: number;
}

type Timer = ReturnType<typeof setTimeout>;

/** Begins at once, with these channels. `state` is what the application was told so far. */
export function openConnection(
  o: ConnectionOptions,
  channels: Iterable<string>,
  state: State,
): Connection {
  const { token, transports } = o;
  let turn = 0;
  let transport: Transport | undefined;
  /** The one thing waited for: a welcome, the next attempt, a sign of life. */
  let timer: Timer | undefined;
  let renewal: Timer | undefined;
  let heartbeat = SILENCE_SECONDS;

  let rung = 0; // of the ladder of transports: the next attempt's
  let current = 0; // this one's
  let failures = 0; // in a row
  const proven = new Set<number>(); // rungs that have worked
  let higher: Transport | undefined; // a better one, on trial
  let climbMs = FIRST_CLIMB_MS;
  let climbAt: number | undefined; // the next trial
  let climbing: Timer | undefined;
  let attempts = 0; // since the last session that lasted
  let welcomed = false;
  let since = 0; // of the welcome
  let waiting = false; // for the next attempt
  let ordered = false; // by the server, for how long
  const told = new Set<string>(); // the codes of this outage
  let renewed = false; // the token, since the last welcome
  let fresh = false; // the next attempt needs another token
  let bye: Bye | undefined;

  let wanted = new Set(channels);
  let asked = new Set<string>(); // of these, what this session was told
  const refused = new Set<string>(); // channels; an address with one of them would be, as a whole
  let leaving: string[] = []; // unsubscribed from, and not answered yet
  let acked: string | undefined; // to be told

  // ---- attempts ----

  async function open(): Promise<void> {
    drop();
    const mine = turn;
    current = rung;
    let attempt: Attempt;
    try {
      attempt = await prepare();
    } catch (error) {
      if (mine !== turn) return;
      tell(new PushwireError('unreachable', String(error)));
      return retry(backoff(attempts++));
    }
    if (mine !== turn) return;
    fresh = false;
    asked = new Set(attempt.channels);
    after(WELCOME_MS, () => lost(LOST));
    try {
      transport = OPEN[transports[current]!](attempt, {
        frame: frame => mine === turn && take(frame),
        end: code => mine === turn && lost(code),
      });
    } catch (error) {
      lost(LOST, error); // what a page may not open throws: another transport may pass
    }
  }

  async function prepare(): Promise<Attempt> {
    const [base, first] = await Promise.all([o.base(), token.get(fresh)]);
    const channels = [...wanted].filter(channel => !refused.has(channel));
    return { ...o, base, after: o.after(), channels, token: first, current: () => token.get() };
  }

  function drop(): void {
    turn++;
    welcomed = waiting = ordered = false;
    leaving = [];
    bye = undefined;
    clearTimeout(timer);
    clearTimeout(renewal);
    clearTimeout(climbing);
    transport?.close();
    higher?.close();
    transport = higher = undefined;
  }

  function after(ms: number, f: () => void): void {
    clearTimeout(timer);
    timer = setTimeout(f, ms);
  }

  function lost(code: number, why: unknown = ''): void {
    const gone = code === LOST;
    const error = new PushwireError(
      bye?.code ?? (gone ? 'unreachable' : `close_${code}`),
      gone ? `${UNREACHABLE} ${why}`.trim() : 'The server ended it.',
    );
    if (STOP.includes(code)) return stop(error);
    if (TOKEN.includes(code)) return onBadToken(error);
    // An EventSource cannot tell what it died of.
    fresh = token.renewable && transports[current] === 'sse' && gone;
    const order = bye?.retry_ms;
    const lasted = welcomed && Date.now() - since >= LASTING_MS;
    if (lasted) attempts = failures = 0;
    if (lasted && !current) climbMs = FIRST_CLIMB_MS;
    if (!lasted && fall(code)) return retry(0);
    if (welcomed)
      rung = Math.min(current, ...proven); // the best one that ever worked
    else tell(error);
    // A session's last word is meant for it alone; what refuses it, tells all the same.
    const more = welcomed && order !== undefined ? 0 : backoff(attempts++);
    retry((order ?? 0) + more, order !== undefined);
  }

  /** Waits for the next attempt. `order`: others were told the same, spread out; it is kept. */
  function retry(ms: number, order = false): void {
    drop();
    waiting = true;
    ordered = order;
    after(ms, open);
    const away = globalThis.navigator?.onLine === false;
    setState(away ? 'offline' : state === 'connecting' ? state : 'reconnecting');
  }

  /** One rung down, or up again from the last. True: that one is worth an attempt at once. */
  function fall(code: number): boolean {
    if (code !== LOST || ++failures < (proven.has(current) ? PATIENCE : 1)) return false;
    failures = 0;
    rung = (current + 1) % transports.length;
    return rung > 0;
  }

  // ---- back to a better transport ----

  function scheduleClimb(): void {
    if (!current) return;
    climbAt ??= Date.now() + spread(climbMs);
    climbing = setTimeout(climb, climbAt - Date.now(), 0);
  }

  /** The present session goes on until the better one has said its first word. Each has the stream
   * from the cursor, so whatever both bring is a double. */
  async function climb(to: number): Promise<void> {
    let mine = turn;
    const next = () => {
      higher?.close();
      higher = climbAt = undefined;
      clearTimeout(climbing);
      if (to + 1 < current) return void climb(to + 1);
      climbMs = Math.min(2 * climbMs, LAST_CLIMB_MS);
      scheduleClimb();
    };
    try {
      const attempt = await prepare();
      if (mine !== turn) return;
      climbing = setTimeout(next, WELCOME_MS);
      higher = OPEN[transports[to]!](attempt, {
        frame(frame) {
          if (mine !== turn) return;
          if (higher && frame.type !== 'bye') {
            const found = higher;
            higher = climbAt = undefined;
            drop();
            mine = turn;
            transport = found;
            current = rung = to;
            asked = new Set(attempt.channels);
          }
          if (!higher) take(frame);
        },
        end(code) {
          if (mine !== turn) return;
          if (higher) next();
          else lost(code);
        },
      });
    } catch {
      if (mine === turn) next();
    }
  }

  // ---- the end of an attempt ----

  function onBadToken(error: PushwireError): void {
    if (!token.renewable || renewed) return stop(error, 'unauthorized');
    renewed = fresh = true;
    retry(0);
  }

  function stop(error: PushwireError, end: State = 'offline'): void {
    drop();
    setState(end);
    o.onError(error, true);
  }

  /** Once an outage. */
  function tell(error: PushwireError): void {
    if (!told.has(error.code)) o.onError(error, false);
    told.add(error.code);
  }

  function setState(next: State): void {
    if (next === state) return;
    state = next;
    o.onState(state);
  }

  // ---- a session ----

  function take(frame: Frame): void {
    const { type } = frame;
    watch();
    if (type === 'welcome') onWelcome(frame);
    if (type === 'bye') bye = frame as unknown as Bye;
    else if (type === 'error') onError(frame);
    else if (type === 'subscribed') refused.delete(frame['channel'] as string);
    else if (type === 'unsubscribed') onUnsubscribed(frame['channel'] as string);
    else if (type === 'renewed') {
      for (const channel of refused) asked.delete(channel); // it may cover them
      reconcile();
    } else if (/^(welcome|message|gap)$/.test(type)) o.onFrame(frame);
  }

  function onWelcome(frame: Frame): void {
    told.clear();
    renewed = false;
    welcomed = true;
    since = Date.now();
    proven.add(current);
    heartbeat = (transport?.send && Number(frame['heartbeat'])) || SILENCE_SECONDS;
    watch();
    scheduleRenewal();
    scheduleClimb();
    setState('online');
    reconcile();
    sendAck();
  }

  /** The `ref` of a subscribe frame is its channel. It is told once, and asked for again with each
   * session and token. */
  function onError({ code, detail, ref }: Frame): void {
    const channel = wanted.has(ref as string) ? (ref as string) : undefined;
    if (channel !== undefined && refused.has(channel)) return;
    if (channel !== undefined) refused.add(channel);
    o.onError(new PushwireError(code as string, detail as string, { channel }), false);
  }

  /** Nobody asked for it: the new token does not cover it. Asking again tells so, or mends it. */
  function onUnsubscribed(channel: string): void {
    const at = leaving.indexOf(channel);
    if (at >= 0) return void leaving.splice(at, 1);
    asked.delete(channel);
    reconcile();
  }

  /** A sign of life puts off the doubt. */
  function watch(): void {
    after(heartbeat * 1000, () => probe(2 * PONG_MS));
  }

  /** Is anybody there? Where that cannot be asked, a new session is the question. */
  function probe(ms: number): void {
    if (!transport?.send) return void open();
    transport.send({ type: 'ping' });
    after(ms, () => lost(LOST));
  }

  function reconcile(): void {
    if (!welcomed) return;
    const missing = [...wanted].filter(channel => !asked.has(channel));
    const left = [...asked].filter(channel => !wanted.has(channel));
    if (transport?.send) {
      for (const channel of missing) transport.send({ type: 'subscribe', channel, ref: channel });
      for (const channel of left) transport.send({ type: 'unsubscribe', channel });
      leaving.push(...left);
      asked = new Set(wanted);
    } else if (missing.some(channel => !refused.has(channel))) {
      drop();
      after(0, open); // with all that are named in this turn
    }
  }

  function sendAck(): void {
    const id = acked;
    if (!welcomed || id === undefined) return;
    acked = undefined;
    if (transport?.send) transport.send({ type: 'ack', id });
    else o.onAck(id);
  }

  function scheduleRenewal(): void {
    const ms = token.renewIn;
    if (ms !== undefined) renewal = setTimeout(renew, ms);
  }

  /** Before the server has to ask for it. A long poll takes the current one by itself. */
  async function renew(): Promise<void> {
    const mine = turn;
    try {
      const next = await token.get(true);
      if (mine !== turn) return;
      if (transport?.send) transport.send({ type: 'auth', token: next });
      else if (transports[current] === 'sse') return open();
    } catch (error) {
      if (mine !== turn) return;
      o.onError(new PushwireError('unreachable', String(error)), false);
    }
    scheduleRenewal();
  }

  void open();
  return {
    wake(newNetwork) {
      if (newNetwork) {
        rung = failures = 0; // what was blocked there may pass here
        climbMs = FIRST_CLIMB_MS;
        climbAt = undefined;
        proven.clear();
      }
      if (waiting && !ordered) void open();
      else if (welcomed) probe(PONG_MS);
    },
    setChannels(all) {
      wanted = new Set(all);
      for (const channel of refused) if (!wanted.has(channel)) refused.delete(channel);
      reconcile();
    },
    ack(id) {
      acked = id;
      sendAck();
    },
    close: drop,
  };
}
