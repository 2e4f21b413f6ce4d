// The number of this node's connections: each is above all before it, so that the hub can tell the newest, also after a crash.
// Invariant: a number is used only when it is covered by what is on disk. A block of numbers is reserved at a time: a node that is offline
// for weeks tries often, and should not wear its flash by it.
import type { MetaStore } from '../meta/types.js';

const RECORD = 'generation';
const BLOCK = 64n;

export interface Generation {
  /** The next connection's. */
  next(): Promise<bigint>;
  /** A hub has seen this one: go on above it. */
  seen(known: bigint): void;
}

export function createGeneration(meta: MetaStore): Generation {
  let reserved = BigInt(meta.record(RECORD) ?? '0');
  let last = reserved;
  return {
    async next() {
      const next = last + 1n;
      if (next > reserved) {
        const upTo = last + BLOCK;
        await meta.commit([{ kind: 'record', name: RECORD, value: upTo.toString() }]);
        reserved = upTo;
      }
      last = next;
      return next;
    },
    seen(known) {
      if (known > last) last = known;
    },
  };
}
