// Keeps this node connected to the cloud: identity, generation, connection, and when to try again.
// Invariants: one connection at a time, each under a new generation that is on disk before it is used; waits are jittered, start short after
// a connection that worked, and are never shorter than what the hub asked for; the node's certificate is renewed beside it.
import { randomUUID } from 'node:crypto';
import type { Clock, Timer } from '@skerry/common/clock';
import { messageOf } from '@skerry/common/errors';
import { backoffMs } from '@skerry/common/kube/backoff';
import type { Component } from '@skerry/common/lifecycle';
import { isRefused } from '@skerry/common/link/channel';
import type { ChannelEnd, LaneSession } from '@skerry/common/link/types';
import type { Logger } from '@skerry/common/logger';
import { type Controller, type Goodbye, Goodbye_Reason } from '@skerry/gen/skerry/link/v1/link';
import { credentialsOf, type IdentityKeeper } from '../identity/enrolment.js';
import type { HubAddress } from '../identity/pinned-ca.js';
import type { NodeClock } from '../node/node-clock.js';
import type { Generation } from './generation.js';
import { isRefusal, runHubLink } from './hub-link.js';

export interface HubClientOptions {
  readonly node: string;
  readonly hub: HubAddress;
  readonly softwareVersion: string;
  readonly storeEpoch: string;
  readonly identity: IdentityKeeper;
  readonly generation: Generation;
  readonly nodeClock: NodeClock;
  readonly sessions: ReadonlyMap<Controller, LaneSession>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** In [0, 1). */
  readonly random?: () => number;
}

export type LinkState = 'connecting' | 'connected' | 'waiting' | 'refused';

export interface HubStatus {
  readonly state: LinkState;
  /** Unix milliseconds, the node's clock. */
  readonly sinceMs: number;
  readonly lastError: string;
  readonly connects: number;
  readonly attached: ReadonlySet<Controller>;
}

export interface HubClient extends Component {
  status(): HubStatus;
  /** Ends the connection and makes another one after the usual wait. */
  reconnect(reason: string): void;
}

/** Full jitter makes the mean wait half of this: after a long outage all nodes are back well within the node grace period. */
const BACKOFF = { baseMs: 500, maxMs: 15_000 };
const RENEWAL_CHECK_MS = 3_600_000;

/** How an attempt ended, for the next one. */
interface Outcome {
  readonly worked: boolean;
  readonly reason: string;
  readonly isRefusal: boolean;
  readonly goodbye: Goodbye | undefined;
}

export function createHubClient(options: HubClientOptions): HubClient {
  const { node, hub, identity, generation, nodeClock, sessions, clock, logger, random = Math.random } = options;
  const address = `${hub.host}:${hub.port}`;
  const bootId = randomUUID();
  const stopping = new AbortController();
  const attached = new Set<Controller>();
  let state: LinkState = 'connecting';
  let sinceMs = clock.nowMs();
  let lastError = '';
  let connects = 0;
  let connection: AbortController | undefined;
  let running: Promise<void> = Promise.resolve();
  let renewalTimer: Timer | undefined;

  function enter(next: LinkState): void {
    if (state === next) return;
    state = next;
    sinceMs = clock.nowMs();
  }

  async function run(): Promise<void> {
    for (let failures = 0; !stopping.signal.aborted; ) {
      enter('connecting');
      const outcome = await attempt();
      if (stopping.signal.aborted) return;
      failures = outcome.worked ? 1 : failures + 1;
      lastError = outcome.reason;
      const waitMs = Math.max(backoffMs(failures, BACKOFF, random), outcome.goodbye?.retryAfterMs ?? 0);
      enter(outcome.isRefusal ? 'refused' : 'waiting');
      logger.warn('no connection to the hub', { hub: address, reason: outcome.reason, failures, waitMs });
      await clock.sleep(waitMs, stopping.signal).catch(() => {});
    }
  }

  async function attempt(): Promise<Outcome> {
    connection = new AbortController();
    const { signal } = connection;
    let worked = false;
    try {
      const credentials = credentialsOf(await identity.obtain());
      const edge = {
        ...{ node, bootId, generation: await generation.next() },
        ...{ softwareVersion: options.softwareVersion, storeEpoch: options.storeEpoch },
      };
      const onConnected = (cloudTimeMs: number): void => {
        worked = true;
        connects += 1;
        nodeClock.correct(cloudTimeMs);
        enter('connected');
        logger.info('connected to the hub', { hub: address, generation: edge.generation });
        renewIfDue();
      };
      const end = await runHubLink(
        { address, credentials, edge, sessions, onConnected, onAttachment, clock, logger },
        signal,
      );
      return outcomeOf(end, worked);
    } catch (error) {
      const goodbye = isRefused(error) ? error.goodbye : undefined;
      return told({ worked, reason: messageOf(error), isRefusal: isRefusal(error), goodbye });
    }
  }

  function outcomeOf(end: ChannelEnd, worked: boolean): Outcome {
    const ended = { worked, isRefusal: false, goodbye: undefined };
    switch (end.kind) {
      case 'goodbye': {
        const reason = `the hub said goodbye: ${end.goodbye.message || Goodbye_Reason[end.goodbye.reason]}`;
        return told({ ...ended, reason, goodbye: end.goodbye });
      }
      case 'lost':
        return { ...ended, reason: end.reason };
      case 'closed':
        return { ...ended, reason: `closed by this node: ${messageOf(connection?.signal.reason)}` };
    }
  }

  /** A hub that has seen a later generation than this disk knows tells it: the next attempt continues above. */
  function told(outcome: Outcome): Outcome {
    const { goodbye } = outcome;
    if (goodbye?.reason !== Goodbye_Reason.REASON_STALE_GENERATION) return outcome;
    generation.seen(goodbye.knownGeneration);
    return { ...outcome, isRefusal: false };
  }

  function onAttachment(controller: Controller, isAttached: boolean): void {
    if (isAttached) attached.add(controller);
    else attached.delete(controller);
  }

  /** At each connection too: a node may never run for as long as the timer takes. */
  function renewIfDue(): void {
    identity
      .renewIfDue(nodeClock.cloudNowMs())
      .catch((error: unknown) => logger.warn('certificate not renewed', { error: messageOf(error) }));
  }

  function armRenewal(): void {
    renewalTimer = clock.after(RENEWAL_CHECK_MS, () => {
      renewIfDue();
      armRenewal();
    });
  }

  return {
    name: 'hub-client',
    async start() {
      running = run();
      armRenewal();
    },
    async stop() {
      renewalTimer?.cancel();
      stopping.abort();
      connection?.abort('it stops');
      await running;
    },
    status: () => ({ state, sinceMs, lastError, connects, attached }),
    reconnect: (reason) => connection?.abort(reason),
  };
}
