// The shards that this replica serves. Each replica keeps one membership Lease alive; a shard's own Lease names its holder and epoch and
// is written only when it changes hands, so 64 shards cost one renewal every few seconds, not 64.
// Invariants: a shard is served only while the membership that claimed it is held without a gap; a lapse drops all shards and they are
// claimed anew under higher epochs; a shard of another holder is taken only after its membership stood still for its whole duration
// here and a live read shows that it still does. See docs/replicas.md for why two replicas never serve one shard.
import type { Clock } from '../clock.js';
import { messageOf } from '../errors.js';
import type { Component } from '../lifecycle.js';
import type { Logger } from '../logger.js';
import { type ClaimAction, planClaims } from './claim-plan.js';
import type { KubeClient } from './client.js';
import { isAlreadyExists, isConflict, isNotFound } from './kube-error.js';
import { acquiredLease, type LeaseIdentity, type LeaseRecord, readLease, releasedLease } from './lease.js';
import { createLeaseLock } from './lease-lock.js';
import { createReconciler } from './reconciler.js';
import { createReflector } from './reflector.js';
import { LEASES, type Lease } from './resources.js';
import { SHARD_COUNT } from './shard.js';
import { createSightings } from './sightings.js';

export interface ShardClaimsOptions {
  readonly client: KubeClient;
  /** The service, e.g. `edgecontroller`; its replicas share the claims. */
  readonly service: string;
  readonly namespace: string;
  /** Of this replica: a DNS label, unique among those that run at the same time; kept across restarts if possible. */
  readonly identity: string;
  readonly shards?: number;
  readonly durationMs?: number;
  /** Called synchronously with the shards served from now on and their epochs, whenever that changes. Must not throw. */
  readonly onChange: (owned: ReadonlyMap<number, number>) => void;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
}

export interface ShardClaims extends Component {
  /** Shard -> epoch, checked against the clock on each call. */
  owned(): ReadonlyMap<number, number>;
  /** The epoch under which a shard may be served now, or `undefined`: not ours. */
  epochOf(shard: number): number | undefined;
}

/** What is kept of a claims Lease. */
type Claim =
  | { readonly kind: 'member'; readonly id: string; readonly record: LeaseRecord }
  | { readonly kind: 'shard'; readonly shard: number; readonly record: LeaseRecord };

const LABEL_SERVICE = 'skerry.dev/claims';
const LABEL_MEMBER = 'skerry.dev/claims-member';
const LABEL_SHARD = 'skerry.dev/claims-shard';
const KEY = 'claims';
/** Writes at once when many shards change hands. */
const WRITES_AT_ONCE = 8;
const NOBODY: ReadonlyMap<number, number> = new Map();

export function createShardClaims(options: ShardClaimsOptions): ShardClaims {
  const { client, service, namespace, identity, shards = SHARD_COUNT, durationMs = 15_000, clock, random } = options;
  const logger = options.logger.child({ claims: service });
  const owned = new Map<number, number>();
  const leases = new Map<number, LeaseRecord>();
  /** Highest epoch seen of each shard: it outlives a Lease that somebody deletes. */
  const epochs = new Map<number, number>();
  const sightings = createSightings(clock, durationMs);

  const member = createLeaseLock({
    client,
    lease: memberLease(identity),
    identity,
    durationMs,
    onStop: 'delete',
    // Won anew or lost: either way nothing that an earlier membership claimed is ours any longer.
    onChange: () => {
      dropAll();
      rounds.add(KEY);
    },
    clock,
    random,
    logger,
  });

  const reflector = createReflector<Lease, Claim>({
    client,
    resource: LEASES,
    namespace,
    labelSelector: `${LABEL_SERVICE}=${service}`,
    project: claimOf,
    handler: {
      upsert: (_key, claim) => noticed(claim),
      remove: (_key, _uid, claim) => vanished(claim),
      synced: () => rounds.add(KEY),
    },
    clock,
    random,
    logger,
  });

  const rounds = createReconciler({
    name: `claims ${service}`,
    workers: 1,
    reconcile: (_key, signal) => round(signal),
    backoff: { baseMs: 250, maxMs: 5_000 },
    clock,
    random,
    logger,
  });

  function memberLease(id: string): LeaseIdentity {
    return { namespace, name: `${service}-member-${id}`, labels: { [LABEL_SERVICE]: service, [LABEL_MEMBER]: id } };
  }

  function shardLease(shard: number): LeaseIdentity {
    const labels = { [LABEL_SERVICE]: service, [LABEL_SHARD]: String(shard) };
    return { namespace, name: `${service}-shard-${shard}`, labels };
  }

  function changed(): void {
    options.onChange(new Map(owned));
  }

  function dropAll(): void {
    if (owned.size === 0) return;
    owned.clear();
    changed();
  }

  function drop(shard: number): void {
    if (owned.delete(shard)) changed();
  }

  function noticed(claim: Claim): void {
    if (claim.kind === 'member') {
      if (sightings.noticed(claim.id, claim.record)) rounds.add(KEY);
      return;
    }
    const { shard, record } = claim;
    saw(shard, record);
    // Our own older writes come back late and have a lower epoch; an equal or higher one of somebody else is a loss.
    if (record.holder !== identity && record.epoch >= (owned.get(shard) ?? Number.POSITIVE_INFINITY)) drop(shard);
    rounds.add(KEY);
  }

  function saw(shard: number, record: LeaseRecord): void {
    leases.set(shard, record);
    epochs.set(shard, Math.max(record.epoch, epochs.get(shard) ?? 0));
  }

  function vanished(claim: Claim): void {
    if (claim.kind === 'member') sightings.vanished(claim.id);
    else {
      leases.delete(claim.shard);
      drop(claim.shard);
    }
    rounds.add(KEY);
  }

  function holders(): Set<string> {
    return new Set([...leases.values()].map((record) => record.holder).filter((holder) => holder !== ''));
  }

  async function round(signal: AbortSignal) {
    if (!reflector.hasSynced() || member.epoch() === undefined) return { requeueAfterMs: 1_000 };
    sightings.expectOnly(holders());
    const members = sightings.alive().add(identity);
    const actions = planClaims({ self: identity, members, leases, owned, shards });
    const dead = await confirmedDead(actions, signal);
    const todo = actions.filter((action) => action.kind !== 'take-over' || dead.has(action.from));
    const errors = await eachLimited(todo, WRITES_AT_ONCE, (action) => perform(action, signal));
    if (todo.some((action) => owned.has(action.shard))) changed();
    await removeDead(signal);
    if (errors.length > 0) throw errors[0];
    return { requeueAfterMs: 2_000 + 1_000 * random() };
  }

  /** The holders among the take-overs whose membership stood still for its duration and, read live, still does. */
  async function confirmedDead(actions: readonly ClaimAction[], signal: AbortSignal): Promise<Set<string>> {
    const suspects = new Set(actions.flatMap((action) => (action.kind === 'take-over' ? [action.from] : [])));
    const dead = new Set<string>();
    for (const id of suspects) if (await isDead(id, signal)) dead.add(id);
    return dead;
  }

  async function isDead(id: string, signal: AbortSignal): Promise<boolean> {
    const version = sightings.stoodStill(id);
    if (version === undefined) return false;
    try {
      const lease = await client.get(LEASES, memberLease(id), { signal });
      return readLease(lease).resourceVersion === version;
    } catch (error) {
      if (isNotFound(error)) return true;
      throw error;
    }
  }

  /** A lost race is answered by the next event and the next round; other failures are thrown. */
  async function perform(action: ClaimAction, signal: AbortSignal): Promise<void> {
    try {
      if (action.kind === 'release') await release(action.shard, action.record, signal);
      else await take(action.shard, action.record, signal);
    } catch (error) {
      const lostRace = isConflict(error) || isAlreadyExists(error) || (action.record && isNotFound(error));
      if (!lostRace) throw error;
    }
  }

  async function take(shard: number, previous: LeaseRecord | undefined, signal: AbortSignal): Promise<void> {
    const session = member.epoch();
    if (session === undefined) return;
    const at = shardLease(shard);
    const wanted = acquiredLease(at, previous, identity, durationMs, clock.nowMs(), epochs.get(shard));
    const written = previous
      ? await client.replace(LEASES, wanted, { signal })
      : await client.create(LEASES, wanted, { signal });
    // The membership may have lapsed while the write was under way; then the claim belongs to nobody who serves.
    if (member.epoch() !== session) return;
    const record = readLease(written);
    owned.set(shard, record.epoch);
    saw(shard, record);
  }

  /** Serving ends before the Lease says so. */
  async function release(shard: number, record: LeaseRecord, signal: AbortSignal): Promise<void> {
    drop(shard);
    await client.replace(LEASES, releasedLease(shardLease(shard), record, clock.nowMs()), { signal });
  }

  /** Members that died long ago and hold nothing: their Leases would add up with every restart. */
  async function removeDead(signal: AbortSignal): Promise<void> {
    const holding = holders();
    for (const [, claim] of reflector.store.entries()) {
      if (claim.kind !== 'member' || holding.has(claim.id)) continue;
      const version = sightings.stoodStill(claim.id, 10);
      if (version === undefined || claim.id === identity) continue;
      await client
        .delete(LEASES, memberLease(claim.id), { resourceVersion: version, signal })
        .catch((error: unknown) => logger.warn('dead membership stays', { member: claim.id, error: messageOf(error) }));
    }
  }

  /** Frees the Leases, so that others need not wait for our membership to expire. */
  async function releaseAll(deadline: AbortSignal): Promise<void> {
    const mine = [...owned.keys()];
    dropAll();
    const errors = await eachLimited(mine, WRITES_AT_ONCE, async (shard) => {
      const record = leases.get(shard);
      if (record?.holder === identity) await release(shard, record, deadline);
    });
    if (errors.length > 0) logger.warn('shards were not released; they will expire', { error: messageOf(errors[0]) });
  }

  return {
    name: `claims ${service}`,
    owned: () => (member.epoch() === undefined ? NOBODY : owned),
    epochOf: (shard) => (member.epoch() === undefined ? undefined : owned.get(shard)),
    async start() {
      await reflector.start();
      await member.start();
      await rounds.start();
    },
    async stop(deadline) {
      await rounds.stop(deadline);
      await releaseAll(deadline);
      await member.stop(deadline);
      await reflector.stop(deadline);
    },
  };
}

function claimOf(lease: Lease): Claim | undefined {
  const labels = lease.metadata?.labels ?? {};
  const id = labels[LABEL_MEMBER];
  if (id !== undefined) return { kind: 'member', id, record: readLease(lease) };
  const shard = Number(labels[LABEL_SHARD] ?? Number.NaN);
  return Number.isInteger(shard) ? { kind: 'shard', shard, record: readLease(lease) } : undefined;
}

/** Runs `fn` over the items, `limit` at a time, and returns what failed. */
async function eachLimited<T>(items: readonly T[], limit: number, fn: (item: T) => Promise<void>): Promise<unknown[]> {
  const errors: unknown[] = [];
  const rest = items[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    for (const item of rest) await fn(item).catch((error: unknown) => errors.push(error));
  };
  await Promise.all(Array.from({ length: limit }, worker));
  return errors;
}
