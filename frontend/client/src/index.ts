export { connect } from './client.js';
export { PushwireError } from './types.js';
export type {
  ChannelHandlers,
  ChannelState,
  Client,
  Code,
  ConnectOptions,
  CursorStorage,
  Events,
  Gap,
  HistoryOptions,
  Message,
  Outgoing,
  Retry,
  SendOptions,
  Sent,
  State,
  TooLarge,
  TransportName,
  Unsubscribed,
  WebSocketLike,
} from './types.js';
