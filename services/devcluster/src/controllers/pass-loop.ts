// Level-triggered work: a pass looks at everything and does what is due. Triggers merge into the next pass, one pass runs at a time.
// Invariants: a trigger that comes during a pass leads to another one; a pass that fails is tried again, later each time.
import type { Clock, Timer } from '@skerry/common/clock';
import { messageOf } from '@skerry/common/errors';
import type { Logger } from '@skerry/common/logger';

export interface PassLoop {
  /** Asks for a pass soon; before `start` it only remembers. */
  trigger(): void;
  /** Begins with a first pass. */
  start(): void;
  /** Resolves when no pass runs and none will. */
  stop(): Promise<void>;
}

export interface PassLoopOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Resolves with the milliseconds after which it must run again without a trigger; undefined = never. */
  readonly pass: () => Promise<number | undefined>;
}

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 30_000;

export function createPassLoop({ clock, logger, pass }: PassLoopOptions): PassLoop {
  let wanted = true;
  let active = false;
  let failures = 0;
  let timer: Timer | undefined;
  let running: Promise<void> | undefined;

  async function attempt(): Promise<number | undefined> {
    try {
      const againMs = await pass();
      failures = 0;
      return againMs;
    } catch (error) {
      const retryMs = Math.min(FIRST_RETRY_MS * 2 ** failures, LAST_RETRY_MS);
      failures += 1;
      logger.warn('a pass failed and is tried again', { error: messageOf(error), retryMs });
      return retryMs;
    }
  }

  async function run(): Promise<void> {
    while (wanted && active) {
      wanted = false;
      timer?.cancel();
      const againMs = await attempt();
      if (againMs !== undefined && active) timer = clock.after(againMs, trigger);
    }
    running = undefined;
  }

  function trigger(): void {
    wanted = true;
    if (active) running ??= Promise.resolve().then(run);
  }

  return {
    trigger,
    start: () => {
      active = true;
      trigger();
    },
    stop: async () => {
      active = false;
      timer?.cancel();
      await running;
    },
  };
}
