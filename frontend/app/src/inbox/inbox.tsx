// What came for me, newest first, and what of it I have seen.

import type { Message, PushwireError } from 'pushwire';
import { useNotifications } from 'pushwire/react';
import { memo, useCallback, useEffect, useRef, useState, type ReactNode } from 'react';
import { shown } from '../names.js';
import { session } from '../session.js';
import { useWords } from '../settings.js';
import { useStore } from '../store.js';
import { Answer, Content, Icon, lineOf, Time } from '../ui.js';
import { countText } from '../words/index.js';

const Item = memo(function Item(props: {
  item: Message;
  read: boolean;
  onRead(id: string, from: HTMLElement): void;
}): ReactNode {
  const words = useWords();
  const { item, read, onRead } = props;
  const who = shown(item.channel ? `${item.sender} · ${item.channel}` : item.sender);
  const row = useRef<HTMLLIElement>(null);
  return (
    <li className={read ? 'item' : 'item unread'} ref={row} tabIndex={-1}>
      <span
        className="dot"
        role={read ? undefined : 'img'}
        aria-label={read ? undefined : words.isUnread}
      />
      <div className="grow">
        <p className="who">
          <b dir="auto">{who}</b>
          <Time at={item.sentAt} />
        </p>
        <Content message={item.message} onOpen={() => read || onRead(item.id, row.current!)} />
      </div>
      {!read && (
        <button
          type="button"
          className="small"
          aria-label={`${words.markRead}: ${who}, ${lineOf(item.message).slice(0, 60)}`}
          onClick={() => onRead(item.id, row.current!)}
        >
          {words.markRead}
        </button>
      )}
    </li>
  );
});

/** The next one that is unread, else the message itself: focus must not fall into nothing. */
function moveOn(from: HTMLElement): void {
  const all = [...from.parentElement!.querySelectorAll<HTMLElement>('.item.unread')];
  const next = all[all.indexOf(from) + 1] ?? all[all.indexOf(from) - 1];
  (next?.querySelector('button') ?? from).focus();
}

function Empty(): ReactNode {
  const words = useWords();
  return (
    <div className="card nothing">
      <Icon name="inbox" />
      <p className="title">{words.inboxEmpty}</p>
      <p className="muted">{words.inboxEmptyWhy}</p>
    </div>
  );
}

/** Says aloud what came while one was here. */
function useNews(items: readonly Message[]): string {
  const words = useWords();
  const newest = items[0];
  const before = useRef<string>(undefined);
  const [news, setNews] = useState('');
  useEffect(() => {
    const known = before.current;
    before.current = newest?.id ?? '';
    if (!newest || known === undefined || newest.id <= known || known === '') return;
    setNews(words.cameFrom(newest.sender, lineOf(newest.message).slice(0, 100)));
  }, [newest?.id]);
  return news;
}

export function Inbox(): ReactNode {
  const words = useWords();
  const { client, user, notes } = useStore(session)!;
  const { items, unread, moreUnread, isRead, markRead, status, error, hasMore, loadMore } =
    useNotifications();
  const [problem, setProblem] = useState<PushwireError>();
  const head = useRef<HTMLHeadingElement>(null);
  const news = useNews(items);
  const onRead = useCallback(
    (id: string, from: HTMLElement) => {
      moveOn(from);
      markRead(id);
    },
    [markRead],
  );
  // What the form above already asks for needs no other words.
  const asking = status === 'unauthorized' || error?.status === 401 || error?.status === 403;
  const gap = notes.filter(({ kind }) => kind === 'gap').at(-1);

  function sendSample(): void {
    setProblem(undefined);
    const message = { title: words.sampleTitle, body: words.sampleBody, url: '#chat' };
    client.send({ receiver: user, message }).catch(setProblem);
  }

  return (
    <>
      <div className="bar">
        <h2 ref={head} tabIndex={-1}>
          {words.views.inbox}{' '}
          {unread > 0 && (
            <span className="muted">{words.unread(countText(unread, moreUnread))}</span>
          )}
        </h2>
        <button type="button" className="small" onClick={sendSample}>
          {words.sample}
        </button>
        <button
          type="button"
          className="small"
          disabled={unread === 0}
          onClick={() => {
            head.current?.focus();
            markRead('all');
          }}
        >
          {words.markAllRead}
        </button>
      </div>
      <p className="hidden" role="status">
        {news}
      </p>
      {status !== 'online' && !asking && (
        <p className="banner" role="status">
          {words.states[status]} {status !== 'connecting' && words.inboxOffline}
        </p>
      )}
      {gap && (
        <p className="banner bad">
          {words.gap} · <Time at={gap.at} />
        </p>
      )}
      {problem && <Answer problem={problem} />}
      {!problem && error && !asking && status === 'online' && <Answer problem={error} />}
      {items.length > 0 && (
        <ol className="card items">
          {items.map(item => (
            <Item key={item.id} item={item} read={isRead(item.id)} onRead={onRead} />
          ))}
        </ol>
      )}
      {items.length === 0 && status === 'online' && !error && <Empty />}
      {hasMore && (
        <button type="button" className="center" onClick={() => void loadMore()}>
          {words.older}
        </button>
      )}
    </>
  );
}
