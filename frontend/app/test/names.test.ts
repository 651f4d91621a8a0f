import { expect, it } from 'vitest';
import { shown } from '../src/names.js';

it.each([
  ['alice', 'alice'],
  ['José 김철수', 'José 김철수'],
  ['\u202erotcerid', '‹U+202E›rotcerid'], // reads as director
  ['ali\u200bce', 'ali‹U+200B›ce'],
  ['ali\u200dce', 'ali‹U+200D›ce'],
  ['alice\u3164', 'alice‹U+3164›'], // a letter without a look
  ['alice ', 'alice␣'],
  [' a  b', '␣a ␣b'],
  ['a\u00a0b', 'a␣b'],
  ['👩\u200d👩\u200d👧 ❤\ufe0f', '👩\u200d👩\u200d👧 ❤\ufe0f'],
  ['نامه\u200cای', 'نامه\u200cای'],
])('%j is shown as %j', (name, text) => {
  expect(shown(name)).toBe(text);
});
