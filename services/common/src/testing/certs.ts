// A private CA and the certificates that tests need, on disk or in memory.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TlsMaterial } from '../grpc/tls.js';
import { type Authority, createAuthorityMaterial, issueWithNewKey, openAuthority } from '../pki/authority.js';
import { controllerSubject, hubSubject, nodeSubject, type Subject } from '../pki/names.js';

export interface TestPki {
  readonly ca: Buffer;
  /** Server certificate of a hub for localhost and 127.0.0.1. */
  hub(): Promise<TlsMaterial>;
  node(name: string): Promise<TlsMaterial>;
  controller(name: 'edgecontroller' | 'devicecontroller'): Promise<TlsMaterial>;
  /** Writes tls.crt, tls.key and ca.crt into a folder and returns it. */
  write(material: TlsMaterial, dir: string): Promise<string>;
}

const DAY_MS = 86_400_000;

/** Certificates are valid for a day from `nowMs`: give the time of the clock under which TLS runs, the machine's. */
export async function makeTestPki(nowMs: number): Promise<TestPki> {
  const material = await createAuthorityMaterial(nowMs, DAY_MS);
  const authority = await openAuthority(material);
  const ca = Buffer.from(material.certPem);
  const issue = (subject: Subject, usage: 'client' | 'server'): Promise<TlsMaterial> =>
    issueFor(authority, ca, subject, usage, nowMs);

  return {
    ca,
    hub: () => issue(hubSubject(), 'server'),
    node: (name) => issue(nodeSubject(name), 'client'),
    controller: (name) => issue(controllerSubject(name), 'client'),
    write: async ({ cert, key, ca: caPem }, dir) => {
      await mkdir(dir, { recursive: true, mode: 0o700 });
      await Promise.all([
        writeFile(join(dir, 'tls.crt'), cert),
        writeFile(join(dir, 'tls.key'), key, { mode: 0o600 }),
        writeFile(join(dir, 'ca.crt'), caPem),
      ]);
      return dir;
    },
  };
}

async function issueFor(
  authority: Authority,
  ca: Buffer,
  subject: Subject,
  usage: 'client' | 'server',
  nowMs: number,
): Promise<TlsMaterial> {
  const serverNames = usage === 'server' ? ['localhost', '127.0.0.1'] : [];
  const issued = await issueWithNewKey(authority, { subject, usage, serverNames, nowMs, ttlMs: DAY_MS });
  return { cert: Buffer.from(issued.certPem), key: Buffer.from(issued.keyPem), ca };
}
