// TLS material of a service: a folder with tls.crt, tls.key and ca.crt, as a kubernetes.io/tls Secret is mounted.
// Invariants: material that does not fit together is never handed to a server or client; a changed folder replaces the old material
// for new connections and leaves open streams alone.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSecureContext, type PeerCertificate } from 'node:tls';
import {
  type ChannelCredentials,
  type ChannelOptions,
  credentials,
  experimental,
  type ServerCredentials,
  type ServerUnaryCall,
} from '@grpc/grpc-js';
import type { Clock, Timer } from '../clock.js';
import { messageOf, SkerryError } from '../errors.js';
import type { Component } from '../lifecycle.js';
import type { Logger } from '../logger.js';
import { HUB_SERVER_NAME } from '../pki/names.js';

export interface TlsMaterial {
  /** PEM, leaf first. */
  readonly cert: Buffer;
  /** PEM, PKCS #8. */
  readonly key: Buffer;
  /** PEM of the private CA. */
  readonly ca: Buffer;
}

/** Reads and checks a folder. Throws `not_found` or `invalid_argument` with the file's name. */
export async function loadTlsFiles(dir: string): Promise<TlsMaterial> {
  const read = (name: string): Promise<Buffer> =>
    readFile(join(dir, name)).catch((error: unknown) => {
      throw new SkerryError('not_found', `cannot read TLS file ${join(dir, name)}: ${messageOf(error)}`, {
        cause: error,
      });
    });
  const [cert, key, ca] = await Promise.all([read('tls.crt'), read('tls.key'), read('ca.crt')]);
  const material = { cert, key, ca };
  checkMaterial(material, dir);
  return material;
}

/** Throws `invalid_argument` when certificate, key and CA cannot be used together. */
export function checkMaterial(material: TlsMaterial, where: string): void {
  try {
    createSecureContext({ cert: material.cert, key: material.key, ca: material.ca });
  } catch (error) {
    throw new SkerryError('invalid_argument', `TLS material of ${where} does not fit together: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

export function clientCredentials(material: TlsMaterial): ChannelCredentials {
  return credentials.createSsl(material.ca, material.key, material.cert);
}

/** Client credentials without a certificate of one's own: for enrolment. */
export function anonymousCredentials(ca: Buffer): ChannelCredentials {
  return credentials.createSsl(ca);
}

/** For clients of a hub: it is verified by its role in the private CA, not by the address that a proxy or a NAT shows. */
export const HUB_ROLE: ChannelOptions = {
  'grpc.ssl_target_name_override': HUB_SERVER_NAME,
  'grpc.default_authority': HUB_SERVER_NAME,
};

type CaListener = Parameters<experimental.CertificateProvider['addCaCertificateListener']>[0];
type IdentityListener = Parameters<experimental.CertificateProvider['addIdentityCertificateListener']>[0];

/** Material that can be replaced while servers use it. */
export interface TlsSource {
  current(): TlsMaterial;
  /** Throws, and keeps the old material, when the new one does not fit together. */
  replace(material: TlsMaterial): void;
  /** A client certificate is asked for and checked when given; a service that needs one looks at `peerCertificate`. */
  serverCredentials(): ServerCredentials;
}

export function createTlsSource(initial: TlsMaterial): TlsSource {
  let material = initial;
  const caListeners = new Set<CaListener>();
  const identityListeners = new Set<IdentityListener>();
  const caUpdate = () => ({ caCertificate: material.ca });
  const identityUpdate = () => ({ certificate: material.cert, privateKey: material.key });

  // A listener is told in the next turn: grpc-js registers it before whoever it passes the update on to.
  const provider: experimental.CertificateProvider = {
    addCaCertificateListener(listener) {
      caListeners.add(listener);
      queueMicrotask(() => caListeners.has(listener) && listener(caUpdate()));
    },
    removeCaCertificateListener: (listener) => void caListeners.delete(listener),
    addIdentityCertificateListener(listener) {
      identityListeners.add(listener);
      queueMicrotask(() => identityListeners.has(listener) && listener(identityUpdate()));
    },
    removeIdentityCertificateListener: (listener) => void identityListeners.delete(listener),
  };

  return {
    current: () => material,
    replace(next) {
      checkMaterial(next, 'the new certificate');
      material = next;
      for (const listener of caListeners) listener(caUpdate());
      for (const listener of identityListeners) listener(identityUpdate());
    },
    // The declared parameter names are swapped: the implementation takes the identity first, the CA second.
    serverCredentials: () => experimental.createCertificateProviderServerCredentials(provider, provider, false),
  };
}

/** Looks at the folder again every `intervalMs` and hands over what changed; a broken folder is logged and the old material kept. */
export function createTlsReloader(options: {
  readonly dir: string;
  readonly source: TlsSource;
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}): Component {
  const { dir, source, intervalMs, clock, logger } = options;
  let timer: Timer | undefined;
  let stopped = false;

  async function look(): Promise<void> {
    try {
      const next = await loadTlsFiles(dir);
      const now = source.current();
      if (next.cert.equals(now.cert) && next.key.equals(now.key) && next.ca.equals(now.ca)) return;
      source.replace(next);
      logger.info('TLS material replaced', { dir });
    } catch (error) {
      logger.warn('TLS material not replaced', { dir, error: messageOf(error) });
    }
  }

  function arm(): void {
    if (stopped) return;
    timer = clock.after(intervalMs, () => {
      look().then(arm, arm);
    });
  }

  return {
    name: 'tls-reloader',
    async start() {
      arm();
    },
    async stop() {
      stopped = true;
      timer?.cancel();
    },
  };
}

type AuthContext = NonNullable<ReturnType<ServerUnaryCall<unknown, unknown>['getAuthContext']>>;

export interface PeerIdentity {
  readonly commonName: string;
  readonly organizations: readonly string[];
}

/** Who is calling, by its verified certificate; undefined for a caller without one. */
export function peerIdentity(call: { getAuthContext(): AuthContext | null }): PeerIdentity | undefined {
  const certificate = call.getAuthContext()?.sslPeerCertificate;
  return certificate === undefined ? undefined : identityOf(certificate);
}

/** Subject of a certificate; Node gives an array where an attribute stands more than once. */
export function identityOf(certificate: PeerCertificate): PeerIdentity | undefined {
  const subject = certificate.subject as unknown as Record<string, string | string[] | undefined> | undefined;
  const commonNames = [subject?.['CN'] ?? []].flat();
  const [commonName] = commonNames;
  // Two common names would leave it open who this is.
  if (commonName === undefined || commonNames.length > 1) return undefined;
  return { commonName, organizations: [subject?.['O'] ?? []].flat() };
}
