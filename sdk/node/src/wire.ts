// Made by scripts/sdk-types of docs/api/openapi.yaml; do not edit.

export type paths = Record<string, never>;
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /**
         * @description A user id, or the name of a channel or device: 1 to 128 bytes of UTF-8 without control
         *     characters and without `/`, and neither `.` nor `..`
         */
        Name: string;
        /**
         * @description Rises with time, never repeats; text order is number order
         * @example 1893456789012345678
         */
        Id: string;
        /** @description An id that was given out, or `0` */
        Cursor: string;
        /**
         * Format: date-time
         * @description RFC 3339, UTC, milliseconds
         */
        Time: string;
        Count: number;
        /** @description A message to be sent, or an event */
        Draft: ({
            /** @description Who sends it, without `]`. Required, unless key or token fixes it */
            sender?: components["schemas"]["Name"];
            /** @description One user */
            receiver?: components["schemas"]["Name"];
            /** @description Several users; one message with one id */
            receivers?: components["schemas"]["Name"][];
            /** @description Who listens to it */
            channel?: components["schemas"]["Name"];
            /**
             * @description Everyone
             * @constant
             */
            broadcast?: true;
            /**
             * @description Any JSON, at most `max_message`. For inboxes
             *     `{"title","body"?,"url"?,"icon"?,"tag"?,"data"?}` is recommended; a string is the title.
             *     With `event` its one argument
             */
            message?: unknown;
            event?: components["schemas"]["EventName"];
            /** @description The arguments of the event, in the place of `message` */
            args?: components["schemas"]["Args"];
            attachments?: components["schemas"]["Attachments"];
            /** @description The id of a session, which does not get it */
            except?: components["schemas"]["SessionId"];
            /** @description Seconds for which it is kept for the absent. 0, only for who is online */
            ttl?: number;
            /** @description Makes a retry safe; or header `Idempotency-Key` */
            key?: string;
        } | unknown | unknown) & (unknown | unknown | unknown | unknown);
        /**
         * @description 1 to 128 bytes, none of Socket.IO's own (`connect`, `connect_error`, `disconnect`,
         *     `disconnecting`, `newListener`, `removeListener`), and not beginning with `pushwire:`
         */
        EventName: string;
        Args: unknown[];
        /** @description Base64 texts: the bytes that `{"_placeholder":true,"num":n}` in the arguments stands for, n from 0 */
        Attachments: string[];
        SessionId: string;
        /** @description What has come of a message */
        Receipt: {
            /** @constant */
            status: "Message sent";
            id: components["schemas"]["Id"];
            /** @description Sessions that were open at the address; not of a duplicate */
            delivered?: components["schemas"]["Count"];
            /**
             * @description This key came before; nothing was sent again
             * @constant
             */
            duplicate?: true;
            /** @description It waits for who is away */
            kept: boolean;
            /** @description It is on disk */
            durable: boolean;
            /** @description Where it went to several */
            receivers?: {
                receiver: components["schemas"]["Name"];
                delivered: components["schemas"]["Count"];
            }[];
            /** @description Fields that were not understood; `…` stands for others */
            ignored?: string[];
        };
        /** @description A line that was sent */
        LineReceipt: {
            /** @description Of the line, from 0; blank lines are not counted */
            index: components["schemas"]["Count"];
            /** @constant */
            status: "Message sent";
            id: components["schemas"]["Id"];
            delivered?: components["schemas"]["Count"];
            /** @constant */
            duplicate?: true;
            kept: boolean;
            durable: boolean;
            receivers?: {
                receiver: components["schemas"]["Name"];
                delivered: components["schemas"]["Count"];
            }[];
            ignored?: string[];
        };
        /** @description A line that was refused, or the first of those that were not taken */
        LineProblem: {
            index: components["schemas"]["Count"];
            /** @description What it would have been as a request of its own */
            status: number;
            code: components["schemas"]["Code"];
            field?: string;
            detail: string;
        };
        LineResult: components["schemas"]["LineReceipt"] | components["schemas"]["LineProblem"];
        Message: {
            id: components["schemas"]["Id"];
            sender: components["schemas"]["Name"];
            /** @description Where it came by one */
            channel?: components["schemas"]["Name"];
            /** @description Any JSON, as it was written; of an event its one argument */
            message?: unknown;
            /** @description What the event is called, where it is one */
            event?: components["schemas"]["EventName"];
            /** @description Its arguments, in the place of `message` where there is not exactly one */
            args?: components["schemas"]["Args"];
            attachments?: components["schemas"]["Attachments"];
            sent_at: components["schemas"]["Time"];
        } | unknown | unknown;
        /** @description In the place of a message that is larger than `max` */
        Outline: {
            /** @constant */
            type: "too_large";
            id: components["schemas"]["Id"];
            sender: components["schemas"]["Name"];
            channel?: components["schemas"]["Name"];
            event?: components["schemas"]["EventName"];
            /** @description Of its `message`, or of the event with all that it brings, in bytes of JSON */
            size: components["schemas"]["Count"];
            /** @description A cursor behind which it is the first */
            after: components["schemas"]["Id"];
            kept: boolean;
            sent_at: components["schemas"]["Time"];
        };
        /** @description Messages after the cursor `after` are gone; nothing that is gone has a greater id than `resumes` */
        Gap: {
            after: components["schemas"]["Id"];
            resumes: components["schemas"]["Id"];
        } | null;
        History: {
            messages: components["schemas"]["Message"][];
            /** @description Where the next page begins; `null` where a descending one found nothing */
            next: string | null;
            more: boolean;
            gap: components["schemas"]["Gap"];
        };
        Page: {
            messages: (components["schemas"]["Message"] | components["schemas"]["Outline"])[];
            /** @description The cursor for the next poll */
            next: components["schemas"]["Id"];
            /** @description There is more after this page */
            more: boolean;
            gap: components["schemas"]["Gap"];
        };
        Presence: {
            user: components["schemas"]["Name"];
            online: boolean;
            sessions: components["schemas"]["Count"];
            last_seen: components["schemas"]["LastSeen"];
        };
        /**
         * Format: date-time
         * @description `null` where nobody remembers
         */
        LastSeen: string | null;
        Session: {
            id: string;
            /** @enum {unknown} */
            transport: "websocket" | "sse" | "poll";
            since: components["schemas"]["Time"];
            /** @description It reads what is kept, and is not given messages as they come */
            behind: boolean;
            device?: components["schemas"]["Name"];
        };
        User: {
            user: components["schemas"]["Name"];
            online: boolean;
            sessions: components["schemas"]["Session"][];
            last_seen: components["schemas"]["LastSeen"];
        };
        KeptMessage: {
            id: components["schemas"]["Id"];
            /** @constant */
            kept: true;
            durable: boolean;
            acks: {
                user: components["schemas"]["Name"];
                device: components["schemas"]["Name"];
                /** @description When its cursor last moved */
                at: components["schemas"]["Time"];
            }[];
        };
        TokenDraft: {
            user: components["schemas"]["Name"];
            /** @description Names, or beginnings with `*`, that it may hear */
            channels?: string[];
            /** @description Whether it may send, and to which channels */
            publish?: boolean | string[];
            /**
             * @description Seconds
             * @default 3600
             */
            ttl: number;
        };
        Token: {
            token: string;
            user: components["schemas"]["Name"];
            expires_at: components["schemas"]["Time"];
        };
        /** @description RFC 9457 */
        Problem: {
            /**
             * Format: uri-reference
             * @description The code's section of the page about errors
             */
            type: string;
            title: string;
            status: number;
            code: components["schemas"]["Code"];
            /** @description The field or parameter that it is about */
            field?: string;
            detail: string;
            request_id: string;
        };
        /**
         * @description What it is; /docs/errors tells of each
         * @enum {unknown}
         */
        Code: "bad_request" | "bad_json" | "bad_id" | "bad_parameter" | "bad_handshake" | "unauthorized" | "token_expired" | "origin_not_allowed" | "host_not_allowed" | "forbidden" | "missing_scope" | "kicked" | "not_found" | "method_not_allowed" | "request_timeout" | "key_conflict" | "in_flight" | "body_too_large" | "message_too_large" | "uri_too_long" | "unsupported_media_type" | "missing_field" | "bad_field" | "too_many_channels" | "upgrade_required" | "too_many_requests" | "too_many_sessions_of_user" | "too_many_sessions_of_ip" | "head_too_large" | "unreadable" | "not_implemented" | "stopping" | "too_many_sessions" | "out_of_memory" | "overloaded" | "broker_down" | "no_room" | "too_many_lines";
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type Name = components['schemas']['Name'];
export type Id = components['schemas']['Id'];
export type Cursor = components['schemas']['Cursor'];
export type Time = components['schemas']['Time'];
export type Count = components['schemas']['Count'];
export type Draft = components['schemas']['Draft'];
export type EventName = components['schemas']['EventName'];
export type Args = components['schemas']['Args'];
export type Attachments = components['schemas']['Attachments'];
export type SessionId = components['schemas']['SessionId'];
export type Receipt = components['schemas']['Receipt'];
export type LineReceipt = components['schemas']['LineReceipt'];
export type LineProblem = components['schemas']['LineProblem'];
export type LineResult = components['schemas']['LineResult'];
export type Message = components['schemas']['Message'];
export type Outline = components['schemas']['Outline'];
export type Gap = components['schemas']['Gap'];
export type History = components['schemas']['History'];
export type Page = components['schemas']['Page'];
export type Presence = components['schemas']['Presence'];
export type LastSeen = components['schemas']['LastSeen'];
export type Session = components['schemas']['Session'];
export type User = components['schemas']['User'];
export type KeptMessage = components['schemas']['KeptMessage'];
export type TokenDraft = components['schemas']['TokenDraft'];
export type Token = components['schemas']['Token'];
export type Problem = components['schemas']['Problem'];
export type Code = components['schemas']['Code'];
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
