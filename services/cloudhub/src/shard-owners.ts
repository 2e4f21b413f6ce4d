// Which controller session owns which shard, for one controller kind. Pure: claims in, changed shards out.
// Invariants: the claim with the highest epoch owns; of equal epochs the one that was there first keeps it (a Lease has one holder, so two
// equal ones mean that somebody is wrong); an owner that goes leaves its shards to the next highest claim.

import { SHARD_COUNT } from '@skerry/common/kube/shard';
import type { ShardClaim } from '@skerry/gen/skerry/link/v1/link';

export interface ShardOwner {
  /** Of the controller's session. */
  readonly session: number;
  readonly epoch: bigint;
}

export interface ShardOwners {
  /** What a session claims from now on; an empty list for one that ended. Returns the shards whose owner or epoch changed. */
  claim(session: number, claims: readonly ShardClaim[]): number[];
  ownerOf(shard: number): ShardOwner | undefined;
}

export function createShardOwners(): ShardOwners {
  const claimants = Array.from({ length: SHARD_COUNT }, () => new Map<number, bigint>());
  const owners = new Map<number, ShardOwner>();

  function claim(session: number, claims: readonly ShardClaim[]): number[] {
    const epochs = new Map(claims.map(({ shard, epoch }) => [shard, epoch]));
    const changed: number[] = [];
    for (const [shard, byShard] of claimants.entries()) {
      const epoch = epochs.get(shard);
      if (byShard.get(session) === epoch) continue;
      if (epoch === undefined) byShard.delete(session);
      else byShard.set(session, epoch);
      if (elect(shard, byShard)) changed.push(shard);
    }
    return changed;
  }

  /** Returns whether the shard changed hands or epoch. */
  function elect(shard: number, byShard: ReadonlyMap<number, bigint>): boolean {
    const before = owners.get(shard);
    const incumbent = before && byShard.get(before.session);
    let best: ShardOwner | undefined =
      before && incumbent !== undefined ? { session: before.session, epoch: incumbent } : undefined;
    for (const [session, epoch] of byShard) {
      if (best === undefined || epoch > best.epoch) best = { session, epoch };
    }
    if (best === undefined) owners.delete(shard);
    else owners.set(shard, best);
    return before?.session !== best?.session || before?.epoch !== best?.epoch;
  }

  return { claim, ownerOf: (shard) => owners.get(shard) };
}
