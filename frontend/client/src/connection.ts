// One session with the server, kept alive: over the best transport that gets through, with back-off
// and jitter, with a token that is good, and never trusting a socket that only looks open.
//
// It is in one phase at a time. Every attempt has a number, and what comes from an older one is
// ignored; so a call that returns late (a token, an address, a close) can never disturb the present.

import { Channels, type ChannelState } from './channels.js';
import { UNREACHABLE } from './http.js';
import { Ladder } from './ladder.js';
import { openEventStream } from './transport_sse.js';
import { openPoll } from './transport_poll.js';
import { openWebSocket } from './transport_ws.js';
import { type Attempt, type Frame, type Open, type Transport } from './transport.js';
import { backoff, type Fetch } from './time.js';
import type { Token } from './token.js';
import {
  asError,
  PushwireError,
  type Code,
  type ConnectOptions,
  type State,
  type TransportName,
} from './types.js';

const WELCOME_MS = 10_000;
const PONG_MS = 3000;
/** So long a silence of a long poll is doubtful; an event stream says something every 15 s. */
const SILENCE_SECONDS = { ws: 25, sse: 45, poll: 120 };
/** A session that was shorter has proved nothing. */
const LASTING_MS = 5000;

const OPEN: Record<TransportName, Open> = {
  ws: openWebSocket,
  sse: openEventStream,
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
  fetch: Fetch;
  device?: string | undefined;
  max?: number | undefined;
  transports: TransportName[];
  WebSocket?: ConnectOptions['WebSocket'] | undefined;
  /** The cursor to come back with. */
  after: () => string | undefined;
  /** Where clients send no frames: this device has everything up to that id. */
  onAck(id: string): void;
  /** `why`: what led there, if something went wrong; `inMs`: until the next attempt. */
  onState(state: State, why?: PushwireError, inMs?: number): void;
  onChannel(channel: string, state: ChannelState): void;
  /** welcome, message, too_large and gap, as they came. */
  onFrame(frame: Frame): void;
  /** What went wrong; `final`: nothing more is tried. */
  onError(error: PushwireError, final: boolean): void;
  /** Why may this channel not be had? */
  check(channel: string): Promise<PushwireError | undefined>;
  debug(what: string, ...more: unknown[]): void;
}

export interface Connection {
  /** The browser came back from somewhere: sleep, another network, a hidden tab. */
  wake(newNetwork: boolean): void;
  /** At once, whatever it waits for. */
  reconnect(): void;
  setChannels(channels: Iterable<string>): void;
  ack(id: string): void;
  /** Ends it without a word. */
  close(): void;
}

interface Bye {
  code: Code;
  retry_ms?: number;
}

type Phase =
  | { name: 'opening' }
  | { name: 'open'; since: number }
  /** `ordered`: by the server, for how long. */
  | { name: 'waiting'; ordered: boolean }
  | { name: 'over' };

type Timer = ReturnType<typeof setTimeout>;

/** Begins at once, with these channels. `state` is what the application was told so far. */
export function openConnection(
  o: ConnectionOptions,
  wanted: Iterable<string>,
  state: State,
): Connection {
  const { token, transports } = o;
  const ladder = new Ladder(transports.length);
  const channels = new Channels(wanted, o.onChannel);
  let phase: Phase = { name: 'opening' };
  let turn = 0;
  let transport: Transport | undefined;
  let higher: Transport | undefined; // a better one, on trial
  let bye: Bye | undefined; // its last word
  let heartbeat = 0; // seconds
  /** The one thing waited for: a welcome, the next attempt, a sign of life. */
  let timer: Timer | undefined;
  let renewal: Timer | undefined;
  let climbing: Timer | undefined;

  let attempts = 0; // since the last session that lasted
  const told = new Set<string>(); // the codes of this outage
  let renewed = false; // the token, since the last welcome
  let fresh = false; // the next attempt needs another token
  let acked: string | undefined; // to be told

  const here = () => transports[ladder.at]!;

  // ---- attempts ----

  async function open(): Promise<void> {
    enter({ name: 'opening' });
    const mine = turn;
    ladder.begin();
    let attempt: Attempt;
    try {
      attempt = await prepare();
    } catch (error) {
      if (mine !== turn) return;
      return onNothingToTry(asError(error, 'unreachable'));
    }
    if (mine !== turn) return;
    fresh = false;
    channels.begin(attempt.channels);
    after(WELCOME_MS, () => lost(LOST));
    o.debug('open', here(), attempt.after);
    try {
      transport = OPEN[here()](attempt, {
        frame: frame => mine === turn && take(frame),
        end: (code, why) => mine === turn && lost(code, why),
      });
    } catch (error) {
      lost(LOST, error); // what a page may not open throws: another transport may pass
    }
  }

  async function prepare(): Promise<Attempt> {
    const [base, first] = await Promise.all([o.base(), token.get(fresh)]);
    return {
      ...o,
      base,
      after: o.after(),
      channels: channels.named(),
      token: first,
      current: () => token.get(),
    };
  }

  /** Leaves the present phase with all that it had. */
  function enter(next: Phase): void {
    turn++;
    phase = next;
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

  /** The application has no token, or no address, to give: later, or never. */
  function onNothingToTry(why: PushwireError): void {
    if (why.code === 'unauthorized') return stop(why, 'unauthorized');
    tell(why);
    retry(backoff(attempts++), why);
  }

  function lost(code: number, reason: unknown = ''): void {
    const gone = code === LOST;
    const why = new PushwireError(
      bye?.code ?? (gone ? 'unreachable' : `close_${code}`),
      gone ? `${UNREACHABLE} ${reason}`.trim() : 'The server ended it.',
    );
    o.debug('lost', code, why.code, reason);
    if ((code === 4403 || bye?.code === 'forbidden') && phase.name !== 'open')
      return void checkChannels(why);
    if (STOP.includes(code)) return stop(why);
    if (TOKEN.includes(code)) return onBadToken(why);
    const order = bye?.retry_ms;
    const welcomed = phase.name === 'open';
    const lasted = phase.name === 'open' && Date.now() - phase.since >= LASTING_MS;
    if (lasted) attempts = 0;
    if (lasted) ladder.onLasting();
    if (!lasted && gone && ladder.fall()) return retry(0, why);
    if (welcomed) ladder.stay();
    else tell(why);
    // A session's last word is meant for it alone; what refuses it, tells all the same.
    const more = welcomed && order !== undefined ? 0 : backoff(attempts++);
    retry((order ?? 0) + more, why, order !== undefined);
  }

  /** Waits for the next attempt. `ordered`: others were told the same, spread out; it is kept. */
  function retry(ms: number, why: PushwireError, ordered = false): void {
    enter({ name: 'waiting', ordered });
    after(ms, open);
    const away = globalThis.navigator?.onLine === false;
    setState(away ? 'offline' : state === 'connecting' ? state : 'reconnecting', why, ms);
  }

  /** An address is refused as a whole: if it was for some of its channels, all else goes on. */
  async function checkChannels(why: PushwireError): Promise<void> {
    enter({ name: 'opening' });
    const mine = turn;
    const found = await Promise.all(
      channels.named().map(async channel => [channel, await o.check(channel)] as const),
    );
    if (mine !== turn) return;
    const refused = found.filter(([channel, error]) => error && onRefused(channel, error));
    if (refused.length) void open();
    else stop(why);
  }

  // ---- back to a better transport ----

  function scheduleClimb(): void {
    const ms = ladder.climbIn();
    if (ms !== undefined) climbing = setTimeout(climb, ms, 0);
  }

  /** The present session goes on until the better one has said its first word. Each has the stream
   * from the cursor, so whatever both bring is a double. */
  async function climb(to: number): Promise<void> {
    let mine = turn;
    const next = () => {
      higher?.close();
      higher = undefined;
      clearTimeout(climbing);
      if (to + 1 < ladder.at) return void climb(to + 1);
      ladder.climbed();
      scheduleClimb();
    };
    try {
      const attempt = await prepare();
      if (mine !== turn) return;
      climbing = setTimeout(next, WELCOME_MS);
      o.debug('climb', transports[to]);
      higher = OPEN[transports[to]!](attempt, {
        frame(frame) {
          if (mine !== turn) return;
          if (higher && frame.type && frame.type !== 'bye') {
            const found = higher;
            higher = undefined;
            ladder.climbed(to);
            enter({ name: 'opening' });
            mine = turn;
            transport = found;
            channels.begin(attempt.channels);
          }
          if (!higher) take(frame);
        },
        end(code, why) {
          if (mine !== turn) return;
          if (higher) next();
          else lost(code, why);
        },
      });
    } catch {
      if (mine === turn) next();
    }
  }

  // ---- the end of an attempt ----

  function onBadToken(why: PushwireError): void {
    if (!token.renewable || renewed) return stop(why, 'unauthorized');
    renewed = fresh = true;
    retry(0, why);
  }

  function stop(why: PushwireError, end: State = 'offline'): void {
    enter({ name: 'over' });
    setState(end, why);
    o.onError(why, true);
  }

  /** Once an outage. */
  function tell(error: PushwireError): void {
    if (!told.has(error.code)) o.onError(error, false);
    told.add(error.code);
  }

  function setState(next: State, why?: PushwireError, inMs?: number): void {
    state = next;
    o.onState(next, why, inMs);
  }

  // ---- a session ----

  function take(frame: Frame): void {
    const { type } = frame;
    if (type) o.debug('got', frame);
    if (type === 'welcome') onWelcome(frame);
    else watch();
    if (type === 'bye') bye = frame as unknown as Bye;
    else if (type === 'error') onError(frame);
    else if (type === 'subscribed') channels.onSubscribed(frame['channel'] as string);
    else if (type === 'unsubscribed') {
      channels.onUnsubscribed(frame['channel'] as string);
      reconcile();
    } else if (type === 'renewed') {
      channels.onToken();
      reconcile();
    } else if (/^(welcome|message|too_large|gap)$/.test(type)) o.onFrame(frame);
  }

  function onWelcome(frame: Frame): void {
    told.clear();
    renewed = false;
    phase = { name: 'open', since: Date.now() };
    ladder.onSession();
    heartbeat = (transport?.send && Number(frame['heartbeat'])) || SILENCE_SECONDS[here()];
    watch();
    scheduleRenewal();
    scheduleClimb();
    setState('online');
    channels.onSession();
    reconcile();
    sendAck();
  }

  /** The `ref` of a subscribe frame is its channel. */
  function onError({ code, detail, ref }: Frame): void {
    const error = new PushwireError(code as Code, detail as string);
    if (ref === undefined) o.onError(error, false);
    else onRefused(ref as string, error);
  }

  /** It is told once, and asked for again with each session and token. */
  function onRefused(channel: string, { code, detail }: PushwireError): boolean {
    const news = channels.onRefused(channel);
    if (news) o.onError(new PushwireError(code, detail, { channel }), false);
    return news;
  }

  /** A sign of life puts off the doubt. */
  function watch(): void {
    if (phase.name === 'open') after(heartbeat * 1000, () => probe(2 * PONG_MS));
  }

  /** Is anybody there? Where that cannot be asked, a new session is the question. */
  function probe(ms: number): void {
    if (!transport?.send) return void open();
    transport.send({ type: 'ping' });
    after(ms, () => lost(LOST));
  }

  function reconcile(): void {
    if (phase.name !== 'open') return;
    const send = transport?.send;
    const { missing, left } = channels.changes(!!send);
    if (send) {
      for (const channel of missing) send({ type: 'subscribe', channel, ref: channel });
      for (const channel of left) send({ type: 'unsubscribe', channel });
    } else if (missing.some(channel => !channels.isRefused(channel))) {
      enter({ name: 'opening' });
      after(0, open); // with all that are named in this turn
    }
  }

  function sendAck(): void {
    const id = acked;
    if (phase.name !== 'open' || id === undefined) return;
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
      else if (here() === 'sse') return open();
    } catch (error) {
      if (mine !== turn) return;
      o.onError(error as PushwireError, false);
    }
    scheduleRenewal();
  }

  void open();
  return {
    wake(newNetwork) {
      if (newNetwork) ladder.reset();
      if (phase.name === 'waiting' && !phase.ordered) void open();
      else if (phase.name === 'open') probe(PONG_MS);
    },
    reconnect() {
      ladder.reset();
      if (phase.name === 'open') probe(PONG_MS);
      else void open();
    },
    setChannels(all) {
      channels.want(all);
      reconcile();
    },
    ack(id) {
      acked = id;
      sendAck();
    },
    close: () => enter({ name: 'over' }),
  };
}
