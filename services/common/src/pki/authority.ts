// A private certificate authority: makes its own certificate and issues those of nodes and services. P-256 and SHA-256 throughout.
// Invariants: it knows no cluster and keeps nothing; a key that it did not make itself is only seen as a public key. Loaded by the signer,
// tests and benches only: the X.509 library is heavy.
import 'reflect-metadata';
import { createPrivateKey, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';
import { SkerryError } from '../errors.js';
import type { Subject } from './names.js';

export interface KeyPairPem {
  /** PEM, PKCS #8. */
  readonly keyPem: string;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Buffer;
}

export interface IssuedCertificate {
  readonly certPem: string;
  readonly keyPem: string;
}

export interface LeafRequest {
  readonly subject: Subject;
  readonly usage: 'client' | 'server';
  /** SubjectPublicKeyInfo of a P-256 key, DER. */
  readonly publicKey: Uint8Array;
  /** DNS names and IP addresses, for servers. */
  readonly serverNames?: readonly string[];
  /** Unix milliseconds. */
  readonly nowMs: number;
  readonly ttlMs: number;
}

export interface Authority {
  readonly certPem: string;
  /** The leaf's certificate, PEM. It never outlives the CA's own. */
  issue(request: LeafRequest): Promise<string>;
}

type CryptoKeyPair = webcrypto.CryptoKeyPair;

const EC = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const SIGNING = { name: 'ECDSA', hash: 'SHA-256' } as const;
/** Certificates begin this much in the past: clocks of edges are often behind. */
const BACKDATE_MS = 3_600_000;
const DAY_MS = 86_400_000;
const CA_TTL_MS = 3_652 * DAY_MS;

/** A new key and a self-signed CA certificate of ten years for it. */
export async function createAuthorityMaterial(nowMs: number, ttlMs = CA_TTL_MS): Promise<IssuedCertificate> {
  const keys = await generateKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serialNumber(),
      name: nameOf({ commonName: `skerry-ca-${randomBytes(4).toString('hex')}`, organization: 'skerry' }),
      ...validity(nowMs, nowMs + ttlMs),
      keys,
      signingAlgorithm: SIGNING,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return { certPem: pem(certificate), keyPem: (await exportKeys(keys)).keyPem };
}

/** Throws `invalid_argument` when certificate and key are unusable or not a pair. */
export async function openAuthority(material: IssuedCertificate): Promise<Authority> {
  const { certificate, signingKey } = await parseMaterial(material);
  const issuer = certificate.subjectName;
  const keyIdentifier = await x509.AuthorityKeyIdentifierExtension.create(certificate.publicKey, false, webcrypto);

  async function issue(request: LeafRequest): Promise<string> {
    const publicKey = await webcrypto.subtle.importKey('spki', request.publicKey, EC, true, ['verify']);
    const lastMs = Math.min(request.nowMs + request.ttlMs, certificate.notAfter.getTime());
    const leaf = await x509.X509CertificateGenerator.create(
      {
        serialNumber: serialNumber(),
        subject: nameOf(request.subject),
        issuer,
        ...validity(request.nowMs, lastMs),
        publicKey,
        signingKey,
        signingAlgorithm: SIGNING,
        extensions: [...leafExtensions(request), keyIdentifier],
      },
      webcrypto,
    );
    return pem(leaf);
  }

  return { certPem: material.certPem, issue };
}

/** Key and certificate in one, for services whose key is made here. */
export async function issueWithNewKey(
  authority: Authority,
  request: Omit<LeafRequest, 'publicKey'>,
): Promise<IssuedCertificate> {
  const { keyPem, publicKey } = await exportKeys(await generateKeys());
  return { certPem: await authority.issue({ ...request, publicKey }), keyPem };
}

function leafExtensions(request: LeafRequest): x509.Extension[] {
  const names = request.serverNames ?? [];
  const usage = request.usage === 'server' ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth;
  const extensions: x509.Extension[] = [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    new x509.ExtendedKeyUsageExtension([usage]),
  ];
  if (names.length > 0)
    extensions.push(
      new x509.SubjectAlternativeNameExtension(
        names.map((name) => ({ type: isIP(name) !== 0 ? 'ip' : 'dns', value: name })),
      ),
    );
  return extensions;
}

async function parseMaterial(material: IssuedCertificate) {
  try {
    const certificate = new x509.X509Certificate(material.certPem);
    const der = x509.PemConverter.decodeFirst(material.keyPem);
    const signingKey = await webcrypto.subtle.importKey('pkcs8', der, EC, false, ['sign']);
    if (!new X509Certificate(material.certPem).checkPrivateKey(createPrivateKey(material.keyPem)))
      throw new SkerryError('invalid_argument', 'the key does not belong to the certificate');
    return { certificate, signingKey };
  } catch (error) {
    throw new SkerryError('invalid_argument', 'the CA certificate and key cannot be used', { cause: error });
  }
}

function generateKeys(): Promise<CryptoKeyPair> {
  return webcrypto.subtle.generateKey(EC, true, ['sign', 'verify']);
}

async function exportKeys(keys: CryptoKeyPair): Promise<KeyPairPem> {
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  const spki = await webcrypto.subtle.exportKey('spki', keys.publicKey);
  return { keyPem: `${x509.PemConverter.encode(pkcs8, 'PRIVATE KEY')}\n`, publicKey: Buffer.from(spki) };
}

function nameOf(subject: Subject): x509.JsonName {
  return [{ O: [subject.organization] }, { CN: [subject.commonName] }];
}

/** 127 random bits, positive as RFC 5280 wants them. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0] ?? 0) & 0x7f;
  return bytes.toString('hex');
}

function validity(nowMs: number, lastMs: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(nowMs - BACKDATE_MS), notAfter: new Date(lastMs) };
}

function pem(certificate: x509.X509Certificate): string {
  return `${certificate.toString('pem')}\n`;
}
