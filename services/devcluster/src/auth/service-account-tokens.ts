// Tokens of service accounts (TokenRequest): signed, short-lived, bound to an audience and, if asked for, to a Pod, Node or Secret.
// Invariant: a token is only as good as what it is bound to: gone or recreated, it is refused.
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { SkerryError, systemCode } from '@skerry/common/errors';
import { at, type KubeObject, listAt, textAt } from '../api/objects.js';
import { writePrivate } from './certificates.js';

export const ISSUER = 'https://kubernetes.default.svc.cluster.local';

export interface TokenClaims {
  readonly audiences: readonly string[];
  readonly namespace: string;
  readonly serviceAccount: { readonly name: string; readonly uid: string };
  readonly bound?: { readonly kind: 'Pod' | 'Node' | 'Secret'; readonly name: string; readonly uid: string };
  /** Unix seconds. */
  readonly issuedAt: number;
  readonly expiresAt: number;
  readonly id: string;
}

export interface TokenSigner {
  issue(claims: TokenClaims): string;
  /** Undefined for anything that this cluster did not sign or that is over. */
  read(token: string, nowSeconds: number): TokenClaims | undefined;
}

/** The key is kept in `path`, so that tokens outlive a restart. */
export async function createTokenSigner(path: string): Promise<TokenSigner> {
  const privateKey = (await loadKey(path)) ?? (await createKey(path));
  const publicKey = createPublicKey(privateKey);
  const dsaEncoding = 'ieee-p1363';
  return {
    issue: (claims) => {
      const content = `${encode({ alg: 'ES256', typ: 'JWT' })}.${encode(toPayload(claims))}`;
      return `${content}.${sign('sha256', Buffer.from(content), { key: privateKey, dsaEncoding }).toString('base64url')}`;
    },
    read: (token, nowSeconds) => {
      const [head = '', body = '', signature = '', ...more] = token.split('.');
      if (more.length > 0 || signature === '') return undefined;
      const content = Buffer.from(`${head}.${body}`);
      if (!verify('sha256', content, { key: publicKey, dsaEncoding }, Buffer.from(signature, 'base64url')))
        return undefined;
      const claims = fromPayload(JSON.parse(Buffer.from(body, 'base64url').toString('utf8')));
      return nowSeconds < claims.expiresAt ? claims : undefined;
    },
  };
}

async function loadKey(path: string): Promise<KeyObject | undefined> {
  try {
    return createPrivateKey(await readFile(path, 'utf8'));
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw new SkerryError('data_loss', `the key ${path} can not be read: remove it to make a new one`, {
      cause: error,
    });
  }
}

async function createKey(path: string): Promise<KeyObject> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  await writePrivate(path, String(privateKey.export({ type: 'pkcs8', format: 'pem' })));
  return privateKey;
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function toPayload(claims: TokenClaims): object {
  const { namespace, serviceAccount, bound, issuedAt, expiresAt, id } = claims;
  return {
    iss: ISSUER,
    sub: userOf(claims),
    aud: claims.audiences,
    iat: issuedAt,
    nbf: issuedAt,
    exp: expiresAt,
    jti: id,
    'kubernetes.io': {
      namespace,
      serviceaccount: serviceAccount,
      ...(bound === undefined ? {} : { [bound.kind.toLowerCase()]: { name: bound.name, uid: bound.uid } }),
    },
  };
}

/** Of a payload whose signature was checked. */
function fromPayload(payload: unknown): TokenClaims {
  const own = at(payload, 'kubernetes.io');
  const reference = (field: string) => ({ name: textAt(own, field, 'name'), uid: textAt(own, field, 'uid') });
  const kind = (['Pod', 'Node', 'Secret'] as const).find((item) => at(own, item.toLowerCase()) !== undefined);
  return {
    audiences: listAt(payload, 'aud').map(String),
    namespace: textAt(own, 'namespace'),
    serviceAccount: reference('serviceaccount'),
    ...(kind === undefined ? {} : { bound: { kind, ...reference(kind.toLowerCase()) } }),
    issuedAt: Number(at(payload, 'iat')),
    expiresAt: Number(at(payload, 'exp')),
    id: textAt(payload, 'jti'),
  };
}

export function userOf({ namespace, serviceAccount }: Pick<TokenClaims, 'namespace' | 'serviceAccount'>): string {
  return `system:serviceaccount:${namespace}:${serviceAccount.name}`;
}

/** True while the account and what the token is bound to exist under the UIDs it names. `find` looks into the store. */
export function isAlive(
  claims: TokenClaims,
  find: (collection: string, namespace: string, name: string) => KubeObject | undefined,
): boolean {
  const { namespace, serviceAccount, bound } = claims;
  if (find('serviceaccounts', namespace, serviceAccount.name)?.metadata.uid !== serviceAccount.uid) return false;
  if (bound === undefined) return true;
  const collection = `${bound.kind.toLowerCase()}s`;
  return find(collection, bound.kind === 'Node' ? '' : namespace, bound.name)?.metadata.uid === bound.uid;
}
