// One claim by one Lease: acquire, renew, lose, release. Used for leadership and for a replica's membership.
// Invariants: the claim is lost here well before others may take it (2/3 of the duration after the last renewal was sent, by the monotonic
// clock, even if no timer fires); a claim that lapsed is never taken up again under its old epoch.
import type { Clock, Timer } from '../clock.js';
import { messageOf } from '../errors.js';
import type { Component } from '../lifecycle.js';
import type { Logger } from '../logger.js';
import { backoffMs } from './backoff.js';
import type { KubeClient } from './client.js';
import { isAlreadyExists, isConflict, isNotFound } from './kube-error.js';
import {
  acquiredLease,
  type LeaseIdentity,
  type LeaseRecord,
  readLease,
  releasedLease,
  renewedLease,
} from './lease.js';
import { LEASES, type Lease } from './resources.js';

export interface LeaseLockOptions {
  readonly client: Pick<KubeClient, 'get' | 'create' | 'replace' | 'delete'>;
  readonly lease: LeaseIdentity;
  /**
   * Unique among the processes that run at the same time. One that a restarted process keeps (a StatefulSet's Pod name) lets it take
   * its own Lease back at once; a new one has to wait until the old one expires.
   */
  readonly identity: string;
  /** Others wait this long after the last renewal that they saw. Whole seconds; 15 s unless given. */
  readonly durationMs?: number;
  /** Whether stopping leaves a released Lease or none. */
  readonly onStop?: 'release' | 'delete';
  /** The claim was won (its epoch) or lost (`undefined`). */
  readonly onChange?: (epoch: number | undefined) => void;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
}

export interface LeaseLock extends Component {
  /** The epoch of the claim while it is held. Checked against the clock on each call: never cache the answer across an await. */
  epoch(): number | undefined;
}

type LockState =
  | { readonly kind: 'free' }
  | { readonly kind: 'held'; readonly epoch: number; readonly validUntilMs: number; readonly lease: Lease };

/** What a candidate knows of somebody else's claim: the version it saw, and since when (monotonic). */
export interface Observation {
  readonly version: string;
  readonly sinceMs: number;
}

/**
 * May the claim be taken? Yes when nobody has it, when it is our own from before, or when its version was not renewed for its whole
 * duration while we watched.
 */
export function mayTake(record: LeaseRecord | undefined, identity: string, seen: Observation, nowMs: number): boolean {
  if (!record || record.holder === '' || record.holder === identity) return true;
  return seen.version === record.resourceVersion && nowMs - seen.sinceMs >= record.durationMs;
}

const RETRY = { baseMs: 250, maxMs: 2_000 };

export function createLeaseLock(options: LeaseLockOptions): LeaseLock {
  const { client, lease: at, identity, clock, random, durationMs = 15_000 } = options;
  const logger = options.logger.child({ lease: at.name });
  const renewEveryMs = durationMs / 3;
  const stopping = new AbortController(); // ends waits
  const cutting = new AbortController(); // ends requests, when patience with stopping has ended
  let state: LockState = { kind: 'free' };
  let expiry: Timer | undefined;
  let seen: Observation | undefined;
  let loop: Promise<void> = Promise.resolve();

  function held(): (LockState & { kind: 'held' }) | undefined {
    return state.kind === 'held' && clock.monotonicMs() < state.validUntilMs ? state : undefined;
  }

  function lose(why: string): void {
    if (state.kind === 'free') return;
    state = { kind: 'free' };
    expiry?.cancel();
    logger.warn('claim lost', { why });
    options.onChange?.(undefined);
  }

  function hold(lease: Lease, sentMs: number): void {
    const epoch = readLease(lease).epoch;
    const isNew = state.kind === 'free';
    const validUntilMs = sentMs + (durationMs * 2) / 3;
    state = { kind: 'held', epoch, validUntilMs, lease };
    expiry?.cancel();
    expiry = clock.after(validUntilMs - clock.monotonicMs(), () => lose('not renewed in time'));
    if (!isNew) return;
    logger.info('claim won', { epoch });
    options.onChange?.(epoch);
  }

  /** What a round says is how long to wait for the next one. */
  async function renew(mine: LockState & { kind: 'held' }): Promise<number> {
    const sentMs = clock.monotonicMs();
    try {
      const timeoutMs = mine.validUntilMs - sentMs;
      const lease = await client.replace(LEASES, renewedLease(mine.lease, clock.nowMs()), call(timeoutMs));
      // An answer that came too late renews nothing: others may have counted us out, so the claim starts anew.
      if (!held()) return 0;
      hold(lease, sentMs);
      return renewEveryMs * (0.8 + 0.4 * random());
    } catch (error) {
      if (!isConflict(error) && !isNotFound(error)) throw error;
      lose('the Lease was changed by somebody else');
      return 0;
    }
  }

  async function acquire(): Promise<number> {
    const current = await read();
    const record = current && readLease(current);
    const nowMs = clock.monotonicMs();
    const version = record?.resourceVersion ?? '';
    if (seen?.version !== version) seen = { version, sinceMs: nowMs };
    if (!mayTake(record, identity, seen, nowMs)) return renewEveryMs / 2;
    const wanted = acquiredLease(at, record, identity, durationMs, clock.nowMs());
    try {
      const written = record
        ? await client.replace(LEASES, wanted, call(renewEveryMs))
        : await client.create(LEASES, wanted, call(renewEveryMs));
      hold(written, nowMs);
      return renewEveryMs;
    } catch (error) {
      const lostRace = isConflict(error) || isAlreadyExists(error) || (record && isNotFound(error));
      if (lostRace) return backoffMs(1, RETRY, random);
      throw error;
    }
  }

  async function read(): Promise<Lease | undefined> {
    try {
      return await client.get(LEASES, at, call(renewEveryMs));
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  function call(timeoutMs: number) {
    return { timeoutMs, retry: false, signal: cutting.signal };
  }

  async function run(): Promise<void> {
    for (let failures = 0; !stopping.signal.aborted; ) {
      let waitMs: number;
      try {
        const mine = held();
        if (!mine) lose('not renewed in time');
        waitMs = mine ? await renew(mine) : await acquire();
        failures = 0;
      } catch (error) {
        failures += 1;
        waitMs = backoffMs(failures, RETRY, random);
        if (!stopping.signal.aborted) logger.warn('Lease request failed', { error: messageOf(error) });
      }
      await clock.sleep(waitMs, stopping.signal).catch(() => {}); // stopped: the loop's condition sees it
    }
  }

  /** Best effort: a Lease that stays behind expires. */
  async function giveUp(lease: Lease): Promise<void> {
    const record = readLease(lease);
    const { resourceVersion } = record;
    try {
      if (options.onStop === 'delete') await client.delete(LEASES, at, { ...call(renewEveryMs), resourceVersion });
      else await client.replace(LEASES, releasedLease(at, record, clock.nowMs()), call(renewEveryMs));
    } catch (error) {
      logger.warn('Lease could not be released; it will expire', { error: messageOf(error) });
    }
  }

  return {
    name: `lease ${at.name}`,
    epoch: () => held()?.epoch,
    async start() {
      loop = run();
    },
    async stop(deadline) {
      const cut = (): void => cutting.abort(deadline.reason);
      if (deadline.aborted) cut();
      deadline.addEventListener('abort', cut, { once: true });
      stopping.abort();
      await loop;
      const mine = held();
      lose('stopped');
      if (mine) await giveUp(mine.lease);
      deadline.removeEventListener('abort', cut);
    },
  };
}
