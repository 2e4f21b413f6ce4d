import { expect, test } from '@jest/globals';
import { SHARD_COUNT, shardOf } from './shard.js';

test('the shard of a node never changes', () => {
  // Leases and edges' disks rely on these very numbers.
  expect(['edge-1', 'edge-2', 'a', ''].map(shardOf)).toEqual([49, 19, 18, 2]);
});

test('nodes spread evenly', () => {
  const load = new Array<number>(SHARD_COUNT).fill(0);
  for (let i = 0; i < 64_000; i++) {
    const shard = shardOf(`node-${i}`);
    load[shard] = (load[shard] ?? 0) + 1;
  }
  expect(Math.min(...load)).toBeGreaterThan(850);
  expect(Math.max(...load)).toBeLessThan(1_150);
});
