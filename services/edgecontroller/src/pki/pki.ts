// Identity of everything that is Skerry's: opens the CA, keeps the services' certificates fresh, answers enrolment and renewal.
// Invariants: the CA key never leaves this process and its Secret; nothing is signed without a proof of possession; a node's name comes
// from a redeemed token or from the certificate that cloudhub verified.
import { createHash } from 'node:crypto';
import type { Clock } from '@skerry/common/clock';
import { messageOf, SkerryError } from '@skerry/common/errors';
import type { KubeClient } from '@skerry/common/kube/client';
import { HUB_TLS_SECRET } from '@skerry/common/kube/join-token';
import { isKubeError, isNotFound } from '@skerry/common/kube/kube-error';
import { NODES } from '@skerry/common/kube/resources';
import type { Component } from '@skerry/common/lifecycle';
import type { Logger } from '@skerry/common/logger';
import type { Authority, IssuedCertificate } from '@skerry/common/pki/authority';
import { checkNodeName, controllerSubject, HUB_SERVER_NAME, hubSubject, nodeSubject } from '@skerry/common/pki/names';
import { checkProof, enrolProofInput, renewProofInput } from '@skerry/common/pki/proof';
import { decodeRelayedRenewal, ENROLL_METHOD, RENEW_METHOD } from '@skerry/common/pki/relay';
import { EnrollRequest, EnrollResponse, RenewResponse } from '@skerry/gen/skerry/cloud/v1/cloud';
import { openOrCreateCa } from './ca.js';
import { ensureTlsSecret, faultOf, issueServiceCertificate, type ServiceCertificate } from './service-certificates.js';
import { redeem, removeExpiredTokens } from './tokens.js';

/** What edgecontroller needs to attach to hubs: its own client certificate and the CA, PEM. */
export interface PkiMaterial {
  readonly caPem: string;
  readonly certPem: string;
  readonly keyPem: string;
}

export interface PkiOptions {
  readonly kube: KubeClient;
  readonly clock: Clock;
  readonly logger: Logger;
  /** DNS names and IP addresses under which cloudhub is reached, for clients that verify it by them; `HUB_SERVER_NAME` is always there. */
  readonly serverNames: readonly string[];
  /** How long a node's certificate lives; never longer than the CA's. */
  readonly nodeCertificateTtlMs: number;
  /** In [0, 1): spreads the passes of replicas. */
  readonly random: () => number;
}

export interface Pki extends Component {
  /** One pass: CA, Secrets cloudhub-tls and devicecontroller-tls, own certificate. Safe to repeat. */
  ensure(): Promise<PkiMaterial>;
  /** What the last pass gave; open connections may go on with what an earlier one gave. Throws `failed_precondition` before `start`. */
  material(): PkiMaterial;
  /** Payload: an encoded EnrollRequest; answer: an encoded EnrollResponse. Throws SkerryErrors with the status for the caller. */
  enroll(payload: Uint8Array): Promise<Uint8Array>;
  /** Payload: `encodeRelayedRenewal`, with the node that the hub authenticated; answer: an encoded RenewResponse. */
  renew(payload: Uint8Array): Promise<Uint8Array>;
  /** The handler of calls without a node: `enroll` and `renew` by their method names. */
  serve(method: string, payload: Uint8Array): Promise<Uint8Array>;
}

export const DEVICECONTROLLER_TLS_SECRET = 'devicecontroller-tls';

/** A pass reads a few Secrets: often enough to repair what somebody deleted. */
const PASS_INTERVAL_MS = 600_000;

export function createPki(options: PkiOptions): Pki {
  const { kube, clock, logger } = options;
  const stopping = new AbortController();
  let authority: Authority | undefined;
  let own: IssuedCertificate | undefined;
  let passes: Promise<void> | undefined;

  const ownWanted: ServiceCertificate = {
    subject: controllerSubject('edgecontroller'),
    usage: 'client',
    serverNames: [],
  };

  async function ensure(): Promise<PkiMaterial> {
    authority ??= await openOrCreateCa(options);
    const pass = { kube, authority, clock, logger };
    await ensureTlsSecret(pass, HUB_TLS_SECRET, {
      subject: hubSubject(),
      usage: 'server',
      serverNames: [...new Set([HUB_SERVER_NAME, ...options.serverNames])],
    });
    await ensureTlsSecret(pass, DEVICECONTROLLER_TLS_SECRET, {
      subject: controllerSubject('devicecontroller'),
      usage: 'client',
      serverNames: [],
    });
    if (own && faultOf(own, ownWanted, authority.certPem, clock.nowMs()) === undefined) return material();
    own = await issueServiceCertificate(authority, ownWanted, clock.nowMs());
    return material();
  }

  function material(): PkiMaterial {
    if (!authority || !own) throw new SkerryError('failed_precondition', 'the PKI has not started');
    return { caPem: authority.certPem, ...own };
  }

  async function runPasses(): Promise<void> {
    while (!stopping.signal.aborted) {
      await clock.sleep(PASS_INTERVAL_MS * (0.75 + options.random() / 2), stopping.signal).catch(() => {});
      if (stopping.signal.aborted) return;
      try {
        await ensure();
        await removeExpiredTokens(kube, clock.nowMs());
      } catch (error) {
        logger.warn('certificates were not looked after; trying again later', { error: messageOf(error) });
      }
    }
  }

  async function enroll(payload: Uint8Array): Promise<Uint8Array> {
    const request = decodeEnrollRequest(payload);
    checkNodeName(request.node);
    checkProof(request.publicKey, enrolProofInput(request.node, request.token, request.publicKey), request.proof);
    const keyHash = createHash('sha256').update(request.publicKey).digest('hex');
    await asUnavailable(redeem({ kube, clock, checkVacant }, request.token, { node: request.node, keyHash }));
    logger.info('node enrolled', { node: request.node, keyHash });
    return EnrollResponse.encode(await certify(request.node, request.publicKey)).finish();
  }

  async function renew(payload: Uint8Array): Promise<Uint8Array> {
    const { node, request } = decodeRelayedRenewal(payload);
    checkNodeName(node);
    checkProof(request.publicKey, renewProofInput(node, request.publicKey), request.proof);
    logger.info('node certificate renewed', { node });
    return RenewResponse.encode(await certify(node, request.publicKey)).finish();
  }

  async function certify(node: string, publicKey: Uint8Array): Promise<EnrollResponse & RenewResponse> {
    if (!authority) throw new SkerryError('unavailable', 'the CA is not open yet: try again');
    const certificateChain = await authority.issue({
      subject: nodeSubject(node),
      usage: 'client',
      publicKey,
      nowMs: clock.nowMs(),
      ttlMs: options.nodeCertificateTtlMs,
    });
    return { certificateChain, caCertificates: authority.certPem };
  }

  /** What the Kubernetes API refuses us says nothing about the caller, who may try again. */
  async function asUnavailable(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      if (!isKubeError(error)) throw error;
      logger.warn('enrolment failed at the Kubernetes API', { error: messageOf(error) });
      throw new SkerryError('unavailable', 'the Kubernetes API could not be asked about the join token: try again', {
        cause: error,
      });
    }
  }

  /** An unbound token must not take over a name: neither of an edge node nor of any other node of the cluster. */
  async function checkVacant(node: string): Promise<void> {
    try {
      await kube.get(NODES, { name: node });
    } catch (error) {
      if (isNotFound(error)) return;
      throw error;
    }
    throw new SkerryError(
      'already_exists',
      `node "${node}" exists and has its certificate: delete the Node object first, or use a token that was made for this node`,
    );
  }

  async function serve(method: string, payload: Uint8Array): Promise<Uint8Array> {
    if (method === ENROLL_METHOD) return enroll(payload);
    if (method === RENEW_METHOD) return renew(payload);
    throw new SkerryError('unsupported', `no method "${method.slice(0, 100)}": known are enroll and renew`);
  }

  return {
    name: 'pki',
    async start() {
      await ensure();
      passes = runPasses();
    },
    async stop() {
      stopping.abort();
      await passes;
    },
    ensure,
    material,
    enroll,
    renew,
    serve,
  };
}

function decodeEnrollRequest(payload: Uint8Array): EnrollRequest {
  try {
    return EnrollRequest.decode(payload);
  } catch (error) {
    throw new SkerryError('invalid_argument', 'the EnrollRequest cannot be decoded', { cause: error });
  }
}
