// A link for somebody else, or for one's own phone: who one is there, and to whom. As a QR code, too.

import { useMemo, useState, type ReactNode } from 'react';
import { qr } from '../qr.js';
import { isName } from '../server.js';
import { linkFor } from '../session.js';
import { useWords } from '../settings.js';
import { copy, Dialog, Field } from '../ui.js';

const QUIET = 4; // squares around it, as the standard wants

function Code({ text }: { text: string }): ReactNode {
  const words = useWords();
  const grid = useMemo(() => qr(text), [text]);
  if (!grid) return null;
  const size = grid.length + 2 * QUIET;
  const path = grid
    .flatMap((row, y) => row.map((dark, x) => (dark ? `M${x + QUIET} ${y + QUIET}h1v1h-1z` : '')))
    .join('');
  return (
    <svg className="qr" viewBox={`0 0 ${size} ${size}`} role="img" aria-label={words.qr}>
      <rect width={size} height={size} />
      <path d={path} />
    </svg>
  );
}

const isLoopback = (host: string): boolean => /^(localhost|127\.|\[::1\])/.test(host);

export function Invite({ user, onClose }: { user: string; onClose(): void }): ReactNode {
  const words = useWords();
  const [peer, setPeer] = useState(user === 'bob' ? 'alice' : 'bob');
  const [copied, setCopied] = useState('');
  const link = isName(peer) ? linkFor(peer, user) : '';
  return (
    <Dialog title={words.inviteTitle} onClose={onClose}>
      <p className="muted">{words.inviteWhy(user)}</p>
      <Field
        label={words.invited}
        value={peer}
        wrong={link ? undefined : words.badId}
        autoCapitalize="none"
        onChange={event => setPeer(event.target.value.trimStart())}
      />
      {link && (
        <>
          <Code text={link} />
          <p className="link" id="invitation" dir="ltr">
            {link}
          </p>
        </>
      )}
      {isLoopback(window.location.hostname) && <p className="muted">{words.onlyHere}</p>}
      <form method="dialog" className="row end">
        <button
          type="button"
          className="main"
          disabled={!link}
          onClick={() =>
            void copy(link, document.getElementById('invitation')).then(() => setCopied(link))
          }
        >
          {copied && copied === link ? words.copied : words.copy}
        </button>
        <button>{words.close}</button>
      </form>
    </Dialog>
  );
}
