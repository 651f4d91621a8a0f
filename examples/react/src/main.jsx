import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { PushwireProvider } from 'pushwire/react';
import { Inbox } from './Inbox.jsx';

const query = new URLSearchParams(location.search);
const user = query.get('user') ?? 'alice';
const url = query.get('pushwire') ?? 'http://localhost:8000';

createRoot(document.querySelector('#root')).render(
  <StrictMode>
    <PushwireProvider user={user} url={url}>
      <Inbox />
    </PushwireProvider>
  </StrictMode>,
);
