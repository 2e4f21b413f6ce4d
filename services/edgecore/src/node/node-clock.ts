// The node's idea of what time it is in the cloud. Starts at the local clock or at the last time that was kept, whichever is later, goes on
// with the monotonic clock, and is corrected by what the hub says at each connection.
// Invariant: between two corrections it never goes back, whatever happens to the local clock.
import type { Clock, Timer } from '@skerry/common/clock';
import { messageOf } from '@skerry/common/errors';
import type { Component } from '@skerry/common/lifecycle';
import type { Logger } from '@skerry/common/logger';
import type { MetaStore } from '../meta/types.js';

export interface NodeClock extends Component {
  /** Unix milliseconds. */
  cloudNowMs(): number;
  /** The hub's clock, as it says right now. */
  correct(cloudMs: number): void;
}

const RECORD = 'last-time';
const KEEP_EVERY_MS = 300_000;

export function createNodeClock(options: {
  readonly meta: MetaStore;
  readonly clock: Clock;
  readonly logger: Logger;
}): NodeClock {
  const { meta, clock, logger } = options;
  let timer: Timer | undefined;
  let atMs = Math.max(clock.nowMs(), Number(meta.record(RECORD) ?? 0) || 0);
  let originMs = clock.monotonicMs();

  const cloudNowMs = (): number => Math.floor(atMs + clock.monotonicMs() - originMs);
  const keep = (): Promise<void> => meta.commit([{ kind: 'record', name: RECORD, value: `${cloudNowMs()}` }]);

  function arm(): void {
    timer = clock.after(KEEP_EVERY_MS, () => {
      keep().catch((error: unknown) => logger.warn('the time could not be kept', { error: messageOf(error) }));
      arm();
    });
  }

  return {
    name: 'node-clock',
    cloudNowMs,
    correct(cloudMs) {
      atMs = cloudMs;
      originMs = clock.monotonicMs();
    },
    async start() {
      arm();
    },
    async stop() {
      timer?.cancel();
      await keep();
    },
  };
}
