// Dates as a language writes them. A formatter costs a hundred times what it formats, so each is made
// once.

const FORMS = {
  time: { timeStyle: 'short' },
  day: { dateStyle: 'full' },
  short: { dateStyle: 'medium', timeStyle: 'short' },
  full: { dateStyle: 'full', timeStyle: 'medium' },
} satisfies Record<string, Intl.DateTimeFormatOptions>;

const made = new Map<string, Intl.DateTimeFormat>();

export function dateText(language: string, form: keyof typeof FORMS, date: Date): string {
  const key = `${language} ${form}`;
  let format = made.get(key);
  if (!format) made.set(key, (format = new Intl.DateTimeFormat(language, FORMS[form])));
  return format.format(date);
}
