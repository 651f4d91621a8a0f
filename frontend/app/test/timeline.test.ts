import { expect, it } from 'vitest';
import { conversations, keepSame, timeline, type Entry } from '../src/chat/timeline.js';

const when = (s: number) => new Date(s * 1000).toISOString();
const came = (id: string, s: number) => ({ id, sender: 'bob', message: id, sentAt: when(s) });
const sent = (key: number, s: number, id?: string) => ({
  key: String(key),
  ...(id && { id }),
  to: 'bob',
  text: `mine ${key}`,
  sentAt: when(s),
});

const shown = (entries: Entry[]) =>
  entries.flatMap(entry => {
    if (entry.kind === 'day') return [];
    return entry.kind === 'note' ? `${entry.note} ${entry.missed}` : String(entry.message);
  });

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

it('claims nothing about what was missed where there is a gap', () => {
  const notes = [
    { kind: 'lost' as const, at: 4000 },
    { kind: 'gap' as const, at: 5000 },
    { kind: 'back' as const, at: 8000 },
    { kind: 'lost' as const, at: 9000 },
    { kind: 'back' as const, at: 9500 },
  ];
  expect(shown(timeline([], [], notes))).toEqual([
    'lost 0',
    'gap 0',
    'back undefined',
    'lost 0',
    'back 0',
  ]);
});

it('keeps each entry the same object while it says the same', () => {
  const notes = [{ kind: 'connected' as const, at: 2000 }];
  const before = timeline([came('1', 1)], [sent(1, 3)], notes);
  const after = keepSame(before, timeline([came('9', 9), came('1', 1)], [sent(1, 3, '3')], notes));
  const same = after.filter(entry => before.includes(entry)).map(({ kind }) => kind);
  expect(same).toEqual(['day', 'message', 'note']); // not what got its id, nor what is new
});

it('has a line before each day', () => {
  const day = 86_400;
  const entries = timeline([came('9', 3 * day), came('2', 3 * day - 60), came('1', day)], [], []);
  const days = entries.filter(({ kind }) => kind === 'day');
  expect(days.length).toBeGreaterThanOrEqual(2);
  expect(entries[0]!.kind).toBe('day');
});

it('parts conversations by who it is with, the latest first', () => {
  const items = [{ ...came('4', 4), sender: 'carol' }, came('2', 2), came('1', 1)];
  const all = conversations(items, [sent(1, 3, '3')], id => id === '1');
  expect(all.map(({ peer, unread }) => [peer, unread])).toEqual([
    ['carol', 1],
    ['bob', 1],
  ]);
  expect(all[1]!.last.message).toBe('mine 1');
});
