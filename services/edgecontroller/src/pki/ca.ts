// The private CA's key: a Secret that is made once, by whichever replica comes first, and never written again.
// Invariant: an existing Secret is used or complained about, never replaced: every node's identity hangs on it.
import type { Clock } from '@skerry/common/clock';
import { messageOf, SkerryError } from '@skerry/common/errors';
import type { KubeClient } from '@skerry/common/kube/client';
import { decodeSecretData, encodeSecretData, SYSTEM_NAMESPACE } from '@skerry/common/kube/join-token';
import { isAlreadyExists, isNotFound } from '@skerry/common/kube/kube-error';
import { NAMESPACES, SECRETS, type Secret } from '@skerry/common/kube/resources';
import type { Logger } from '@skerry/common/logger';
import { type Authority, createAuthorityMaterial, openAuthority } from '@skerry/common/pki/authority';

const CA_SECRET = 'skerry-ca';

export interface CaOptions {
  readonly kube: KubeClient;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Opens the CA, making namespace and Secret when they are missing. Throws `failed_precondition` when the Secret is unusable. */
export async function openOrCreateCa(options: CaOptions): Promise<Authority> {
  await ensureNamespace(options.kube);
  const secret = (await findSecret(options.kube)) ?? (await createSecret(options));
  const { 'tls.crt': certPem = '', 'tls.key': keyPem = '' } = decodeSecretData(secret);
  try {
    return await openAuthority({ certPem, keyPem });
  } catch (error) {
    throw new SkerryError(
      'failed_precondition',
      `Secret ${SYSTEM_NAMESPACE}/${CA_SECRET} holds no usable CA (${messageOf(error)}): restore it from a backup, or delete it and enrol every node anew`,
      { cause: error },
    );
  }
}

async function ensureNamespace(kube: KubeClient): Promise<void> {
  try {
    await kube.get(NAMESPACES, { name: SYSTEM_NAMESPACE });
  } catch (error) {
    if (!isNotFound(error)) throw error;
    await ignoreExisting(kube.create(NAMESPACES, { metadata: { name: SYSTEM_NAMESPACE } }));
  }
}

async function findSecret(kube: KubeClient): Promise<Secret | undefined> {
  try {
    return await kube.get(SECRETS, { namespace: SYSTEM_NAMESPACE, name: CA_SECRET });
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** Of two replicas that create at once one gets a conflict, and takes the other's. */
async function createSecret({ kube, clock, logger }: CaOptions): Promise<Secret> {
  const { certPem, keyPem } = await createAuthorityMaterial(clock.nowMs());
  const created = await ignoreExisting(
    kube.create(SECRETS, {
      metadata: { name: CA_SECRET, namespace: SYSTEM_NAMESPACE },
      type: 'kubernetes.io/tls',
      data: encodeSecretData({ 'tls.crt': certPem, 'tls.key': keyPem }),
    }),
  );
  if (created === undefined) return kube.get(SECRETS, { namespace: SYSTEM_NAMESPACE, name: CA_SECRET });
  logger.info('private CA created', { secret: `${SYSTEM_NAMESPACE}/${CA_SECRET}` });
  return created;
}

async function ignoreExisting<T>(creating: Promise<T>): Promise<T | undefined> {
  try {
    return await creating;
  } catch (error) {
    if (isAlreadyExists(error)) return undefined;
    throw error;
  }
}
