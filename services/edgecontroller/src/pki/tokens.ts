// Redeeming join tokens: one token buys one certificate. Its Secret remembers by whom and for which key it was used.
// Invariants: the binding is written, by an optimistic update, before a certificate is signed; the same node with the same key gets an
// answer again (its first one may have been lost), any other is refused.
import type { Clock } from '@skerry/common/clock';
import { SkerryError } from '@skerry/common/errors';
import type { KubeClient } from '@skerry/common/kube/client';
import {
  encodeSecretData,
  JOIN_TOKEN_LABELS,
  type JoinTokenRecord,
  joinTokenRecordOf,
  joinTokenSecretName,
  SYSTEM_NAMESPACE,
} from '@skerry/common/kube/join-token';
import { isConflict, isNotFound } from '@skerry/common/kube/kube-error';
import { SECRETS, type Secret } from '@skerry/common/kube/resources';
import { parseCredential, secretMatches } from '@skerry/common/pki/join-token';

/** Who wants to use a token. */
export interface Claimant {
  readonly node: string;
  /** SHA-256 of the SubjectPublicKeyInfo, hex. */
  readonly keyHash: string;
}

export type Verdict =
  /** Never used. `bound`: made for this very node. */
  | { readonly kind: 'fresh'; readonly bound: boolean }
  /** Used before by the same node with the same key. */
  | { readonly kind: 'again' }
  | { readonly kind: 'refused'; readonly error: SkerryError };

/** Judges a token whose record was found. An unknown id and a wrong secret are told apart by nobody. */
export function judge(record: JoinTokenRecord | undefined, secret: string, by: Claimant, nowMs: number): Verdict {
  if (record === undefined || !secretMatches(secret, record.secretHash))
    return refused('unauthenticated', 'the join token is unknown: it was never made, or it expired and was removed');
  if (nowMs >= Date.parse(record.expiresAt))
    return refused('unauthenticated', `the join token expired at ${record.expiresAt}: make another one`);
  if (record.node !== undefined && record.node !== by.node)
    return refused('permission_denied', `the join token was made for another node than "${by.node}"`);
  if (record.usedByNode === undefined) return { kind: 'fresh', bound: record.node === by.node };
  if (record.usedByNode === by.node && record.usedByKey === by.keyHash) return { kind: 'again' };
  return refused('unauthenticated', 'the join token was used before: each buys one certificate, make another one');
}

export interface RedeemOptions {
  readonly kube: KubeClient;
  readonly clock: Clock;
  /** Asked before an unbound token is used: throws when the node's name is taken. */
  readonly checkVacant: (node: string) => Promise<void>;
}

/** Another claimant can come between reading and writing once; who loses twice in a row is under attack by himself. */
const MAX_ROUNDS = 3;

/** Resolves when the token is bound to the claimant. Throws `unauthenticated`, `permission_denied`, or what `checkVacant` throws. */
export async function redeem(options: RedeemOptions, credential: string, by: Claimant): Promise<void> {
  const token = parseCredential(credential);
  if (token === undefined) throw new SkerryError('unauthenticated', 'the join token is malformed: want <id>.<secret>');
  for (let round = 1; ; round++) {
    const secret = await findToken(options.kube, token.id);
    const record = secret && joinTokenRecordOf(secret);
    const verdict = judge(record, token.secret, by, options.clock.nowMs());
    if (verdict.kind === 'refused') throw verdict.error;
    if (verdict.kind === 'again' || secret === undefined) return;
    if (!verdict.bound) await options.checkVacant(by.node);
    try {
      const use = encodeSecretData({ usedByNode: by.node, usedByKey: by.keyHash });
      await options.kube.replace(SECRETS, { ...secret, data: { ...secret.data, ...use } });
      return;
    } catch (error) {
      if (!isConflict(error) || round === MAX_ROUNDS) throw error;
    }
  }
}

/** Deletes the tokens whose time is over. Returns how many. */
export async function removeExpiredTokens(kube: KubeClient, nowMs: number): Promise<number> {
  const labelSelector = Object.entries(JOIN_TOKEN_LABELS)
    .map(([name, value]) => `${name}=${value}`)
    .join();
  const { items } = await kube.list(SECRETS, { namespace: SYSTEM_NAMESPACE, labelSelector });
  const expired = items.filter((secret) => {
    const record = joinTokenRecordOf(secret);
    return record !== undefined && nowMs >= Date.parse(record.expiresAt);
  });
  for (const { metadata } of expired) {
    try {
      await kube.delete(SECRETS, { namespace: SYSTEM_NAMESPACE, name: metadata?.name ?? '' });
    } catch (error) {
      // Another replica was quicker.
      if (!isNotFound(error)) throw error;
    }
  }
  return expired.length;
}

async function findToken(kube: KubeClient, id: string): Promise<Secret | undefined> {
  try {
    return await kube.get(SECRETS, { namespace: SYSTEM_NAMESPACE, name: joinTokenSecretName(id) });
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

function refused(code: 'unauthenticated' | 'permission_denied', message: string): Verdict {
  return { kind: 'refused', error: new SkerryError(code, message) };
}
