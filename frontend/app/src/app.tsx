// The frame around the views: where one is, language, theme, who one is, and what just came.

import { PushwireProvider, useNotifications } from 'pushwire/react';
import type { Message } from 'pushwire';
import { useEffect, useRef, useState, type ReactNode } from 'react';
import { Chat } from './chat/chat.js';
import { Welcome } from './first/welcome.js';
import { Inbox } from './inbox/inbox.js';
import { Live } from './live/live.js';
import { Rooms } from './rooms/rooms.js';
import { hashOf, useRoute, VIEWS, type View } from './route.js';
import { connectAs, session, userOf } from './session.js';
import { setLanguage, settings, setTheme, useWords } from './settings.js';
import { useStore } from './store.js';
import { Content, Credential, Icon, Name } from './ui.js';
import { countText } from './words/index.js';

const SHOWN: Record<View, () => ReactNode> = { chat: Chat, inbox: Inbox, rooms: Rooms, live: Live };
const TOAST_MS = 6000;
/** What is older than this was kept for us and is no news. */
const NEWS_MS = 60_000;
/** What another token may change. */
const TOKEN_PROBLEMS = ['forbidden', 'missing_scope', 'token_expired', 'unauthorized'];

function Header(props: {
  view: View;
  unread: number;
  more: boolean;
  children?: ReactNode;
}): ReactNode {
  const words = useWords();
  const { language, theme } = useStore(settings);
  const { view, unread, more } = props;
  const dark = theme === 'dark';
  const other = language === 'en' ? 'ko' : 'en';
  return (
    <header>
      <a className="skip" href="#main" onClick={skip}>
        {words.skip}
      </a>
      <h1>
        <span className="mark">
          <Icon name="logo" />
        </span>
        Pushwire
      </h1>
      <nav aria-label={words.nav}>
        {VIEWS.map(name => (
          <a key={name} href={hashOf(name)} aria-current={name === view ? 'page' : undefined}>
            <Icon name={name} />
            {words.views[name]}
            {name === 'inbox' && unread > 0 && (
              <span className="badge" aria-hidden="true">
                {unread > 99 ? '99+' : countText(unread, more)}
              </span>
            )}
            {name === 'inbox' && unread > 0 && (
              <span className="hidden"> ({words.unread(countText(unread, more))})</span>
            )}
          </a>
        ))}
      </nav>
      {props.children}
      <div className="tools">
        <a className="docs" href="/docs">
          {words.docs}
        </a>
        <button type="button" className="quiet" lang={other} onClick={() => setLanguage(other)}>
          {words.otherLanguage}
        </button>
        <button
          type="button"
          className="quiet square"
          aria-label={dark ? words.toLight : words.toDark}
          onClick={() => setTheme(dark ? 'light' : 'dark')}
        >
          <Icon name={dark ? 'sun' : 'moon'} />
        </button>
      </div>
    </header>
  );
}

/** The address names the view, so the link must not change it. */
function skip(event: { preventDefault(): void }): void {
  event.preventDefault();
  document.getElementById('main')?.focus();
}

/** What came a moment ago, for views that do not show it themselves: in the head of the page, over
 * nothing that one works with. It stays while one points at it. */
function Toast({ quiet }: { quiet: boolean }): ReactNode {
  const words = useWords();
  const client = useStore(session)!.client;
  const [news, setNews] = useState<Message>();
  const [held, setHeld] = useState(false);
  const hush = useRef(quiet);
  hush.current = quiet;
  useEffect(
    () =>
      client.on('message', message => {
        const isNews = Date.now() - Date.parse(message.sentAt) < NEWS_MS;
        if (isNews && !hush.current) setNews(message);
      }),
    [client],
  );
  useEffect(() => {
    if (quiet) setNews(undefined);
    if (!news || held) return;
    const timer = window.setTimeout(() => setNews(undefined), TOAST_MS);
    return () => window.clearTimeout(timer);
  }, [news, held, quiet]);
  const close = () => {
    setNews(undefined);
    setHeld(false);
  };
  const onKey = useRef(close);
  onKey.current = close;
  useEffect(() => {
    const look = (event: KeyboardEvent) => event.key === 'Escape' && onKey.current();
    window.addEventListener('keydown', look);
    return () => window.removeEventListener('keydown', look);
  }, []);
  return (
    <div className="toasts" role="status">
      {news && (
        <div
          className="toast"
          key={news.id}
          onMouseEnter={() => setHeld(true)}
          onMouseLeave={() => setHeld(false)}
          onFocus={() => setHeld(true)}
          onBlur={() => setHeld(false)}
        >
          <a href={hashOf('inbox')} onClick={close}>
            <Name of={news.sender} /> <Content message={news.message} plain />
          </a>
          <button type="button" className="quiet" aria-label={words.close} onClick={close}>
            ✕
          </button>
        </div>
      )}
    </div>
  );
}

function Page(): ReactNode {
  const words = useWords();
  const { view } = useRoute();
  const { user, token, error } = useStore(session)!;
  const { unread, moreUnread, status, error: failed } = useNotifications();
  const [became, setBecame] = useState<string>();
  useEffect(() => {
    const count = unread ? `(${countText(unread, moreUnread)}) ` : '';
    document.title = `${count}${words.views[view]} · Pushwire`;
  }, [unread, moreUnread, view, words]);
  // The first request is refused long before a socket that waits for its token is.
  const refused = [error, failed].find(one => one && TOKEN_PROBLEMS.includes(one.code));
  const asking = status !== 'online' && (status === 'unauthorized' || !!refused) && view !== 'live';

  /** Whose token it is, is who one is. */
  function onToken(text: string, keep: boolean): void {
    const who = userOf(text) ?? user;
    setBecame(who === user ? undefined : who);
    connectAs(who, text, keep);
  }

  const Shown = SHOWN[view];
  return (
    <>
      <Header view={view} unread={unread} more={moreUnread}>
        <Toast quiet={view === 'chat' || view === 'inbox'} />
      </Header>
      <main id="main" tabIndex={-1} className={view}>
        {asking && (
          <Credential
            title={words.tokenTitle}
            why={words.tokenWhy(user)}
            label={words.token}
            keepable
            problem={token ? refused : undefined}
            onGiven={onToken}
          />
        )}
        {became === user && (
          <p className="banner" role="status">
            {words.tokenOf(user)}
          </p>
        )}
        <Shown />
      </main>
    </>
  );
}

/** Before anybody has said who they are, only the server can be looked at. */
function Stranger(): ReactNode {
  const words = useWords();
  const { view } = useRoute();
  useEffect(() => {
    document.title = `${words.views[view]} · Pushwire`;
  }, [view, words]);
  return (
    <>
      <Header view={view} unread={0} more={false} />
      <main id="main" tabIndex={-1} className={view === 'live' ? view : 'first'}>
        {view === 'live' ? <Live /> : <Welcome />}
      </main>
    </>
  );
}

export function App(): ReactNode {
  const here = useStore(session);
  if (!here) return <Stranger />;
  return (
    <PushwireProvider client={here.client}>
      <Page />
    </PushwireProvider>
  );
}
