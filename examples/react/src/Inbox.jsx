import { useNotifications } from 'pushwire/react';

export function Inbox() {
  const { items, unread, markRead, isRead, status } = useNotifications();
  return (
    <main>
      <h1>
        Inbox <small data-unread={unread}>{unread ? `${unread} new` : 'nothing new'}</small>
      </h1>
      <p data-state={status}>{status}</p>
      <ul>
        {items.map(({ id, sender, message }) => (
          <li key={id} style={{ fontWeight: isRead(id) ? 'normal' : 'bold' }}>
            <button onClick={() => markRead(id)}>
              {sender}: {message?.title ?? String(message)}
            </button>
          </li>
        ))}
      </ul>
    </main>
  );
}
