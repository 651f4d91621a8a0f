import { expect, it } from 'vitest';
import { timeline, type Entry } from '../src/chat/timeline.js';

const when = (s: number) => new Date(s * 1000).toISOString();
const came = (id: string, s: number) => ({ id, sender: 'bob', message: id, sentAt: when(s) });
const sent = (key: number, s: number, id?: string) => ({
  key,
  ...(id && { id }),
  to: 'bob',
  text: `mine ${key}`,
  sentAt: when(s),
});

const shown = (entries: Entry[]) =>
  entries.map(entry =>
    entry.kind === 'note' ? `${entry.note} ${entry.missed}` : String(entry.message),
  );

it('is in the order of ids, with what is under way at its end', () => {
  const entries = timeline([came('4', 4), came('1', 1)], [sent(1, 2, '2'), sent(2, 3)], []);
  expect(shown(entries)).toEqual(['1', 'mine 1', '4', 'mine 2']);
});

it('has what one sends to oneself once, as it came', () => {
  expect(shown(timeline([came('1', 1)], [sent(1, 1, '1')], []))).toEqual(['1']);
});

it('tells what came while the connection was lost', () => {
  const notes = [
    { kind: 'connected' as const, at: 2000 },
    { kind: 'lost' as const, at: 4000 },
    { kind: 'back' as const, at: 8000 },
  ];
  const items = [came('9', 9), came('6', 6), came('5', 5), came('3', 3), came('1', 1)];
  expect(shown(timeline(items, [sent(1, 7, '7')], notes))).toEqual([
    '1',
    'connected 0',
    '3',
    'lost 0',
    '5',
    '6',
    'mine 1',
    'back 2',
    '9',
  ]);
});
