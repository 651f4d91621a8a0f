// The frame around the views: where one is, language, theme, who one is, and what just came.

import { PushwireProvider, useNotifications } from 'pushwire/react';
import type { Message } from 'pushwire';
import { useEffect, useState, useSyncExternalStore, type ReactNode } from 'react';
import { Chat } from './chat/chat.js';
import { Inbox } from './inbox/inbox.js';
import { Live } from './live/live.js';
import { Rooms } from './rooms/rooms.js';
import { connectAs, session } from './session.js';
import { setLanguage, settings, setTheme, useWords } from './settings.js';
import { useStore } from './store.js';
import { Content, Credential, Icon } from './ui.js';
import type { Words } from './words/index.js';

type View = keyof Words['views'];

const VIEWS: Record<View, () => ReactNode> = { chat: Chat, inbox: Inbox, rooms: Rooms, live: Live };
const NAMES = Object.keys(VIEWS) as View[];
const TOAST_MS = 6000;
/** What is older than this was kept for us and is no news. */
const NEWS_MS = 60_000;
/** What another token may change. */
const TOKEN_PROBLEMS = ['forbidden', 'missing_scope', 'token_expired', 'unauthorized'];

function subscribe(f: () => void): () => void {
  window.addEventListener('hashchange', f);
  return () => window.removeEventListener('hashchange', f);
}

function useView(): View {
  const hash = useSyncExternalStore(subscribe, () => window.location.hash.slice(1));
  return NAMES.find(name => name === hash) ?? 'chat';
}

function Header({ view, unread }: { view: View; unread: number }): ReactNode {
  const words = useWords();
  const { language, theme } = useStore(settings);
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
        {NAMES.map(name => (
          <a key={name} href={`#${name}`} aria-current={name === view ? 'page' : undefined}>
            <span className="badged">
              <Icon name={name} />
              {name === 'inbox' && unread > 0 && (
                <span className="badge" aria-hidden="true">
                  {unread > 99 ? '99+' : unread}
                </span>
              )}
            </span>
            {words.views[name]}
            {name === 'inbox' && unread > 0 && (
              <span className="hidden"> ({words.unread(unread)})</span>
            )}
          </a>
        ))}
      </nav>
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

/** What came a moment ago, for views that do not show it themselves. */
function Toast({ quiet }: { quiet: boolean }): ReactNode {
  const words = useWords();
  const { client } = useStore(session);
  const [news, setNews] = useState<Message>();
  useEffect(() => {
    let timer: number | undefined;
    const undo = client.on('message', message => {
      if (Date.now() - Date.parse(message.sentAt) > NEWS_MS) return;
      setNews(message);
      window.clearTimeout(timer);
      timer = window.setTimeout(() => setNews(undefined), TOAST_MS);
    });
    return () => {
      undo();
      window.clearTimeout(timer);
      setNews(undefined);
    };
  }, [client]);
  return (
    <div className="toasts" role="status">
      {news && !quiet && (
        <div className="toast" key={news.id}>
          <a href="#inbox" onClick={() => setNews(undefined)}>
            <span className="who">
              <b dir="auto">{news.sender}</b>
            </span>
            <Content message={news.message} plain />
          </a>
          <button
            type="button"
            className="quiet square"
            aria-label={words.close}
            onClick={() => setNews(undefined)}
          >
            ✕
          </button>
        </div>
      )}
    </div>
  );
}

function Page(): ReactNode {
  const words = useWords();
  const view = useView();
  const { user, token, error } = useStore(session);
  const { unread, status, error: failed } = useNotifications();
  useEffect(() => {
    document.title = `${unread ? `(${unread}) ` : ''}${words.views[view]} · Pushwire`;
  }, [unread, view, words]);
  // The first request is refused long before a socket that waits for its token is.
  const refused = [error, failed].find(one => one && TOKEN_PROBLEMS.includes(one.code));
  const Shown = VIEWS[view];
  return (
    <>
      <Header view={view} unread={unread} />
      <main id="main" tabIndex={-1} className={view}>
        {status !== 'online' && (status === 'unauthorized' || refused) && view !== 'live' && (
          <Credential
            title={words.tokenTitle}
            why={words.tokenWhy(user)}
            label={words.token}
            problem={token ? refused : undefined}
            onGiven={text => connectAs(user, text)}
          />
        )}
        <Shown />
      </main>
      <Toast quiet={view === 'chat' || view === 'inbox'} />
    </>
  );
}

export function App(): ReactNode {
  const { client } = useStore(session);
  return (
    <PushwireProvider client={client}>
      <Page />
    </PushwireProvider>
  );
}
