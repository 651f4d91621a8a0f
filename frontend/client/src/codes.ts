// What can go wrong, by name. A test holds the first list to the server's own.

/** docs/errors.md tells what to do about each. */
export type ServerCode =
  | 'bad_request'
  | 'bad_json'
  | 'bad_id'
  | 'bad_parameter'
  | 'bad_handshake'
  | 'unauthorized'
  | 'token_expired'
  | 'origin_not_allowed'
  | 'host_not_allowed'
  | 'forbidden'
  | 'missing_scope'
  | 'not_found'
  | 'method_not_allowed'
  | 'request_timeout'
  | 'key_conflict'
  | 'in_flight'
  | 'body_too_large'
  | 'message_too_large'
  | 'too_many_lines'
  | 'uri_too_long'
  | 'unsupported_media_type'
  | 'missing_field'
  | 'bad_field'
  | 'upgrade_required'
  | 'too_many_requests'
  | 'head_too_large'
  | 'unreadable'
  | 'not_implemented'
  | 'stopping'
  | 'too_many_sessions'
  | 'out_of_memory'
  | 'overloaded'
  | 'broker_down'
  | 'no_room'
  | 'peer_closed'
  | 'connection_lost'
  | 'protocol'
  | 'bad_utf8'
  | 'too_many_fragments'
  | 'frame_too_large'
  | 'bad_frame'
  | 'kicked'
  | 'no_heartbeat'
  | 'gap'
  | 'too_many_sessions_of_user'
  | 'too_many_channels'
  | 'too_many_sessions_of_ip'
  | 'stalled';

/** unreachable: no answer. aborted: by a signal. closed: the client is. bad_answer: no JSON.
 * token_failed: the application's own function did. http_502 and the like: an answer that is not
 * the server's, but of something before it. close_1006 and the like: a close without a word. */
export type ClientCode =
  | 'unreachable'
  | 'aborted'
  | 'closed'
  | 'bad_answer'
  | 'token_failed'
  | `http_${number}`
  | `close_${number}`;

export type Code = ServerCode | ClientCode;
