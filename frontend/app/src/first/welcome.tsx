// The first visit: one question.

import { useState, type FormEvent, type ReactNode } from 'react';
import { isName } from '../server.js';
import { connectAs } from '../session.js';
import { useWords } from '../settings.js';
import { Field, Icon } from '../ui.js';

const FIRST = 'amber brave calm clever eager gentle happy jolly kind lucky merry noble quiet sunny';
const SECOND = 'badger crane dolphin finch fox hare heron lynx otter panda raven seal tiger wren';

const pick = (words: string): string => {
  const all = words.split(' ');
  return all[Math.floor(Math.random() * all.length)]!;
};

export const suggestion = (): string => `${pick(FIRST)}-${pick(SECOND)}`;

export function Welcome(): ReactNode {
  const words = useWords();
  const [name, setName] = useState(suggestion);
  const wrong = isName(name) ? undefined : words.badId;

  function onSubmit(event: FormEvent): void {
    event.preventDefault();
    if (!wrong) connectAs(name);
  }

  return (
    <form className="card nothing welcome" onSubmit={onSubmit}>
      <Icon name="logo" />
      <h2>{words.whoAreYou}</h2>
      <p className="muted">{words.whoAreYouWhy}</p>
      <div className="row">
        <Field
          label={words.me}
          className="grow"
          value={name}
          wrong={wrong}
          autoFocus
          autoCapitalize="none"
          onFocus={event => event.target.select()}
          onChange={event => setName(event.target.value.trimStart())}
        />
        <button className="main" disabled={wrong !== undefined}>
          {words.begin}
        </button>
      </div>
    </form>
  );
}
