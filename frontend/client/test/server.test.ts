// Against a real server: PUSHWIRE_BIN, or what scripts/run has built. Without one these are skipped.

import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EventSource } from 'eventsource';
import WebSocket from 'ws';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { connect, type Client, type ConnectOptions, type State } from '../src/index.js';

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
  stop(signal?: NodeJS.Signals): Promise<void>;
}

async function start(...args: string[]): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), 'pushwire-'));
  const listen = args.includes('--listen') ? [] : ['--listen', '127.0.0.1:0'];
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
  cleanUp.push(async () => {
    await stop('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });
  let log = '';
  child.stderr!.on('data', chunk => (log += chunk));
  const address = await vi.waitFor(() => {
    const ready = /ready listen=(\S+)/.exec(log);
    if (!ready) throw new Error(`not ready: ${log}`);
    return ready[1]!;
  }, DEADLINE);
  return { url: `http://${address}`, address, stop };
}

function open(url: string, more: Partial<ConnectOptions> = {}) {
  const client: Client = connect({
    user: 'alice',
    url,
    WebSocket: WebSocket as unknown as typeof globalThis.WebSocket,
    ...more,
  });
  cleanUp.push(() => client.close());
  const got: unknown[] = [];
  const gaps: unknown[] = [];
  client.on('message', m => got.push(m.message));
  client.on('gap', gap => gaps.push(gap));
  return { client, got, gaps };
}

const become = (client: Client, state: State) =>
  vi.waitFor(() => expect(client.state).toBe(state), DEADLINE);
const until = (f: () => void) => vi.waitFor(f, DEADLINE);

describe.skipIf(!existsSync(BINARY))('with a server', { timeout: 60_000 }, () => {
  it.each(['ws', 'sse', 'poll'] as const)('receives by %s', async transport => {
    vi.stubGlobal('EventSource', EventSource);
    const server = await start();
    const bob = open(server.url, { user: 'bob', transports: [transport] });
    const sent = await bob.client.send({ receiver: 'alice', message: 'before' });
    expect(sent).toEqual({ id: sent.id, delivered: 0, duplicate: false });
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

  it('loses and doubles nothing over restarts and changes of transport', async () => {
    const first = await start();
    const { client, got, gaps } = open(first.url, { transports: ['ws'] });
    await become(client, 'online');
    await client.send({ receiver: 'alice', message: 1 });
    await until(() => expect(got).toEqual([1]));
    await first.stop();
    await become(client, 'reconnecting');
    const sending = client.send({ receiver: 'alice', message: 2 });
    await start('--listen', first.address);
    await sending; // it was tried until somebody was there
    await until(() => expect(got).toEqual([1, 2]));
    expect(gaps).toHaveLength(1); // what memory kept ended with the first
  });

  it('is told that it was sent away, and stays away', async () => {
    const server = await start();
    const { client } = open(server.url);
    const errors: string[] = [];
    client.on('error', error => errors.push(error.code));
    await become(client, 'online');
    await fetch(`${server.url}/users/alice/sessions`, { method: 'DELETE' });
    await become(client, 'offline');
    expect(errors).toEqual(['kicked']);
  });

  it('sends once with one key', async () => {
    const server = await start();
    const { client } = open(server.url);
    const one = await client.send({ receiver: 'x', message: 1 }, { key: 'k' });
    const two = await client.send({ receiver: 'x', message: 1 }, { key: 'k' });
    expect(two).toEqual({ id: one.id, delivered: 0, duplicate: true });
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
