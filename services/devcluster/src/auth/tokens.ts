// Bearer tokens: who a request is from. Every valid token may do everything (no RBAC).
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { SkerryError } from '@skerry/common/errors';
import { ApiError } from '../api/status.js';

export interface Token {
  readonly token: string;
  readonly user: string;
}

export interface Authenticator {
  /** The user's name. Throws 401 for everybody else. */
  authenticate(authorization: string | undefined): string;
}

export function createAuthenticator(tokens: readonly Token[]): Authenticator {
  // Digests have one length, so that the comparison tells nothing about a token.
  const known = tokens.map(({ token, user }) => ({ digest: digestOf(token), user }));
  return {
    authenticate: (authorization) => {
      const match = /^bearer +(\S+)$/i.exec(authorization ?? '');
      const digest = digestOf(match?.[1] ?? '');
      const found = known.find((entry) => timingSafeEqual(entry.digest, digest));
      if (match === null || found === undefined) throw new ApiError(401, 'Unauthorized', 'Unauthorized');
      return found.user;
    },
  };
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** Reads lines `token,user,...` as kube-apiserver's static token file has them. Throws `invalid_argument`. */
export async function readTokenFile(path: string): Promise<Token[]> {
  const lines = (await readFile(path, 'utf8')).split('\n').map((line) => line.trim());
  return lines.flatMap((line, index) => {
    if (line === '' || line.startsWith('#')) return [];
    const [token = '', user = ''] = line.split(',').map((part) => part.trim().replace(/^"(.*)"$/, '$1'));
    if (token !== '' && user !== '') return [{ token, user }];
    throw new SkerryError('invalid_argument', `${path}, line ${index + 1}: expected "token,user,..."`);
  });
}
