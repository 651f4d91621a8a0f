// Language and theme: what was chosen, else what the system prefers. The document follows them.

import { recall, remember, Store, useStore } from './store.js';
import { chooseLanguage, WORDS, type Language, type Words } from './words/index.js';

interface Settings {
  language: Language;
  theme: 'light' | 'dark';
}

const dark = window.matchMedia('(prefers-color-scheme: dark)');

function theme(): Settings['theme'] {
  const chosen = recall('localStorage', 'theme');
  return chosen === 'light' || chosen === 'dark' ? chosen : dark.matches ? 'dark' : 'light';
}

export const settings = new Store<Settings>({
  language: chooseLanguage(recall('localStorage', 'lang'), navigator.languages),
  theme: theme(),
});

function show(): void {
  const { lang, dataset } = document.documentElement;
  const { language, theme } = settings.snapshot;
  if (lang !== language) document.documentElement.lang = language;
  dataset['theme'] = theme;
}

settings.subscribe(show);
dark.addEventListener('change', () => settings.set({ theme: theme() }));
show();

export function setLanguage(language: Language): void {
  remember('localStorage', 'lang', language);
  settings.set({ language });
}

export function setTheme(theme: Settings['theme']): void {
  remember('localStorage', 'theme', theme);
  settings.set({ theme });
}

export const useWords = (): Words => WORDS[useStore(settings).language];
