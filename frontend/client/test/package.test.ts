// What is published: small enough, complete, and usable where there is no browser.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { afterAll, expect, it } from 'vitest';

const MOST_BYTES = 7100;
const HERE = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'pushwire-package-'));
afterAll(() => rmSync(folder, { recursive: true }));

const run = (command: string, ...args: string[]) =>
  execFileSync(command, args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

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

it('can be packed, and imported from there without a browser', { timeout: 60_000 }, () => {
  const packed = JSON.parse(run('npm', 'pack', HERE, '--json', '--foreground-scripts=false'));
  const files = packed[0].files.map((file: { path: string }) => file.path);
  for (const name of ['index', 'react', 'testing']) {
    expect(files).toContain(`dist/${name}.js`);
    expect(files).toContain(`dist/${name}.d.ts`);
  }
  expect(files).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'package.json']));
  expect(files.filter((file: string) => /test\/|src\//.test(file))).toEqual([]);

  const target = join(folder, 'node_modules', 'pushwire');
  mkdirSync(target, { recursive: true });
  run('tar', 'xzf', packed[0].filename, '-C', target, '--strip-components=1');
  const script = `
    import { connect, PushwireError } from 'pushwire';
    import { fakeClient } from 'pushwire/testing';
    const client = connect({ user: 'a', url: 'http://localhost:1', transports: ['poll'] });
    client.close();
    console.log(client.state, fakeClient().state, new PushwireError('x', 'y').code);`;
  expect(run('node', '--input-type=module', '-e', script)).toBe('offline online x\n');
});
