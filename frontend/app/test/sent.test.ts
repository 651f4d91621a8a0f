import { expect, it } from 'vitest';
import { merge } from '../src/sent.js';

const one = (key: string, second: number, id?: string) => ({
  key,
  ...(id && { id }),
  to: 'bob',
  text: key,
  sentAt: new Date(second * 1000).toISOString(),
});

it('knows the id that either tab knows, in the order of sending', () => {
  const all = merge(
    [one('b', 2), one('a', 1, '1')],
    [one('c', 3, '3'), one('b', 2, '2'), one('a', 1)],
  );
  expect(all.map(({ key, id }) => [key, id])).toEqual([
    ['a', '1'],
    ['b', '2'],
    ['c', '3'],
  ]);
});

it('keeps the last 500', () => {
  const all = merge(
    [],
    Array.from({ length: 600 }, (_, n) => one(String(n), n)),
  );
  expect([all.length, all.at(-1)!.key]).toEqual([500, '599']);
});
