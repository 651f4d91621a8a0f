// The tutorial's page: who I am, to whom, what, and what came; all in one log, or by conversation.

import type { Message, PushwireError } from 'pushwire';
import { useNotifications } from 'pushwire/react';
import { memo, useEffect, useMemo, useRef, useState, type FormEvent, type ReactNode } from 'react';
import { dateText } from '../format.js';
import { Invite } from '../first/invite.js';
import { Log } from '../log.js';
import { go, hashOf, useRoute } from '../route.js';
import { curlLine, isName } from '../server.js';
import {
  askedPeer,
  connectAs,
  disconnect,
  linkFor,
  reconnect,
  send,
  session,
  type Session,
} from '../session.js';
import { settings, useWords } from '../settings.js';
import { recall, remember, useStore } from '../store.js';
import { Answer, Content, Curl, Field, Lines, lineOf, Name, Time, type Problem } from '../ui.js';
import { problemText, type Words } from '../words/index.js';
import { conversations, keepSame, timeline, type Conversation, type Entry } from './timeline.js';

const useSession = (): Session => useStore(session)!;

/** Counts down to the next attempt. */
function Retry({ at }: { at: number }): ReactNode {
  const words = useWords();
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = window.setInterval(() => setNow(Date.now()), 1000);
    return () => window.clearInterval(timer);
  }, []);
  const seconds = Math.max(0, Math.ceil((at - now) / 1000));
  return (
    <>
      <span aria-live="off">{seconds > 0 && words.retryIn(seconds)}</span>
      <button type="button" className="small" onClick={reconnect}>
        {words.tryNow}
      </button>
    </>
  );
}

function Me(): ReactNode {
  const words = useWords();
  const { user, error, retryAt, client } = useSession();
  const { status } = useNotifications();
  const [draft, setDraft] = useState<string>();
  const [inviting, setInviting] = useState(false);
  const field = useRef<HTMLFormElement>(null);
  const on = status !== 'offline' && status !== 'unauthorized';
  const why = client.reason ?? error;
  const wrong = draft === undefined || isName(draft) ? undefined : words.badId;

  useEffect(() => {
    if (draft !== undefined) field.current?.querySelector('input')?.select();
  }, [draft !== undefined]);

  function onSubmit(event: FormEvent): void {
    event.preventDefault();
    if (draft === undefined || wrong) return;
    if (draft !== user) connectAs(draft);
    setDraft(undefined);
  }

  if (draft !== undefined)
    return (
      <form className="card me" ref={field} onSubmit={onSubmit}>
        <div className="row">
          <Field
            label={words.me}
            className="grow"
            value={draft}
            wrong={wrong}
            autoCapitalize="none"
            onChange={event => setDraft(event.target.value.trimStart())}
            onKeyDown={event => event.key === 'Escape' && setDraft(undefined)}
          />
          <button className="main" disabled={wrong !== undefined}>
            {words.connect}
          </button>
          <button type="button" onClick={() => setDraft(undefined)}>
            {words.cancel}
          </button>
        </div>
        <p className="muted">{words.stillAs(user)}</p>
      </form>
    );
  return (
    <section className="card me" aria-label={words.me}>
      <div className="row">
        <p className="state grow" data-state={status} role="status">
          <span className="dot" />
          <Name of={user} />
          <span className="muted">{words.states[status]}</span>
        </p>
        <button type="button" className="small" onClick={() => setDraft(user)}>
          {words.changeMe}
        </button>
        <button type="button" className="small" onClick={() => setInviting(true)}>
          {words.invite}
        </button>
        <button type="button" className="small" onClick={on ? disconnect : reconnect}>
          {on ? words.disconnect : words.connect}
        </button>
      </div>
      {status !== 'online' && status !== 'unauthorized' && (why || retryAt) && (
        <p className="row muted trouble">
          {why && <span className="bad">{problemText(words, why)}</span>}
          {retryAt !== undefined && on && <Retry at={retryAt} />}
        </p>
      )}
      {inviting && <Invite user={user} onClose={() => setInviting(false)} />}
    </section>
  );
}

function noteText(words: Words, entry: Extract<Entry, { kind: 'note' }>): string {
  const text =
    entry.note === 'back'
      ? entry.missed === undefined
        ? words.backGap
        : words.back(entry.missed)
      : words[entry.note];
  const why = entry.note === 'lost' && entry.code;
  return why ? `${text}: ${problemText(words, { code: why, detail: why })}` : text;
}

function Day({ at }: { at: number }): ReactNode {
  const { language } = useStore(settings);
  return <li className="day">{dateText(language, 'day', new Date(at))}</li>;
}

const Line = memo(function Line({ entry, within }: { entry: Entry; within: boolean }): ReactNode {
  const words = useWords();
  if (entry.kind === 'day') return <Day at={entry.at} />;
  if (entry.kind === 'note') {
    return (
      <li className="note" data-note={entry.note}>
        {noteText(words, entry)} · <Time at={entry.at} form="time" />
      </li>
    );
  }
  const { to, pending, delivered } = entry;
  return (
    <li className={`said${to ? ' mine' : ''}${pending ? ' pending' : ''}`}>
      <p className="who">
        {to ? (
          <b dir="auto">{within ? words.you : words.youTo(to)}</b>
        ) : (
          !within && <Name of={entry.from} />
        )}
        {pending ? <span>{words.sending}</span> : <Time at={entry.at} form="time" />}
        {to && !pending && (
          <span
            className="tick"
            role="img"
            aria-label={delivered ? words.wasThere : words.isKept}
            title={delivered ? words.wasThere : words.isKept}
          >
            {delivered ? '✓✓' : '✓'}
          </span>
        )}
      </p>
      <Content message={entry.message} />
    </li>
  );
});

function Messages({ peer, said }: { peer: string | undefined; said: number }): ReactNode {
  const words = useWords();
  const { notes, sent: store } = useSession();
  const { sent } = useStore(store);
  const { items, isRead, markRead, hasMore, loadMore } = useNotifications();
  const old = useRef<Entry[]>([]);
  const ofPeer = (message: Message) => message.sender === peer && message.channel === undefined;
  const theirs = useMemo(() => (peer ? items.filter(ofPeer) : items), [items, peer]);
  const entries = useMemo(() => {
    const mine = peer ? sent.filter(({ to }) => to === peer) : sent;
    return (old.current = keepSame(old.current, timeline(theirs, mine, notes)));
  }, [theirs, sent, notes, peer]);

  /** What stands there while somebody looks, is read. */
  function onSeen(): void {
    if (document.hidden) return;
    const ids = theirs.filter(({ id }) => !isRead(id)).map(({ id }) => id);
    if (ids.length) markRead(peer ? ids : 'all');
  }
  const latest = useRef(onSeen);
  latest.current = onSeen;
  useEffect(() => {
    const look = () => latest.current();
    document.addEventListener('visibilitychange', look);
    return () => document.removeEventListener('visibilitychange', look);
  }, []);

  return (
    <Log
      key={peer ?? ''}
      label={words.log}
      entries={entries}
      row={entry => <Line key={entry.key} entry={entry} within={peer !== undefined} />}
      empty={words.chatEmpty}
      quiet={entries.every(({ kind }) => kind === 'note')}
      said={said}
      older={{ has: hasMore, load: loadMore }}
      onSeen={onSeen}
    />
  );
}

function People({ peer }: { peer: string | undefined }): ReactNode {
  const words = useWords();
  const { sent: store } = useSession();
  const { sent } = useStore(store);
  const { items, isRead } = useNotifications();
  const all = useMemo(() => conversations(items, sent, isRead), [items, sent, isRead]);
  const isNew = peer !== undefined && all.every(one => one.peer !== peer);
  return (
    <nav className="people" aria-label={words.conversations}>
      <ul>
        <li>
          <a href={hashOf('chat')} aria-current={peer === undefined ? 'page' : undefined}>
            <b>{words.everything}</b>
          </a>
        </li>
        {isNew && (
          <li>
            <a href={hashOf('chat', peer)} aria-current="page">
              <Name of={peer} />
            </a>
          </li>
        )}
        {all.map(one => (
          <Person key={one.peer} one={one} here={one.peer === peer} />
        ))}
      </ul>
    </nav>
  );
}

function Person({ one, here }: { one: Conversation; here: boolean }): ReactNode {
  const words = useWords();
  return (
    <li>
      <a href={hashOf('chat', one.peer)} aria-current={here ? 'page' : undefined}>
        <span className="who">
          <Name of={one.peer} />
          {one.unread > 0 && (
            <span className="count">
              <span className="hidden">{words.unread(String(one.unread))}</span>
              <span aria-hidden="true">{one.unread}</span>
            </span>
          )}
        </span>
        <span className="last">{lineOf(one.last.message)}</span>
      </a>
    </li>
  );
}

type Outcome = { to: string; delivered: number } | { problem: Problem } | undefined;

/** What is written and not sent yet, by whom and to whom; it outlives a look elsewhere. */
const drafts = new Map<string, string>();

function Composer(props: { peer: string | undefined; onSaid(): void }): ReactNode {
  const words = useWords();
  const { user, token } = useSession();
  const { peer } = props;
  const [typed, setTo] = useState(
    () => askedPeer ?? recall('sessionStorage', 'to') ?? (user === 'bob' ? 'alice' : 'bob'),
  );
  const to = peer ?? typed;
  const place = JSON.stringify([user, peer]);
  const [text, setText] = useState(() => drafts.get(place) ?? '');
  const [outcome, setOutcome] = useState<Outcome>();
  const [sent, setSent] = useState<object>();
  const wrong = isName(to) || !outcome ? undefined : words.badId;

  function write(next: string): void {
    setText(next);
    drafts.set(place, next);
  }

  async function onSend(): Promise<void> {
    if (!isName(to)) return setOutcome({ problem: { code: '', detail: words.badId } });
    if (!text.trim()) return setOutcome({ problem: { code: '', detail: words.noMessage } });
    write('');
    setOutcome(undefined);
    setSent({ sender: user, receiver: to, message: text });
    remember('sessionStorage', 'to', to);
    props.onSaid();
    try {
      setOutcome({ to, delivered: await send(to, text) });
    } catch (error) {
      if (!drafts.get(place)) write(text);
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
  return (
    <form
      className="card compose"
      onSubmit={event => {
        event.preventDefault();
        void onSend();
      }}
    >
      {peer === undefined && (
        <Field
          label={words.to}
          className="to"
          value={typed}
          aria-invalid={wrong !== undefined}
          autoCapitalize="none"
          onChange={event => setTo(event.target.value.trimStart())}
        />
      )}
      <Lines
        label={peer === undefined ? words.message : words.messageTo(peer)}
        className="what"
        value={text}
        onSend={() => void onSend()}
        onChange={event => {
          write(event.target.value);
          setSent(undefined);
          if (problem) setOutcome(undefined);
        }}
      />
      <button className="main">{words.send}</button>
      <Answer text={answer} problem={problem} />
      <details>
        <summary>{words.terminal}</summary>
        <Curl line={curlLine(body, token !== undefined)} />
      </details>
      <a className="second" href={linkFor(to || 'bob', user)} target="_blank" rel="noopener">
        {words.secondTab(to || 'bob')}
      </a>
    </form>
  );
}

export function Chat(): ReactNode {
  const words = useWords();
  const { user } = useSession();
  const { of } = useRoute();
  const [said, setSaid] = useState(0);
  const peer = of !== undefined && isName(of) ? of : undefined;
  useEffect(() => {
    if (of !== undefined && peer === undefined) go('chat');
  }, [of, peer]);
  return (
    <>
      <h2 className="hidden">{words.views.chat}</h2>
      <People peer={peer} />
      <div className="talk">
        <Me key={user} />
        <Messages peer={peer} said={said} />
        <Composer key={`${user} ${peer}`} peer={peer} onSaid={() => setSaid(said + 1)} />
      </div>
    </>
  );
}
