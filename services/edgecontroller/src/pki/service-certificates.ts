// Certificates of the services: what each needs, whether one still serves, and the Secrets that carry them to the others.
// Invariant: level-triggered: every pass reads what is there and replaces only what no longer serves; replicas may race, one write wins.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { Clock } from '@skerry/common/clock';
import type { KubeClient } from '@skerry/common/kube/client';
import { decodeSecretData, encodeSecretData, SYSTEM_NAMESPACE } from '@skerry/common/kube/join-token';
import { isAlreadyExists, isConflict, isNotFound } from '@skerry/common/kube/kube-error';
import { SECRETS, type Secret } from '@skerry/common/kube/resources';
import type { Logger } from '@skerry/common/logger';
import { type Authority, type IssuedCertificate, issueWithNewKey } from '@skerry/common/pki/authority';
import type { Subject } from '@skerry/common/pki/names';

const DAY_MS = 86_400_000;
const SERVICE_TTL_MS = 90 * DAY_MS;

export interface ServiceCertificate {
  readonly subject: Subject;
  readonly usage: 'client' | 'server';
  /** Of a server: DNS names and IP addresses. */
  readonly serverNames: readonly string[];
}

/** Why a certificate does not serve (any longer); undefined when it does. A third of its life is left for the renewal. */
export function faultOf(
  issued: Partial<IssuedCertificate>,
  wanted: ServiceCertificate,
  caPem: string,
  nowMs: number,
): string | undefined {
  const parsed = parse(issued);
  if (parsed === undefined) return 'missing or unreadable';
  const { certificate, privateKey } = parsed;
  const ca = new X509Certificate(caPem);
  if (!certificate.checkIssued(ca) || !certificate.verify(ca.publicKey)) return 'of another CA';
  if (!certificate.checkPrivateKey(privateKey)) return 'key of another certificate';
  if (certificate.subject !== `O=${wanted.subject.organization}\nCN=${wanted.subject.commonName}`)
    return 'another subject';
  if (namesOf(certificate) !== [...wanted.serverNames].sort().join()) return 'other server names';
  const [fromMs, toMs] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  return nowMs < fromMs || nowMs > fromMs + ((toMs - fromMs) * 2) / 3 ? 'due for renewal' : undefined;
}

export function issueServiceCertificate(
  authority: Authority,
  wanted: ServiceCertificate,
  nowMs: number,
): Promise<IssuedCertificate> {
  return issueWithNewKey(authority, { ...wanted, nowMs, ttlMs: SERVICE_TTL_MS });
}

export interface SecretPass {
  readonly kube: KubeClient;
  readonly authority: Authority;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Sees to it that a kubernetes.io/tls Secret holds a certificate that serves. A lost race is left to the winner. */
export async function ensureTlsSecret(pass: SecretPass, name: string, wanted: ServiceCertificate): Promise<void> {
  const { kube, authority, clock, logger } = pass;
  const existing = await findSecret(kube, name);
  const fault = faultOf(existing ? issuedOf(existing) : {}, wanted, authority.certPem, clock.nowMs());
  if (fault === undefined) return;
  const { certPem, keyPem } = await issueServiceCertificate(authority, wanted, clock.nowMs());
  const secret: Secret = {
    metadata: { ...existing?.metadata, name, namespace: SYSTEM_NAMESPACE },
    type: 'kubernetes.io/tls',
    data: encodeSecretData({
      // The CA rides along, so that a machine that knows only its hash can find it in the handshake.
      'tls.crt': certPem + authority.certPem,
      'tls.key': keyPem,
      'ca.crt': authority.certPem,
    }),
  };
  try {
    await (existing ? kube.replace(SECRETS, secret) : kube.create(SECRETS, secret));
    logger.info('service certificate issued', { secret: name, because: fault });
  } catch (error) {
    if (!isAlreadyExists(error) && !isConflict(error)) throw error;
    logger.info('service certificate was written by another replica', { secret: name });
  }
}

async function findSecret(kube: KubeClient, name: string): Promise<Secret | undefined> {
  try {
    return await kube.get(SECRETS, { namespace: SYSTEM_NAMESPACE, name });
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

function issuedOf(secret: Secret): Partial<IssuedCertificate> {
  const { 'tls.crt': certPem, 'tls.key': keyPem } = decodeSecretData(secret);
  return { ...(certPem && { certPem }), ...(keyPem && { keyPem }) };
}

function parse({ certPem, keyPem }: Partial<IssuedCertificate>) {
  if (!certPem || !keyPem) return undefined;
  try {
    return { certificate: new X509Certificate(certPem), privateKey: createPrivateKey(keyPem) };
  } catch {
    return undefined;
  }
}

/** "DNS:a, IP Address:1.2.3.4" -> "1.2.3.4,a". */
function namesOf(certificate: X509Certificate): string {
  return (certificate.subjectAltName ?? '')
    .split(', ')
    .map((name) => name.slice(name.indexOf(':') + 1))
    .sort()
    .join();
}
