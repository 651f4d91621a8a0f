import { describe, expect, it, vi } from 'vitest';
import { connect, type ConnectOptions } from '../src/index.js';
import { world } from './fakes.js';

/** One tab: a client, and what it was told. */
function tab(more: Partial<ConnectOptions> = {}) {
  const client = connect({ user: 'alice', url: 'http://server', ...more });
  const ids: string[] = [];
  const errors: string[] = [];
  client.on('message', m => ids.push(m.id));
  client.on('error', e => errors.push(e.code));
  return { client, ids, errors };
}

describe('tabs of one user', () => {
  it('share one socket and get each message once', async () => {
    const w = world({ tabs: true });
    const a = tab();
    await w.settle();
    const b = tab();
    await w.settle();
    expect(w.sockets).toHaveLength(1);
    w.socket().welcome();
    w.socket().message('1');
    w.socket().message('2');
    w.socket().message('2');
    await w.settle();
    expect(a.ids).toEqual(['1', '2']);
    expect(b.ids).toEqual(['1', '2']);
    expect([a.client.state, b.client.state]).toEqual(['online', 'online']);
  });

  it('that come later begin where the others are', async () => {
    const w = world({ tabs: true });
    tab({ start: 'now' });
    await w.settle();
    w.socket().welcome('5');
    w.socket().message('6');
    const b = tab({ start: 'now' });
    await w.settle();
    expect(b.client.state).toBe('online');
    w.socket().message('7');
    await w.settle();
    expect(b.ids).toEqual(['7']);
  });

  it('get a new leader that misses and doubles nothing', async () => {
    const w = world({ tabs: true });
    const a = tab();
    await w.settle();
    const b = tab();
    const c = tab();
    await w.settle();
    w.socket().welcome();
    w.socket().message('1');
    await w.settle();
    a.client.close();
    await w.settle();
    expect(w.sockets).toHaveLength(2);
    expect(w.socket().query.get('after')).toBe('1');
    w.socket().welcome('1');
    w.socket().message('2');
    await w.settle();
    expect(b.ids).toEqual(['1', '2']);
    expect(c.ids).toEqual(['1', '2']);
    b.client.close();
    c.client.close();
    await w.settle();
    expect(w.sockets).toHaveLength(2);
    expect(w.sockets.every(socket => socket.closed)).toBe(true);
  });

  it('hear only the channels they asked for, over a change of leader, too', async () => {
    const w = world({ tabs: true });
    const a = tab({ channels: ['x'] });
    await w.settle();
    const b = tab({ channels: ['y'] });
    await w.settle();
    w.socket().welcome();
    expect(w.socket().sent).toEqual([{ type: 'subscribe', channel: 'y', ref: 'y' }]);
    b.client.subscribe('z');
    await w.settle();
    expect(w.socket().sent.at(-1)).toEqual({ type: 'subscribe', channel: 'z', ref: 'z' });
    w.socket().message('1', 'm', { channel: 'x' });
    w.socket().message('2', 'm', { channel: 'y' });
    w.socket().message('3', 'm', { channel: 'z' });
    await w.settle();
    const c = tab({ channels: ['x'] });
    await w.settle();
    a.client.close();
    await w.settle();
    const { query } = w.socket();
    expect(query.get('channels')!.split(',').sort()).toEqual(['x', 'y', 'z']);
    expect(query.get('after')).toBe('3');
    w.socket().welcome('3');
    w.socket().message('4', 'm', { channel: 'x' });
    await w.settle();
    expect(a.ids).toEqual(['1']);
    expect(b.ids).toEqual(['2', '3']);
    expect(c.ids).toEqual(['4']);
    c.client.close();
    await w.settle();
    expect(w.socket().sent).toEqual([{ type: 'unsubscribe', channel: 'x' }]);
  });

  it('replace a leader that sleeps, which then listens to the new one', async () => {
    const w = world({ tabs: true });
    const a = tab();
    await w.settle();
    const sleeping = [...w.buses.all][0]!;
    const b = tab();
    await w.settle();
    w.socket().welcome();
    w.socket().message('1');
    await w.settle();
    w.becomesVisible(); // everybody is well
    await w.settle();
    w.socket().says({ type: 'pong' });
    await w.pass(3000);
    expect(w.sockets).toHaveLength(1);

    w.buses.frozen.add(sleeping);
    w.becomesVisible();
    w.socket().says({ type: 'pong' });
    await w.pass(3000);
    expect(w.sockets).toHaveLength(2);
    expect(w.sockets[0]!.closed).toBe(true);
    w.buses.frozen.clear();
    w.socket().welcome('1');
    w.socket().message('2');
    await w.settle();
    expect(a.ids).toEqual(['1', '2']);
    expect(b.ids).toEqual(['1', '2']);
    b.client.close();
    await w.settle();
    expect(w.sockets).toHaveLength(3); // the first one again
  });

  it('that were put aside leave the others to lead, and miss nothing of what came', async () => {
    const w = world({ tabs: true });
    const a = tab();
    await w.settle();
    const aside = [...w.buses.all][0]!;
    w.socket().welcome();
    w.socket().message('1');
    await w.settle();
    w.hears('pagehide'); // into the cache for going back
    expect(w.socket().closed).toBe(true);
    expect(w.buses.all.has(aside)).toBe(false);
    const b = tab(); // the browser shows another page
    await w.settle();
    w.socket().welcome('1');
    w.socket().message('2');
    await w.settle();
    expect([a.ids, b.ids]).toEqual([['1'], ['2']]);

    w.hears('pageshow'); // which b has heard, too, and ignores
    await w.settle();
    expect(w.socket().query.get('after')).toBe('1');
    w.socket().welcome('1');
    w.socket().message('2');
    w.socket().message('3');
    await w.settle();
    expect([a.ids, b.ids]).toEqual([
      ['1', '2', '3'],
      ['2', '3'],
    ]);
    expect(w.sockets.filter(socket => !socket.closed)).toHaveLength(1);
    expect([a.client.state, b.client.state]).toEqual(['online', 'online']);
  });

  it('do not call themselves online while a new leader connects', async () => {
    const w = world({ tabs: true });
    const a = tab({ transports: ['ws'] });
    await w.settle();
    const b = tab({ transports: ['ws'] });
    await w.settle();
    w.socket().welcome();
    await w.settle();
    a.client.close();
    await w.settle();
    expect(b.client.state).toBe('reconnecting');
    w.socket().ends(1006);
    await w.pass(500);
    expect(b.client.state).toBe('reconnecting');
    w.socket().welcome();
    expect(b.client.state).toBe('online');
  });

  it('hear of gaps, states and ends', async () => {
    const w = world({ tabs: true });
    const a = tab();
    await w.settle();
    const b = tab();
    await w.settle();
    w.socket().welcome();
    w.socket().ends(1006);
    await w.settle();
    expect(b.client.state).toBe('reconnecting');
    await w.pass(500);
    w.socket().welcome();
    w.socket().ends(4403);
    await w.pass(60_000);
    expect([a.client.state, b.client.state]).toEqual(['offline', 'offline']);
    expect([a.errors, b.errors]).toEqual([['close_4403'], ['close_4403']]);
    expect(w.sockets).toHaveLength(2); // nobody came back for another try
  });

  it('try their own token when the leader’s is refused', async () => {
    const w = world({ tabs: true });
    const a = tab({ token: 'old' });
    await w.settle();
    const b = tab({ token: 'new' });
    await w.settle();
    w.socket().ends(4401);
    await w.settle();
    expect(a.client.state).toBe('unauthorized');
    expect(w.socket().protocols[1]).toBe('bearer.new');
    w.socket().welcome();
    w.socket().message('1');
    await w.settle();
    expect(b.ids).toEqual(['1']);
    expect(a.ids).toEqual([]);
  });

  it('do not share with another user, server or device', async () => {
    const w = world({ tabs: true });
    tab();
    tab({ user: 'bob' });
    tab({ url: 'http://other' });
    tab({ device: 'phone' });
    tab({ shareTabs: false });
    tab({ storage: 'memory' }); // its cursor is its own
    await w.settle();
    expect(w.sockets).toHaveLength(6);
  });

  it('connect each for itself where locks are forbidden', async () => {
    const w = world({ tabs: true });
    const locks = { request: () => Promise.reject(new DOMException('', 'SecurityError')) };
    vi.stubGlobal('navigator', { onLine: true, locks });
    const a = tab();
    await w.settle();
    w.socket().welcome();
    w.socket().message('1');
    expect(a.ids).toEqual(['1']);
  });

  it('acknowledge over HTTP where they have no connection', async () => {
    const w = world({ tabs: true });
    tab({ device: 'd' });
    await w.settle();
    const b = tab({ device: 'd' });
    await w.settle();
    b.client.ack('9');
    await w.settle();
    expect(w.request().path).toBe('/users/alice/ack');
    expect(w.request().body).toEqual({ device: 'd', id: '9' });
  });
});
