// One session with the server, kept alive: over the best transport that gets through, with back-off
// and jitter, with a token that is good, and never trusting a socket that only looks open.
//
// Every attempt has a number, and what comes from an older one is ignored; so a call that returns
// late (a token, an address, a close) can never disturb the present one.

import { UNREACHABLE } from './http.js';
import { openEventSource } from './transport_sse.js';
import { openPoll } from './transport_poll.js';
import { openWebSocket } from './transport_ws.js';
import { sayable, type Frame, type Open, type Transport } from './transport.js';
import { backoff } from './time.js';
import type { Token } from './token.js';
import { PushwireError, type State, type TransportName } from './types.js';

const WELCOME_MS = 10_000;
const PONG_MS = 3000;
/** Comments of an event stream are hidden from us: after so much silence we ask anew. */
const SILENCE_SECONDS = 120;
/** A transport that has worked before is not given up for one failure. */
const PATIENCE = 3;

const OPEN: Record<TransportName, Open> = {
  ws: openWebSocket,
  sse: openEventSource,
  poll: openPoll,
};

// Close codes of docs/wire.md; any other one means back off and come back with the cursor.
const STOP = [1000, 1002, 1003, 1007, 1008, 1009, 4400, 4403];
const TOKEN = [4401, 4440];
const LOST = 1006;

const why = (error: unknown) => (error instanceof Error ? error.message : String(error));

export interface ConnectionOptions {
  base: () => Promise<string>;
  user: string;
  token: Token;
  device: string | undefined;
  transports: TransportName[];
  WebSocket: typeof WebSocket | undefined;
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

export class Connection {
  #o: ConnectionOptions;
  #state: State = 'connecting';
  #turn = 0;
  #transport: Transport | undefined;
  /** The one thing waited for: an address, a welcome, the next attempt, a sign of life. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #renewal: ReturnType<typeof setTimeout> | undefined;
  #heartbeat = SILENCE_SECONDS;

  #rung = 0; // of the ladder of transports: the next attempt's
  #current = 0; // this one's
  #failures = 0; // on this rung, in a row
  #proven = new Set<number>(); // rungs that have worked
  #attempt = 0; // since the last welcome
  #welcomed = false;
  #waiting = false; // for the next attempt
  #ordered = false; // by the server, for how long
  #told = false; // of this outage
  #renewed = false; // the token, since the last welcome
  #fresh = false; // the next attempt needs another token
  #bye: Frame | undefined;

  #wanted = new Set<string>(); // channels
  #asked = new Set<string>(); // of these, what this session was told
  #acked: string | undefined; // to be told

  constructor(options: ConnectionOptions) {
    this.#o = options;
  }

  get state(): State {
    return this.#state;
  }

  start(): void {
    void this.#open();
  }

  /** Ends it for good; the state stays what it was. */
  close(): void {
    this.#drop();
  }

  /** The browser came back from somewhere: sleep, another network, a hidden tab. */
  wake(newNetwork: boolean): void {
    if (newNetwork) {
      this.#rung = this.#failures = 0; // what was blocked there may pass here
      this.#proven.clear();
    }
    if (this.#waiting && !this.#ordered) this.start();
    else if (this.#welcomed) this.#probe();
  }

  setChannels(channels: Iterable<string>): void {
    this.#wanted = new Set(channels);
    this.#reconcile();
  }

  ack(id: string): void {
    this.#acked = id;
    this.#sendAck();
  }

  // ---- attempts ----

  async #open(): Promise<void> {
    this.#drop();
    const turn = this.#turn;
    const { base, token, user, device, after } = this.#o;
    this.#current = this.#rung;
    let url: string, first: string | undefined;
    try {
      [url, first] = await Promise.all([base(), token.get(this.#fresh)]);
    } catch (error) {
      if (turn === this.#turn) this.#tell(new PushwireError('unreachable', why(error)));
      if (turn === this.#turn) this.#retry(backoff(this.#attempt++));
      return;
    }
    if (turn !== this.#turn) return;
    this.#fresh = false;
    this.#asked = new Set(this.#wanted);
    this.#after(WELCOME_MS, () => this.#lost(LOST));
    try {
      this.#transport = OPEN[this.#name](
        {
          base: url,
          user,
          device,
          after: after(),
          channels: [...this.#wanted],
          token: first,
          current: () => token.get(),
          WebSocket: this.#o.WebSocket,
        },
        {
          frame: frame => turn === this.#turn && this.#take(frame),
          end: (code, retryMs) => turn === this.#turn && this.#lost(code, retryMs),
        },
      );
    } catch (error) {
      this.#stop(new PushwireError('bad_request', why(error))); // an address or token that is none
    }
  }

  get #name(): TransportName {
    return this.#o.transports[this.#current]!;
  }

  #drop(): void {
    this.#turn++;
    this.#welcomed = this.#waiting = this.#ordered = false;
    this.#bye = undefined;
    clearTimeout(this.#timer);
    clearTimeout(this.#renewal);
    const transport = this.#transport;
    this.#transport = undefined;
    transport?.close();
  }

  #after(ms: number, f: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(f, ms);
  }

  #lost(code: number, retryMs?: number): void {
    const bye = this.#bye;
    const failed = !this.#welcomed;
    const error = new PushwireError(
      bye ? String(bye['code']) : code === LOST ? 'unreachable' : `close_${code}`,
      bye ? 'The server ended the session.' : UNREACHABLE,
    );
    if (STOP.includes(code)) return this.#stop(error);
    if (TOKEN.includes(code)) return this.#refused(error);
    // An EventSource cannot tell what it died of.
    this.#fresh = this.#o.token.renewable && this.#name === 'sse' && code === LOST;
    const ordered = typeof bye?.['retry_ms'] === 'number' ? (bye['retry_ms'] as number) : retryMs;
    const fell = failed && this.#fall(code);
    if (!failed) this.#rung = Math.min(this.#current, ...this.#proven);
    if (failed && !fell) this.#tell(error);
    this.#retry(fell ? 0 : (ordered ?? backoff(this.#attempt++)), ordered !== undefined);
  }

  /** Waits for the next attempt. `ordered`: others were told the same, spread out; it is kept. */
  #retry(ms: number, ordered = false): void {
    this.#drop();
    this.#waiting = true;
    this.#ordered = ordered;
    this.#after(ms, () => void this.#open());
    const away = globalThis.navigator?.onLine === false;
    this.#setState(away ? 'offline' : this.#state === 'connecting' ? 'connecting' : 'reconnecting');
  }

  /** One rung down, or up again from the last. True: that one is worth an attempt at once. */
  #fall(code: number): boolean {
    const patience = this.#proven.has(this.#rung) ? PATIENCE : 1;
    if (code !== LOST || ++this.#failures < patience) return false;
    this.#failures = 0;
    this.#rung = (this.#rung + 1) % this.#o.transports.length;
    return this.#rung > 0;
  }

  #refused(error: PushwireError): void {
    if (!this.#o.token.renewable || this.#renewed) {
      this.#drop();
      this.#setState('unauthorized');
      this.#o.onError(error, true);
      return;
    }
    this.#renewed = this.#fresh = true;
    this.#retry(0);
  }

  #stop(error: PushwireError): void {
    this.#drop();
    this.#setState('offline');
    this.#o.onError(error, true);
  }

  /** Once an outage. */
  #tell(error: PushwireError): void {
    if (!this.#told) this.#o.onError(error, false);
    this.#told = true;
  }

  #setState(state: State): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#o.onState(state);
  }

  // ---- a session ----

  #take(frame: Frame): void {
    this.#watch();
    if (frame.type === 'welcome') this.#welcome(frame);
    else if (frame.type === 'bye') this.#bye = frame;
    else if (frame.type === 'error')
      this.#o.onError(new PushwireError(String(frame['code']), String(frame['detail'])), false);
    if (['welcome', 'message', 'gap'].includes(frame.type)) this.#o.onFrame(frame);
  }

  #welcome(frame: Frame): void {
    this.#attempt = this.#failures = 0;
    this.#told = this.#renewed = false;
    this.#welcomed = true;
    this.#proven.add(this.#current);
    const heartbeat = Number(frame['heartbeat']);
    this.#heartbeat = this.#transport?.send && heartbeat > 0 ? heartbeat : SILENCE_SECONDS;
    this.#watch();
    this.#scheduleRenewal();
    if (this.#transport?.send) this.#asked = new Set([...this.#asked].filter(sayable));
    this.#setState('online');
    this.#reconcile();
    this.#sendAck();
  }

  /** A sign of life puts off the doubt. */
  #watch(): void {
    this.#after(this.#heartbeat * 1000, () => this.#probe(2 * PONG_MS));
  }

  /** Is anybody there? Where that cannot be asked, a new session is the question. */
  #probe(ms = PONG_MS): void {
    if (!this.#transport?.send) return this.start();
    this.#transport.send({ type: 'ping' });
    this.#after(ms, () => this.#lost(LOST));
  }

  #reconcile(): void {
    if (!this.#welcomed) return;
    const missing = [...this.#wanted].filter(channel => !this.#asked.has(channel));
    const left = [...this.#asked].filter(channel => !this.#wanted.has(channel));
    const { send } = this.#transport ?? {};
    if (send) {
      for (const channel of missing) send({ type: 'subscribe', channel });
      for (const channel of left) send({ type: 'unsubscribe', channel });
      this.#asked = new Set(this.#wanted);
    } else if (missing.length) {
      this.#drop();
      this.#after(0, () => void this.#open()); // with all that are named in this turn
    }
  }

  #sendAck(): void {
    const { send } = this.#transport ?? {};
    const id = this.#acked;
    if (!this.#welcomed || id === undefined) return;
    this.#acked = undefined;
    if (send) send({ type: 'ack', id });
    else this.#o.onAck(id);
  }

  #scheduleRenewal(): void {
    const ms = this.#o.token.renewIn;
    if (ms !== undefined) this.#renewal = setTimeout(() => void this.#renew(), ms);
  }

  /** Before the server has to ask for it. A long poll takes the current one by itself. */
  async #renew(): Promise<void> {
    const turn = this.#turn;
    try {
      const token = await this.#o.token.get(true);
      if (turn !== this.#turn) return;
      if (this.#transport?.send) this.#transport.send({ type: 'auth', token });
      else if (this.#name === 'sse') return this.start();
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#o.onError(new PushwireError('unreachable', why(error)), false);
    }
    this.#scheduleRenewal();
  }
}
