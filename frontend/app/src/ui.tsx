// The small parts that all views are made of.

import { useId, useState, type InputHTMLAttributes, type ReactNode } from 'react';
import { settings, useWords } from './settings.js';
import { useStore } from './store.js';
import { problemText } from './words/index.js';

const ICONS = {
  chat: 'M4 5h16v11H9l-5 4z',
  inbox: 'M6 16V10a6 6 0 0 1 12 0v6l2 2H4zM10 21h4',
  rooms:
    'M9 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM3 19c0-3 3-5 6-5s6 2 6 5M16 5a3 3 0 0 1 0 6M17 14c2.5.5 4 2.5 4 5',
  live: 'M3 12h4l3-8 4 16 3-8h4',
  sun: 'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.5 1.5M17.5 17.5 19 19M19 5l-1.5 1.5M6.5 17.5 5 19',
  moon: 'M20 14A8 8 0 0 1 10 4a8 8 0 1 0 10 10z',
  logo: 'M3 12h10M10 6l6 6-6 6M20 5v14',
} as const;

export function Icon({ name }: { name: keyof typeof ICONS }): ReactNode {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={ICONS[name]} />
    </svg>
  );
}

interface FieldProps extends InputHTMLAttributes<HTMLInputElement> {
  label: string;
}

/** People's texts: each in its own direction, and left as they were typed. */
export function Field({ label, className = '', ...rest }: FieldProps): ReactNode {
  const id = useId();
  return (
    <div className={`field ${className}`}>
      <label htmlFor={id}>{label}</label>
      <input id={id} dir="auto" autoComplete="off" spellCheck={false} {...rest} />
    </div>
  );
}

export function Time({ at }: { at: string | number }): ReactNode {
  const { language } = useStore(settings);
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return null;
  const today = date.toDateString() === new Date().toDateString();
  const form: Intl.DateTimeFormatOptions = today
    ? { timeStyle: 'short' }
    : { dateStyle: 'medium', timeStyle: 'short' };
  return (
    <time dateTime={date.toISOString()}>
      {new Intl.DateTimeFormat(language, form).format(date)}
    </time>
  );
}

interface Notification {
  title: string;
  body?: unknown;
  url?: unknown;
}

const isNotification = (message: unknown): message is Notification =>
  typeof (message as Notification | null)?.title === 'string';

/** A link that leads into the web, and nowhere else. */
function webAddress(url: unknown): string | undefined {
  if (typeof url !== 'string' || !URL.canParse(url, window.location.href)) return undefined;
  const { protocol, href } = new URL(url, window.location.href);
  return /^https?:$/.test(protocol) ? href : undefined;
}

/** A message of any shape. `plain`: without its link. */
export function Content({ message, plain }: { message: unknown; plain?: boolean }): ReactNode {
  const words = useWords();
  if (typeof message === 'string') {
    return (
      <p dir="auto" className="text">
        {message}
      </p>
    );
  }
  if (!isNotification(message)) {
    return (
      <p className="text">
        <code>{JSON.stringify(message)}</code>
      </p>
    );
  }
  const href = plain ? undefined : webAddress(message.url);
  return (
    <div className="text">
      <p dir="auto" className="title">
        {message.title}
      </p>
      {typeof message.body === 'string' && <p dir="auto">{message.body}</p>}
      {href && (
        <a href={href} target="_blank" rel="noreferrer">
          {words.openLink}
        </a>
      )}
    </div>
  );
}

export interface Problem {
  code: string;
  detail: string;
  field?: string | undefined;
}

/** How the last thing went, read out when it changes. */
export function Answer({
  text,
  problem,
}: {
  text?: string | undefined;
  problem?: Problem | undefined;
}): ReactNode {
  const words = useWords();
  return (
    <p className={problem ? 'answer bad' : 'answer'} role="status">
      {problem ? problemText(words, problem) : text}
    </p>
  );
}

/** What a key or token is made of; the server decides about all else. */
const CREDENTIAL = /^[\w.~+/=-]+$/;

/** Asks for what opens the server; the caller keeps it in memory. */
export function Credential(props: {
  title: string;
  why: string;
  label: string;
  problem?: Problem | undefined;
  onGiven(text: string): void;
}): ReactNode {
  const words = useWords();
  const [text, setText] = useState('');
  const [given, setGiven] = useState<string>();
  const bad = given !== undefined && !CREDENTIAL.test(given);
  const problem = bad ? { code: 'unauthorized', detail: '' } : props.problem;
  return (
    <form
      className="card credential"
      onSubmit={event => {
        event.preventDefault();
        const next = text.trim();
        setGiven(next);
        if (CREDENTIAL.test(next)) props.onGiven(next);
      }}
    >
      <h2>{props.title}</h2>
      <p className="muted">{props.why}</p>
      <div className="row">
        <Field
          label={props.label}
          type="password"
          className="grow"
          value={text}
          onChange={event => setText(event.target.value)}
        />
        <button className="main">{words.use}</button>
      </div>
      {problem && <Answer problem={problem} />}
    </form>
  );
}

async function copy(text: string, from: Element | null): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // No secure context: the older way.
    if (from) window.getSelection()?.selectAllChildren(from);
    document.execCommand('copy');
  }
}

export function Curl({ line }: { line: string }): ReactNode {
  const words = useWords();
  const [copied, setCopied] = useState('');
  const id = useId();
  return (
    <div className="shell">
      <pre tabIndex={0} role="region" aria-label={words.terminal} dir="ltr">
        <code id={id}>{line}</code>
      </pre>
      <button
        type="button"
        className="small"
        onClick={() => void copy(line, document.getElementById(id)).then(() => setCopied(line))}
      >
        {copied === line ? words.copied : words.copy}
      </button>
    </div>
  );
}
