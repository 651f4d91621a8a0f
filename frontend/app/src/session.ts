// Who this tab is: one user, one client, and what happened to the connection. It outlives the views.

import { connect, type Client, type Code, type PushwireError } from 'pushwire';
import { invitation } from './route.js';
import { Sent, type Outgoing } from './sent.js';
import { recall, remember, Store } from './store.js';
import { isName, server } from './server.js';

export interface Note {
  kind: 'connected' | 'left' | 'lost' | 'back' | 'gap';
  at: number;
  /** Why it ended. */
  code?: Code | undefined;
}

export interface Session {
  user: string;
  token: string | undefined;
  client: Client;
  sent: Sent;
  error: PushwireError | undefined;
  notes: Note[];
  /** When the next attempt is. */
  retryAt: number | undefined;
}

const MOST_NOTES = 100;

/** ?user=alice&to=bob, as in links. */
const asked = new URLSearchParams(window.location.search);
export const askedPeer = asked.get('to') ?? undefined;

/** Its user, if a token says so; whether it is good, the server says. */
export function userOf(token: string): string | undefined {
  try {
    const part = token.split('.')[1]!.replace(/-/g, '+').replace(/_/g, '/');
    const bytes = Uint8Array.from(atob(part), sign => sign.charCodeAt(0));
    const { sub } = JSON.parse(new TextDecoder().decode(bytes)) as { sub?: unknown };
    return typeof sub === 'string' && isName(sub) ? sub : undefined;
  } catch {
    return undefined;
  }
}

/** #token=… of a link: out of the address at once, and kept for this tab. */
function tokenOfLink(): string | undefined {
  const found = /^#token=([\w.~+/=-]+)$/.exec(window.location.hash)?.[1];
  if (found === undefined) return recall('sessionStorage', 'token');
  window.history.replaceState(null, '', window.location.pathname + window.location.search);
  remember('sessionStorage', 'token', found);
  return found;
}

/** Nobody yet: then the page asks. */
function firstUser(token: string | undefined): string | undefined {
  const known = [
    token && userOf(token),
    asked.get('user'),
    recall('sessionStorage', 'user'),
    recall('localStorage', 'user'),
  ];
  return known.find(user => user && isName(user)) ?? undefined;
}

/** What somebody closes is not lost. */
const leaving = new WeakSet<Client>();

function note(client: Client, kind: Note['kind'], at = Date.now(), code?: Code): void {
  if (client !== session.snapshot?.client) return;
  const notes = [...session.snapshot.notes, { kind, at, code }].sort((a, b) => a.at - b.at);
  change({ notes: notes.slice(-MOST_NOTES) });
}

function open(user: string, token: string | undefined): Client {
  remember('sessionStorage', 'user', user);
  remember('localStorage', 'user', user);
  const client = connect({ user, url: server, start: 'now', ...(token && { token }) });
  const now = () => client === session.snapshot?.client;
  let online = false;
  let before = false;
  client.on('state', state => {
    if (!now() || online === (state === 'online')) return;
    online = state === 'online';
    if (online) change({ error: undefined, retryAt: undefined });
    const ended = leaving.has(client) ? 'left' : 'lost';
    note(client, online ? (before ? 'back' : 'connected') : ended, Date.now(), whyOf(client));
    before = true;
  });
  client.on('retry', ({ inMs }) => {
    if (now()) change({ retryAt: inMs > 0 ? Date.now() + inMs : undefined });
  });
  client.on('gap', ({ resumes }) => note(client, 'gap', timeOf(resumes)));
  client.on('error', error => {
    if (now()) change({ error });
  });
  return client;
}

const whyOf = ({ reason }: Client): Code | undefined =>
  reason && !reason.code.startsWith('close_') && reason.code !== 'unreachable'
    ? reason.code
    : undefined;

/** An id begins with the time at which it was given. */
const timeOf = (id: string): number => Number(BigInt(id) >> 20n);

/** undefined: nobody has said who one is. */
export const session = new Store<Session | undefined>(undefined);

function change(part: Partial<Session>): void {
  session.set({ ...session.snapshot!, ...part });
}

/** Leaves who one was, if that was somebody else. */
export function connectAs(user: string, token?: string, keep = false): void {
  const old = session.snapshot;
  const same = user === old?.user;
  const next = token ?? (same ? old.token : undefined);
  if (keep && next) remember('sessionStorage', 'token', next);
  if (old) {
    leaving.add(old.client);
    old.client.close();
  }
  if (!same) old?.sent.close();
  const sent = same ? old.sent : new Sent(user);
  const notes = same ? old.notes : [];
  const client = open(user, next);
  session.set({ user, token: next, client, sent, error: undefined, notes, retryAt: undefined });
  // The address follows who one is, so that a reload does.
  const query = asked.get('user') === null ? '' : `?${new URLSearchParams({ user })}`;
  window.history.replaceState(null, '', window.location.pathname + query + window.location.hash);
  for (const one of sent.pending) void deliver(one).catch(() => {});
}

export function disconnect(): void {
  const { client } = session.snapshot!;
  leaving.add(client);
  client.pause();
}

export function reconnect(): void {
  const { client } = session.snapshot!;
  leaving.delete(client);
  client.reconnect();
}

async function deliver(one: Outgoing): Promise<number> {
  const { client, sent } = session.snapshot!;
  const { key, to, text } = one;
  try {
    const { id, delivered } = await client.send({ receiver: to, message: text }, { key });
    sent.put({ ...one, id, delivered: delivered > 0 });
    return delivered;
  } catch (error) {
    if ((error as PushwireError).code !== 'closed') sent.drop(key);
    throw error;
  }
}

/** Shows it at once, and tells how it went; the client tries for a while. */
export function send(to: string, text: string): Promise<number> {
  const key = [0, 0].map(() => Math.random().toString(36).slice(2)).join('');
  const one = { key, to, text, sentAt: new Date().toISOString() };
  session.snapshot!.sent.put(one);
  return deliver(one);
}

/** For the other one's device. */
export const linkFor = (peer: string, user: string): string => invitation(`${server}/`, peer, user);

const token = tokenOfLink();
const user = firstUser(token);
if (user !== undefined) connectAs(user, token);
