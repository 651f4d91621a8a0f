// Who this tab is: one user, one client, and what happened to the connection. It outlives the views.

import { connect, type Client, type PushwireError } from 'pushwire';
import { recall, remember, Store } from './store.js';
import { isName, server } from './server.js';

export interface Note {
  kind: 'connected' | 'left' | 'lost' | 'back' | 'gap';
  at: number;
}

/** A message of one's own; without an id it is still under way. */
export interface Outgoing {
  key: number;
  id?: string;
  to: string;
  text: string;
  sentAt: string;
}

interface Session {
  user: string;
  /** In memory only. */
  token: string | undefined;
  client: Client;
  error: PushwireError | undefined;
  notes: Note[];
  outbox: Outgoing[];
}

/** ?user=alice&to=bob wins over what this tab, then this browser, remembers. */
export const asked = new URLSearchParams(window.location.search);

const MOST_NOTES = 100;
const MOST_SENT = 500;

function firstUser(): string {
  const known = [
    asked.get('user'),
    recall('sessionStorage', 'user'),
    recall('localStorage', 'user'),
  ];
  return known.find(user => user && isName(user)) ?? 'alice';
}

/** What somebody closes is not lost. */
const leaving = new WeakSet<Client>();

function close(client: Client): void {
  leaving.add(client);
  client.close();
}

function open(user: string, token: string | undefined): Client {
  remember('sessionStorage', 'user', user);
  remember('localStorage', 'user', user);
  const client = connect({ user, url: server, ...(token && { token }) });
  let online = false;
  let before = false;
  client.on('state', state => {
    if (client !== session.snapshot.client || online === (state === 'online')) return;
    online = state === 'online';
    const ended = leaving.has(client) ? 'left' : 'lost';
    note(online ? (before ? 'back' : 'connected') : ended);
    before = true;
    if (online) session.set({ error: undefined });
  });
  client.on('gap', ({ resumes }) => {
    if (client === session.snapshot.client) note('gap', timeOf(resumes));
  });
  client.on('error', error => {
    if (client === session.snapshot.client) session.set({ error });
  });
  return client;
}

/** An id begins with the time at which it was given. */
const timeOf = (id: string): number => Number(BigInt(id) >> 20n);

function note(kind: Note['kind'], at = Date.now()): void {
  const notes = [...session.snapshot.notes, { kind, at }].sort((a, b) => a.at - b.at);
  session.set({ notes: notes.slice(-MOST_NOTES) });
}

const user = firstUser();
export const session = new Store<Session>({
  user,
  token: undefined,
  client: open(user, undefined),
  error: undefined,
  notes: [],
  outbox: [],
});

/** Leaves who one was, if that was somebody else. */
export function connectAs(user: string, token?: string): void {
  const old = session.snapshot;
  const same = user === old.user;
  const next = token ?? (same ? old.token : undefined);
  close(old.client);
  session.set({
    user,
    token: next,
    client: open(user, next),
    error: undefined,
    ...(!same && { notes: [], outbox: [] }),
  });
}

export function disconnect(): void {
  close(session.snapshot.client);
}

let keys = 0;

/** Shows it at once, and tells how it went; the client tries for a while. */
export async function send(to: string, text: string): Promise<number> {
  const { client } = session.snapshot;
  const key = ++keys;
  const change = (f: (outbox: Outgoing[]) => Outgoing[]) => {
    if (client === session.snapshot.client) session.set({ outbox: f(session.snapshot.outbox) });
  };
  const sentAt = new Date().toISOString();
  change(outbox => [...outbox.slice(1 - MOST_SENT), { key, to, text, sentAt }]);
  try {
    const { id, delivered } = await client.send({ receiver: to, message: text });
    change(outbox => outbox.map(one => (one.key === key ? { ...one, id } : one)));
    return delivered;
  } catch (error) {
    change(outbox => outbox.filter(one => one.key !== key));
    throw error;
  }
}
