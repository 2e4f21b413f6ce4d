// Kubernetes Leases as Skerry uses them: what is read from one, what is written into one, and the epoch that fences old holders off.
// Invariants: every acquisition has a higher epoch than all before it; times in a Lease are for people, expiry is judged by the
// observer's own monotonic clock (as client-go does), so clocks of different machines are never compared.
import type { Lease } from './resources.js';

export interface LeaseRecord {
  /** '' = released. */
  readonly holder: string;
  readonly durationMs: number;
  /** leaseTransitions: the epoch of the latest acquisition. */
  readonly epoch: number;
  /** Verbatim; a change of it is a sign of life. */
  readonly renewTime: string;
  readonly resourceVersion: string;
}

export interface LeaseIdentity {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

export function readLease(lease: Lease): LeaseRecord {
  const spec = lease.spec ?? {};
  return {
    holder: spec.holderIdentity ?? '',
    durationMs: (spec.leaseDurationSeconds ?? 0) * 1_000,
    epoch: spec.leaseTransitions ?? 0,
    renewTime: spec.renewTime ?? '',
    resourceVersion: lease.metadata?.resourceVersion ?? '',
  };
}

/**
 * The epoch of the next acquisition: one more than the highest known, and at least the minutes since 1970. So a Lease that was deleted
 * by hand, or came back from an old backup, still yields epochs above those that edges remember, also under a replica that knew nothing
 * of it (while holders change less than once a minute on average). It fits the field's 32 bits for four thousand years.
 */
export function nextEpoch(highest: number, nowMs: number): number {
  return Math.max(highest + 1, Math.floor(nowMs / 60_000));
}

/** MicroTime of coordination.k8s.io: exactly six digits of the second. */
export function microTime(ms: number): string {
  return new Date(ms).toISOString().replace(/(\.\d{3})Z$/, '$1000Z');
}

/**
 * The Lease of a new holder. `previous` is what it takes over; its resourceVersion makes the write fail if somebody was faster.
 * `seenEpoch` is the highest that the caller remembers of this claim, whose Lease may be gone.
 */
export function acquiredLease(
  at: LeaseIdentity,
  previous: LeaseRecord | undefined,
  holder: string,
  durationMs: number,
  nowMs: number,
  seenEpoch = 0,
): Lease {
  return {
    metadata: metadataOf(at, previous),
    spec: {
      holderIdentity: holder,
      leaseDurationSeconds: Math.ceil(durationMs / 1_000),
      acquireTime: microTime(nowMs),
      renewTime: microTime(nowMs),
      leaseTransitions: nextEpoch(Math.max(previous?.epoch ?? 0, seenEpoch), nowMs),
    },
  };
}

/** The same claim, alive now. */
export function renewedLease(lease: Lease, nowMs: number): Lease {
  return { ...lease, spec: { ...lease.spec, renewTime: microTime(nowMs) } };
}

/** Nobody's, at once: the epoch stays, for the next holder to go on from. */
export function releasedLease(at: LeaseIdentity, previous: LeaseRecord, nowMs: number): Lease {
  const now = microTime(nowMs);
  return {
    metadata: metadataOf(at, previous),
    spec: {
      holderIdentity: '',
      leaseDurationSeconds: 1,
      acquireTime: now,
      renewTime: now,
      leaseTransitions: previous.epoch,
    },
  };
}

function metadataOf(at: LeaseIdentity, previous: LeaseRecord | undefined) {
  return {
    name: at.name,
    namespace: at.namespace,
    labels: { ...at.labels },
    ...(previous && { resourceVersion: previous.resourceVersion }),
  };
}
