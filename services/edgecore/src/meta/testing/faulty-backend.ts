// A backend whose disk fails when told: before anything is written, or after a part of it was.
import type { DocumentBackend } from '../types.js';

export type Fault = 'none' | 'before' | 'half' | 'after';

export interface FaultyBackend extends DocumentBackend {
  /** The next write fails that way. */
  failNext(fault: Fault): void;
}

export function createFaultyBackend(inner: DocumentBackend): FaultyBackend {
  let next: Fault = 'none';
  return {
    open: () => inner.open(),
    close: () => inner.close(),
    failNext(fault) {
      next = fault;
    },
    async write(documents) {
      const fault = next;
      next = 'none';
      const count = {
        none: documents.length,
        before: 0,
        half: Math.ceil(documents.length / 2),
        after: documents.length,
      };
      if (fault !== 'before') await inner.write(documents.slice(0, count[fault]));
      if (fault !== 'none') throw new Error(`disk failed (${fault})`);
    },
  };
}
