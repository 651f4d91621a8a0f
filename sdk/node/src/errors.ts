// What goes wrong, as one class.

import type { Sent } from './types.js';

/** The answer may be another one the next time. */
const PASSING = [408, 425, 429, 502, 503, 504];

export interface Problem {
  status?: number | undefined;
  field?: string | undefined;
  retryAfterMs?: number | undefined;
  requestId?: string | undefined;
}

/**
 * Why a call failed. `code` is one of the server's (its /docs/errors tells them), `http_502` and the like
 * where somebody before it answered, or ours: `unreachable`, `bad_answer`, `bad_field`, `aborted`.
 */
export class PushwireError extends Error {
  override readonly name = 'PushwireError';
  readonly code: string;
  readonly detail: string;
  /** Of HTTP; without it there was no answer. */
  readonly status: number | undefined;
  /** The field of the message that is wrong. */
  readonly field: string | undefined;
  /** How soon to try again, where the server said so. */
  readonly retryAfterMs: number | undefined;
  /** As in the server's log. */
  readonly requestId: string | undefined;
  /** Of sendMany: what became of the messages before. */
  results: (Sent | PushwireError)[] = [];

  constructor(code: string, detail: string, more: Problem & { cause?: unknown } = {}) {
    super(`${code}: ${detail}`, more.cause === undefined ? undefined : { cause: more.cause });
    this.code = code;
    this.detail = detail;
    this.status = more.status;
    this.field = more.field;
    this.retryAfterMs = more.retryAfterMs;
    this.requestId = more.requestId;
  }

  /** Whether the same call may succeed later. */
  get passes(): boolean {
    return ['unreachable', 'in_flight'].includes(this.code) || PASSING.includes(this.status ?? 0);
  }
}

const text = (value: unknown): string | undefined =>
  typeof value === 'string' ? value : undefined;

/** What a problem document, or the result of one line, says. */
export function ofProblem(
  told: unknown,
  status: number,
  retryAfter?: string | null,
): PushwireError {
  const { code, detail, field, request_id } = Object(told) as Record<string, unknown>;
  const seconds = retryAfter ? Number(retryAfter) : NaN; // the form with a date is for who uses it
  return new PushwireError(
    text(code) ?? `http_${status}`,
    text(detail) ?? `the answer is ${status}`,
    {
      status,
      field: text(field),
      requestId: text(request_id),
      retryAfterMs: seconds >= 0 ? seconds * 1000 : undefined,
    },
  );
}
