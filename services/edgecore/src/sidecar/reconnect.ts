// Keeps a stream to another process of the node alive: open, use, lose, wait, open again, until stopped.
// Invariants: one session at a time; the wait grows with failures in a row, is jittered and starts anew after a session that worked;
// stop() resolves when no session is left.
import type { Clock } from '@skerry/common/clock';
import { type ErrorCode, isSkerryError, messageOf } from '@skerry/common/errors';
import { backoffMs } from '@skerry/common/kube/backoff';
import type { Logger } from '@skerry/common/logger';

/** One connection. Resolves or rejects when it ended; must end soon after `signal` aborts. Calls `healthy` once it works. */
export type Session = (signal: AbortSignal, healthy: () => void) => Promise<void>;

export interface ReconnectOptions {
  /** For logs: what is connected to. */
  readonly name: string;
  readonly session: Session;
  readonly clock: Clock;
  readonly logger: Logger;
  /** In [0, 1). */
  readonly random?: () => number;
}

export interface Reconnecting {
  /** Ends the session and tries no more. */
  stop(): Promise<void>;
}

const BACKOFF = { baseMs: 500, maxMs: 5_000 };
const PASSING: readonly ErrorCode[] = ['unavailable', 'cancelled', 'deadline_exceeded'];

/** Starts at once; a session that fails is never an error of the caller. */
export function keepConnected(options: ReconnectOptions): Reconnecting {
  const { name, session, clock, logger, random = Math.random } = options;
  const stopping = new AbortController();

  async function run(): Promise<void> {
    let failures = 0;
    while (!stopping.signal.aborted) {
      let reason = 'the other side ended it';
      let tell = logger.debug;
      try {
        await session(stopping.signal, () => {
          failures = 0;
        });
      } catch (error) {
        reason = messageOf(error);
        // Restarts are everyday; what is refused will be refused again, and somebody has to hear of it.
        if (!isPassing(error)) tell = logger.warn;
      }
      if (stopping.signal.aborted) return;
      failures += 1;
      const waitMs = backoffMs(failures, BACKOFF, random);
      tell('connection lost', { connection: name, reason, waitMs });
      await clock.sleep(waitMs, stopping.signal).catch(() => {});
    }
  }

  const running = run();
  return {
    stop() {
      stopping.abort();
      return running;
    },
  };
}

/** The other process is away, or on its way out. */
const isPassing = (error: unknown): boolean => isSkerryError(error) && PASSING.includes(error.code);
