// Sends messages by a Pushwire server. Each arrives once, whatever happens on the way: a message has a
// key, and what was not answered is sent again with the same key.

export { Pushwire } from './pushwire.js';
export { PushwireError } from './errors.js';
export { signToken, type SignOptions } from './tokens.js';
export type {
  Asking,
  Gap,
  HistoryOptions,
  Options,
  Outgoing,
  Page,
  Presence,
  SendOptions,
  Sent,
  Stored,
  Token,
  TokenOptions,
} from './types.js';
