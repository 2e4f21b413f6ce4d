// The node's identity on disk: <dir>/node.key, node.crt, ca.crt, private and replaced whole.
// Invariants: the key is written before anything is asked for with it and is never changed afterwards, so an enrolment that was cut off is
// repeated with the same key; node.crt is written last, so it is there only when everything is.
import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SkerryError, systemCode } from '@skerry/common/errors';
import { nodeSubject } from '@skerry/common/pki/names';
import { privateFolder, quarantine, writeFileAtomic } from '../disk/files.js';

export interface NodeIdentity {
  readonly keyPem: string;
  /** Leaf first. */
  readonly certificatePem: string;
  readonly caPem: string;
  /** Unix milliseconds. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

const KEY = 'node.key';
const CERTIFICATE = 'node.crt';
const CA = 'ca.crt';

/** The node's key, made when there is none. One that cannot be read is set aside: the node enrols again. */
export async function loadOrCreateKey(dir: string, nowMs: number): Promise<KeyObject> {
  await privateFolder(dir);
  const path = join(dir, KEY);
  const pem = await readTextFile(path);
  const key = pem === undefined ? undefined : parseKey(pem);
  if (key) return key;
  if (pem !== undefined) await quarantine(path, nowMs);
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  await writeFileAtomic(path, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  return privateKey;
}

/**
 * What an earlier enrolment left; undefined when the node has not enrolled or its files do not fit together. Throws `failed_precondition`
 * when the certificate is another node's.
 */
export async function loadIdentity(dir: string, node: string): Promise<NodeIdentity | undefined> {
  const [keyPem, certificatePem, caPem] = await Promise.all(
    [KEY, CERTIFICATE, CA].map((name) => readTextFile(join(dir, name))),
  );
  if (keyPem === undefined || certificatePem === undefined || caPem === undefined) return undefined;
  const key = parseKey(keyPem);
  const certificate = parseCertificate(certificatePem);
  if (!key || !certificate?.checkPrivateKey(key) || !parseCertificate(caPem)) return undefined;
  checkName(certificate, node);
  return identityOf(keyPem, certificatePem, caPem, certificate);
}

/** Checks what the signer answered and writes it. Throws `permission_denied` when it is not for this key and node. */
export async function saveIdentity(
  dir: string,
  node: string,
  key: KeyObject,
  answer: { readonly certificateChain: string; readonly caCertificates: string },
): Promise<NodeIdentity> {
  const certificate = parseCertificate(answer.certificateChain);
  if (!certificate?.checkPrivateKey(key) || !parseCertificate(answer.caCertificates)) {
    throw new SkerryError('permission_denied', 'the certificate that was issued does not belong to this node’s key');
  }
  checkName(certificate, node);
  await writeFileAtomic(join(dir, CA), answer.caCertificates);
  await writeFileAtomic(join(dir, CERTIFICATE), answer.certificateChain);
  const keyPem = key.export({ type: 'pkcs8', format: 'pem' }).toString();
  return identityOf(keyPem, answer.certificateChain, answer.caCertificates, certificate);
}

function identityOf(keyPem: string, certificatePem: string, caPem: string, certificate: X509Certificate): NodeIdentity {
  return {
    keyPem,
    certificatePem,
    caPem,
    notBeforeMs: Date.parse(certificate.validFrom),
    notAfterMs: Date.parse(certificate.validTo),
  };
}

function checkName(certificate: X509Certificate, node: string): void {
  const wanted = `CN=${nodeSubject(node).commonName}`;
  const names = certificate.subject.split('\n').filter((part) => part.startsWith('CN='));
  if (names.length === 1 && names[0] === wanted) return;
  throw new SkerryError(
    'failed_precondition',
    `the certificate is for ${names.join(' ') || 'nobody'}, this node is ${wanted}: give the right --node, or another --state to enrol anew`,
  );
}

function parseKey(pem: string): KeyObject | undefined {
  try {
    const key = createPrivateKey(pem);
    return key.asymmetricKeyDetails?.namedCurve === 'prime256v1' ? key : undefined;
  } catch {
    return undefined;
  }
}

/** The first certificate of a PEM text. */
export function parseCertificate(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

/** Undefined when there is no such file. */
export async function readTextFile(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
