// First contact: nothing is trusted but the hash of the CA in the join token. The hub is asked for its certificates without verification;
// the CA among them counts only when its hash is the pinned one and the hub's own certificate is signed by it.
// Invariant: nothing is sent to the hub on this connection, and every refusal says which of the checks failed.
import { createHash, X509Certificate } from 'node:crypto';
import { connect, type DetailedPeerCertificate } from 'node:tls';
import { SkerryError } from '@skerry/common/errors';
import { HUB_SERVER_NAME } from '@skerry/common/pki/names';

export interface HubAddress {
  readonly host: string;
  readonly port: number;
}

const CONNECT_MS = 10_000;
const MAX_CHAIN = 8;
/** NotBefore of certificates lies an hour back; a clock that is further behind is wrong. */
const HOUR_MS = 3_600_000;

/**
 * The CA's certificate, PEM. Throws `unavailable` when the hub cannot be reached, `permission_denied` for another CA,
 * `failed_precondition` for certificates that are not valid now or not a hub's.
 */
export async function fetchPinnedCa(hub: HubAddress, caSha256: string, nowMs: number): Promise<string> {
  const chain = await fetchChain(hub);
  return checkChain(chain, hub, caSha256, nowMs);
}

/** The pure part: leaf first. */
function checkChain(chain: readonly X509Certificate[], hub: HubAddress, caSha256: string, nowMs: number): string {
  const [leaf] = chain;
  const ca = chain.find((certificate) => createHash('sha256').update(certificate.raw).digest('hex') === caSha256);
  const where = `${hub.host}:${hub.port}`;
  if (!leaf || !ca) {
    throw new SkerryError(
      'permission_denied',
      `${where} does not show the CA that the join token names (SHA-256 ${caSha256.slice(0, 16)}...): the token is for another cloud, or somebody is in between`,
    );
  }
  if (!leaf.checkIssued(ca) || !leaf.verify(ca.publicKey)) {
    throw new SkerryError(
      'permission_denied',
      `the certificate of ${where} is not signed by the CA that the join token names: somebody is in between`,
    );
  }
  checkTime(ca, `the CA of ${where}`, nowMs);
  checkTime(leaf, `the certificate of ${where}`, nowMs);
  if (leaf.checkHost(HUB_SERVER_NAME) === undefined) {
    throw new SkerryError(
      'failed_precondition',
      `${where} is no cloudhub, its certificate is for ${leaf.subjectAltName ?? leaf.subject}: check --hub`,
    );
  }
  return ca.toString();
}

/** Throws `failed_precondition` that tells an expired certificate from a clock that is wrong, as far as one can. */
export function checkTime(certificate: X509Certificate, what: string, nowMs: number): void {
  const from = Date.parse(certificate.validFrom);
  const to = Date.parse(certificate.validTo);
  const now = new Date(nowMs).toISOString();
  if (nowMs < from - HOUR_MS) {
    throw new SkerryError(
      'failed_precondition',
      `${what} begins on ${certificate.validFrom}, but this node's clock says ${now}: the clock is wrong; set it`,
    );
  }
  if (nowMs > to) {
    throw new SkerryError(
      'failed_precondition',
      `${what} ended on ${certificate.validTo}, and this node's clock says ${now}: if the clock is right the certificate has to be renewed, else set the clock`,
    );
  }
}

function fetchChain(hub: HubAddress): Promise<X509Certificate[]> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: hub.host,
      port: hub.port,
      servername: HUB_SERVER_NAME,
      ALPNProtocols: ['h2'],
      // Checked by hash afterwards; nothing is sent.
      rejectUnauthorized: false,
      timeout: CONNECT_MS,
    });
    const fail = (reason: string): void => {
      socket.destroy();
      reject(new SkerryError('unavailable', `cannot reach the hub ${hub.host}:${hub.port}: ${reason}`));
    };
    socket.once('timeout', () => fail(`no answer within ${CONNECT_MS} ms`));
    socket.once('error', (error) => fail(error.message));
    socket.once('secureConnect', () => {
      const chain = certificatesOf(socket.getPeerCertificate(true));
      socket.destroy();
      resolve(chain);
    });
  });
}

function certificatesOf(leaf: DetailedPeerCertificate): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let next: DetailedPeerCertificate | undefined = leaf;
  while (next?.raw && chain.length < MAX_CHAIN) {
    chain.push(new X509Certificate(next.raw));
    // A self-signed certificate is its own issuer.
    next = next.issuerCertificate === next ? undefined : next.issuerCertificate;
  }
  return chain;
}
