// Which of the fixed shards a node belongs to. Invariant: the mapping never changes; replicas of different releases must agree on it.
import { createHash } from 'node:crypto';

/** Fixed for good: a Lease per shard and an epoch per shard are kept in clusters and on edges' disks. */
export const SHARD_COUNT = 64;

/** The shard of a node, 0 to 63: the first four bytes of SHA-256 of its name, big-endian, modulo 64. */
export function shardOf(nodeName: string): number {
  return createHash('sha256').update(nodeName, 'utf8').digest().readUInt32BE(0) % SHARD_COUNT;
}
