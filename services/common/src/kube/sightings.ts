// Which members of a group this replica believes alive: each by the version of its Lease that was last seen to change, and when.
// Invariants: only this process's monotonic clock counts; a holder that was never seen gets a full duration from the moment it was missed.
import type { Clock } from '../clock.js';
import type { LeaseRecord } from './lease.js';

export interface Sightings {
  /** A member's Lease as the watch shows it. Returns true for a member that was not known. */
  noticed(id: string, record: LeaseRecord): boolean;
  vanished(id: string): void;
  /** Holders of something: those without a Lease of their own are watched as missing, others that are missing are forgotten. */
  expectOnly(holders: ReadonlySet<string>): void;
  alive(): Set<string>;
  /** The version a member has not changed for `times` its duration, '' for one without a Lease; `undefined` while it may be alive. */
  stoodStill(id: string, times?: number): string | undefined;
}

interface Sighting {
  readonly version: string;
  readonly durationMs: number;
  readonly sinceMs: number;
}

export function createSightings(clock: Clock, defaultDurationMs: number): Sightings {
  const seen = new Map<string, Sighting>();

  function expired(sighting: Sighting, times: number): boolean {
    return clock.monotonicMs() - sighting.sinceMs >= sighting.durationMs * times;
  }

  return {
    noticed(id, record) {
      const known = seen.get(id);
      if (known?.version !== record.resourceVersion)
        seen.set(id, { version: record.resourceVersion, durationMs: record.durationMs, sinceMs: clock.monotonicMs() });
      return known === undefined || known.version === '';
    },
    vanished: (id) => void seen.delete(id),
    expectOnly(holders) {
      for (const [id, sighting] of seen) if (sighting.version === '' && !holders.has(id)) seen.delete(id);
      for (const id of holders) {
        if (!seen.has(id)) seen.set(id, { version: '', durationMs: defaultDurationMs, sinceMs: clock.monotonicMs() });
      }
    },
    alive: () => new Set([...seen].filter(([, s]) => s.version !== '' && !expired(s, 1)).map(([id]) => id)),
    stoodStill(id, times = 1) {
      const sighting = seen.get(id);
      return sighting && expired(sighting, times) ? sighting.version : undefined;
    },
  };
}
