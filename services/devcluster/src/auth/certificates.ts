// The cluster's own CA and its serving certificate. The CA is kept in the state folder, so that a kubeconfig outlives a restart; the serving
// certificate is made anew at each start. The CA's key never leaves the folder.
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { SkerryError, systemCode } from '@skerry/common/errors';

export interface ServingCertificate {
  readonly caPem: string;
  readonly certPem: string;
  readonly keyPem: string;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 24 * 3_600_000;
const CA_DAYS = 3_650;
const SERVING_DAYS = 365;
/** Before now, for clients whose clock is a little behind. */
const BACKDATE_MS = 3_600_000;

interface Authority {
  readonly certificate: x509.X509Certificate;
  readonly key: webcrypto.CryptoKey;
}

/** `hosts`: names and addresses that clients use, besides the loopback ones. Throws `data_loss` when the kept CA can not be read. */
export async function createServingCertificate(
  dir: string,
  hosts: readonly string[],
  nowMs: number,
): Promise<ServingCertificate> {
  // Its type is the browser's Crypto, which Node.js implements but does not declare.
  x509.cryptoProvider.set(webcrypto as never);
  const authority = (await loadAuthority(dir)) ?? (await createAuthority(dir, nowMs));
  const keys = await generateKeys();
  const names = [...new Set(['localhost', '127.0.0.1', '::1', 'kubernetes.default.svc', ...hosts])];
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: randomSerial(),
    subject: 'CN=devcluster',
    issuer: authority.certificate.subject,
    notBefore: new Date(nowMs - BACKDATE_MS),
    notAfter: new Date(nowMs + SERVING_DAYS * DAY_MS),
    publicKey: keys.publicKey,
    signingKey: authority.key,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        names.map((value) => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value })),
      ),
      await x509.AuthorityKeyIdentifierExtension.create(authority.certificate),
    ],
  });
  return {
    caPem: authority.certificate.toString('pem'),
    certPem: certificate.toString('pem'),
    keyPem: await exportKey(keys.privateKey),
  };
}

async function loadAuthority(dir: string): Promise<Authority | undefined> {
  try {
    const [certPem, keyPem] = await Promise.all([
      readFile(join(dir, 'ca.crt'), 'utf8'),
      readFile(join(dir, 'ca.key'), 'utf8'),
    ]);
    const der = x509.PemConverter.decode(keyPem)[0];
    if (der === undefined) throw new Error('ca.key holds no PEM block');
    const key = await webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign']);
    return { certificate: new x509.X509Certificate(certPem), key };
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw new SkerryError(
      'data_loss',
      `the CA in ${dir} (ca.crt, ca.key) can not be read: remove both files to make a new one`,
      {
        cause: error,
      },
    );
  }
}

async function createAuthority(dir: string, nowMs: number): Promise<Authority> {
  const keys = await generateKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: randomSerial(),
    name: 'CN=devcluster-ca',
    notBefore: new Date(nowMs - BACKDATE_MS),
    notAfter: new Date(nowMs + CA_DAYS * DAY_MS),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  // The certificate last: with it, both files are there.
  await writePrivate(join(dir, 'ca.key'), await exportKey(keys.privateKey));
  await writePrivate(join(dir, 'ca.crt'), `${certificate.toString('pem')}\n`);
  return { certificate, key: keys.privateKey };
}

async function generateKeys() {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');
}

function randomSerial(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = (bytes[0] ?? 0) & 0x7f; // positive
  return Buffer.from(bytes).toString('hex');
}

/** Appears whole (rename) and readable to its owner only. */
export async function writePrivate(path: string, text: string): Promise<void> {
  await writeFile(`${path}.tmp`, text, { mode: 0o600 });
  await rename(`${path}.tmp`, path);
}
