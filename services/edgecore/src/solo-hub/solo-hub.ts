// A cloud for one node in one process, without Kubernetes: enrolment, the hub's link, and controllers whose desired state is a map. For
// tests and benches; it speaks the real link over real mTLS and answers everything that a node reports as applied.
// Invariant: what `stop` leaves behind is nothing: it can be started again on the same port, as a hub that restarts.
import type { ServerDuplexStream, ServerUnaryCall, sendUnaryData, UntypedServiceImplementation } from '@grpc/grpc-js';
import type { Clock } from '@skerry/common/clock';
import { SkerryError } from '@skerry/common/errors';
import { toStatus } from '@skerry/common/grpc/client';
import { createGrpcServer, type GrpcServer } from '@skerry/common/grpc/server';
import { createTlsSource, peerIdentity } from '@skerry/common/grpc/tls';
import { serveChannel } from '@skerry/common/link/channel';
import { linkServerOptions } from '@skerry/common/link/grpc-options';
import { createLaneSession } from '@skerry/common/link/lane-session';
import { controllerOf } from '@skerry/common/link/lanes';
import type { CallHandler, Channel, Entry, LaneSession, LogItem, Settlement } from '@skerry/common/link/types';
import type { Logger } from '@skerry/common/logger';
import { type Authority, createAuthorityMaterial, issueWithNewKey, openAuthority } from '@skerry/common/pki/authority';
import { credentialOf, formatJoinToken, newJoinToken } from '@skerry/common/pki/join-token';
import { HUB_SERVER_NAME, hubSubject, nodeSubject } from '@skerry/common/pki/names';
import { checkProof, enrolProofInput } from '@skerry/common/pki/proof';
import {
  EdgeLinkServiceService,
  type EnrollRequest,
  type EnrollResponse,
  EnrolmentServiceService,
} from '@skerry/gen/skerry/cloud/v1/cloud';
import { Controller, Done_Outcome, type Frame, type Goodbye, type Hello, Lane } from '@skerry/gen/skerry/link/v1/link';

const DAY_MS = 86_400_000;
const HOST = '127.0.0.1';
const APPLIED: Settlement = { outcome: Done_Outcome.OUTCOME_APPLIED, code: '', reason: '' };

export interface SoloHubOptions {
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface SoloController {
  /** What the node should have. */
  set(key: string, entry: Entry): void;
  remove(key: string): void;
  /** The newest payload of each key that the node reported, as text. */
  readonly reported: ReadonlyMap<string, string>;
  /** Payloads of the node's log streams, in order, as text. */
  readonly logged: readonly string[];
  /** What the next report is answered with. */
  settleNext(settlement: Settlement): void;
  /** Leaves or joins while the hub stays. */
  attach(isThere: boolean): void;
}

export interface SoloHub {
  readonly kube: SoloController;
  readonly device: SoloController;
  /** Text of a join token; the same one may be used again. */
  readonly token: string;
  /** What nodes said at each connection, the newest last. */
  readonly hellos: readonly Hello[];
  /** Heartbeats of the node since the start. */
  heartbeats(): number;
  port(): number;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Answers the next Hello with it. */
  refuseNext(goodbye: Partial<Goodbye>): void;
  /** Ends the node's connection with it. */
  say(goodbye: Partial<Goodbye>): void;
}

/** Makes a CA; nothing listens before `start`. */
export async function createSoloHub(options: SoloHubOptions): Promise<SoloHub> {
  const { clock, logger } = options;
  const authority = await openAuthority(await createAuthorityMaterial(clock.nowMs()));
  const token = newJoinToken(authority.certPem);
  const controllers = new Map(
    [Controller.CONTROLLER_KUBE, Controller.CONTROLLER_DEVICE].map((kind) => [kind, createController(kind, options)]),
  );
  const hellos: Hello[] = [];
  let heartbeats = 0;
  let refusal: Partial<Goodbye> | undefined;
  let channel: Channel | undefined;
  let server: GrpcServer | undefined;
  let port = 0;

  async function connect(call: ServerDuplexStream<Frame, Frame>): Promise<void> {
    const pending = await serveChannel(call, { clock, logger });
    hellos.push(pending.hello);
    const refused = refusal;
    refusal = undefined;
    if (refused) {
      pending.refuse(refused);
      return;
    }
    const current = pending.accept({ hubInstance: 'solo' });
    // The newest connection of the node wins.
    channel?.close({});
    channel = current;
    current.onEnvelope((envelope) => {
      if (envelope.body.$case === 'heartbeat') heartbeats += 1;
      const kind = controllerOf(envelope.lane);
      if (kind !== undefined) controllers.get(kind)?.session.receive(envelope);
    });
    current.onEnd(() => {
      if (channel !== current) return;
      channel = undefined;
      for (const controller of controllers.values()) controller.connect(undefined);
    });
    current.start();
    for (const controller of controllers.values()) controller.connect(current);
  }

  async function start(): Promise<void> {
    const leaf = await issueWithNewKey(authority, {
      ...{ subject: hubSubject(), usage: 'server' as const, serverNames: [HUB_SERVER_NAME] },
      ...{ nowMs: clock.nowMs(), ttlMs: DAY_MS },
    });
    const tls = createTlsSource({
      cert: Buffer.from(leaf.certPem + authority.certPem),
      key: Buffer.from(leaf.keyPem),
      ca: Buffer.from(authority.certPem),
    });
    const link = {
      connect: (call: ServerDuplexStream<Frame, Frame>) => {
        if (!peerIdentity(call)) call.emit('error', toStatus(new SkerryError('unauthenticated', 'no certificate')));
        else connect(call).catch((error: unknown) => logger.debug('no handshake', { error }));
      },
    } as UntypedServiceImplementation;
    server = createGrpcServer({
      name: 'solo-hub',
      listen: { kind: 'tcp', host: HOST, port, credentials: tls.serverCredentials() },
      channelOptions: linkServerOptions(),
      services: [
        { definition: EdgeLinkServiceService, implementation: link },
        { definition: EnrolmentServiceService, implementation: enrolment(authority, credentialOf(token), clock) },
      ],
      beforeStop: async () => channel?.close({}),
      ...{ clock, logger },
    });
    await server.start();
    port = server.port();
  }

  const controllerOfKind = (kind: Controller): SoloController => {
    const controller = controllers.get(kind);
    if (!controller) throw new SkerryError('internal', `no controller of kind ${kind}`);
    return controller;
  };
  return {
    kube: controllerOfKind(Controller.CONTROLLER_KUBE),
    device: controllerOfKind(Controller.CONTROLLER_DEVICE),
    token: formatJoinToken(token),
    hellos,
    heartbeats: () => heartbeats,
    port: () => port,
    start,
    async stop() {
      await server?.stop(AbortSignal.timeout(2_000));
      server = undefined;
    },
    refuseNext(goodbye) {
      refusal = goodbye;
    },
    say: (goodbye) => channel?.close(goodbye),
  };
}

interface ConnectedController extends SoloController {
  readonly session: LaneSession;
  connect(channel: Channel | undefined): void;
}

function createController(kind: Controller, { clock, logger }: SoloHubOptions): ConnectedController {
  const desired = new Map<string, Entry>();
  const reported = new Map<string, string>();
  const versions = new Map<string, string>();
  const logged: string[] = [];
  const lastLogged = new Map<string, bigint>();
  let nextSettlement: Settlement | undefined;
  let isThere = true;
  let channel: Channel | undefined;
  let epoch = 0n;

  function settle(): Settlement {
    const settlement = nextSettlement ?? APPLIED;
    nextSettlement = undefined;
    return settlement;
  }

  const session = createLaneSession({
    role: 'controller',
    controller: kind,
    node: '',
    source: {
      *versions() {
        for (const [key, { version }] of desired) yield [key, version] as const;
      },
      read: (key) => desired.get(key),
      complete: () => true,
      confirmAbsent: async (key) => !desired.has(key),
      settled: () => {},
      epoch: () => epoch,
    },
    sink: {
      versions: () => versions,
      async put(key, entry) {
        const settlement = settle();
        if (settlement.outcome !== Done_Outcome.OUTCOME_APPLIED) return settlement;
        reported.set(key, Buffer.from(entry.payload).toString());
        versions.set(key, entry.version);
        return settlement;
      },
      async delete(key) {
        reported.delete(key);
        versions.delete(key);
        return APPLIED;
      },
      synced: async () => {},
      unsynced: () => false,
    },
    logSources: [],
    logSink: {
      last: (stream, of) => lastLogged.get(`${stream}/${of}`) ?? 0n,
      async append(stream, of, items: readonly LogItem[]) {
        for (const { n, payload } of items) {
          logged.push(Buffer.from(payload).toString());
          lastLogged.set(`${stream}/${of}`, n);
        }
      },
    },
    onCall: echo,
    clock,
    logger,
  });

  function tell(current: Channel): void {
    const body = isThere
      ? { $case: 'attached' as const, value: { controller: kind, shardEpoch: ++epoch, edge: undefined } }
      : { $case: 'detached' as const, value: { controller: kind } };
    current.send({ lane: Lane.LANE_CONTROL, node: '', body });
    if (isThere) session.attach(current, { shardEpoch: epoch });
    else session.detach('it left');
  }

  return {
    session,
    reported,
    logged,
    set(key, entry) {
      desired.set(key, entry);
      session.dirty(key);
    },
    remove(key) {
      desired.delete(key);
      session.dirty(key);
    },
    settleNext(settlement) {
      nextSettlement = settlement;
    },
    attach(there) {
      isThere = there;
      if (channel) tell(channel);
    },
    connect(current) {
      channel = current;
      if (!current) session.detach('the node is away');
      else if (isThere) tell(current);
    },
  };
}

/** Calls are answered with what they carried. */
const echo: CallHandler = async (payload, { method }) => {
  if (method !== 'echo') throw new SkerryError('unsupported', `method "${method}" is not served here`);
  return payload;
};

function enrolment(authority: Authority, credential: string, clock: Clock): UntypedServiceImplementation {
  async function enroll(request: EnrollRequest): Promise<EnrollResponse> {
    const { node, token, publicKey, proof } = request;
    if (token !== credential) throw new SkerryError('unauthenticated', 'the token is unknown');
    checkProof(publicKey, enrolProofInput(node, token, publicKey), proof);
    const certificateChain = await authority.issue({
      ...{ subject: nodeSubject(node), usage: 'client' as const, publicKey },
      ...{ nowMs: clock.nowMs(), ttlMs: DAY_MS },
    });
    return { certificateChain, caCertificates: authority.certPem };
  }
  return {
    enroll(call: ServerUnaryCall<EnrollRequest, EnrollResponse>, done: sendUnaryData<EnrollResponse>) {
      enroll(call.request).then(
        (response) => done(null, response),
        (error: unknown) => done(toStatus(error)),
      );
    },
    renew(_call: unknown, done: sendUnaryData<EnrollResponse>) {
      done(toStatus(new SkerryError('unsupported', 'certificates of this hub outlive its tests')));
    },
  } as UntypedServiceImplementation;
}
