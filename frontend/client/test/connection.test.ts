import { describe, expect, it, vi } from 'vitest';
import { connect, PushwireError, type Client, type ConnectOptions } from '../src/index.js';
import { jwt, world } from './fakes.js';

const SERVER = 'http://server';

/** A client and everything it told. */
function watch(more: Partial<ConnectOptions> = {}) {
  const client = connect({ user: 'alice', url: SERVER, ...more });
  return { client, ...told(client) };
}

function told(client: Client) {
  const ids: string[] = [];
  const states: string[] = [];
  const errors: string[] = [];
  const gaps: unknown[] = [];
  client.on('message', m => ids.push(m.id));
  client.on('state', s => states.push(s));
  client.on('error', e => errors.push(e.code));
  client.on('gap', g => gaps.push(g));
  return { ids, states, errors, gaps };
}

describe('connecting', () => {
  it('opens one WebSocket with the JSON subprotocol, from the beginning', async () => {
    const w = world();
    const { client, states } = watch({ user: 'a b', channels: ['news', 'sport'] });
    expect(w.sockets).toHaveLength(0);
    await w.settle();
    expect(w.socket().url).toBe('ws://server/ws/a%20b?after=0&channels=news%2Csport');
    expect(w.socket().protocols).toEqual(['pushwire.v1.json']);
    expect(client.state).toBe('connecting');
    w.socket().welcome();
    expect(client.state).toBe('online');
    expect(states).toEqual(['online']);
  });

  it('gives messages in the shape of the API', async () => {
    const w = world();
    const { client } = watch();
    const got: unknown[] = [];
    client.on('message', m => got.push(m));
    await w.settle();
    w.socket().welcome();
    w.socket().message('1', { a: 1 });
    w.socket().message('2', 'x', { channel: 'news' }); // nobody asked for it here
    const off = client.subscribe('news');
    w.socket().message('3', 'y', { channel: 'news' });
    off();
    w.socket().message('4', 'z', { channel: 'news' });
    expect(got).toEqual([
      { id: '1', sender: 'bob', message: { a: 1 }, sentAt: 'now' },
      { id: '3', sender: 'bob', message: 'y', sentAt: 'now', channel: 'news' },
    ]);
  });

  it('gives events with their argument, or the list of them, as the message', async () => {
    const w = world();
    const { client } = watch();
    const got: unknown[] = [];
    client.on('message', m => got.push(m));
    await w.settle();
    w.socket().welcome();
    w.socket().message('1', { a: 1 }, { event: 'order' });
    w.socket().message('2', undefined, { event: 'order', args: [1, 2] });
    expect(got).toEqual([
      { id: '1', sender: 'bob', message: { a: 1 }, sentAt: 'now', event: 'order' },
      { id: '2', sender: 'bob', message: [1, 2], sentAt: 'now', event: 'order', args: [1, 2] },
    ]);
  });

  it('keeps the path of its address and takes ws:// for http://', async () => {
    const w = world();
    watch({ url: 'wss://server/push/' });
    await w.settle();
    expect(w.socket().url).toBe('wss://server/push/ws/alice?after=0');
  });

  it('asks an address function for each attempt, and again when it fails', async () => {
    const w = world();
    const url = vi.fn().mockRejectedValueOnce(new Error('no such host')).mockResolvedValue(SERVER);
    const { errors } = watch({ url });
    await w.settle();
    expect(errors).toEqual(['unreachable']);
    await w.pass(500);
    w.socket().welcome();
    w.socket().ends(1006);
    await w.pass(500);
    expect(w.sockets).toHaveLength(2);
    expect(url.mock.calls.length).toBeGreaterThanOrEqual(3);
  });

  it('refuses at once what cannot be', () => {
    world();
    const none = [
      '',
      '.',
      '..',
      'a/b',
      'a\nb',
      'a\x9fb',
      '\ud800',
      'x'.repeat(129),
      '한'.repeat(43),
    ];
    const { client } = watch();
    const others = [undefined, null, 42, {}, ['a']] as unknown as string[]; // not known yet, or an id
    for (const name of [...none, ...others]) {
      expect(() => connect({ user: name, url: SERVER })).toThrow(PushwireError);
      expect(() => connect({ user: 'a', url: SERVER, channels: ['b', name] })).toThrow(
        '1-128 bytes',
      );
      expect(() => client.subscribe(name)).toThrow('1-128 bytes');
      if (name === undefined) continue;
      expect(() => connect({ user: 'a', url: SERVER, device: name })).toThrow('1-128 bytes');
    }
    for (const user of ['...', 'geo:37.5,127.0', '한'.repeat(42), '😀'.repeat(32), 'undefined'])
      watch({ user, channels: [user], device: user }).client.close();
    client.close();
    expect(() => connect({ user: 'a', url: SERVER, transports: [] })).toThrow('None');
    expect(() => connect({ user: 'a' })).toThrow('Say where the server is.');
  });

  it('opens nothing when it is closed in the same turn', async () => {
    const w = world();
    const { client, states } = watch();
    client.close();
    await w.pass(60_000);
    expect(w.sockets).toHaveLength(0);
    expect(states).toEqual(['offline']);
  });

  it('is closed by its signal, and by dispose', async () => {
    const w = world();
    const controller = new AbortController();
    const { client } = watch({ signal: controller.signal });
    await w.settle();
    controller.abort();
    expect(w.socket().closed).toBe(true);
    expect(client.state).toBe('offline');
    const other = watch().client;
    await w.settle();
    other[Symbol.dispose]();
    expect(w.socket().closed).toBe(true);
  });

  it('runs the other listeners when one throws', async () => {
    const w = world();
    const { client, ids } = watch();
    const uncaught = vi.fn();
    process.once('uncaughtException', uncaught);
    const kept = process.listeners('uncaughtException').filter(f => f !== uncaught);
    for (const f of kept) process.off('uncaughtException', f);
    client.on('message', () => {
      throw new Error('mine');
    });
    const after: string[] = [];
    client.on('message', m => after.push(m.id));
    await w.settle();
    w.socket().welcome();
    w.socket().message('1');
    await w.settle();
    vi.useRealTimers();
    await new Promise(resolve => setTimeout(resolve));
    for (const f of kept) process.on('uncaughtException', f);
    expect(ids).toEqual(['1']);
    expect(after).toEqual(['1']);
    expect(uncaught).toHaveBeenCalledOnce();
  });
});

describe('the cursor', () => {
  it('comes back after the last message, and drops doubles by id', async () => {
    const w = world();
    const { ids } = watch();
    await w.settle();
    w.socket().welcome();
    w.socket().message('10');
    w.socket().message('11');
    w.socket().message('11');
    w.socket().message('9');
    w.socket().ends(1006);
    await w.pass(500);
    expect(w.socket().query.get('after')).toBe('11');
    w.socket().welcome('11');
    w.socket().message('11');
    w.socket().message('12');
    expect(ids).toEqual(['10', '11', '12']);
  });

  it('lives in localStorage, for each server and user', async () => {
    const w = world();
    const first = watch();
    await w.settle();
    w.socket().welcome();
    w.socket().message('10');
    first.client.close();
    watch();
    await w.settle();
    expect(w.socket().query.get('after')).toBe('10');
    watch({ user: 'bob' });
    await w.settle();
    expect(w.socket().query.get('after')).toBe('0');
    watch({ url: 'http://other' });
    await w.settle();
    expect(w.socket().query.get('after')).toBe('0');
  });

  it('is not put back by a tab that lags behind', async () => {
    const w = world();
    watch();
    watch();
    await w.settle();
    const [a, b] = w.sockets;
    a!.welcome();
    b!.welcome();
    a!.message('10');
    a!.message('11');
    b!.message('10');
    expect(w.storage.values).toEqual(['11']);
  });

  it('starts where it is told, when there is none', async () => {
    const w = world();
    watch({ start: 'now', storage: 'memory' });
    await w.settle();
    expect(w.socket().query.has('after')).toBe(false);
    w.socket().welcome('77');
    w.socket().ends(1006);
    await w.pass(500);
    expect(w.socket().query.get('after')).toBe('77'); // what came meanwhile is not lost
    watch({ start: '5', storage: 'memory' });
    await w.settle();
    expect(w.socket().query.get('after')).toBe('5');
  });

  it('is the server’s with a device', async () => {
    const w = world();
    const { client } = watch({ device: 'phone' });
    await w.settle();
    expect(w.socket().query.get('device')).toBe('phone');
    expect(w.socket().query.has('after')).toBe(false);
    client.ack('4');
    client.ack('5');
    w.socket().welcome('3');
    expect(w.socket().sent).toEqual([{ type: 'ack', id: '5' }]);
    w.socket().message('6');
    client.ack('6');
    expect(w.socket().sent.at(-1)).toEqual({ type: 'ack', id: '6' });
    expect(w.storage.values).toEqual([]);
    expect(() => watch().client.ack('1')).toThrow('device');
    expect(() => watch({ device: 'phone', start: 'now' })).toThrow('cursor');
  });

  it('of a device that polls lies before the first page', async () => {
    const w = world();
    const { ids } = watch({ device: 'phone', transports: ['poll'] });
    await w.settle();
    expect(w.request().query.get('device')).toBe('phone');
    expect(w.request().query.has('after')).toBe(false);
    const one = { id: '6', sender: 'bob', message: 'hi', sent_at: 'now' };
    w.request().answers({ messages: [one], next: '6', more: false, gap: null });
    await w.settle();
    expect(ids).toEqual(['6']);
    expect(w.request().query.get('after')).toBe('6');
  });

  it('survives a storage that refuses', async () => {
    const w = world();
    vi.stubGlobal('localStorage', {
      getItem: () => null,
      setItem() {
        throw new Error('full');
      },
    });
    const { ids } = watch();
    await w.settle();
    w.socket().welcome();
    w.socket().message('1');
    w.socket().ends(1006);
    await w.pass(500);
    expect(w.socket().query.get('after')).toBe('1');
    expect(ids).toEqual(['1']);
  });
});

describe('a gap', () => {
  it('is told once, and moves no cursor forwards', async () => {
    const w = world();
    const { gaps } = watch({ start: '5' });
    await w.settle();
    w.socket().welcome('5');
    w.socket().says({ type: 'gap', after: '5', resumes: '20' });
    w.socket().ends(1006);
    await w.pass(500);
    expect(w.socket().query.get('after')).toBe('5');
    w.socket().says({ type: 'gap', after: '5', resumes: '20' });
    w.socket().message('21');
    expect(gaps).toEqual([{ after: '5', resumes: '20' }]);
  });

  it('leads back where the server never gave this cursor', async () => {
    const w = world();
    const { ids, gaps } = watch();
    await w.settle();
    w.socket().welcome();
    w.socket().message('50');
    w.socket().ends(1006);
    await w.pass(500);
    w.socket().welcome('50');
    w.socket().says({ type: 'gap', after: '50', resumes: '7' });
    w.socket().message('8');
    w.socket().message('8');
    w.socket().message('9');
    expect(ids).toEqual(['50', '8', '9']);
    expect(gaps).toHaveLength(1);
    expect(w.storage.values).toEqual(['9']);
  });

  it('of a channel is told to who has it', async () => {
    const w = world();
    const { gaps } = watch({ channels: ['news'] });
    await w.settle();
    w.socket().welcome();
    w.socket().says({ type: 'gap', after: '1', resumes: '2', channel: 'news' });
    w.socket().says({ type: 'gap', after: '1', resumes: '2', channel: 'sport' });
    expect(gaps).toEqual([{ after: '1', resumes: '2', channel: 'news' }]);
  });
});

describe('coming back', () => {
  it('waits longer each time, with jitter, and starts over after a welcome', async () => {
    const w = world();
    const { client, states } = watch({ transports: ['ws'] });
    await w.settle();
    w.socket().welcome();
    for (const wait of [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000]) {
      const before = w.sockets.length;
      w.socket().ends(1006);
      await w.pass(wait - 1);
      expect(w.sockets).toHaveLength(before);
      await w.pass(1);
      expect(w.sockets).toHaveLength(before + 1);
    }
    expect(client.state).toBe('reconnecting');
    for (const [lived, wait] of [
      [1000, 15_000], // which proves nothing
      [5000, 250],
    ] as const) {
      w.socket().welcome();
      await w.pass(lived);
      w.socket().ends(1006);
      const before = w.sockets.length;
      await w.pass(wait - 1);
      expect(w.sockets).toHaveLength(before);
      await w.pass(1);
      expect(w.sockets).toHaveLength(before + 1);
    }
    const both = ['online', 'reconnecting'];
    expect(states).toEqual([...both, ...both, ...both]);
  });

  it('gives up a socket that does not welcome it in time', async () => {
    const w = world();
    watch({ transports: ['ws'] });
    await w.pass(10_000);
    expect(w.socket().closed).toBe(true);
    await w.pass(250);
    expect(w.sockets).toHaveLength(2);
  });

  it('waits as long as the server’s bye says, even over a wake', async () => {
    const w = world();
    watch();
    await w.settle();
    w.socket().welcome();
    w.socket().says({ type: 'bye', code: 'stopping', retry_ms: 4321 });
    w.socket().ends(1001);
    w.becomesVisible();
    await w.pass(4320);
    expect(w.sockets).toHaveLength(1);
    await w.pass(1);
    expect(w.sockets).toHaveLength(2);
  });

  it.each([1000, 1002, 1003, 1007, 1008, 1009, 4400, 4403])('stops at %i', async code => {
    const w = world();
    const { client, errors } = watch();
    await w.settle();
    w.socket().welcome();
    if (code === 4403) w.socket().says({ type: 'bye', code: 'kicked', retry_ms: 10 });
    w.socket().ends(code);
    await w.pass(120_000);
    w.hears('online');
    await w.pass(120_000);
    expect(w.sockets).toHaveLength(1);
    expect(client.state).toBe('offline');
    expect(errors).toEqual([code === 4403 ? 'kicked' : `close_${code}`]);
  });

  it.each([1001, 1006, 1013, 4408, 4410, 4429, 4508, 4999])('comes back after %i', async code => {
    const w = world();
    watch({ transports: ['ws'] });
    await w.settle();
    w.socket().welcome();
    w.socket().message('3');
    w.socket().ends(code);
    await w.pass(500);
    expect(w.socket().query.get('after')).toBe('3');
    expect(w.sockets).toHaveLength(2);
  });

  it('tells an outage once, and not a short one', async () => {
    const w = world();
    const { errors } = watch({ transports: ['ws'] });
    await w.settle();
    w.socket().welcome();
    w.socket().ends(1006);
    await w.pass(250);
    expect(errors).toEqual([]);
    for (let i = 0; i < 3; i++) {
      w.socket().ends(1006);
      await w.pass(30_000);
    }
    expect(errors).toEqual(['unreachable']);
  });

  it('ignores what an older socket still says', async () => {
    const w = world();
    const { ids } = watch();
    await w.settle();
    const old = w.socket();
    const { onmessage, onclose } = old;
    old.welcome();
    old.ends(1006);
    await w.pass(500);
    w.socket().welcome();
    onmessage!({ data: '{"type":"message","id":"9"}' });
    onclose!({ code: 4403 });
    expect(ids).toEqual([]);
  });

  it('ignores frames it does not know', async () => {
    const w = world();
    const { client, errors } = watch();
    await w.settle();
    w.socket().welcome();
    w.socket().says({ type: 'later version' });
    w.socket().onmessage!({ data: 'no JSON' });
    w.socket().onmessage!({ data: 'null' });
    w.socket().says({ type: 'error', code: 'too_many_channels', detail: 'Too many.' });
    expect(client.state).toBe('online');
    expect(errors).toEqual(['too_many_channels']);
  });
});

describe('waking up', () => {
  it('never trusts an open socket without a ping', async () => {
    const w = world();
    watch();
    await w.settle();
    w.socket().welcome();
    w.becomesVisible();
    expect(w.socket().types).toEqual(['ping']);
    w.socket().says({ type: 'pong' });
    await w.pass(4000);
    expect(w.sockets).toHaveLength(1);
    w.hears('online');
    expect(w.socket().types).toEqual(['ping', 'ping']);
    await w.pass(3000 + 500);
    expect(w.sockets[0]!.closed).toBe(true);
    expect(w.sockets).toHaveLength(2);
  });

  it('tries at once instead of waiting on', async () => {
    const w = world();
    watch({ transports: ['ws'] });
    await w.settle();
    for (let i = 0; i < 8; i++) {
      w.socket().ends(1006);
      if (i < 7) await w.pass(30_000);
    }
    const before = w.sockets.length;
    w.hears('online');
    await w.settle();
    expect(w.sockets).toHaveLength(before + 1);
  });

  it('pings after a silence as long as the heartbeat', async () => {
    const w = world();
    watch();
    await w.settle();
    w.socket().welcome('0', 10);
    await w.pass(9000);
    w.socket().message('1');
    await w.pass(9999);
    expect(w.socket().types).toEqual([]);
    await w.pass(1);
    expect(w.socket().types).toEqual(['ping']);
    w.socket().says({ type: 'pong' });
    await w.pass(10_000);
    expect(w.socket().types).toEqual(['ping', 'ping']);
    await w.pass(6000 + 500);
    expect(w.sockets).toHaveLength(2);
  });

  it('is offline while the browser is, and probes before it believes so', async () => {
    const w = world();
    const { client } = watch({ transports: ['ws'] });
    await w.settle();
    w.socket().welcome();
    w.setOnLine(false);
    expect(client.state).toBe('online');
    await w.pass(3000);
    expect(client.state).toBe('offline');
    await w.pass(200);
    w.setOnLine(true);
    await w.settle();
    w.socket().welcome();
    expect(client.state).toBe('online');
  });

  it('replaces an event stream that is silent, but for its signs of life', async () => {
    const w = world();
    watch({ transports: ['sse'] });
    await w.settle();
    await w.source().welcome();
    for (let i = 0; i < 8; i++)
      await w
        .source()
        .sends(': alive\n\n')
        .then(() => w.pass(15_000));
    expect(w.sources).toHaveLength(1);
    await w.pass(31_000); // 45 s without a byte
    expect(w.sources).toHaveLength(2);
  });

  it('replaces an event stream, which cannot be asked', async () => {
    const w = world();
    const { client } = watch({ transports: ['sse'] });
    await w.settle();
    await w.source().welcome();
    await w.source().message('4');
    w.becomesVisible();
    await w.settle();
    expect(w.sources[0]!.closed).toBe(true);
    expect(w.source().query.get('after')).toBe('4');
    expect(client.state).toBe('online');
  });
});

describe('transports', () => {
  it('goes from WebSocket to event stream to long poll, at once', async () => {
    const w = world();
    const { client, ids } = watch();
    await w.settle();
    w.socket().ends(1006);
    await w.settle();
    w.source().breaks();
    await w.settle();
    expect(w.request().path).toBe('/poll/alice?wait=0&after=0');
    w.request().answers({ messages: [], next: '5', more: false, gap: null });
    await w.pass(999);
    expect(client.state).toBe('connecting'); // the one that waits might still be refused
    await w.pass(1);
    expect(client.state).toBe('online');
    expect(w.request().path).toBe('/poll/alice?wait=25&after=5');
    w.request().answers({
      messages: [{ id: '6', sender: 'bob', message: 1, sent_at: 'now' }],
      next: '6',
      more: false,
      gap: null,
    });
    await w.settle();
    expect(ids).toEqual(['6']);
    expect(w.request().path).toBe('/poll/alice?wait=25&after=6');
    expect(w.sockets).toHaveLength(1);
  });

  it('waits when none gets through, and then begins with the first', async () => {
    const w = world();
    const { errors } = watch();
    await w.settle();
    w.socket().ends(1006);
    await w.settle();
    w.source().breaks();
    await w.settle();
    expect(errors).toEqual([]);
    w.request().fails();
    await w.settle();
    expect(errors).toEqual(['unreachable']);
    expect(w.sockets).toHaveLength(1);
    await w.pass(500);
    expect(w.sockets).toHaveLength(2);
  });

  it('stays with what got through, until the network is another', async () => {
    const w = world();
    watch();
    await w.settle();
    w.socket().ends(1006);
    await w.settle();
    await w.source().welcome();
    w.source().breaks();
    await w.pass(500);
    expect([w.sockets.length, w.sources.length]).toEqual([1, 2]);
    await w.source().welcome();
    w.hears('online');
    await w.settle();
    expect([w.sockets.length, w.sources.length]).toEqual([2, 2]);
  });

  it('is patient with a WebSocket that has worked', async () => {
    const w = world();
    watch();
    await w.settle();
    w.socket().welcome();
    await w.pass(5000);
    for (let i = 0; i < 4; i++) {
      expect(w.sources).toHaveLength(0);
      w.socket().ends(1006);
      await w.pass(2000);
    }
    expect(w.sockets).toHaveLength(4);
    await w.source().welcome();
    w.source().breaks();
    await w.pass(5000);
    expect(w.sockets).toHaveLength(5); // the best one that ever worked
  });

  it('goes to another one where a page may not even make a WebSocket', async () => {
    const w = world();
    vi.stubGlobal('WebSocket', function () {
      throw new DOMException('insecure', 'SecurityError');
    });
    const { client, errors } = watch();
    await w.settle();
    await w.source().welcome();
    expect(client.state).toBe('online');
    for (let i = 0; i < 4; i++)
      await w
        .source()
        .sends(': alive\n\n')
        .then(() => w.pass(15_000));
    expect(w.sources).toHaveLength(1);
    expect(client.state).toBe('online');
    expect(errors).toEqual([]);
    const alone = watch({ user: 'bob', transports: ['ws'] });
    const details: string[] = [];
    alone.client.on('error', error => details.push(error.detail));
    await w.pass(60_000);
    expect(alone.errors).toEqual(['unreachable']);
    expect(details[0]).toContain('insecure');
    expect(alone.client.state).toBe('connecting'); // and tries on
  });

  it('climbs back to a better one, which takes over when it has a session', async () => {
    const w = world();
    const { client, states, ids } = watch();
    await w.settle();
    w.socket().ends(1006); // a dead zone
    await w.settle();
    await w.source().welcome();
    await w.source().message('5');
    await w.pass(25_001);
    expect(w.sockets).toHaveLength(2);
    expect(w.socket().query.get('after')).toBe('5');
    await w.source().message('6');
    expect(w.source().closed).toBe(false);
    w.socket().welcome('5');
    expect(w.source().closed).toBe(true);
    w.socket().message('6');
    w.socket().message('7');
    client.subscribe('news');
    expect(w.socket().types).toEqual(['subscribe']);
    expect(ids).toEqual(['5', '6', '7']);
    expect(states).toEqual(['online']);
    await w.pass(20_000); // what was the better one is now the only one
    w.socket().ends(1006);
    await w.pass(500);
    expect([w.sockets.length, w.sources.length]).toEqual([3, 1]);
  });

  it('climbs rung by rung, and more and more seldom', async () => {
    const w = world();
    const { client, states, errors } = watch();
    const page = { messages: [], next: '5', more: false, gap: null };
    vi.stubGlobal('fetch', (url: string, init: RequestInit) => {
      if (url.includes('/sse/')) return w.streamOf(url, init);
      return url.includes('wait=0') ? Promise.resolve(Response.json(page)) : new Promise(() => {});
    });
    await w.settle();
    w.socket().ends(1006);
    await w.settle();
    w.source().breaks();
    await w.pass(1000);
    expect(client.state).toBe('online');
    const tried: number[] = [];
    for (let second = 0; second < 100; second++) {
      await w.pass(1000);
      if (tried.length === w.sockets.length - 1) continue;
      tried.push(second);
      expect(w.sources).toHaveLength(tried.length);
      await w.pass(10_000);
      second += 10;
      expect(w.socket().closed).toBe(true);
      expect(w.sources).toHaveLength(tried.length + 1);
      w.source().breaks();
    }
    expect(tried).toHaveLength(2);
    expect(tried[1]! - tried[0]!).toBeGreaterThan(50);
    while (w.sockets.length < 4) await w.pass(1000);
    w.socket().ends(1006);
    await w.settle();
    await w.source().welcome();
    expect(states).toEqual(['online']);
    expect(errors).toEqual([]);
    client.close();
    await w.pass(3_600_000);
    expect(w.sockets).toHaveLength(4);
  });

  it('says that a server is full, and asks it less and less, not in step with others', async () => {
    const w = world();
    const { client, states, errors } = watch();
    const asked: number[] = [];
    const began = Date.now();
    vi.stubGlobal('fetch', async (url: string, init: RequestInit) => {
      if (url.includes('/sse/')) return w.streamOf(url, init);
      if (url.includes('wait=0'))
        return Response.json({ messages: [], next: '5', more: false, gap: null });
      asked.push(Date.now() - began);
      const headers = { 'Retry-After': '5' };
      return Response.json({ code: 'too_many_sessions' }, { status: 503, headers });
    });
    for (let i = 0; i < 60; i++) {
      await w.pass(1000);
      for (const socket of w.sockets.splice(0)) socket.ends(1006);
      await w.settle();
      for (const source of w.sources.splice(0)) source.breaks();
    }
    const waits = asked.map((at, i) => at - (asked[i - 1] ?? 0)).slice(1);
    expect(waits.length).toBeLessThan(7); // or twelve, one every 5 s
    expect(Math.min(...waits)).toBeGreaterThan(5000);
    expect(waits.at(-1)).toBeGreaterThan(waits[0]! + 2000);
    expect(states).toEqual([]);
    expect(errors).toEqual(['too_many_sessions']);
    client.close();
  });

  it('comes back to a WebSocket that refuses it later and later', async () => {
    const w = world();
    const { client, states, errors } = watch();
    await w.settle();
    const waits: number[] = [];
    for (let i = 0; i < 5; i++) {
      w.socket().says({ type: 'bye', code: 'too_many_sessions_of_user', retry_ms: 5000 });
      w.socket().ends(4429);
      const before = w.sockets.length;
      for (waits[i] = 0; w.sockets.length === before; waits[i]! += 100) await w.pass(100);
    }
    expect(Math.min(...waits)).toBeGreaterThan(5000); // the server's word, and a share of chance
    expect(waits).toEqual([...waits].sort((a, b) => a - b));
    expect(waits.at(-1)).toBeGreaterThan(waits[0]! + 3000);
    expect([w.sources.length, states]).toEqual([0, []]);
    expect(errors).toEqual(['too_many_sessions_of_user']);
    client.close();
  });

  it('does not go down for a server that is full', async () => {
    const w = world();
    watch();
    await w.settle();
    w.socket().ends(1013);
    await w.pass(500);
    expect([w.sockets.length, w.sources.length]).toEqual([2, 0]);
  });

  it('uses those that are named, and that there are', async () => {
    const w = world({ sse: false });
    watch({ transports: ['sse', 'poll'] });
    await w.settle();
    expect(w.sockets).toHaveLength(0);
    expect(w.requests).toHaveLength(1);
  });

  it('takes the WebSocket it is given', async () => {
    const w = world();
    const given = WebSocket;
    vi.stubGlobal('WebSocket', undefined);
    watch({ WebSocket: given, transports: ['ws'] });
    await w.settle();
    expect(w.sockets).toHaveLength(1);
  });

  it('obeys the last word of an event stream', async () => {
    const w = world();
    const { client, errors } = watch({ transports: ['sse'] });
    await w.settle();
    await w.source().welcome();
    await w.source().says({ type: 'bye', code: 'stopping', retry_ms: 3000 });
    await w.pass(2999);
    expect(w.sources).toHaveLength(1);
    await w.pass(1);
    await w.source().welcome();
    await w.source().says({ type: 'bye', code: 'kicked', retry_ms: 3000 });
    await w.pass(60_000);
    expect(client.state).toBe('offline');
    expect(errors).toEqual(['kicked']);
  });

  it.each(['forbidden', 'missing_scope'])('stops at the last word %s', async code => {
    const w = world();
    const { client, errors } = watch({ transports: ['sse'], token: async () => 't' });
    await w.settle();
    await w.source().says({ type: 'bye', code, retry_ms: 60_000 });
    await w.pass(120_000);
    expect(client.state).toBe('offline');
    expect(errors).toEqual([code]);
    expect(w.sources).toHaveLength(1);
  });

  it('stops polling when it is sent away, and says why', async () => {
    const w = world();
    const { client, errors } = watch({ transports: ['poll'] });
    await w.settle();
    w.request().answers({ messages: [], next: '9', more: false, gap: null });
    await w.settle();
    w.request().answers({ code: 'kicked' }, 403);
    await w.pass(60_000);
    expect(client.state).toBe('offline');
    expect(errors).toEqual(['kicked']);
    expect(w.requests).toHaveLength(2);
  });

  it('polls on over a gap, and not faster than a server that does not wait', async () => {
    const w = world();
    const { gaps } = watch({ transports: ['poll'] });
    await w.settle();
    w.request().answers({
      messages: [],
      next: '9',
      more: false,
      gap: { after: '1', resumes: '9' },
    });
    await w.settle();
    expect(gaps).toEqual([{ after: '1', resumes: '9' }]);
    w.request().answers({ messages: [], next: '9', more: false, gap: null });
    await w.pass(999);
    expect(w.requests).toHaveLength(2);
    await w.pass(1);
    expect(w.requests).toHaveLength(3);
  });

  it('understands the status of a poll', async () => {
    for (const [status, state, code] of [
      [400, 'offline', 'bad_field'],
      [403, 'offline', 'forbidden'],
      [401, 'unauthorized', 'unauthorized'],
      [503, 'connecting', 'too_many_sessions'],
      [404, 'connecting', undefined], // a proxy's, which has no server at this moment
      [403, 'connecting', undefined],
    ] as const) {
      const w = world();
      const { client } = watch({ transports: ['poll'] });
      await w.settle();
      w.request().answers({ code }, status, { 'Retry-After': '7' });
      await w.pass(8999);
      expect(client.state).toBe(state);
      expect(w.requests).toHaveLength(1);
      await w.pass(2);
      expect(w.requests).toHaveLength(state === 'connecting' ? 2 : 1);
      client.close();
    }
  });
});

describe('channels', () => {
  it('are subscribed to by frames, once for all who want them', async () => {
    const w = world();
    const { client } = watch({ channels: ['a'] });
    await w.settle();
    const off1 = client.subscribe('b'); // before the welcome
    w.socket().welcome();
    const off2 = client.subscribe('b');
    const off3 = client.subscribe('x,y');
    off1();
    off1();
    expect(w.socket().sent).toEqual([
      { type: 'subscribe', channel: 'b', ref: 'b' },
      { type: 'subscribe', channel: 'x,y', ref: 'x,y' },
    ]);
    off2();
    expect(w.socket().sent.at(-1)).toEqual({ type: 'unsubscribe', channel: 'b' });
    w.socket().ends(1006);
    await w.pass(500);
    expect(w.socket().query.get('channels')).toBe('a');
    expect(w.socket().query.getAll('channel')).toEqual(['x,y']); // with what it kept meanwhile
    w.socket().welcome();
    expect(w.socket().sent).toEqual([]);
    off3();
  });

  it('that are refused or lost are told by name, once, and cost nothing else', async () => {
    const w = world();
    const { client } = watch({ channels: ['a'] });
    const told: unknown[] = [];
    client.on('error', ({ code, channel }) => told.push([code, channel]));
    await w.settle();
    w.socket().welcome();
    client.subscribe('secret');
    const refuse = (ref: string) =>
      w.socket().says({ type: 'error', code: 'forbidden', detail: 'No.', ref });
    refuse('secret');
    w.socket().says({ type: 'unsubscribed', channel: 'a' }); // a narrower token
    w.socket().says({ type: 'renewed' });
    expect(
      w
        .socket()
        .sent.slice(1)
        .map(frame => frame['channel']),
    ).toEqual(['a', 'secret']);
    refuse('a');
    refuse('secret');
    expect(told).toEqual([
      ['forbidden', 'secret'],
      ['forbidden', 'a'],
    ]);
    w.socket().ends(1006);
    await w.pass(500);
    expect(w.socket().query.has('channels')).toBe(false);
    w.socket().welcome();
    expect(w.socket().types).toEqual(['subscribe', 'subscribe']);
    refuse('a');
    w.socket().says({ type: 'subscribed', channel: 'secret' });
    w.socket().ends(1006);
    await w.pass(500);
    expect(w.socket().query.get('channels')).toBe('secret');
    expect(told).toHaveLength(2);
  });

  it('tell who subscribed what comes of them', async () => {
    const w = world();
    const { client, ids } = watch();
    const states: unknown[] = [];
    const heard: string[] = [];
    const lost: unknown[] = [];
    client.on('unsubscribed', event => lost.push(event));
    const handlers = {
      onMessage: ({ id }: { id: string }) => void heard.push(id),
      onState: (state: string, error?: PushwireError) => void states.push([state, error?.code]),
    };
    const off = client.subscribe('a', handlers);
    await w.settle();
    expect(states).toEqual([['subscribing', undefined]]);
    w.socket().welcome();
    w.socket().message('1', 'hi', { channel: 'a' });
    w.socket().message('2');
    expect([heard, ids]).toEqual([['1'], ['1', '2']]);
    client.subscribe('a', handlers)(); // is told at once, and takes nothing from the other
    w.socket().says({ type: 'unsubscribed', channel: 'a' });
    w.socket().says({ type: 'error', code: 'forbidden', detail: 'No.', ref: 'a' });
    expect(lost).toEqual([{ channel: 'a', code: 'forbidden', detail: 'No.' }]);
    w.socket().says({ type: 'renewed' });
    w.socket().says({ type: 'subscribed', channel: 'a' });
    w.socket().ends(1006);
    expect(states).toEqual([
      ['subscribing', undefined],
      ['subscribed', undefined],
      ['subscribed', undefined],
      ['refused', 'forbidden'],
      ['subscribed', undefined],
    ]);
    await w.pass(500);
    expect(states.slice(5)).toEqual([['subscribing', undefined]]);
    w.socket().welcome();
    expect(states.slice(6)).toEqual([['subscribed', undefined]]);
    off();
    w.socket().message('3', 'hi', { channel: 'a' });
    expect(heard).toEqual(['1']);
  });

  it.each(['ws', 'sse', 'poll'] as const)(
    'that are refused in an address of %s take nothing else with them',
    async transport => {
      const w = world();
      const { client, errors } = watch({ transports: [transport], channels: ['good', 'bad'] });
      const bye = { type: 'bye', code: 'forbidden', retry_ms: 1 };
      await w.settle();
      if (transport === 'ws') w.socket().says(bye);
      if (transport === 'ws') w.socket().ends(4403);
      if (transport === 'sse') await w.source().says(bye);
      if (transport === 'poll') w.request().answers({ code: 'forbidden' }, 403);
      await w.settle();
      const [good, bad] = w.requests.slice(-2);
      expect([good!.path, bad!.path]).toEqual(['/channels/good', '/channels/bad']);
      good!.answers({ channel: 'good', sessions: 0 });
      bad!.answers({ code: 'forbidden', detail: 'No.' }, 403);
      await w.settle();
      const next = { ws: w.sockets, sse: w.sources, poll: w.requests }[transport].at(-1)!;
      expect(next.query.get('channels')).toBe('good');
      expect([client.state, errors]).toEqual(['connecting', ['forbidden']]);
    },
  );

  it('that one leaves, and comes back to, are not lost', async () => {
    const w = world();
    const { client, errors } = watch();
    await w.settle();
    w.socket().welcome();
    client.subscribe('a')();
    client.subscribe('a');
    w.socket().says({ type: 'unsubscribed', channel: 'a' });
    expect(w.socket().types).toEqual(['subscribe', 'unsubscribe', 'subscribe']);
    expect(errors).toEqual([]);
  });

  it('for which an address has no room come beside it', async () => {
    const w = world();
    const channels = Array.from({ length: 60 }, (_, n) => `채널의-이름-${n}`);
    const { ids } = watch({ channels, token: 't.o.k' });
    await w.settle();
    expect(w.socket().url).toBe('ws://server/ws/alice?auth=frame&after=0');
    expect(w.socket().protocols).toEqual(['pushwire.v1.json']);
    w.socket().onopen!();
    expect(w.socket().sent).toEqual([{ type: 'auth', token: 't.o.k', channels }]);
    w.socket().welcome();
    expect(w.socket().sent).toHaveLength(1);
    for (let i = 0; i < 3; i++) {
      w.socket().ends(1006);
      await w.pass(5000);
    }
    expect(w.source().url).toBe('http://server/sse/alice?after=0');
    expect(w.source().token).toBe('Bearer t.o.k');
    expect(JSON.parse(w.source().init.body as string)).toEqual({ channels });
    await w
      .source()
      .sends('retry: 1\nevent: welcome\ndata: {"type":"welcome"}\n\n: a comment\n\nda');
    await w.source().sends('ta: {"type":"message","id":"7"}\n\n');
    expect(ids).toEqual(['7']);
  });

  it('for which an address has no room are polled for by POST', async () => {
    const w = world();
    const channels = Array.from({ length: 60 }, (_, n) => `채널의-이름-${n}`);
    const { errors } = watch({ channels, transports: ['poll'] });
    await w.settle();
    for (const next of ['5', '6']) {
      expect(w.request().body).toEqual({ channels });
      w.request().answers({ messages: [], next, more: false, gap: null });
      await w.settle();
    }
    expect(errors).toEqual([]);
  });

  it('make an event stream a new one, one for all of a turn', async () => {
    const w = world();
    const { client } = watch({ transports: ['sse'] });
    await w.settle();
    await w.source().welcome();
    await w.source().message('3');
    const off = client.subscribe('a');
    client.subscribe('b');
    await w.settle();
    expect(w.sources).toHaveLength(2);
    expect(w.source().query.get('channels')).toBe('a,b');
    expect(w.source().query.get('after')).toBe('3');
    await w.source().welcome();
    off(); // what comes of it yet is not shown
    await w.settle();
    expect(w.sources).toHaveLength(2);
  });
});

describe('tokens', () => {
  it('travel as a subprotocol and in headers, never in an address', async () => {
    const w = world();
    watch({ token: 'aa.bb.cc' });
    await w.settle();
    expect(w.socket().protocols).toEqual(['pushwire.v1.json', 'bearer.aa.bb.cc']);
    w.socket().ends(1006);
    await w.settle();
    expect(w.source().token).toBe('Bearer aa.bb.cc');
    expect(w.source().query.has('token')).toBe(false);
    w.source().breaks();
    await w.settle();
    expect(w.request().token).toBe('Bearer aa.bb.cc');
    expect(w.request().query.has('token')).toBe(false);
  });

  it.each([4401, 4440])('are asked for once more at %i, then it is unauthorized', async code => {
    const w = world();
    let n = 0;
    const token = vi.fn(async () => `t${n++}`);
    const { client, errors } = watch({ token });
    await w.settle();
    w.socket().ends(code);
    await w.settle();
    expect(w.socket().protocols[1]).toBe('bearer.t1');
    w.socket().welcome();
    w.socket().ends(code); // hours later
    await w.settle();
    expect(w.socket().protocols[1]).toBe('bearer.t2');
    w.socket().ends(code);
    await w.pass(120_000);
    w.hears('online');
    await w.settle();
    expect(client.state).toBe('unauthorized');
    expect(errors).toEqual([`close_${code}`]);
    expect(w.sockets).toHaveLength(3);
    expect(token).toHaveBeenCalledTimes(3);
  });

  it('that are no functions cannot be had again', async () => {
    const w = world();
    const { client } = watch({ token: 't' });
    await w.settle();
    w.socket().ends(4401);
    await w.pass(60_000);
    expect(client.state).toBe('unauthorized');
    expect(w.sockets).toHaveLength(1);
  });

  it('are kept over a reconnect while they are good', async () => {
    const w = world();
    const token = vi.fn(async () => jwt({ iat: 1000, exp: 4600 }));
    watch({ token });
    await w.settle();
    w.socket().welcome();
    w.socket().ends(1006);
    await w.pass(500);
    w.socket().welcome();
    expect(w.sockets).toHaveLength(2);
    expect(token).toHaveBeenCalledOnce();
  });

  it('are renewed on the live connection before they run out', async () => {
    const w = world();
    let n = 0;
    const tokens = [1, 2, 3].map(iat => jwt({ iat, exp: iat + 100 }));
    watch({ token: async () => tokens[n++]! });
    await w.settle();
    w.socket().welcome('0', 1000);
    await w.pass(79_999);
    expect(w.socket().sent).toEqual([]);
    await w.pass(1);
    expect(w.socket().sent).toEqual([{ type: 'auth', token: tokens[1] }]);
    await w.pass(80_000);
    expect(w.socket().sent[1]).toEqual({ type: 'auth', token: tokens[2] });
    expect(w.sockets).toHaveLength(1);
  });

  it('that are not new are renewed before they run out, too', async () => {
    const w = world();
    const now = Math.floor(Date.now() / 1000);
    const tokens = [jwt({ iat: now - 3000, exp: now + 100 }), jwt({ iat: now, exp: now + 3600 })];
    watch({ token: async () => tokens.shift()! });
    await w.settle();
    w.socket().welcome('0', 1000);
    await w.pass(78_000);
    expect(w.socket().sent).toEqual([]);
    await w.pass(3_000);
    expect(w.socket().types).toEqual(['auth']);
  });

  it('make an event stream a new one before they run out, and when it is refused', async () => {
    const w = world();
    let n = 0;
    watch({ transports: ['sse'], token: async () => jwt({ iat: n++, exp: n + 99 }) });
    await w.settle();
    await w.source().welcome();
    await w.source().message('8');
    for (let i = 0; i < 5; i++)
      await w
        .source()
        .sends(': alive\n\n')
        .then(() => w.pass(16_000));
    expect(w.sources).toHaveLength(2);
    expect(w.source().token).toBe(`Bearer ${jwt({ iat: 1, exp: 101 })}`);
    expect(w.source().query.get('after')).toBe('8');
    await w.source().welcome();
    w.source().breaks();
    await w.pass(500);
    expect(w.source().token).toBe(`Bearer ${jwt({ iat: 1, exp: 101 })}`); // no fault of its
    await w.source().says({ type: 'bye', code: 'unauthorized', retry_ms: 60_000 });
    await w.settle();
    expect(w.source().token).toBe(`Bearer ${jwt({ iat: 2, exp: 102 })}`);
  });

  it('whose function fails are asked for again', async () => {
    const w = world();
    const token = vi.fn().mockRejectedValueOnce(new Error('503')).mockResolvedValue('t');
    const { errors } = watch({ token });
    await w.settle();
    expect(errors).toEqual(['token_failed']);
    await w.pass(500);
    expect(w.socket().protocols[1]).toBe('bearer.t');
    expect(w.sources).toHaveLength(0); // no reason to go down the ladder
  });

  it.each([
    ['gives none', async () => null],
    ['says so', () => Promise.reject(new PushwireError('unauthorized', 'Logged out.'))],
  ])('whose function %s end it, until reconnect()', async (_, loggedOut) => {
    const w = world();
    const token = vi.fn<() => Promise<string | null>>(loggedOut);
    const { client, errors } = watch({ token });
    await w.pass(60_000);
    expect([client.state, errors, client.reason?.code]).toEqual([
      'unauthorized',
      ['unauthorized'],
      'unauthorized',
    ]);
    expect(token).toHaveBeenCalledTimes(1);
    token.mockResolvedValue('t');
    client.reconnect();
    await w.settle();
    w.socket().welcome();
    expect([client.state, client.reason]).toEqual(['online', undefined]);
  });
});

describe('a message that is larger than max', () => {
  const outline = (id: string, more: object = {}) => ({
    ...{ type: 'too_large', id, sender: 'bob', size: 40_000, after: '5', kept: true },
    ...{ sent_at: 'now', ...more },
  });
  const large = { id: '6', sender: 'bob', message: 'large', sent_at: 'now' };

  async function start() {
    const w = world();
    const { client, ids } = watch({ max: 32_768 });
    const told: unknown[] = [];
    client.on('tooLarge', event => told.push(event));
    await w.settle();
    expect(w.socket().query.get('max')).toBe('32768');
    w.socket().welcome();
    w.socket().message('5');
    return { w, client, ids, told };
  }

  it('is fetched, and stays in its place', async () => {
    const { w, ids, told } = await start();
    w.socket().says(outline('6', { channel: 'news' }));
    w.socket().message('7');
    await w.settle();
    expect(ids).toEqual(['5']);
    expect(w.request().path).toBe('/poll/alice?after=5&wait=0&channel=news');
    w.request().fails();
    await w.pass(500);
    w.request().answers({ messages: [large], next: '6', more: false, gap: null });
    await w.settle();
    expect(ids).toEqual(['5', '6', '7']);
    expect(told).toEqual([]);
  });

  it('is told of when it cannot be had', async () => {
    const { w, ids, told } = await start();
    w.socket().says(outline('6', { kept: false }));
    w.socket().message('7');
    await w.settle();
    expect(w.requests).toHaveLength(0);
    expect(told).toMatchObject([{ id: '6', sender: 'bob', size: 40_000, sentAt: 'now' }]);
    expect(ids).toEqual(['5', '7']);
  });

  it('is given once when the session ends meanwhile', async () => {
    const { w, ids, told } = await start();
    w.socket().says(outline('6'));
    w.socket().message('7');
    w.socket().ends(1006);
    await w.pass(500);
    expect(w.socket().query.get('after')).toBe('5');
    w.socket().welcome('5');
    w.socket().says(outline('6'));
    w.socket().message('7');
    w.requests[0]!.answers({ messages: [large], next: '6', more: false, gap: null });
    await w.settle();
    expect([ids, told, w.requests.length]).toEqual([['5', '6', '7'], [], 1]);
  });
});

describe('one’s own hand', () => {
  it('pauses it and has it come back', async () => {
    const w = world();
    const { client, states } = watch();
    await w.settle();
    w.socket().welcome();
    w.socket().message('5');
    client.pause();
    client.pause();
    w.hears('pageshow');
    await w.pass(60_000);
    expect([w.sockets.length, w.socket().closed, client.state]).toEqual([1, true, 'offline']);
    client.reconnect();
    await w.settle();
    expect(w.socket().query.get('after')).toBe('5');
    w.socket().welcome();
    expect(states).toEqual(['online', 'offline', 'reconnecting', 'online']);
    client.close();
    client.reconnect();
    await w.settle();
    expect(w.sockets).toHaveLength(2);
  });

  it('does not wait as long as the server says, and is told how long that is', async () => {
    const w = world();
    const { client } = watch();
    const retries: unknown[] = [];
    client.on('retry', retry => retries.push(retry));
    await w.settle();
    w.socket().welcome();
    w.socket().says({ type: 'bye', code: 'stopping', retry_ms: 9000 });
    w.socket().ends(1001);
    expect(retries).toEqual([{ inMs: 9000, code: 'stopping' }]);
    expect(client.reason?.code).toBe('stopping');
    client.reconnect();
    await w.settle();
    expect(w.sockets).toHaveLength(2);
  });

  it('begins again after a final word', async () => {
    const w = world();
    const { client, errors } = watch();
    await w.settle();
    w.socket().welcome();
    w.socket().says({ type: 'bye', code: 'kicked' });
    w.socket().ends(4403);
    expect([client.state, client.reason?.code, errors]).toEqual(['offline', 'kicked', ['kicked']]);
    client.reconnect();
    await w.settle();
    w.socket().welcome();
    expect(client.state).toBe('online');
  });
});

describe('adapters', () => {
  it('keep the cursor elsewhere', async () => {
    const w = world();
    const kept = new Map<string, string>();
    const storage = {
      getItem: (key: string) => kept.get(key) ?? null,
      setItem: (key: string, value: string) => void kept.set(key, value),
    };
    watch({ storage });
    await w.settle();
    w.socket().welcome();
    w.socket().message('7');
    expect([...kept.values()]).toEqual(['7']);
    expect(w.storage.keys).toEqual([]);
    watch({ storage });
    await w.settle();
    expect(w.socket().query.get('after')).toBe('7');
  });

  it('make the requests, with headers of the application', async () => {
    const w = world();
    const asked: [string, unknown][] = [];
    const { client } = watch({
      transports: ['sse'],
      token: 't',
      headers: async () => ({ 'X-Tenant': 'acme' }),
      fetch: (url, init) => {
        asked.push([url, init.headers]);
        return fetch(url, init);
      },
    });
    await w.settle();
    void client.history();
    await w.settle();
    const headers = { 'X-Tenant': 'acme', Authorization: 'Bearer t' };
    expect(asked).toEqual([
      ['http://server/sse/alice?after=0', headers],
      ['http://server/users/alice/messages?before=', headers],
    ]);
  });

  it('are told what happens, without the token', async () => {
    const w = world();
    const debug = vi.fn();
    watch({ debug, token: 's.e.cret' });
    await w.settle();
    w.socket().welcome();
    w.socket().ends(1006);
    await w.pass(500);
    expect(debug.mock.calls.map(([what]) => what)).toEqual(['open', 'got', 'lost', 'open']);
    expect(JSON.stringify(debug.mock.calls)).not.toContain('s.e.cret');
  });
});
