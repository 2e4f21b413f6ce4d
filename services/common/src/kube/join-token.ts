// Join tokens in the cluster: the Secrets that stand for them, and making one. The command line makes them, edgecontroller takes them in.
// Invariant: a Secret holds the hash of its token's secret, never the secret.
import type { Clock } from '../clock.js';
import { SkerryError } from '../errors.js';
import { formatJoinToken, newJoinToken, secretHashOf } from '../pki/join-token.js';
import { checkNodeName } from '../pki/names.js';
import type { KubeClient } from './client.js';
import { isNotFound } from './kube-error.js';
import { SECRETS, type Secret } from './resources.js';

/** Where everything that is Skerry's own lives in the cluster. */
export const SYSTEM_NAMESPACE = 'skerry-system';
/** cloudhub's serving certificate; its `ca.crt` is the private CA. */
export const HUB_TLS_SECRET = 'cloudhub-tls';
export const JOIN_TOKEN_TYPE = 'skerry.dev/join-token';
export const JOIN_TOKEN_LABELS = { 'app.kubernetes.io/part-of': 'skerry', 'skerry.dev/kind': 'join-token' } as const;
export const joinTokenSecretName = (id: string): string => `join-token-${id}`;

/** Data of a token's Secret, decoded. */
export interface JoinTokenRecord {
  readonly secretHash: string;
  /** ISO 8601. */
  readonly expiresAt: string;
  /** Only this node may use it. */
  readonly node?: string;
  /** Set when it was used: by which node, and with which key (SHA-256 of the SubjectPublicKeyInfo, hex). */
  readonly usedByNode?: string;
  readonly usedByKey?: string;
}

export interface CreateJoinTokenOptions {
  readonly kube: KubeClient;
  readonly caCertPem: string;
  readonly ttlMs: number;
  /** Bind it to this name: it may then replace the certificate of a node that exists. */
  readonly node?: string;
  readonly clock: Clock;
}

/** Longer than this a token is no longer short-lived. */
const MAX_TTL_MS = 7 * 86_400_000;

/** Makes a token and returns its text, which is kept nowhere. Throws `invalid_argument` or a KubeError. */
export async function createJoinToken(options: CreateJoinTokenOptions): Promise<string> {
  const { kube, caCertPem, ttlMs, node, clock } = options;
  if (node !== undefined) checkNodeName(node);
  if (!(ttlMs > 0 && ttlMs <= MAX_TTL_MS))
    throw new SkerryError('invalid_argument', `a join token lives between 1 ms and 7 days, not ${ttlMs} ms`);
  const token = newJoinToken(caCertPem);
  const record: JoinTokenRecord = {
    secretHash: secretHashOf(token.secret),
    expiresAt: new Date(clock.nowMs() + ttlMs).toISOString(),
    ...(node !== undefined && { node }),
  };
  await kube.create(SECRETS, {
    metadata: {
      name: joinTokenSecretName(token.id),
      namespace: SYSTEM_NAMESPACE,
      labels: { ...JOIN_TOKEN_LABELS },
    },
    type: JOIN_TOKEN_TYPE,
    data: encodeSecretData(record),
  });
  return formatJoinToken(token);
}

/** The private CA's certificate, PEM. Throws `failed_precondition` while edgecontroller has not made it. */
export async function readCaCertificate(kube: KubeClient): Promise<string> {
  try {
    const secret = await kube.get(SECRETS, { namespace: SYSTEM_NAMESPACE, name: HUB_TLS_SECRET });
    const pem = decodeSecretData(secret)['ca.crt'];
    if (pem) return pem;
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  throw new SkerryError(
    'failed_precondition',
    `Secret ${SYSTEM_NAMESPACE}/${HUB_TLS_SECRET} has no ca.crt yet: edgecontroller writes it when it starts`,
  );
}

/** What a join-token Secret says; undefined when it is not one. */
export function joinTokenRecordOf(secret: Secret): JoinTokenRecord | undefined {
  if (secret.type !== JOIN_TOKEN_TYPE) return undefined;
  const { secretHash = '', expiresAt = '', node, usedByNode, usedByKey } = decodeSecretData(secret);
  if (Number.isNaN(Date.parse(expiresAt))) return undefined;
  return {
    secretHash,
    expiresAt,
    ...(node && { node }),
    ...(usedByNode && { usedByNode }),
    ...(usedByKey && { usedByKey }),
  };
}

/** Base64, as Secret.data wants it. */
export function encodeSecretData(values: object): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, Buffer.from(String(value), 'utf8').toString('base64')]),
  );
}

export function decodeSecretData(secret: Secret): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(secret.data ?? {}).map(([name, value]) => [name, Buffer.from(value, 'base64').toString('utf8')]),
  );
}
