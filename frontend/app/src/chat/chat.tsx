// The tutorial's page: who I am, to whom, what, and what came.

import type { PushwireError } from 'pushwire';
import { useNotifications } from 'pushwire/react';
import { memo, useMemo, useState, type FormEvent, type ReactNode } from 'react';
import { Log } from '../log.js';
import { curlLine, isName } from '../server.js';
import { asked, connectAs, disconnect, send, session } from '../session.js';
import { useWords } from '../settings.js';
import { recall, remember, useStore } from '../store.js';
import { Answer, Content, Curl, Field, Time, type Problem } from '../ui.js';
import type { Words } from '../words/index.js';
import { timeline, type Entry } from './timeline.js';

function Me({ me, setMe }: { me: string; setMe(text: string): void }): ReactNode {
  const words = useWords();
  const { user, error } = useStore(session);
  const { status } = useNotifications();
  const on = me === user && status !== 'offline' && status !== 'unauthorized';

  function onSubmit(event: FormEvent): void {
    event.preventDefault();
    if (on) disconnect();
    else if (isName(me)) connectAs(me);
  }

  return (
    <form className="card me" onSubmit={onSubmit}>
      <div className="row">
        <Field
          label={words.me}
          className="grow"
          value={me}
          aria-invalid={!isName(me)}
          autoCapitalize="none"
          onChange={event => setMe(event.target.value.trimStart())}
        />
        <button className={on ? '' : 'main'} disabled={!isName(me)}>
          {on ? words.disconnect : words.connect}
        </button>
        <p className="state" data-state={status} role="status">
          <span className="dot" />
          {words.states[status]}
        </p>
      </div>
      {!isName(me) ? (
        <Answer problem={{ code: '', detail: words.badId }} />
      ) : (
        error && status === 'offline' && <Answer problem={error} />
      )}
    </form>
  );
}

function noteText(words: Words, entry: Extract<Entry, { kind: 'note' }>): string {
  return entry.note === 'back' ? words.back(entry.missed) : words[entry.note];
}

const Line = memo(function Line({ entry }: { entry: Entry }): ReactNode {
  const words = useWords();
  if (entry.kind === 'note') {
    return (
      <li className="note" data-note={entry.note}>
        {noteText(words, entry)} · <Time at={entry.at} />
      </li>
    );
  }
  return (
    <li className={`said${entry.to ? ' mine' : ''}${entry.pending ? ' pending' : ''}`}>
      <p className="who">
        <b dir="auto">{entry.to ? words.youTo(entry.to) : entry.from}</b>
        {entry.pending ? <span>{words.sending}</span> : <Time at={entry.sentAt} />}
      </p>
      <Content message={entry.message} />
    </li>
  );
});

function Messages(): ReactNode {
  const words = useWords();
  const { notes, outbox } = useStore(session);
  const { items } = useNotifications();
  const entries = useMemo(() => timeline(items, outbox, notes), [items, outbox, notes]);
  return (
    <Log
      label={words.log}
      count={entries.length}
      empty={words.chatEmpty}
      quiet={entries.every(({ kind }) => kind === 'note')}
    >
      {entries.map(entry => (
        <Line key={entry.key} entry={entry} />
      ))}
    </Log>
  );
}

type Outcome = { to: string; delivered: number } | { problem: Problem } | undefined;

function Composer({ me }: { me: string }): ReactNode {
  const words = useWords();
  const { user, token } = useStore(session);
  const [to, setTo] = useState(
    () => asked.get('to') ?? recall('sessionStorage', 'to') ?? (user === 'bob' ? 'alice' : 'bob'),
  );
  const [text, setText] = useState('');
  const [outcome, setOutcome] = useState<Outcome>();
  const [sent, setSent] = useState<object>();

  async function onSubmit(event: FormEvent): Promise<void> {
    event.preventDefault();
    if (!isName(to)) return setOutcome({ problem: { code: '', detail: words.badId } });
    if (!text) return setOutcome({ problem: { code: '', detail: words.noMessage } });
    setText('');
    setOutcome(undefined);
    setSent({ sender: user, receiver: to, message: text });
    remember('sessionStorage', 'to', to);
    try {
      setOutcome({ to, delivered: await send(to, text) });
    } catch (error) {
      setText(now => now || text);
      setOutcome({ problem: error as PushwireError });
    }
  }

  const problem = outcome && 'problem' in outcome ? outcome.problem : undefined;
  const answer =
    outcome && 'to' in outcome
      ? outcome.delivered
        ? words.delivered(outcome.delivered)
        : words.kept(outcome.to)
      : undefined;
  const body = sent ?? { sender: user, receiver: to, message: text || 'hi' };
  const second = `?${new URLSearchParams({ user: to || 'bob', to: me })}`;
  return (
    <form className="card compose" onSubmit={event => void onSubmit(event)}>
      <Field
        label={words.to}
        className="to"
        value={to}
        autoCapitalize="none"
        onChange={event => setTo(event.target.value.trimStart())}
      />
      <Field
        label={words.message}
        className="what"
        value={text}
        enterKeyHint="send"
        onChange={event => {
          setText(event.target.value);
          setSent(undefined);
        }}
      />
      <button className="main">{words.send}</button>
      <Answer text={answer} problem={problem} />
      <details>
        <summary>{words.terminal}</summary>
        <Curl line={curlLine(body, token !== undefined)} />
      </details>
      <a className="second" href={second} target="_blank" rel="noopener">
        {words.secondTab(to || 'bob')}
      </a>
    </form>
  );
}

export function Chat(): ReactNode {
  const words = useWords();
  const { user } = useStore(session);
  const [me, setMe] = useState(user);
  return (
    <>
      <h2 className="hidden">{words.views.chat}</h2>
      <Me me={me} setMe={setMe} />
      <Messages />
      <Composer me={user} />
    </>
  );
}
