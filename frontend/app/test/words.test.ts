import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { chooseLanguage, problemText, WORDS } from '../src/words/index.js';

/** The paths of all texts; a function is one of them. */
function keys(words: object, before = ''): string[] {
  return Object.entries(words).flatMap(([key, value]) =>
    typeof value === 'object' ? keys(value as object, `${before}${key}.`) : [before + key],
  );
}

const sources = import.meta.glob<string>('../src/**/*.{ts,tsx}', {
  query: '?raw',
  eager: true,
  import: 'default',
});

it.each(Object.keys(WORDS))('%s has every word, and none that nobody says', language => {
  const words = WORDS[language as 'ko'];
  expect(keys(words).sort()).toEqual(keys(WORDS.en).sort());
  const empty = (value: unknown): boolean =>
    typeof value === 'object' ? Object.values(value as object).some(empty) : value === '';
  expect(empty(words)).toBe(false);
});

it('has no word that nobody says', () => {
  const code = Object.entries(sources)
    .filter(([path]) => !path.includes('/words/'))
    .map(([, text]) => text)
    .join('\n');
  const unused = Object.keys(WORDS.en).filter(
    key => key !== 'problems' && !new RegExp(`words\\.${key}\\b|'${key}'`).test(code),
  );
  expect(unused).toEqual([]);
});

it.each(Object.keys(WORDS))('%s tells every problem of the server', language => {
  const table = readFileSync(new URL('../../../include/base/err.h', import.meta.url), 'utf8');
  const codes = [...table.matchAll(/X\([A-Z0-9_]+,\s*"(\w+)"/g)].map(found => found[1]);
  expect(codes.length).toBeGreaterThan(30);
  expect(Object.keys(WORDS[language as 'ko'].problems)).toEqual(expect.arrayContaining(codes));
});

it('tells a problem by its code, else in the words of the server', () => {
  const detail = 'Words of the server.';
  expect(problemText(WORDS.ko, { code: 'no_room', detail })).toBe('보관할 공간이 없습니다.');
  expect(problemText(WORDS.en, { code: 'bad_field', detail, field: 'receiver' })).toBe(
    'Something is wrong. (receiver)',
  );
  expect(problemText(WORDS.en, { code: 'toString', detail })).toBe(detail);
});

it.each([
  ['ko', ['en-US'], 'ko'],
  [undefined, ['fr-FR', 'ko-KR', 'en'], 'ko'],
  [undefined, ['EN-gb'], 'en'],
  ['tlh', ['fr'], 'en'],
  ['toString', [], 'en'],
] as const)('of %s and %j it chooses %s', (saved, preferred, language) => {
  expect(chooseLanguage(saved, preferred)).toBe(language);
});
