// The two link services of gRPC: who may open a session, and with what Goodbye the others leave.
// Invariants: no frame of a caller is read before its certificate was; a session begins only after Hello and certificate agree; handshakes
// under way are bounded.
import type { ServerDuplexStream } from '@grpc/grpc-js';
import type { Clock } from '@skerry/common/clock';
import { messageOf, SkerryError } from '@skerry/common/errors';
import { toStatus } from '@skerry/common/grpc/client';
import { type PendingChannel, serveChannel } from '@skerry/common/link/channel';
import type { Logger } from '@skerry/common/logger';
import type { ControllerLinkServiceServer, EdgeLinkServiceServer } from '@skerry/gen/skerry/cloud/v1/cloud';
import { Controller, type Frame, type Goodbye, Goodbye_Reason, type Welcome } from '@skerry/gen/skerry/link/v1/link';
import type { Admission } from './admission.js';
import { createCallerLimiter } from './caller-limiter.js';
import type { Counters } from './counters.js';
import type { Hub } from './hub.js';
import { requireController, requireNode } from './identity.js';
import type { ControllerKind } from './registry.js';

export interface LinkServicesOptions {
  readonly hub: Hub;
  readonly admission: Admission;
  /** Of this replica; Welcome carries it. */
  readonly instance: string;
  readonly clock: Clock;
  readonly counters: Counters;
  readonly logger: Logger;
}

export interface LinkServices {
  readonly edge: EdgeLinkServiceServer;
  readonly controller: ControllerLinkServiceServer;
  /** From now on everybody is sent away. */
  shutDown(): void;
}

type LinkCall = ServerDuplexStream<Frame, Frame>;

const MAX_HANDSHAKES = 2_000;
/** Connections of one node: what it wants more must not use up what the hub admits. An honest edge backs off long before. */
const NODE_PACE = { burst: 20, perSecond: 1, maxCallers: 50_000 };
const NODE_RETRY_MS = 5_000;

export function createLinkServices(options: LinkServicesOptions): LinkServices {
  const { hub, admission, clock, counters, logger } = options;
  const welcome: Partial<Welcome> = { hubInstance: options.instance };
  const stopping = new AbortController();
  const pace = createCallerLimiter(NODE_PACE);
  let handshakes = 0;

  /** Identity first, then Hello; `decide` accepts or returns the Goodbye. */
  function open<T>(
    call: LinkCall,
    identify: (call: LinkCall) => T,
    decide: (identity: T, pending: PendingChannel) => Partial<Goodbye> | undefined,
  ): void {
    let identity: T;
    try {
      if (handshakes >= MAX_HANDSHAKES)
        throw new SkerryError('resource_exhausted', `${handshakes} handshakes are under way: try again later`);
      identity = identify(call);
    } catch (error) {
      counters.callersRefused += 1;
      logger.warn('caller refused', { peer: call.getPeer(), error: messageOf(error) });
      call.emit('error', toStatus(error));
      return;
    }
    handshakes += 1;
    serveChannel(call, { clock, logger, signal: stopping.signal })
      .then((pending) => {
        const goodbye = stopping.signal.aborted ? SHUTTING_DOWN : decide(identity, pending);
        if (goodbye) pending.refuse(goodbye);
      })
      .catch((error: unknown) => {
        counters.handshakesFailed += 1;
        logger.info('handshake failed', { peer: call.getPeer(), error: messageOf(error) });
      })
      .finally(() => {
        handshakes -= 1;
      });
  }

  function decideEdge(node: string, pending: PendingChannel): Partial<Goodbye> | undefined {
    const { role } = pending.hello;
    if (role?.$case !== 'edge') return forbidden(`node "${node}" may only connect as an edge`);
    if (role.value.node !== node)
      return forbidden(`the certificate is of node "${node}", Hello names "${role.value.node.slice(0, 100)}"`);
    if (!pace.take(node, clock.monotonicMs())) return later(`node "${node}" connects again and again`, NODE_RETRY_MS);
    const judged = hub.judgeEdge(node, role.value);
    if (judged.kind === 'stale') {
      counters.edgesRefusedStale += 1;
      return {
        reason: Goodbye_Reason.REASON_STALE_GENERATION,
        message: `generation ${role.value.generation} of node "${node}" is not above ${judged.known}`,
        knownGeneration: judged.known,
      };
    }
    const verdict = admission.ask(clock.monotonicMs());
    if (verdict.kind === 'later') return later('many edges connect at this moment', verdict.retryAfterMs);
    hub.addEdge(node, role.value, pending.accept(welcome));
    return undefined;
  }

  function later(message: string, retryAfterMs: number): Partial<Goodbye> {
    counters.edgesRefusedAdmission += 1;
    return { reason: Goodbye_Reason.REASON_ADMISSION, message, retryAfterMs };
  }

  function decideController(kind: ControllerKind, pending: PendingChannel): Partial<Goodbye> | undefined {
    const { role } = pending.hello;
    if (role?.$case !== 'controller') return forbidden(`a ${Controller[kind]} may only attach as a controller`);
    if (role.value.kind !== kind)
      return forbidden(`the certificate is of a ${Controller[kind]}, Hello names ${Controller[role.value.kind]}`);
    if (role.value.instance === '') return forbidden('Hello names no instance: give --instance');
    hub.addController(kind, role.value.instance, role.value.claims?.shards ?? [], pending.accept(welcome));
    return undefined;
  }

  return {
    edge: { connect: (call) => open(call, requireNode, decideEdge) },
    controller: { attach: (call) => open(call, requireController, decideController) },
    shutDown: () => stopping.abort(new SkerryError('unavailable', 'this hub stops')),
  };
}

const SHUTTING_DOWN: Partial<Goodbye> = { reason: Goodbye_Reason.REASON_SHUTTING_DOWN, message: 'this hub stops' };

function forbidden(message: string): Partial<Goodbye> {
  return { reason: Goodbye_Reason.REASON_FORBIDDEN, message };
}
