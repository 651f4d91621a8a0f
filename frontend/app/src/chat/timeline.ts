// What the chat shows, oldest first: what came, what was sent, and what became of the connection.

import type { Message } from 'pushwire';
import type { Note, Outgoing } from '../session.js';

export type Entry =
  | {
      kind: 'message';
      key: string;
      from: string;
      /** Of one's own messages: to whom. */
      to?: string;
      pending?: boolean;
      sentAt: string;
      message: unknown;
    }
  | { kind: 'note'; key: string; note: Note['kind']; at: number; missed: number };

type MessageEntry = Extract<Entry, { kind: 'message' }>;

/** By id: what one sends to oneself is there once, as it came. */
function messages(items: readonly Message[], outbox: readonly Outgoing[]): MessageEntry[] {
  const byId = new Map<string, MessageEntry>();
  for (const { id, to, text, sentAt } of outbox) {
    if (id) byId.set(id, { kind: 'message', key: id, from: '', to, sentAt, message: text });
  }
  for (const { id, sender, sentAt, message } of items) {
    byId.set(id, { kind: 'message', key: id, from: sender, sentAt, message });
  }
  return [...byId.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}

const timeOf = (entry: MessageEntry): number => Date.parse(entry.sentAt);

/** Notes come in the order of their times. One stands before what was sent after it; of a return it tells how much came meanwhile. */
export function timeline(
  items: readonly Message[],
  outbox: readonly Outgoing[],
  notes: readonly Note[],
): Entry[] {
  const entries: Entry[] = [];
  const left = messages(items, outbox);
  let lost = Infinity;
  for (const { kind: note, at } of notes) {
    const end = left.findIndex(entry => timeOf(entry) > at);
    const before = left.splice(0, end < 0 ? left.length : end);
    const missed = before.filter(entry => !entry.to && timeOf(entry) > lost).length;
    entries.push(...before, { kind: 'note', key: `${note} ${at}`, note, at, missed });
    if (note === 'lost') lost = at;
  }
  entries.push(...left);
  for (const { key, id, to, text, sentAt } of outbox) {
    const pending = { from: '', to, sentAt, message: text, pending: true };
    if (!id) entries.push({ kind: 'message', key: `pending ${key}`, ...pending });
  }
  return entries;
}
