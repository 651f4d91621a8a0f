import { en } from './en.js';
import { ko } from './ko.js';

export type Words = typeof en;
export type Language = 'en' | 'ko';

export const WORDS: Record<Language, Words> = { en, ko };

const isLanguage = (text: string): text is Language => Object.hasOwn(WORDS, text);

/** The saved choice, else the first of the browser's languages that we speak, else English. */
export function chooseLanguage(
  saved: string | undefined,
  preferred: readonly string[] = [],
): Language {
  const all = [saved ?? '', ...preferred].map(tag => tag.toLowerCase().split('-')[0]!);
  return all.find(isLanguage) ?? 'en';
}

/** A count, of which more may be where nobody has looked yet. */
export const countText = (n: number, more: boolean): string => `${n}${more ? '+' : ''}`;

/** What went wrong, in the reader's language where we know the code, else in the server's words. */
export function problemText(
  words: Words,
  { code, detail, field }: { code: string; detail: string; field?: string | undefined },
): string {
  const known = Object.hasOwn(words.problems, code);
  const text = known ? words.problems[code as keyof Words['problems']] : detail;
  return field ? `${text} (${field})` : text;
}
