// Against a real server: PUSHWIRE_BIN, or what scripts/run has built. Without one these are skipped.

import { spawn, type ChildProcess } from 'node:child_process';
import { createHash, createHmac } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import WebSocket from 'ws';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { connect, type Client, type ConnectOptions, type State } from '../src/index.js';

const TRANSPORTS = ['ws', 'sse', 'poll'] as const;

const BINARY =
  process.env['PUSHWIRE_BIN'] ?? fileURLToPath(new URL('../../../build/pushwire', import.meta.url));
const DEADLINE = { timeout: 20_000, interval: 10 };

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const f of cleanUp.splice(0).reverse()) await f();
  vi.unstubAllGlobals();
});

interface Server {
  url: string;
  address: string;
  folder: string;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'pushwire-'));
  cleanUp.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** `again`: one that has stopped, to go on in its folder, at its address. */
async function start(args: string[] = [], again?: Server): Promise<Server> {
  const folder = again?.folder ?? newFolder();
  const listen = ['--listen', again?.address ?? '127.0.0.1:0'];
  // The server refuses variables of its own prefix that it does not know.
  const { PUSHWIRE_BIN: _, ...env } = process.env;
  const child: ChildProcess = spawn(BINARY, [...listen, '--retry-spread', '100ms', ...args], {
    cwd: folder,
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = new Promise<void>(resolve => child.on('exit', () => resolve()));
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    child.kill(signal);
    await ended;
  };
  cleanUp.push(() => stop('SIGKILL'));
  let log = '';
  child.stderr!.on('data', chunk => (log += chunk));
  const address = await vi.waitFor(() => {
    const ready = /ready listen=(\S+)/.exec(log);
    if (!ready) throw new Error(`not ready: ${log}`);
    return ready[1]!;
  }, DEADLINE);
  return { url: `http://${address}`, address, folder, stop };
}

/** A server with credentials: one key that may do all, one that may only send, and tokens. */
async function startGuarded() {
  const folder = newFolder();
  const keys = { all: `pw_all_${'a'.repeat(48)}`, sender: `pw_sender_${'b'.repeat(48)}` };
  const hash = (key: string) => createHash('sha256').update(key).digest('hex');
  const secret = 's'.repeat(40);
  writeFileSync(
    join(folder, 'keys'),
    `all ${hash(keys.all)} scope=send,read,manage,token\nsender ${hash(keys.sender)} scope=send\n`,
  );
  writeFileSync(join(folder, 'secrets'), secret);
  const server = await start([
    ...['--keys-file', join(folder, 'keys')],
    ...['--jwt-secret-file', join(folder, 'secrets')],
  ]);

  /** Issued and ending so many seconds from now; the server takes it for 30 s more. */
  function token(from: number, to: number, sub = 'alice', more: object = {}): string {
    const now = Date.now() / 1000;
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const claims = { sub, iat: Math.floor(now + from), exp: now + to, ...more };
    const signed = `${part({ alg: 'HS256' })}.${part(claims)}`;
    return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
  }

  async function ask(method: string, path: string, body?: object) {
    const answer = await fetch(server.url + path, {
      method,
      headers: { Authorization: `Bearer ${keys.all}`, 'Content-Type': 'application/json' },
      ...(body && { body: JSON.stringify(body) }),
    });
    expect(answer.status).toBe(200);
    return answer.json();
  }

  const tell = (message: unknown) =>
    ask('POST', '/send-message', { sender: 'bob', receiver: 'alice', message });
  return { ...server, keys, token, ask, tell };
}

function open(url: string, more: Partial<ConnectOptions> = {}) {
  const client: Client = connect({
    user: 'alice',
    url,
    WebSocket,
    ...more,
  });
  cleanUp.push(() => client.close());
  const got: unknown[] = [];
  const gaps: unknown[] = [];
  const errors: string[] = [];
  client.on('message', m => got.push(m.message));
  client.on('gap', gap => gaps.push(gap));
  client.on('error', error => errors.push(error.code));
  return { client, got, gaps, errors };
}

const become = (client: Client, state: State) =>
  vi.waitFor(() => expect(client.state).toBe(state), DEADLINE);
const until = (f: () => void) => vi.waitFor(f, DEADLINE);

describe.skipIf(!existsSync(BINARY))('with a server', { timeout: 60_000 }, () => {
  it.each(TRANSPORTS)('receives by %s', async transport => {
    const server = await start();
    const bob = open(server.url, { user: 'bob', transports: [transport] });
    const sent = await bob.client.send({ receiver: 'alice', message: 'before' });
    expect(sent).toEqual({ id: sent.id, delivered: 0, duplicate: false, kept: true });
    const alice = open(server.url, { transports: [transport], channels: ['news'] });
    await until(() => expect(alice.got).toEqual(['before']));
    await bob.client.send({ receiver: 'alice', message: { now: true } });
    await bob.client.send({ channel: 'news', message: 'n' });
    await until(() => expect(alice.got).toEqual(['before', { now: true }, 'n']));

    const off = alice.client.subscribe('late');
    await until(async () => {
      const answer = await fetch(`${server.url}/channels/late`);
      expect((await answer.json()).sessions).toBe(1);
    });
    await bob.client.send({ channel: 'late', message: 'l' });
    await until(() => expect(alice.got).toHaveLength(4));
    off();
    const page = await alice.client.history({ limit: 1 });
    expect(page.messages[0]!.message).toEqual({ now: true });
    expect(page.more).toBe(true);
  });

  it.each(TRANSPORTS)('loses and doubles nothing over a restart, by %s', async transport => {
    const first = await start();
    const { client, got, gaps } = open(first.url, { transports: [transport] });
    await become(client, 'online');
    await client.send({ receiver: 'alice', message: 1 });
    await until(() => expect(got).toEqual([1]));
    await first.stop('SIGKILL');
    await become(client, 'reconnecting');
    const sending = client.send({ receiver: 'alice', message: 2 });
    await start([], first);
    await sending; // it was tried until somebody was there
    await until(() => expect(got).toEqual([1, 2]));
    expect(gaps).toEqual([]);
  });

  it.each(TRANSPORTS)('keeps channels of any name and number, by %s', async transport => {
    const server = await start();
    const korean = Array.from({ length: 98 }, (_, n) => `${n}`.padEnd(2, '-') + '가'.repeat(42));
    const channels = ['geo:37.5,127.0', 'a,b', ...korean];
    const { client: bob } = open(server.url, { user: 'bob', transports: ['poll'] });
    const say = (at: number, message: unknown) => bob.send({ channel: channels[at]!, message });
    for (const at of [0, 1, 99]) await say(at, at);

    let address = server.url;
    const more = { url: async () => address, transports: [transport] };
    const few = open(server.url, { ...more, channels: channels.slice(0, 2) });
    const all = open(server.url, { ...more, user: 'carol', channels });
    const joined = open(server.url, { ...more, user: 'dora' });
    await until(() => expect(few.got).toEqual([0, 1]));
    await until(() => expect(all.got).toEqual([0, 1, 99]));
    for (const { client } of [few, all, joined]) await become(client, 'online');
    for (const channel of channels) joined.client.subscribe(channel); // by frames, where there are
    await until(async () => {
      const last = await fetch(`${server.url}/channels/${encodeURIComponent(korean.at(-1)!)}`);
      expect((await last.json()).sessions).toBe(2);
    });
    await say(2, 'here');
    await until(() => expect(joined.got.at(-1)).toBe('here'));
    await until(() => expect(all.got.at(-1)).toBe('here'));

    address = 'http://127.0.0.1:1'; // they stay away until it is this server's again
    await server.stop('SIGKILL');
    for (const { client } of [few, all, joined]) await become(client, 'reconnecting');
    await start([], server);
    for (const at of [0, 50, 99]) await say(at, `away ${at}`);
    address = server.url;
    await until(() => expect(few.got).toEqual([0, 1, 'away 0']));
    const away = ['away 0', 'away 50', 'away 99'];
    await until(() => expect(all.got).toEqual([0, 1, 99, 'here', ...away]));
    await until(() => expect(joined.got.slice(-4)).toEqual(['here', ...away]));
    for (const { client } of [few, all, joined]) await become(client, 'online');
    await say(1, 'back');
    for (const { got } of [few, all, joined]) await until(() => expect(got.at(-1)).toBe('back'));
    expect(
      [few, all, joined].flatMap(({ errors }) => errors.filter(e => e !== 'unreachable')),
    ).toEqual([]);
  });

  it('waits before a full server, says so, and comes in when there is room', async () => {
    const server = await start(['--max-sessions', '1']);
    const first = open(server.url, { user: 'bob', transports: ['ws'] });
    await become(first.client, 'online');
    const { client, errors, got } = open(server.url);
    const states: State[] = [];
    client.on('state', state => states.push(state));
    await until(() => expect(errors).toEqual(['too_many_sessions']));
    expect(states).toEqual([]);
    await first.client.send({ receiver: 'alice', message: 1 });
    first.client.close();
    await become(client, 'online');
    await until(() => expect(got).toEqual([1]));
    expect(states).toEqual(['online']);
  });

  it('is told when the server comes back without what it kept', async () => {
    const first = await start(['--broker', 'memory']);
    const { client, got, gaps } = open(first.url);
    await become(client, 'online');
    await client.send({ receiver: 'alice', message: 1 });
    await until(() => expect(got).toEqual([1]));
    await first.stop();
    await start(['--broker', 'memory'], first);
    await client.send({ receiver: 'alice', message: 2 });
    await until(() => expect(got).toEqual([1, 2]));
    expect(gaps).toHaveLength(1);
  });

  it.each(TRANSPORTS)('is told that it was sent away, and stays away, by %s', async transport => {
    const server = await start();
    const { client, errors } = open(server.url, { transports: [transport] });
    await until(async () => {
      const { sessions } = await (await fetch(`${server.url}/users/alice`)).json();
      expect(sessions).toHaveLength(1);
    });
    await fetch(`${server.url}/users/alice/sessions`, { method: 'DELETE' });
    await become(client, 'offline');
    expect(errors).toEqual(['kicked']);
    expect((await (await fetch(`${server.url}/users/alice`)).json()).online).toBe(false);
  });

  it.each(TRANSPORTS)('has its place kept by the server with a device, by %s', async transport => {
    const more: Partial<ConnectOptions> = { transports: [transport], device: 'phone' };
    const first = await start();
    const { client: bob } = open(first.url, { user: 'bob', transports: ['poll'] });
    const ids: string[] = [];
    for (const message of [0, 1, 2]) {
      ids.push((await bob.send({ receiver: 'alice', message })).id);
    }
    const phone = open(first.url, more);
    await until(() => expect(phone.got).toEqual([0, 1, 2])); // all that is kept
    phone.client.ack(ids[1]!);
    await until(async () => {
      const { acks } = await (await fetch(`${first.url}/messages/${ids[1]}`)).json();
      expect(acks).toMatchObject([{ user: 'alice', device: 'phone' }]);
    });
    phone.client.close();
    await first.stop(); // a crash might have cost it the last second
    const second = await start([], first);
    const again = open(second.url, more);
    await until(() => expect(again.got).toEqual([2])); // what it did not acknowledge
    const tablet = open(second.url, { ...more, device: 'tablet' });
    await until(() => expect(tablet.got).toEqual([0, 1, 2]));
    const one = open(second.url, { ...more, device: 'watch', start: ids[0]! });
    await until(() => expect(one.got).toEqual([1, 2]));
    expect([phone, again, tablet, one].flatMap(({ errors }) => errors)).toEqual([]);
  });

  it.each(TRANSPORTS)('fetches by itself what is larger than max, by %s', async transport => {
    const server = await start();
    const { client, got } = open(server.url, {
      transports: [transport],
      max: 1024,
      channels: ['c'],
    });
    await become(client, 'online');
    const large = 'x'.repeat(5000);
    await client.send({ receiver: 'alice', message: 'before' });
    await client.send({ channel: 'c', message: large });
    await client.send({ receiver: 'alice', message: 'after' });
    await until(() => expect(got).toEqual(['before', large, 'after']));
  });

  it('sends once with one key', async () => {
    const server = await start();
    const { client } = open(server.url);
    const one = await client.send({ receiver: 'x', message: 1 }, { key: 'k' });
    const two = await client.send({ receiver: 'x', message: 1 }, { key: 'k' });
    expect(two).toEqual({ id: one.id, delivered: 0, duplicate: true, kept: true });
    await expect(client.send({ receiver: 'x', message: 2 }, { key: 'k' })).rejects.toMatchObject({
      code: 'key_conflict',
      status: 409,
    });
    await expect(client.send({ receiver: 'a/b', message: 1 })).rejects.toMatchObject({
      code: 'bad_field',
      field: 'receiver',
    });
  });
});

describe.skipIf(!existsSync(BINARY))('with credentials', { timeout: 60_000 }, () => {
  it('renews its token on the live connection', async () => {
    const server = await startGuarded();
    const frames: Record<string, unknown>[] = [];
    class Recorder extends WebSocket {
      constructor(...args: ConstructorParameters<typeof WebSocket>) {
        super(...args);
        this.on('message', data => frames.push(JSON.parse(String(data))));
      }
    }
    const token = vi.fn(async () => server.token(0, 600)).mockResolvedValueOnce(server.token(0, 3));
    const { client, got } = open(server.url, {
      token,
      WebSocket: Recorder,
    });
    await until(() => expect(frames.map(frame => frame['type'])).toEqual(['welcome', 'renewed']));
    expect(token).toHaveBeenCalledTimes(2);
    expect(Date.parse(frames[1]!['expires_at'] as string)).toBeGreaterThan(Date.now() + 500_000);
    await server.tell('still here');
    await until(() => expect(got).toEqual(['still here']));
    expect(client.state).toBe('online');
  });

  it('is told which channel a narrower token does not cover, and goes on', async () => {
    const server = await startGuarded();
    const narrow = server.token(0, 600, 'alice', { channels: ['a'] });
    const wide = server.token(0, 3, 'alice', { channels: ['a', 'b'] });
    const token = vi.fn(async () => narrow).mockResolvedValueOnce(wide);
    const { client, got, errors } = open(server.url, { token, channels: ['a', 'b'] });
    const lost: unknown[] = [];
    client.on('error', ({ channel }) => lost.push(channel));
    await become(client, 'online');
    await until(() => expect(lost).toEqual(['b']));
    await server.ask('POST', '/send-message', { sender: 'bob', channel: 'a', message: 1 });
    await until(() => expect(got).toEqual([1]));
    expect(errors).toEqual(['forbidden']);
  });

  it('renews the token of an event stream by a new one', async () => {
    const server = await startGuarded();
    const token = vi.fn(async () => server.token(0, 600)).mockResolvedValueOnce(server.token(0, 3));
    const { client, got, errors } = open(server.url, { token, transports: ['sse'] });
    await until(() => expect(token).toHaveBeenCalledTimes(2));
    await server.tell('still here');
    await until(() => expect(got).toEqual(['still here']));
    await become(client, 'online');
    expect(errors).toEqual([]);
  });

  it.each(TRANSPORTS)('goes on with a fresh token when one ran out, by %s', async transport => {
    const server = await startGuarded();
    // To this clock it is long over, so nothing is known of when to renew it.
    const old = server.token(-3600, -28.5);
    const token = vi.fn(async () => server.token(0, 600)).mockResolvedValueOnce(old);
    const { client, got, errors } = open(server.url, { token, transports: [transport] });
    await server.tell(1);
    await until(() => expect(got).toEqual([1]));
    await until(() => expect(token).toHaveBeenCalledTimes(2));
    await server.tell(2);
    await until(() => expect(got).toEqual([1, 2]));
    await become(client, 'online');
    expect(errors).toEqual([]);
  });

  it.each(TRANSPORTS)('asks once more for a token that is refused, by %s', async transport => {
    const server = await startGuarded();
    const token = vi.fn(async () => 'none.of.yours');
    const { client, errors } = open(server.url, { token, transports: [transport] });
    await become(client, 'unauthorized');
    expect(token).toHaveBeenCalledTimes(2);
    expect(errors).toEqual(['unauthorized']);
    await expect(client.send({ receiver: 'bob', message: 1 })).rejects.toMatchObject({
      code: 'unauthorized',
      status: 401,
    });
  });

  it.each(TRANSPORTS)('stops where its credentials do not reach, by %s', async transport => {
    const server = await startGuarded();
    const refused = {
      forbidden: server.token(0, 600, 'bob'), // another user's
      missing_scope: server.keys.sender,
    };
    for (const [code, text] of Object.entries(refused)) {
      const token = vi.fn(async () => text);
      const { client, errors } = open(server.url, { token, transports: [transport] });
      await become(client, 'offline');
      expect(errors).toEqual([code]);
      expect(token).toHaveBeenCalledOnce();
    }
  });

  it.each(TRANSPORTS)('stops when its user is revoked, by %s', async transport => {
    const server = await startGuarded();
    const { client, errors } = open(server.url, {
      token: async () => server.token(-5, 600),
      transports: [transport],
    });
    await until(async () =>
      expect((await server.ask('GET', '/users/alice')).sessions).toHaveLength(1),
    );
    await server.ask('POST', '/users/alice/revoke');
    await become(client, 'offline');
    expect(errors).toEqual(['kicked']);
  });

  it('acknowledges and reads with its token', async () => {
    const server = await startGuarded();
    const token = async () => server.token(0, 600);
    const phone = open(server.url, { token, device: 'phone', transports: ['sse'] });
    await become(phone.client, 'online');
    const { id } = await server.tell(1);
    await until(() => expect(phone.got).toEqual([1]));
    phone.client.ack(id);
    await until(async () =>
      expect((await server.ask('GET', `/messages/${id}`)).acks).toHaveLength(1),
    );
    expect((await phone.client.history()).messages).toHaveLength(1);
    expect(phone.errors).toEqual([]);
  });
});
