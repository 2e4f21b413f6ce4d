// Enrolment and renewal: how the node gets and keeps its certificate. Talks to the hub's EnrolmentService; files.ts keeps the result.
// Invariant: a step that was cut off is repeated with the same key, so that a token that is used once can be answered again.
import { createPublicKey, type KeyObject } from 'node:crypto';
import { type ChannelCredentials, Metadata } from '@grpc/grpc-js';
import type { Clock } from '@skerry/common/clock';
import { type ErrorCode, isSkerryError, messageOf, SkerryError } from '@skerry/common/errors';
import { unary } from '@skerry/common/grpc/client';
import { anonymousCredentials, clientCredentials, HUB_ROLE } from '@skerry/common/grpc/tls';
import type { Logger } from '@skerry/common/logger';
import { caSha256, credentialOf, type JoinToken, parseJoinToken } from '@skerry/common/pki/join-token';
import { enrolProofInput, renewProofInput, signProof } from '@skerry/common/pki/proof';
import { type EnrollResponse, EnrolmentServiceClient, type RenewResponse } from '@skerry/gen/skerry/cloud/v1/cloud';
import {
  loadIdentity,
  loadOrCreateKey,
  type NodeIdentity,
  parseCertificate,
  readTextFile,
  saveIdentity,
} from './files.js';
import { checkTime, fetchPinnedCa, type HubAddress } from './pinned-ca.js';

export interface IdentityOptions {
  readonly node: string;
  readonly hub: HubAddress;
  /** A join token, or a file with one that is read whenever it is needed; until the node has a certificate. */
  readonly token: string | undefined;
  readonly tokenFile?: string | undefined;
  readonly dir: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface IdentityKeeper {
  /** The identity to connect with: the kept one, or a new one bought with the token. Errors say which step failed and what to do. */
  obtain(): Promise<NodeIdentity>;
  /** Renews over mTLS when two thirds of the certificate's life are over; `nowMs` is the cloud's time. True when it did. */
  renewIfDue(nowMs: number): Promise<boolean>;
}

/** The share of a certificate's life after which it is renewed. */
const RENEW_AT = 2 / 3;
const CALL_MS = 20_000;

export function createIdentityKeeper(options: IdentityOptions): IdentityKeeper {
  const { node, hub, dir, clock, logger } = options;

  async function obtain(): Promise<NodeIdentity> {
    const token = await readToken(options);
    const kept = await loadIdentity(dir, node);
    if (kept && token) checkCloud(kept, token);
    const hasEnded = kept !== undefined && clock.nowMs() > kept.notAfterMs;
    if (hasEnded && !token) throw endedError(kept);
    if (kept && !hasEnded) {
      const certificate = parseCertificate(kept.certificatePem);
      if (certificate) checkTime(certificate, `the certificate of node ${node}`, clock.nowMs());
      return kept;
    }
    if (token) return enrol(token);
    throw new SkerryError(
      'unauthenticated',
      `node ${node} has not joined a cloud: ${whereToGive(options.tokenFile)} a join token of its cloud ("skerry token create")`,
    );
  }

  function endedError({ notAfterMs }: NodeIdentity): SkerryError {
    const [end, now] = [notAfterMs, clock.nowMs()].map((ms) => new Date(ms).toISOString());
    return new SkerryError(
      'failed_precondition',
      `the certificate of node ${node} ended on ${end}, and this node's clock says ${now}: set the clock if it is wrong, else ${whereToGive(options.tokenFile)} a new join token`,
    );
  }

  async function enrol(joinToken: JoinToken): Promise<NodeIdentity> {
    const key = await loadOrCreateKey(dir, clock.nowMs());
    const ca = await fetchPinnedCa(hub, joinToken.caSha256, clock.nowMs());
    const credential = credentialOf(joinToken);
    const publicKey = publicKeyOf(key);
    const request = {
      token: credential,
      node,
      publicKey,
      proof: signProof(enrolProofInput(node, credential, publicKey), key),
    };
    const answer = await call<EnrollResponse>(anonymousCredentials(Buffer.from(ca)), (client, deadline, done) =>
      client.enroll(request, new Metadata(), { deadline }, done),
    );
    const identity = await saveIdentity(dir, node, key, answer);
    logger.info('node enrolled', { node, notAfter: new Date(identity.notAfterMs).toISOString() });
    return identity;
  }

  async function renewIfDue(nowMs: number): Promise<boolean> {
    const kept = await loadIdentity(dir, node);
    if (!kept || nowMs < kept.notBeforeMs + (kept.notAfterMs - kept.notBeforeMs) * RENEW_AT) return false;
    const key = await loadOrCreateKey(dir, clock.nowMs());
    const publicKey = publicKeyOf(key);
    const request = { publicKey, proof: signProof(renewProofInput(node, publicKey), key) };
    const answer = await call<RenewResponse>(credentialsOf(kept), (client, deadline, done) =>
      client.renew(request, new Metadata(), { deadline }, done),
    );
    const renewed = await saveIdentity(dir, node, key, answer);
    logger.info('certificate renewed', { node, notAfter: new Date(renewed.notAfterMs).toISOString() });
    return true;
  }

  async function call<T>(
    credentials: ChannelCredentials,
    method: (client: EnrolmentServiceClient, deadline: number, done: Done<T>) => unknown,
  ): Promise<T> {
    const client = new EnrolmentServiceClient(`${hub.host}:${hub.port}`, credentials, {
      'grpc.use_local_subchannel_pool': 1,
      ...HUB_ROLE,
    });
    try {
      return await unary<T>((done) => method(client, clock.nowMs() + CALL_MS, done));
    } catch (error) {
      throw explain(error, node);
    } finally {
      client.close();
    }
  }

  return { obtain, renewIfDue };
}

/** Undefined when there is none: it may be taken away once the node has a certificate. */
async function readToken({
  token,
  tokenFile,
}: Pick<IdentityOptions, 'token' | 'tokenFile'>): Promise<JoinToken | undefined> {
  const text = tokenFile === undefined ? token : (await readTextFile(tokenFile))?.trim();
  return text ? parseJoinToken(text) : undefined;
}

const whereToGive = (tokenFile: string | undefined): string =>
  tokenFile === undefined ? 'give --token-file or --token with' : `write to ${tokenFile}`;

/** Credentials for connections to the hub. */
export function credentialsOf(identity: NodeIdentity): ChannelCredentials {
  return clientCredentials({
    cert: Buffer.from(identity.certificatePem),
    key: Buffer.from(identity.keyPem),
    ca: Buffer.from(identity.caPem),
  });
}

/** A node that changed its cloud would take one cloud's objects for the other's. */
function checkCloud(kept: NodeIdentity, token: JoinToken): void {
  if (caSha256(kept.caPem) === token.caSha256) return;
  throw new SkerryError(
    'failed_precondition',
    'the join token is for another cloud than the one that this node has joined: leave the token out, or use another --state',
  );
}

type Done<T> = Parameters<Parameters<typeof unary<T>>[0]>[0];

const WHAT_TO_DO: Partial<Record<ErrorCode, (node: string) => string>> = {
  unauthenticated: () => 'the join token is unknown, used or expired: make a new one with "skerry token create"',
  already_exists: (node) =>
    `node ${node} has a certificate under another key: delete the Node object if this machine replaces it, or choose another --node`,
};

function explain(error: unknown, node: string): unknown {
  if (!isSkerryError(error)) return error;
  const advice = WHAT_TO_DO[error.code]?.(node);
  return advice === undefined
    ? error
    : new SkerryError(error.code, `${advice} (${messageOf(error)})`, { cause: error });
}

function publicKeyOf(key: KeyObject): Buffer {
  return createPublicKey(key).export({ type: 'spki', format: 'der' });
}
