// Bearer tokens: who a request is from. Static tokens may do everything (there is no RBAC); service accounts may look at discovery only, as
// without any role on a real cluster.
import { createHash, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { SkerryError } from '@skerry/common/errors';
import { ApiError } from '../api/status.js';

export interface Token {
  readonly token: string;
  readonly user: string;
}

export interface User {
  readonly name: string;
  /** May do everything. */
  readonly admin: boolean;
}

export interface Authenticator {
  /** Throws 401 for a request without a valid token. */
  authenticate(authorization: string | undefined): User;
}

/** `serviceAccountOf` names the account of a token of ours, or undefined. */
export function createAuthenticator(
  tokens: readonly Token[],
  serviceAccountOf: (token: string) => string | undefined,
): Authenticator {
  // Digests have one length, so that the comparison tells nothing about a token.
  const known = tokens.map(({ token, user }) => ({ digest: digestOf(token), user }));
  return {
    authenticate: (authorization) => {
      const token = /^bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
      if (token !== undefined) {
        const digest = digestOf(token);
        const found = known.find((entry) => timingSafeEqual(entry.digest, digest));
        if (found !== undefined) return { name: found.user, admin: true };
        const account = serviceAccountOf(token);
        if (account !== undefined) return { name: account, admin: false };
      }
      throw new ApiError(401, 'Unauthorized', 'Unauthorized');
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
