export { connect } from './client.js';
export { PushwireError } from './types.js';
export type {
  Client,
  ConnectOptions,
  Events,
  Gap,
  HistoryOptions,
  Message,
  Outgoing,
  SendOptions,
  Sent,
  State,
  TransportName,
  WebSocketLike,
} from './types.js';
