// Events do not stay: each goes some time after it was last seen, and the oldest go when there are too many.
// Wiring: `createEventExpiry({ cluster: store, clock, logger, ttlMs })` is a Component; start it after the store is open.
import type { Component } from '@skerry/common/lifecycle';
import { type KubeObject, textAt } from '../api/objects.js';
import { type ControllerOptions, EVENTS } from '../controllers/access.js';
import { createPassLoop } from '../controllers/pass-loop.js';
import type { ObjectKey, StoredObject } from '../storage/changes.js';

export interface EventExpiryOptions extends Omit<ControllerOptions, 'newUid'> {
  /** How long an Event stays after it was last seen. */
  readonly ttlMs: number;
  /** How many Events are kept at most. */
  readonly maxEvents?: number;
}

const MAX_EVENTS = 10_000;
const PERIOD_MS = 60_000;

/** Keys of the Events to remove at `nowMs` (wall clock). */
export function expiredEvents(
  events: readonly StoredObject[],
  limits: { readonly ttlMs: number; readonly maxEvents: number },
  nowMs: number,
): ObjectKey[] {
  const aged = events.map(({ key, object }) => ({ key, seenMs: lastSeenMs(object) }));
  aged.sort((a, b) => b.seenMs - a.seenMs);
  return aged.flatMap(({ key, seenMs }, rank) =>
    rank >= limits.maxEvents || nowMs - seenMs >= limits.ttlMs ? [key] : [],
  );
}

/** The newest of the times that an Event carries; 0 when it carries none. */
function lastSeenMs(event: KubeObject): number {
  const times = [
    event.metadata.creationTimestamp ?? '',
    textAt(event, 'lastTimestamp'),
    textAt(event, 'eventTime'),
    textAt(event, 'series', 'lastObservedTime'),
  ];
  return Math.max(0, ...times.map((time) => Date.parse(time) || 0));
}

export function createEventExpiry(options: EventExpiryOptions): Component {
  const { cluster, clock, ttlMs, maxEvents = MAX_EVENTS } = options;
  const logger = options.logger.child({ controller: 'event-expiry' });
  const periodMs = Math.min(PERIOD_MS, ttlMs);

  async function pass(): Promise<number> {
    const expired = expiredEvents(cluster.list(EVENTS), { ttlMs, maxEvents }, clock.nowMs());
    if (expired.length > 0) {
      await cluster.transact((tx) => {
        for (const key of expired) if (tx.get(key) !== undefined) tx.remove(key);
      });
      logger.debug('events expired', { count: expired.length });
    }
    return periodMs;
  }

  const loop = createPassLoop({ clock, logger, pass });
  return {
    name: 'event-expiry',
    start: async () => loop.start(),
    stop: async () => loop.stop(),
  };
}
