// Shard claims for tests.
import { SHARD_COUNT, shardOf } from '@skerry/common/kube/shard';
import type { ShardClaim } from '@skerry/gen/skerry/link/v1/link';

export const allShards = (epoch: number): ShardClaim[] =>
  Array.from({ length: SHARD_COUNT }, (_, shard) => ({ shard, epoch: BigInt(epoch) }));

/** Only the shard of this node. */
export const shardClaim = (node: string, epoch: number): ShardClaim[] => [
  { shard: shardOf(node), epoch: BigInt(epoch) },
];
