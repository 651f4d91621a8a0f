// What is published: small enough, complete, and usable where there is no browser.

import { execFile, execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const MOST_BYTES = 8600; // as the README says
const MINUTES = 180_000;
const HERE = fileURLToPath(new URL('..', import.meta.url));
const FRONTEND = fileURLToPath(new URL('../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'pushwire-package-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Not synchronously: vitest gives up on a test that is silent for a minute. */
const run = async (command: string, args: string[], cwd = folder, env = {}): Promise<string> =>
  (await promisify(execFile)(command, args, { cwd, env: { ...process.env, ...env } })).stdout;

it('is small: the core, minified and gzipped', async () => {
  const { outputFiles } = await build({
    entryPoints: [join(HERE, 'src/index.ts')],
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    write: false,
  });
  expect(gzipSync(outputFiles[0]!.contents, { level: 9 }).length).toBeLessThan(MOST_BYTES);
});

/** As a fresh clone has it: nothing is installed, nothing built. Here `npm ci` is quick. */
function clone(): string {
  const all = join(folder, 'clone');
  const filter = (path: string) => !['node_modules', 'dist'].includes(basename(path));
  cpSync(HERE, join(all, 'client'), { recursive: true, filter });
  for (const name of ['package.json', 'app/package.json'])
    cpSync(join(FRONTEND, name), join(all, name));
  const real = execFileSync('which', ['npm'], { encoding: 'utf8' }).trim();
  const npm = join(folder, 'npm');
  const install = `ln -s '${FRONTEND}/node_modules' '${all}/node_modules'`;
  writeFileSync(npm, `#!/bin/sh\n[ "$1" = ci ] && exec ${install}\nexec '${real}' "$@"\n`);
  chmodSync(npm, 0o755);
  return join(all, 'client');
}

/** A program that uses all entries. */
const CONSUMER = `
import { connect, PushwireError, type Client, type Message } from 'pushwire';
import { useNotifications, type Notifications } from 'pushwire/react';
import { fakeClient, type FakeClient } from 'pushwire/testing';
import { useNotifications as useRefs } from 'pushwire/vue';
import { pushwire } from 'pushwire/svelte';

export const entries = [useRefs, pushwire];
const client: Client<string> = connect<string>({ user: 'ann' });
declare const maybe: string | undefined;
connect({ user: 'ann', token: maybe, url: maybe, device: maybe, signal: undefined });
// @ts-expect-error: to whom, once
client.send({ receiver: 'bob', channel: 'tea', message: 1 });
client.send({ receivers: ['bob', 'carol'], message: 1, ttl: 0 });
// @ts-expect-error: there is no such code
client.on('error', error => error.code === 'forbiden');
client.on('unsubscribed', ({ channel, code }) => [channel, code === 'forbidden']);
client.subscribe('tea', { onMessage: ({ message }) => message.length, onState: state => state });
client.on('message', (message: Message<string>) => message.message.length);
client.on('error', (error: PushwireError) => error.code.length);
client[Symbol.dispose]();
const fake: FakeClient<string> = fakeClient<string>();
export const first = (): Notifications<string> => useNotifications<string>();
// @ts-expect-error: no number, which holds only where the types were found
export const wrong: number = [fake.state, first().unread, client.state][0];
`;

const SETTINGS = {
  bundler: ['--module', 'esnext'],
  nodenext: ['--module', 'nodenext'],
  node10: ['--module', 'commonjs'],
};

const compile = (resolution: keyof typeof SETTINGS) =>
  run(join(FRONTEND, 'node_modules/.bin/tsc'), [
    ...['consumer.ts', '--noEmit', '--strict', '--skipLibCheck', 'false', '--types', 'react'],
    ...['--exactOptionalPropertyTypes', '--noUncheckedIndexedAccess'],
    ...['--noPropertyAccessFromIndexSignature', '--isolatedModules'],
    ...['--target', 'ES2022', '--lib', 'ES2022,DOM', '--moduleResolution', resolution],
    ...SETTINGS[resolution],
  ]);

describe('the package', { timeout: MINUTES }, () => {
  let files: string[];

  beforeAll(async () => {
    const cwd = clone();
    const pack = ['pack', '--json', '--foreground-scripts=false'];
    const PATH = `${folder}:${process.env['PATH']}`;
    const [packed] = JSON.parse(await run('npm', pack, cwd, { PATH }));
    files = packed.files.map((file: { path: string }) => file.path);
    const target = join(folder, 'node_modules', 'pushwire');
    mkdirSync(target, { recursive: true });
    await run('tar', ['xzf', join(cwd, packed.filename), '-C', target, '--strip-components=1']);
    for (const name of ['@types', 'csstype', 'vue', '@vue', '@babel'])
      symlinkSync(join(FRONTEND, 'node_modules', name), join(folder, 'node_modules', name));
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
    writeFileSync(join(folder, 'consumer.ts'), CONSUMER);
  }, MINUTES);

  it('has all that is needed, and nothing else', () => {
    for (const name of ['index', 'react', 'vue', 'svelte', 'testing']) {
      expect(files).toContain(`dist/${name}.js`);
      expect(files).toContain(`dist/${name}.d.ts`);
    }
    expect(files).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'package.json']));
    expect(files.filter(file => /test\/|src\//.test(file))).toEqual([]);
  });

  it('can be imported without a browser', async () => {
    const script = `
    import { connect, PushwireError } from 'pushwire';
    import { fakeClient } from 'pushwire/testing';
    const client = connect({ user: 'a', url: 'http://localhost:1', transports: ['poll'] });
    client.close();
    console.log(client.state, fakeClient().state, new PushwireError('x', 'y').code);`;
    expect(await run('node', ['--input-type=module', '-e', script])).toBe('offline online x\n');
  });

  it('can be required, by what knows no modules', async () => {
    const script = `
    const { connect, PushwireError } = require('pushwire');
    const { fakeClient } = require('pushwire/testing');
    const error = new PushwireError('closed', '');
    console.log(typeof connect, fakeClient().state, error instanceof PushwireError);`;
    const args = ['--no-experimental-require-module', '--input-type=commonjs', '-e', script];
    expect(await run('node', args)).toBe('function online true\n');
  });

  it('says to frameworks with servers that hooks are the browser’s', () => {
    const text = readFileSync(join(folder, 'node_modules/pushwire/dist/react.js'), 'utf8');
    expect(text).toMatch(/^'use client';/);
  });

  it.each(Object.keys(SETTINGS) as (keyof typeof SETTINGS)[])(
    'has types that hold where they are checked, by %s',
    async resolution => expect(await compile(resolution).catch(error => error.stdout)).toBe(''),
  );
});
