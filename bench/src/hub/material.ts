// Certificates for one run of the bench: a CA, a server's and as many clients' as asked for. Nothing is kept.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TlsMaterial } from '@skerry/common/grpc/tls';
import {
  createAuthorityMaterial,
  type IssuedCertificate,
  issueWithNewKey,
  openAuthority,
} from '@skerry/common/pki/authority';
import { hubSubject, type Subject } from '@skerry/common/pki/names';

const DAY_MS = 86_400_000;

export const newCa = (): Promise<IssuedCertificate> => createAuthorityMaterial(Date.now());

export async function serverMaterial(ca: IssuedCertificate): Promise<TlsMaterial> {
  const serverNames = ['localhost', '127.0.0.1'];
  return materialOf(ca, { subject: hubSubject(), usage: 'server', serverNames });
}

export async function clientMaterial(ca: IssuedCertificate, subject: Subject): Promise<TlsMaterial> {
  return materialOf(ca, { subject, usage: 'client' });
}

async function materialOf(
  ca: IssuedCertificate,
  request: { subject: Subject; usage: 'client' | 'server'; serverNames?: string[] },
): Promise<TlsMaterial> {
  const issued = await issueWithNewKey(await openAuthority(ca), { ...request, nowMs: Date.now(), ttlMs: DAY_MS });
  return { cert: Buffer.from(issued.certPem), key: Buffer.from(issued.keyPem), ca: Buffer.from(ca.certPem) };
}

/** As a kubernetes.io/tls Secret is mounted. */
export async function writeMaterial(dir: string, material: TlsMaterial): Promise<void> {
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, 'tls.crt'), material.cert);
  await writeFile(join(dir, 'tls.key'), material.key);
  await writeFile(join(dir, 'ca.crt'), material.ca);
}
