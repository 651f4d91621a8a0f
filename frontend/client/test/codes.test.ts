import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8');

it('knows every code of the server, and no other', () => {
  const table = read('../../../include/base/err.h');
  const codes = [...table.matchAll(/X\([A-Z0-9_]+,\s*"(\w+)"/g)].map(found => found[1]);
  const union = /ServerCode =([^;]+);/.exec(read('../src/codes.ts'))![1]!;
  const known = [...union.matchAll(/'(\w+)'/g)].map(found => found[1]);
  expect(codes.length).toBeGreaterThan(30);
  expect(known.sort()).toEqual(codes.sort());
});
