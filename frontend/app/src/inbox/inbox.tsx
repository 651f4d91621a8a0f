// What came for me, newest first, and what of it I have seen.

import type { Message, PushwireError } from 'pushwire';
import { useNotifications } from 'pushwire/react';
import { useState, type ReactNode } from 'react';
import { session } from '../session.js';
import { useWords } from '../settings.js';
import { useStore } from '../store.js';
import { Answer, Content, Icon, Time } from '../ui.js';

function Item(props: { item: Message; read: boolean; onRead(): void }): ReactNode {
  const words = useWords();
  const { item, read } = props;
  return (
    <li className={read ? 'item' : 'item unread'}>
      <span
        className="dot"
        role={read ? undefined : 'img'}
        aria-label={read ? undefined : words.isUnread}
      />
      <div className="grow">
        <p className="who">
          <b dir="auto">{item.channel ? `${item.sender} · ${item.channel}` : item.sender}</b>
          <Time at={item.sentAt} />
        </p>
        <Content message={item.message} />
      </div>
      {!read && (
        <button type="button" className="small" onClick={props.onRead}>
          {words.markRead}
        </button>
      )}
    </li>
  );
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

export function Inbox(): ReactNode {
  const words = useWords();
  const { client, user } = useStore(session);
  const { items, unread, isRead, markRead, status, error, hasMore, loadMore } = useNotifications();
  const [problem, setProblem] = useState<PushwireError>();

  function sendSample(): void {
    setProblem(undefined);
    const message = { title: words.sampleTitle, body: words.sampleBody, url: '#chat' };
    client.send({ receiver: user, message }).catch(setProblem);
  }

  return (
    <>
      <div className="bar">
        <h2>
          {words.views.inbox} {unread > 0 && <span className="muted">{words.unread(unread)}</span>}
        </h2>
        <button type="button" className="small" onClick={sendSample}>
          {words.sample}
        </button>
        <button
          type="button"
          className="small"
          disabled={unread === 0}
          onClick={() => markRead('all')}
        >
          {words.markAllRead}
        </button>
      </div>
      {status !== 'online' && status !== 'unauthorized' && (
        <p className="banner" role="status">
          {words.states[status]} {status !== 'connecting' && words.inboxOffline}
        </p>
      )}
      {(problem ?? error) && <Answer problem={problem ?? error} />}
      {items.length === 0 ? (
        <Empty />
      ) : (
        <ol className="card items">
          {items.map(item => (
            <Item
              key={item.id}
              item={item}
              read={isRead(item.id)}
              onRead={() => markRead(item.id)}
            />
          ))}
        </ol>
      )}
      {hasMore && (
        <button type="button" className="center" onClick={() => void loadMore()}>
          {words.older}
        </button>
      )}
    </>
  );
}
