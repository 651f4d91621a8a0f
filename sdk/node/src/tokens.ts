// Tokens for receivers, signed here: for backends that share the server's `jwt_secret_file`.

import { createHmac } from 'node:crypto';

export interface SignOptions {
  /** Seconds; default: 3600. */
  ttl?: number | undefined;
  /** Names, or beginnings that end in `*`. */
  channels?: readonly string[] | undefined;
  /** Whether, or to which channels, the user may send. */
  publish?: boolean | readonly string[] | undefined;
  prefix?: string | undefined;
  issuer?: string | undefined;
  audience?: string | undefined;
}

const pack = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token with which `user` may receive. `secret` is a line of the server's `jwt_secret_file`. */
export function signToken(secret: string, user: string, options: SignOptions = {}): string {
  const { ttl = 3600, channels, publish, prefix, issuer, audience } = options;
  if (Buffer.byteLength(secret) < 32) throw new RangeError('a secret has at least 32 bytes');
  const iat = Math.floor(Date.now() / 1000);
  const exp = iat + Math.floor(ttl);
  const claims = { sub: user, iat, exp, channels, publish, prefix, iss: issuer, aud: audience };
  const signed = `${pack({ alg: 'HS256', typ: 'JWT' })}.${pack(claims)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}
