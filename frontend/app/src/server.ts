// The server this page came from, and plain requests to it.

import { PushwireError } from 'pushwire';

/** Without a slash at its end. In development the page comes from vite, the server stands beside it. */
export const server = (
  import.meta.env.DEV ? 'http://localhost:8000' : new URL('.', window.location.href).href
).replace(/\/$/, '');

export const socketUrl = (path: string): string => server.replace(/^http/, 'ws') + path;

/** The server's rule for users, channels and rooms; it counts bytes. */
export function isName(text: string, most = 128): boolean {
  const proper = /^(?!\.\.?$)[^/\x00-\x1f\x7f-\x9f]+$/.test(text);
  return proper && new TextEncoder().encode(text).length <= most;
}

interface Call {
  body?: object | undefined;
  /** A key or token. */
  credential?: string | undefined;
}

const ANSWER_MS = 10_000;

/** POST when there is a body. Throws a PushwireError for whatever is no success. */
export async function ask(path: string, { body, credential }: Call = {}): Promise<Response> {
  const response = await fetch(server + path, {
    signal: AbortSignal.timeout(ANSWER_MS),
    headers: {
      ...(body && { 'Content-Type': 'application/json' }),
      ...(credential && { Authorization: `Bearer ${credential}` }),
    },
    ...(body && { method: 'POST', body: JSON.stringify(body) }),
  }).catch((error: unknown) => {
    throw new PushwireError('unreachable', String(error));
  });
  if (response.ok) return response;
  const { status } = response;
  const { code, detail, field } = await response.json().catch(() => ({}));
  throw new PushwireError(code ?? `http_${status}`, detail ?? `HTTP ${status}`, { status, field });
}

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** The command that sends this body. A credential is named, not shown. */
export function curlLine(body: object, guarded: boolean, base: string = server): string {
  const url = base.replace(/^http:\/\//, '') + '/send-message';
  return [
    'curl',
    /^[\w.:/-]+$/.test(url) ? url : quote(url),
    ...(guarded ? ['-H "Authorization: Bearer $KEY"'] : []),
    '-d',
    quote(JSON.stringify(body)),
  ].join(' ');
}
