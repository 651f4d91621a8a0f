// What an operator wants to see: who is there, how much goes through, how long it takes.

import type { PushwireError } from 'pushwire';
import { useEffect, useState, type FormEvent, type ReactNode } from 'react';
import { shown } from '../names.js';
import { hashOf } from '../route.js';
import { ask, curlLine, isName } from '../server.js';
import { session } from '../session.js';
import { settings, useWords } from '../settings.js';
import { useStore } from '../store.js';
import { Answer, Credential, Curl, Dialog, Field, type Problem } from '../ui.js';
import { problemText, type Language } from '../words/index.js';
import { Chart } from './chart.js';
import { labelOf, quantile, rate, sum, type Sample } from './metrics.js';
import type { Series } from './path.js';
import { MOST_USERS, watch } from './watch.js';

/** Rates are over three seconds, times over ten: steady, and still of now. */
const RATE_MS = 3500;
const TIMES_MS = 10_500;

type Measure = (sample: Sample, earlier: (ms: number) => Sample | undefined) => number | undefined;

function measure(label: string, samples: readonly Sample[], f: Measure): Series {
  const points = samples.map((sample, index) => ({
    at: sample.at,
    value: f(sample, ms => samples.slice(0, index).find(({ at }) => at >= sample.at - ms)),
  }));
  return { label, points };
}

const rateOf =
  (name: string): Measure =>
  (sample, earlier) => {
    const before = earlier(RATE_MS);
    return before && rate(before, sample, name);
  };

const timeOf =
  (name: string, share: number): Measure =>
  (sample, earlier) => {
    const before = earlier(TIMES_MS);
    return before && quantile(before, sample, name, share);
  };

const last = ({ points }: Series): number | undefined => points.at(-1)?.value;

/** How numbers are written in a language. */
function formats(language: Language) {
  const number = (options: Intl.NumberFormatOptions) => {
    const format = new Intl.NumberFormat(language, options);
    return (value: number) => format.format(value);
  };
  const unit = (name: string, digits = 3) =>
    number({ style: 'unit', unit: name, unitDisplay: 'short', maximumSignificantDigits: digits });
  const micro = number({ maximumSignificantDigits: 2 });
  const [milli, second] = [unit('millisecond', 2), unit('second', 2)];
  const [kilo, mega, giga] = [unit('kilobyte'), unit('megabyte'), unit('gigabyte')];
  return {
    count: number({ maximumFractionDigits: 0 }),
    rate: (n: number) => number({ maximumFractionDigits: n < 100 ? 1 : 0 })(n),
    time: (s: number) => (s < 0.001 ? `${micro(s * 1e6)} µs` : s < 1 ? milli(s * 1000) : second(s)),
    bytes: (n: number) => (n < 1e6 ? kilo(n / 1e3) : n < 1e9 ? mega(n / 1e6) : giga(n / 1e9)),
  };
}

function Charts(): ReactNode {
  const words = useWords();
  const { language } = useStore(settings);
  const { samples } = useStore(watch);
  const as = formats(language);
  const show = (value: number | undefined, format: (value: number) => string) =>
    value === undefined ? '–' : format(value);

  const sessions = measure(words.sessions, samples, one => sum(one, 'sessions'));
  const behind = measure(words.behind, samples, one => sum(one, 'sessions', 'state="behind"'));
  const published = measure('published', samples, rateOf('published_total'));
  const delivered = measure('delivered', samples, rateOf('delivered_total'));
  const memory = measure('memory', samples, one => sum(one, 'broker_bytes'));
  const times = (name: string) => [
    measure(words.half, samples, timeOf(name, 0.5)),
    measure(words.most, samples, timeOf(name, 0.99)),
  ];
  const [publish, commit] = [times('publish_seconds'), times('commit_seconds')];
  // Only a server that keeps messages on a disk has one to tell of.
  const now = samples.at(-1);
  const inMemory = now !== undefined && sum(now, 'disk_free_bytes') === 0;
  const time = (series: Series[]) => {
    const [half, most] = series.map(last);
    return {
      series,
      now: show(half, as.time),
      more: most === undefined ? undefined : `${words.half} · ${words.most} ${as.time(most)}`,
      least: 0.0001,
      format: as.time,
    };
  };
  return (
    <div className="charts">
      <Chart
        title={words.sessions}
        now={show(last(sessions), as.count)}
        more={`${show(last(behind), as.count)} ${words.behind}`}
        series={[sessions, behind]}
        least={5}
        format={as.count}
      />
      <Chart
        title={words.published}
        now={show(last(published), as.rate)}
        series={[published]}
        least={1}
        format={as.rate}
      />
      <Chart
        title={words.deliveries}
        now={show(last(delivered), as.rate)}
        series={[delivered]}
        least={1}
        format={as.rate}
      />
      <Chart title={words.publishTime} {...time(publish)} />
      <Chart
        title={words.commitTime}
        {...time(commit)}
        {...(inMemory && { more: undefined, empty: words.noCommit })}
      />
      <Chart
        title={words.memory}
        now={show(last(memory), as.bytes)}
        series={[memory]}
        least={1e5}
        format={as.bytes}
      />
    </div>
  );
}

/** It refused somebody for that a moment ago. */
function isFull(samples: readonly Sample[]): boolean {
  const now = samples.at(-1)!;
  const before = samples.find(({ at }) => at >= now.at - TIMES_MS)!;
  const refused = (one: Sample) => sum(one, 'refused_total', 'code="too_many_sessions"') ?? 0;
  return refused(now) > refused(before);
}

function Health(): ReactNode {
  const words = useWords();
  const { language } = useStore(settings);
  const { samples, ready, problem } = useStore(watch);
  const as = formats(language);
  const now = samples.at(-1);
  const facts: [string, string | undefined][] = now
    ? [
        [words.version, labelOf(now, 'build_info', 'version')],
        [words.keptCount, fact(now, 'broker_messages', as.count)],
        [
          words.disk,
          sum(now, 'disk_free_bytes') ? fact(now, 'disk_free_bytes', as.bytes) : undefined,
        ],
        [
          words.files,
          `${fact(now, 'open_fds', as.count) ?? '–'} / ${fact(now, 'max_fds', as.count) ?? '–'}`,
        ],
      ]
    : [];
  const full = samples.length > 1 && isFull(samples);
  const state = ready === undefined ? 'connecting' : ready && !full ? 'online' : 'stopped';
  return (
    <section className="card health" aria-label={words.server}>
      <p className="state" data-state={state} role="status">
        <span className="dot" />
        <b>
          {ready === undefined
            ? words.states.connecting
            : ready || !problem
              ? full
                ? problemText(words, { code: 'too_many_sessions', detail: '' })
                : words.ready
              : problemText(words, problem)}
        </b>
      </p>
      <dl>
        {facts.map(
          ([label, value]) =>
            value !== undefined && (
              <div key={label}>
                <dt>{label}</dt>
                <dd>{value}</dd>
              </div>
            ),
        )}
      </dl>
    </section>
  );
}

function fact(sample: Sample, name: string, format: (n: number) => string): string | undefined {
  const value = sum(sample, name);
  return value === undefined ? undefined : format(value);
}

/** More than these are searched. */
const FEW = 12;

function Online(): ReactNode {
  const words = useWords();
  const { users, moreUsers, usersProblem } = useStore(watch);
  const [find, setFind] = useState('');
  const found = users.filter(user => user.toLowerCase().includes(find.toLowerCase()));
  return (
    <section className="card online">
      <h3>
        {words.whoIsOnline}{' '}
        {users.length > 0 && (
          <span className="muted">
            {users.length}
            {moreUsers && '+'}
          </span>
        )}
      </h3>
      {users.length > FEW && (
        <Field label={words.find} value={find} onChange={event => setFind(event.target.value)} />
      )}
      {usersProblem ? (
        <Answer problem={usersProblem} />
      ) : (
        <ul className="chips" aria-label={words.whoIsOnline}>
          {users.length === 0 && <li className="muted">{words.nobody}</li>}
          {found.slice(0, MOST_USERS).map(user => (
            <li key={user} className="chip" dir="auto">
              <a href={hashOf('chat', user)}>{shown(user)}</a>
            </li>
          ))}
          {moreUsers && <li className="muted">{words.andMore}</li>}
        </ul>
      )}
    </section>
  );
}

const KINDS = ['toUser', 'toChannel', 'toAll'] as const;

function Test(): ReactNode {
  const words = useWords();
  const user = useStore(session)?.user ?? '';
  const { key } = useStore(watch);
  const [sure, setSure] = useState(false); // whether to ask
  const [kind, setKind] = useState<(typeof KINDS)[number]>('toUser');
  const [name, setName] = useState(user);
  const [text, setText] = useState('');
  const [done, setDone] = useState<{ delivered: number; id: string } | { problem: Problem }>();
  const where = {
    toUser: { receiver: name },
    toChannel: { channel: name },
    toAll: { broadcast: true },
  }[kind];
  const body = { sender: 'operator', ...where, message: text || words.testText };

  async function onSubmit(event: FormEvent): Promise<void> {
    event.preventDefault();
    if (kind !== 'toAll' && !isName(name)) {
      return setDone({ problem: { code: '', detail: words.badId } });
    }
    if (kind === 'toAll') return setSure(true);
    await sendNow();
  }

  async function sendNow(): Promise<void> {
    setSure(false);
    try {
      const answer = await ask('/send-message', { body, credential: key });
      setDone(await answer.json());
    } catch (error) {
      setDone({ problem: error as PushwireError });
    }
  }

  return (
    <form className="card test" onSubmit={event => void onSubmit(event)}>
      {sure && (
        <Dialog title={words.sureTitle} onClose={() => setSure(false)}>
          <p className="muted">{words.sureWhy}</p>
          <p dir="auto" className="text">
            {text || words.testText}
          </p>
          <div className="row end">
            <button type="button" className="main" onClick={() => void sendNow()}>
              {words.sendToAll}
            </button>
            <button type="button" autoFocus onClick={() => setSure(false)}>
              {words.cancel}
            </button>
          </div>
        </Dialog>
      )}
      <h3>{words.test}</h3>
      <fieldset className="choice">
        <legend className="hidden">{words.to}</legend>
        {KINDS.map(one => (
          <label key={one}>
            <input type="radio" name="kind" checked={kind === one} onChange={() => setKind(one)} />
            {words[one]}
          </label>
        ))}
      </fieldset>
      <div className="row">
        {kind !== 'toAll' && (
          <Field
            label={words.name}
            className="to"
            value={name}
            onChange={event => setName(event.target.value)}
          />
        )}
        <Field
          label={words.message}
          className="grow"
          value={text}
          placeholder={words.testText}
          onChange={event => setText(event.target.value)}
        />
        <button className="main">{words.send}</button>
      </div>
      <Answer
        text={done && 'id' in done ? words.sentAs(done.delivered, done.id) : undefined}
        problem={done && 'problem' in done ? done.problem : undefined}
      />
      <p className="muted">{words.terminal}</p>
      <Curl line={curlLine(body, key !== undefined)} />
    </form>
  );
}

export function Live(): ReactNode {
  const words = useWords();
  const { key, problem, usersProblem } = useStore(watch);
  const refused = [problem, usersProblem].find(one => one?.status === 401 || one?.status === 403);
  useEffect(() => watch.start(), []);
  return (
    <>
      <h2 className="hidden">{words.views.live}</h2>
      {refused && (
        <Credential
          title={words.keyTitle}
          why={words.keyWhy}
          label={words.key}
          problem={key ? refused : undefined}
          onGiven={text => watch.setKey(text)}
        />
      )}
      <Health />
      <Charts />
      <p className="muted center">{words.minutes}</p>
      <div className="two">
        <Online />
        <Test />
      </div>
    </>
  );
}
