// The small parts that all views are made of.

import {
  useEffect,
  useId,
  useRef,
  useState,
  type InputHTMLAttributes,
  type ReactNode,
  type TextareaHTMLAttributes,
} from 'react';
import { dateText } from './format.js';
import { shown } from './names.js';
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

interface Labelled {
  label: string;
  /** What is wrong with it, read out with the field. */
  wrong?: string | undefined;
}

/** People's texts: each in its own direction, and left as they were typed. */
export function Field(props: Labelled & InputHTMLAttributes<HTMLInputElement>): ReactNode {
  const { label, wrong, className = '', ...rest } = props;
  const id = useId();
  return (
    <div className={`field ${className}`}>
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        dir="auto"
        autoComplete="off"
        spellCheck={false}
        aria-invalid={wrong !== undefined}
        aria-describedby={wrong === undefined ? undefined : `${id}-wrong`}
        {...rest}
      />
      {wrong !== undefined && (
        <p id={`${id}-wrong`} className="answer bad">
          {wrong}
        </p>
      )}
    </div>
  );
}

/** Several lines, as high as they are. Enter sends, with Shift it begins a line; not while a syllable
 * is being composed. */
export function Lines(
  props: Labelled & { onSend(): void } & TextareaHTMLAttributes<HTMLTextAreaElement>,
): ReactNode {
  const { label, wrong: _, onSend, className = '', ...rest } = props;
  const id = useId();
  return (
    <div className={`field ${className}`}>
      <label htmlFor={id}>{label}</label>
      <textarea
        id={id}
        dir="auto"
        rows={1}
        enterKeyHint="send"
        onKeyDown={event => {
          if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return;
          event.preventDefault();
          onSend();
        }}
        {...rest}
      />
    </div>
  );
}

/** Who somebody is, with nothing hidden in it. */
export function Name({ of }: { of: string }): ReactNode {
  return <b dir="auto">{shown(of)}</b>;
}

export function Time({ at, form }: { at: string | number; form?: 'time' }): ReactNode {
  const { language } = useStore(settings);
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return null;
  const today = form === 'time' || date.toDateString() === new Date().toDateString();
  return (
    <time dateTime={date.toISOString()} title={dateText(language, 'full', date)}>
      {dateText(language, today ? 'time' : 'short', date)}
    </time>
  );
}

interface Notification {
  title: string;
  body?: unknown;
  url?: unknown;
  icon?: unknown;
}

const isNotification = (message: unknown): message is Notification =>
  typeof (message as Notification | null)?.title === 'string';

/** A link that leads into the web or within this page, and nowhere else: what a path is relative to,
 * only the sender's site knows. */
function webAddress(url: unknown): URL | undefined {
  if (typeof url !== 'string' || !/^(https?:\/\/|#)/i.test(url)) return undefined;
  return URL.canParse(url, window.location.href) ? new URL(url, window.location.href) : undefined;
}

const LINK = /(https?:\/\/[^\s<>"]*[^\s<>"'.,;:!?)\]}])/;

function linked(text: string): ReactNode[] {
  return text.split(LINK).map((part, at) =>
    at % 2 ? (
      <a key={at} href={part} target="_blank" rel="noopener noreferrer">
        {part}
      </a>
    ) : (
      part
    ),
  );
}

const MOST_CHARS = 1500;
const MOST_LINES = 24;

function cut(text: string): string {
  const lines = text
    .split('\n', MOST_LINES + 1)
    .slice(0, MOST_LINES)
    .join('\n');
  return lines.slice(0, MOST_CHARS);
}

/** What is long is folded, so that one message never fills the page. */
function Text({ text, as }: { text: string; as: 'p' | 'pre' }): ReactNode {
  const words = useWords();
  const [open, setOpen] = useState(false);
  const short = cut(text);
  const long = short.length < text.length;
  const part = open ? text : short;
  return (
    <>
      {as === 'p' ? (
        <p dir="auto">
          {linked(part)}
          {long && !open && '…'}
        </p>
      ) : (
        <pre dir="ltr" className="json">
          <code>{part}</code>
        </pre>
      )}
      {long && (
        <button
          type="button"
          className="small fold"
          aria-expanded={open}
          onClick={() => setOpen(!open)}
        >
          {open ? words.showLess : words.showAll(Math.ceil(text.length / 1000))}
        </button>
      )}
    </>
  );
}

/** A message of any shape. `plain`: on one line, without its links. */
export function Content(props: {
  message: unknown;
  plain?: boolean;
  /** Its link was followed. */
  onOpen?(): void;
}): ReactNode {
  const words = useWords();
  const { message, plain, onOpen } = props;
  if (plain) return <span dir="auto">{lineOf(message)}</span>;
  if (!isNotification(message)) {
    return (
      <div className="text">
        {typeof message === 'string' ? (
          <Text as="p" text={message} />
        ) : (
          <Text as="pre" text={JSON.stringify(message, null, 2)} />
        )}
      </div>
    );
  }
  const { title, body, icon } = message;
  const url = webAddress(message.url);
  const within = url?.origin === window.location.origin && url.hash !== '';
  return (
    <div className="text">
      {typeof icon === 'string' && icon.startsWith('data:image/') && (
        <img className="picture" src={icon} alt="" />
      )}
      <p dir="auto" className="title">
        {cut(title)}
      </p>
      {typeof body === 'string' && body && <Text as="p" text={body} />}
      {url && (
        <a
          href={url.href}
          onClick={onOpen}
          {...(!within && { target: '_blank', rel: 'noopener noreferrer' })}
        >
          {words.openLink} {!within && <bdi>{url.host}</bdi>}
        </a>
      )}
    </div>
  );
}

/** A message in a line. */
export function lineOf(message: unknown): string {
  const { title, body } = (isNotification(message) ? message : {}) as Partial<Notification>;
  const text = title === undefined ? message : [title, body].filter(Boolean).join(' · ');
  return (typeof text === 'string' ? text : JSON.stringify(text)).slice(0, 200);
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

/** Asks for what opens the server; the caller keeps it in memory, or for this tab if one wants it. */
export function Credential(props: {
  title: string;
  why: string;
  label: string;
  problem?: Problem | undefined;
  /** It may be kept until the tab is closed. */
  keepable?: boolean;
  onGiven(text: string, keep: boolean): void;
}): ReactNode {
  const words = useWords();
  const [text, setText] = useState('');
  const [keep, setKeep] = useState(false);
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
        if (CREDENTIAL.test(next)) props.onGiven(next, keep);
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
      {props.keepable && (
        <label className="check">
          <input type="checkbox" checked={keep} onChange={() => setKeep(!keep)} />
          {words.keepForTab}
        </label>
      )}
      {problem && <Answer problem={problem} />}
    </form>
  );
}

/** A question that stands over all else, until it is answered. */
export function Dialog(props: { title: string; onClose(): void; children: ReactNode }): ReactNode {
  const box = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    if (!box.current!.open) box.current!.showModal();
  }, []);
  return (
    <dialog ref={box} aria-labelledby={id} onClose={props.onClose}>
      <h2 id={id}>{props.title}</h2>
      {props.children}
    </dialog>
  );
}

export async function copy(text: string, from: Element | null): Promise<void> {
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
