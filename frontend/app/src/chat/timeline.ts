// What a conversation shows, oldest first: what came, what was sent, and what became of the
// connection. An entry stays the same object while nothing of it changes, so that only new lines are
// rendered.

import type { Code, Message } from 'pushwire';
import type { Note } from '../session.js';
import type { Outgoing } from '../sent.js';

export type Entry =
  | {
      kind: 'message';
      key: string;
      from: string;
      /** Of one's own messages: to whom. */
      to?: string;
      pending?: boolean;
      delivered?: boolean | undefined;
      at: number;
      message: unknown;
    }
  | { kind: 'day'; key: string; at: number }
  | {
      kind: 'note';
      key: string;
      note: Note['kind'];
      at: number;
      /** Of a return: how many came meanwhile; undefined: nobody can know. */
      missed: number | undefined;
      code: Code | undefined;
    };

type MessageEntry = Extract<Entry, { kind: 'message' }>;

const came = ({ id, sender, sentAt, message }: Message): MessageEntry => ({
  kind: 'message',
  key: id,
  from: sender,
  at: Date.parse(sentAt),
  message,
});

const went = ({ id, key, to, text, sentAt, delivered }: Outgoing): MessageEntry => ({
  kind: 'message',
  key: id ?? `pending ${key}`,
  from: '',
  to,
  at: Date.parse(sentAt),
  message: text,
  ...(id ? { delivered } : { pending: true }),
});

/** By id: what one sends to oneself is there once, as it came. */
function messages(items: readonly Message[], sent: readonly Outgoing[]): MessageEntry[] {
  const byId = new Map<string, MessageEntry>();
  for (const one of sent) if (one.id) byId.set(one.id, went(one));
  for (let at = items.length - 1; at >= 0; at--) byId.set(items[at]!.id, came(items[at]!));
  return [...byId.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** Notes come in the order of their times. One stands before what was sent after it; of a return it
 * tells how much came meanwhile. */
export function timeline(
  items: readonly Message[],
  sent: readonly Outgoing[],
  notes: readonly Note[],
): Entry[] {
  const entries: Entry[] = [];
  const left = messages(items, sent);
  let next = 0;
  let lost = Infinity;
  let gap = false;
  for (const { kind: note, at, code } of notes) {
    let missed: number | undefined = 0;
    for (; next < left.length && left[next]!.at <= at; next++) {
      entries.push(left[next]!);
      if (!left[next]!.to && left[next]!.at > lost) missed++;
    }
    gap = note === 'gap' || (gap && note !== 'lost');
    if (gap && note === 'back') missed = undefined;
    entries.push({ kind: 'note', key: `${note} ${at}`, note, at, missed, code });
    if (note === 'lost') lost = at;
  }
  for (; next < left.length; next++) entries.push(left[next]!);
  for (const one of sent) if (!one.id) entries.push(went(one));
  return withDays(entries);
}

/** A line before the first message of each day. */
function withDays(entries: readonly Entry[]): Entry[] {
  const all: Entry[] = [];
  let end = -Infinity;
  for (const entry of entries) {
    if (entry.kind === 'message' && entry.at >= end) {
      const day = new Date(entry.at);
      const start = day.setHours(0, 0, 0, 0);
      end = day.setDate(day.getDate() + 1);
      all.push({ kind: 'day', key: `day ${start}`, at: start });
    }
    all.push(entry);
  }
  return all;
}

const FIELDS = ['note', 'missed', 'code', 'pending', 'delivered', 'message'] as const;

/** The new entries, but the old object wherever it says the same. */
export function keepSame(old: readonly Entry[], entries: readonly Entry[]): Entry[] {
  const byKey = new Map(old.map(entry => [entry.key, entry as Record<string, unknown>]));
  return entries.map(entry => {
    const known = byKey.get(entry.key);
    const mine = entry as Record<string, unknown>;
    return known && FIELDS.every(field => known[field] === mine[field])
      ? (known as unknown as Entry)
      : entry;
  });
}

export interface Conversation {
  peer: string;
  last: MessageEntry;
  unread: number;
}

/** By peer, the latest first. */
export function conversations(
  items: readonly Message[],
  sent: readonly Outgoing[],
  isRead: (id: string) => boolean,
): Conversation[] {
  const all = new Map<string, Conversation>();
  const put = (peer: string, last: MessageEntry, unread: number) => {
    const known = all.get(peer);
    if (!known) all.set(peer, { peer, last, unread });
    else {
      known.unread += unread;
      if (last.at > known.last.at) known.last = last;
    }
  };
  for (const item of items) {
    if (item.channel === undefined) put(item.sender, came(item), isRead(item.id) ? 0 : 1);
  }
  for (const one of sent) put(one.to, went(one), 0);
  return [...all.values()].sort((a, b) => b.last.at - a.last.at);
}
