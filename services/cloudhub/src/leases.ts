// Heartbeats into Leases: while a node's heartbeats arrive, its Lease in kube-node-lease is renewed every 20 s. The node controller of
// Kubernetes does the rest.
// Invariants: one entry and at most one request per node; a renewal carries the time at which it is sent, so a slow API gets the newest;
// an API that cannot be reached is probed by one request at a time, and nothing else suffers from it.
import type { Clock, Timer } from '@skerry/common/clock';
import { isSkerryError, messageOf } from '@skerry/common/errors';
import { backoffMs } from '@skerry/common/kube/backoff';
import type { KubeClient } from '@skerry/common/kube/client';
import { isAlreadyExists, isNotFound } from '@skerry/common/kube/kube-error';
import { microTime } from '@skerry/common/kube/lease';
import { LEASES } from '@skerry/common/kube/resources';
import type { Component } from '@skerry/common/lifecycle';
import type { Logger } from '@skerry/common/logger';
import type { Counters } from './counters.js';

export interface LeaseKeeper extends Component {
  /** The node showed that it works. */
  heartbeat(node: string): void;
  /** The node's session ended: no renewal until its next heartbeat. */
  forget(node: string): void;
  /** Nodes with an entry, and requests under way. */
  stats(): { readonly nodes: number; readonly queued: number; readonly inFlight: number };
}

export interface LeaseKeeperOptions {
  readonly kube: Pick<KubeClient, 'patch' | 'create'>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly counters: Counters;
  readonly logger: Logger;
}

const NAMESPACE = 'kube-node-lease';
/** The kubelet's own duration: the node controller reads it. */
const LEASE_DURATION_S = 40;
const RENEW_EVERY_MS = 20_000;
/** Two heartbeat intervals and some slack. */
const FRESH_MS = 25_000;
const MAX_IN_FLIGHT = 16;
const REQUEST_TIMEOUT_MS = 10_000;
const OUTAGE_BACKOFF = { baseMs: 500, maxMs: 5_000 };

interface Entry {
  /** Monotonic; undefined once the session ended. */
  lastBeatMs: number | undefined;
  timer: Timer | undefined;
}

export function createLeaseKeeper(options: LeaseKeeperOptions): LeaseKeeper {
  const { kube, clock, random, counters, logger } = options;
  const entries = new Map<string, Entry>();
  const due = new Set<string>();
  const stopping = new AbortController();
  let inFlight = 0;
  /** Requests in a row that found no API. */
  let failures = 0;
  let pause: Timer | undefined;

  function heartbeat(node: string): void {
    counters.heartbeats += 1;
    if (stopping.signal.aborted) return;
    const entry = entries.get(node);
    if (entry) {
      entry.lastBeatMs = clock.monotonicMs();
      return;
    }
    entries.set(node, { lastBeatMs: clock.monotonicMs(), timer: undefined });
    due.add(node);
    pump();
  }

  function forget(node: string): void {
    const entry = entries.get(node);
    if (entry) entry.lastBeatMs = undefined;
  }

  function pump(): void {
    for (const node of due) {
      if (pause || stopping.signal.aborted || inFlight >= (failures > 0 ? 1 : MAX_IN_FLIGHT)) return;
      due.delete(node);
      const entry = entries.get(node);
      if (!entry) continue;
      if (!isFresh(entry)) {
        entries.delete(node);
        continue;
      }
      inFlight += 1;
      renewOne(node, entry).catch((error: unknown) =>
        logger.error('lease renewal broke', { node, error: messageOf(error) }),
      );
    }
  }

  async function renewOne(node: string, entry: Entry): Promise<void> {
    try {
      await write(node);
      counters.leasesRenewed += 1;
      failures = 0;
      schedule(node, entry);
    } catch (error) {
      if (stopping.signal.aborted) return;
      counters.leasesFailed += 1;
      if (isOutage(error)) {
        due.add(node);
        rest(error);
      } else {
        logger.warn('node lease was not renewed', { node, error: messageOf(error) });
        schedule(node, entry);
      }
    } finally {
      inFlight -= 1;
      pump();
    }
  }

  async function write(node: string): Promise<void> {
    const spec = {
      holderIdentity: node,
      leaseDurationSeconds: LEASE_DURATION_S,
      renewTime: microTime(clock.nowMs()),
    };
    const call = { signal: stopping.signal, timeoutMs: REQUEST_TIMEOUT_MS, retry: false };
    try {
      await kube.patch(LEASES, { namespace: NAMESPACE, name: node }, { type: 'merge', body: { spec } }, call);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      await createLease(node, spec, call);
    }
  }

  async function createLease(node: string, spec: object, call: object): Promise<void> {
    try {
      await kube.create(LEASES, { metadata: { name: node, namespace: NAMESPACE }, spec }, call);
    } catch (error) {
      // Another replica made it in this moment, with this moment's time.
      if (!isAlreadyExists(error)) throw error;
    }
  }

  /** The jitter spreads nodes that came together. */
  function schedule(node: string, entry: Entry): void {
    entry.timer = clock.after(RENEW_EVERY_MS * (0.9 + 0.2 * random()), () => {
      entry.timer = undefined;
      due.add(node);
      pump();
    });
  }

  function rest(error: unknown): void {
    if (pause) return;
    failures += 1;
    if (failures === 1) logger.warn('the Kubernetes API is away; leases wait', { error: messageOf(error) });
    pause = clock.after(backoffMs(failures, OUTAGE_BACKOFF, random), () => {
      pause = undefined;
      pump();
    });
  }

  function isFresh(entry: Entry): boolean {
    return entry.lastBeatMs !== undefined && clock.monotonicMs() - entry.lastBeatMs <= FRESH_MS;
  }

  return {
    name: 'leases',
    async start() {},
    async stop() {
      stopping.abort();
      pause?.cancel();
      for (const entry of entries.values()) entry.timer?.cancel();
      entries.clear();
      due.clear();
    },
    heartbeat,
    forget,
    stats: () => ({ nodes: entries.size, queued: due.size, inFlight }),
  };
}

function isOutage(error: unknown): boolean {
  return (
    isSkerryError(error, 'unavailable') ||
    isSkerryError(error, 'deadline_exceeded') ||
    isSkerryError(error, 'resource_exhausted')
  );
}
