// An application as a React developer begins it; StrictMode mounts everything twice.

import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { PushwireProvider, useChannel, useNotifications } from 'pushwire/react';

function Inbox() {
  const { items, unread, markRead, status } = useNotifications();
  return (
    <section>
      <h1>
        {status} {unread}
      </h1>
      <ul>
        {items.map(({ id, sender, message }) => (
          <li key={id} onClick={() => markRead(id)}>
            {sender}: {message}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Room() {
  const { messages, send } = useChannel('tea');
  return <button onClick={() => send('hello')}>{messages.map(m => m.message).join()}</button>;
}

const root = createRoot(document.getElementById('root'));
window.show = user =>
  root.render(
    <StrictMode>
      <PushwireProvider user={user} url="http://SERVER">
        <Inbox />
        <Room />
      </PushwireProvider>
    </StrictMode>,
  );
