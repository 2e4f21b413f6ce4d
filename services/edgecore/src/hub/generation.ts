// The number of this node's connections: raised on disk before each one, so that the hub can tell the newest.
import type { MetaStore } from '../meta/types.js';

const RECORD = 'generation';

export interface Generation {
  /** The next connection's, on disk before it is used. */
  next(): Promise<bigint>;
  /** A hub has seen this one: go on above it. */
  seen(known: bigint): void;
}

export function createGeneration(meta: MetaStore): Generation {
  let last = BigInt(meta.record(RECORD) ?? '0');
  return {
    async next() {
      last += 1n;
      await meta.commit([{ kind: 'record', name: RECORD, value: last.toString() }]);
      return last;
    },
    seen(known) {
      if (known > last) last = known;
    },
  };
}
