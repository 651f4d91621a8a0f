// A browser and a server in one, without either: what the client finds in its globals.
//
// `world()` puts fakes of WebSocket, fetch, localStorage, Web Locks, BroadcastChannel
// and the window's events in place, with fake timers. A test then plays the server: it looks at
// `sockets`, `sources` and `requests`, newest last, and lets them speak:
//
//   const w = world();
//   const client = connect({ user: 'alice', url: 'http://server' });
//   await w.settle();                    // promises, no time
//   w.socket().welcome('5');             // the newest socket's first frame
//   w.socket().message('6', 'hi');
//   await w.pass(500);                   // time
//
// A tab is a client of its own: all clients of a world share its storage, locks and channels.

import { afterEach, vi } from 'vitest';

export type Frame = Record<string, unknown>;

export class FakeSocket {
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  onerror: (() => void) | null = null;
  sent: Frame[] = [];
  closed = false;

  constructor(
    readonly url: string,
    readonly protocols: string[],
  ) {}

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }

  close(): void {
    this.closed = true;
  }

  says(frame: Frame): void {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }

  welcome(cursor = '0', heartbeat = 25): void {
    this.says({ type: 'welcome', session: 's', user: 'alice', cursor, heartbeat });
  }

  message(id: string, message: unknown = 'hi', more: Frame = {}): void {
    this.says({ type: 'message', id, sender: 'bob', message, sent_at: 'now', ...more });
  }

  ends(code: number): void {
    this.onclose?.({ code });
  }

  get query(): URLSearchParams {
    return new URL(this.url).searchParams;
  }

  /** The types of the frames it was sent. */
  get types(): unknown[] {
    return this.sent.map(frame => frame['type']);
  }
}

/** An event stream, as its reader sees it. */
export class FakeSource {
  closed = false;
  #stream!: ReadableStreamDefaultController;
  #open!: (response: Response) => void;
  #fail!: (error: unknown) => void;
  #opened = false;
  readonly answer: Promise<Response>;

  constructor(
    readonly url: string,
    readonly init: RequestInit,
  ) {
    this.answer = new Promise((resolve, reject) => {
      this.#open = resolve;
      this.#fail = reject;
    });
    init.signal?.addEventListener('abort', () => {
      this.closed = true;
      this.breaks();
    });
  }

  /** As it is on the wire. */
  async sends(text: string): Promise<void> {
    if (!this.#opened) {
      this.#opened = true;
      const start = (controller: ReadableStreamDefaultController) =>
        void (this.#stream = controller);
      this.#open(new Response(new ReadableStream({ start })));
    }
    if (!this.closed) this.#stream.enqueue(new TextEncoder().encode(text));
    await vi.advanceTimersByTimeAsync(0);
  }

  says(frame: Frame): Promise<void> {
    return this.sends(`event: ${frame['type']}\ndata: ${JSON.stringify(frame)}\n\n`);
  }

  welcome(cursor = '0'): Promise<void> {
    return this.says({ type: 'welcome', cursor, heartbeat: 15 });
  }

  message(id: string, message: unknown = 'hi'): Promise<void> {
    return this.says({ type: 'message', id, sender: 'bob', message, sent_at: 'now' });
  }

  /** The network does. */
  breaks(): void {
    if (this.#opened) this.#stream.error(new TypeError('network error'));
    else this.#fail(new TypeError('Failed to fetch'));
  }

  get query(): URLSearchParams {
    return new URL(this.url).searchParams;
  }

  get token(): string | undefined {
    return (this.init.headers as Record<string, string>)['Authorization'];
  }
}

export class FakeRequest {
  #resolve!: (response: Response) => void;
  #reject!: (error: unknown) => void;
  readonly done: Promise<Response>;

  constructor(
    readonly url: string,
    readonly init: RequestInit,
  ) {
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    init.signal?.addEventListener('abort', () => this.#reject(new Error('aborted')));
    if (init.signal?.aborted) this.#reject(new Error('aborted'));
  }

  answers(body: unknown, status = 200, headers: Record<string, string> = {}): void {
    this.#resolve(new Response(JSON.stringify(body), { status, headers }));
  }

  /** An answer that goes on. */
  streams(chunks: string[]): void {
    const start = (controller: ReadableStreamDefaultController) =>
      chunks.forEach(chunk => controller.enqueue(new TextEncoder().encode(chunk)));
    this.#resolve(new Response(new ReadableStream({ start })));
  }

  fails(): void {
    this.#reject(new TypeError('Failed to fetch'));
  }

  get path(): string {
    const { pathname, search } = new URL(this.url);
    return pathname + search;
  }

  get query(): URLSearchParams {
    return new URL(this.url).searchParams;
  }

  get body(): Frame {
    return JSON.parse(this.init.body as string);
  }

  get token(): string | undefined {
    return (this.init.headers as Record<string, string>)['Authorization'];
  }
}

export class FakeStorage {
  #items = new Map<string, string>();

  getItem(key: string): string | null {
    return this.#items.get(key) ?? null;
  }

  setItem(key: string, value: string): void {
    this.#items.set(key, value);
  }

  get values(): string[] {
    return [...this.#items.values()];
  }

  get keys(): string[] {
    return [...this.#items.keys()];
  }
}

/** Web Locks, as far as we use them: exclusive, in order, with steal and with signals. */
class FakeLocks {
  #queues = new Map<string, (() => void)[]>();
  #held = new Map<string, (error: DOMException) => void>();

  request(
    name: string,
    options: { signal?: AbortSignal; steal?: boolean },
    f: () => unknown,
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const run = () => {
        this.#held.set(name, reject);
        void Promise.resolve()
          .then(f)
          .then(resolve, reject)
          .finally(() => {
            if (this.#held.get(name) !== reject) return; // stolen meanwhile
            this.#held.delete(name);
            this.#queues.get(name)?.shift()?.();
          });
      };
      options.signal?.addEventListener('abort', () => {
        const queue = this.#queues.get(name) ?? [];
        const at = queue.indexOf(run);
        if (at >= 0) queue.splice(at, 1);
        if (at >= 0) reject(new DOMException('', 'AbortError'));
      });
      if (options.signal?.aborted) return reject(new DOMException('', 'AbortError'));
      if (options.steal) this.#held.get(name)?.(new DOMException('', 'AbortError'));
      if (options.steal || !this.#held.has(name)) run();
      else this.#queues.set(name, [...(this.#queues.get(name) ?? []), run]);
    });
  }
}

class Bus {
  static all = new Set<Bus>();
  /** Nothing reaches these, as if their tabs were frozen. */
  static frozen = new Set<Bus>();
  onmessage: ((event: { data: unknown }) => void) | null = null;

  constructor(readonly name: string) {
    Bus.all.add(this);
  }

  postMessage(data: unknown): void {
    const copy = structuredClone(data);
    for (const other of Bus.all) {
      if (other === this || other.name !== this.name) continue;
      queueMicrotask(() => {
        if (Bus.all.has(other) && !Bus.frozen.has(other)) other.onmessage?.({ data: copy });
      });
    }
  }

  close(): void {
    Bus.all.delete(this);
  }
}

export interface WorldOptions {
  /** Web Locks and BroadcastChannel; without, each tab connects. */
  tabs?: boolean;
  sse?: boolean;
}

export function world(options: WorldOptions = {}) {
  vi.useFakeTimers();
  // Half of all jitter, and yet no two keys alike.
  let drawn = 0;
  vi.spyOn(Math, 'random').mockImplementation(() => 0.5 + ++drawn * 1e-9);
  const sockets: FakeSocket[] = [];
  const sources: FakeSource[] = [];
  const requests: FakeRequest[] = [];
  const window = new EventTarget();
  const storage = new FakeStorage();
  const navigator = { onLine: true, locks: options.tabs ? new FakeLocks() : undefined };

  vi.stubGlobal(
    'WebSocket',
    class extends FakeSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols);
        sockets.push(this);
      }
    },
  );
  const streamOf = (url: string, init: RequestInit) => {
    const source = new FakeSource(url, init);
    sources.push(source);
    return source.answer;
  };
  if (options.sse === false) vi.stubGlobal('ReadableStream', undefined);
  vi.stubGlobal('fetch', (url: string, init: RequestInit = {}) => {
    if (url.includes('/sse/')) return streamOf(url, init);
    const request = new FakeRequest(url, init);
    requests.push(request);
    return request.done;
  });
  vi.stubGlobal('localStorage', storage);
  vi.stubGlobal('sessionStorage', new FakeStorage());
  vi.stubGlobal('navigator', navigator);
  vi.stubGlobal('BroadcastChannel', options.tabs ? Bus : undefined);
  vi.stubGlobal('document', Object.assign(new EventTarget(), { hidden: false }));
  vi.stubGlobal('addEventListener', window.addEventListener.bind(window));
  vi.stubGlobal('removeEventListener', window.removeEventListener.bind(window));

  const newest = <T>(all: T[], what: string): T => {
    const last = all.at(-1);
    if (!last) throw new Error(`no ${what} yet`);
    return last;
  };
  return {
    sockets,
    sources,
    requests,
    storage,
    buses: Bus,
    /** For a test that plays all other requests itself. */
    streamOf,
    socket: () => newest(sockets, 'WebSocket'),
    source: () => newest(sources, 'EventSource'),
    request: () => newest(requests, 'request'),
    /** Lets all promises come through, without time. */
    settle: () => vi.advanceTimersByTimeAsync(0),
    pass: (ms: number) => vi.advanceTimersByTimeAsync(ms),
    hears: (kind: string) => window.dispatchEvent(new Event(kind)),
    becomesVisible: () => document.dispatchEvent(new Event('visibilitychange')),
    setOnLine: (onLine: boolean) => {
      navigator.onLine = onLine;
      window.dispatchEvent(new Event(onLine ? 'online' : 'offline'));
    },
  };
}

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
  Bus.all.clear();
  Bus.frozen.clear();
});

/** A JWT with these claims, unsigned. */
export function jwt(claims: Record<string, number>): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'none' })}.${part(claims)}.`;
}
