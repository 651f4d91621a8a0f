// The lobby and the rooms of the group-chat tutorials.

import { memo, useEffect, useRef, useState, type FormEvent, type ReactNode } from 'react';
import { Log } from '../log.js';
import { go, useRoute } from '../route.js';
import { ask, isName } from '../server.js';
import { session } from '../session.js';
import { useWords } from '../settings.js';
import { useStore } from '../store.js';
import { Answer, Content, Field, Name, Time } from '../ui.js';
import { channelOf, Room, type Line, type Place } from './room.js';

/** One stays in it while looking at other views. */
const room = new Room();
room.comeBack(session.snapshot?.token);

const COUNT_EVERY_MS = 3000;
/** The server puts `room:` before it. */
const MOST_BYTES = 123;

function usePeople(place: Place | undefined, lines: number): number | undefined {
  const [people, setPeople] = useState<number>();
  useEffect(() => {
    if (!place) return;
    const look = () =>
      ask(`/channels/${encodeURIComponent(channelOf(place))}`, { credential: place.token })
        .then(answer => answer.json())
        .then(({ sessions }) => setPeople(sessions))
        .catch(() => setPeople(undefined));
    void look();
    const timer = window.setInterval(look, COUNT_EVERY_MS);
    return () => window.clearInterval(timer);
  }, [place, lines]);
  return place && people;
}

function Door(): ReactNode {
  const words = useWords();
  const { user, token } = useStore(session)!;
  const { refused, place } = useStore(room);
  const { of } = useRoute();
  const [where, setWhere] = useState<'lobby' | 'room'>(
    !of && place && !place.room ? 'lobby' : 'room',
  );
  const [name, setName] = useState(place?.name ?? user);
  const [title, setTitle] = useState(of ?? place?.room ?? 'tea');
  const inLobby = where === 'lobby';
  const proper = isName(name) && (inLobby || isName(title, MOST_BYTES));

  function onSubmit(event: FormEvent): void {
    event.preventDefault();
    if (!proper) return;
    room.enter({ ...(!inLobby && { room: title }), name, token });
    go('rooms', inLobby ? undefined : title);
  }

  return (
    <form className="card door" onSubmit={onSubmit}>
      <fieldset className="choice">
        <legend className="hidden">{words.views.rooms}</legend>
        {(['lobby', 'room'] as const).map(one => (
          <label key={one}>
            <input
              type="radio"
              name="where"
              checked={where === one}
              onChange={() => setWhere(one)}
            />
            {words[one]}
          </label>
        ))}
      </fieldset>
      <p className="muted">{inLobby ? words.lobbyWhy : words.roomWhy}</p>
      <div className="row">
        <Field
          label={words.myName}
          className="grow"
          value={name}
          onChange={event => setName(event.target.value)}
        />
        {!inLobby && (
          <Field
            label={words.room}
            className="grow"
            value={title}
            onChange={event => setTitle(event.target.value)}
          />
        )}
        <button className="main" disabled={!proper}>
          {words.enter}
        </button>
      </div>
      {!proper && <Answer problem={{ code: '', detail: words.badId }} />}
      {refused && <Answer problem={{ code: refused, detail: refused }} />}
    </form>
  );
}

const Said = memo(function Said({ line }: { line: Line }): ReactNode {
  const words = useWords();
  if (line.kind !== 'said') {
    return (
      <li className="note">
        {words[line.kind]} · <Time at={line.at} form="time" />
      </li>
    );
  }
  return (
    <li className={line.mine ? 'said mine' : 'said'}>
      <p className="who">
        <Name of={line.name} />
        {line.namesake && <span className="namesake">{words.namesake}</span>}
        <Time at={line.at} form="time" />
      </p>
      <Content message={line.text} />
    </li>
  );
});

function Inside({ place, people }: { place: Place; people: number | undefined }): ReactNode {
  const words = useWords();
  const { status } = useStore(room);

  function leave(): void {
    room.leave();
    go('rooms');
    document.getElementById('main')?.focus(); // what was pressed is gone
  }

  return (
    <div className="card bar">
      <p className="state" data-state={status === 'in' ? 'online' : 'connecting'} role="status">
        <span className="dot" />
        <Name of={place.room ?? words.lobby} />
        {status !== 'in' && <span>{words.states.connecting}</span>}
      </p>
      {people !== undefined && <span className="muted">{words.people(people)}</span>}
      <button type="button" className="small" onClick={leave}>
        {words.leave}
      </button>
    </div>
  );
}

/** It outlives a look elsewhere. */
let draft = '';

export function Rooms(): ReactNode {
  const words = useWords();
  const { status, place, lines } = useStore(room);
  const [text, setText] = useState(draft);
  const [said, setSaid] = useState(0);
  useEffect(() => void (draft = text), [text]);
  const people = usePeople(status === 'in' ? place : undefined, lines.length);

  function onSubmit(event: FormEvent): void {
    event.preventDefault();
    if (!text.trim() || status !== 'in') return;
    room.say(text);
    setText('');
    setSaid(said + 1);
  }

  const isIn = status === 'in';
  const form = useRef<HTMLFormElement>(null);
  const wasIn = useRef(isIn);
  // One enters to speak.
  useEffect(() => {
    if (isIn && !wasIn.current) form.current?.querySelector('input')?.focus();
    wasIn.current = isIn;
  }, [isIn]);

  return (
    <>
      <h2 className="hidden">{words.views.rooms}</h2>
      {status === 'out' || !place ? <Door /> : <Inside place={place} people={people} />}
      <Log
        label={words.log}
        entries={lines}
        row={line => <Said key={line.key} line={line} />}
        empty={words.roomEmpty}
        quiet={!lines.some(({ kind }) => kind === 'said')}
        said={said}
      />
      <form className="card compose" ref={form} onSubmit={onSubmit}>
        <Field
          label={words.say}
          className="what"
          value={text}
          enterKeyHint="send"
          disabled={status === 'out'}
          onChange={event => setText(event.target.value)}
        />
        <button className="main" disabled={status !== 'in'}>
          {words.send}
        </button>
      </form>
    </>
  );
}
