// Log lines about what clients do, which may be thousands a second: one line a message and interval, with the number of those left out.
import type { Clock } from '@skerry/common/clock';
import type { LogFields, Logger } from '@skerry/common/logger';

export interface OccasionalLog {
  /** `message` is a constant: it is what lines are told apart by. */
  warn(message: string, fields: LogFields): void;
}

const INTERVAL_MS = 10_000;

export function createOccasionalLog(logger: Logger, clock: Clock): OccasionalLog {
  const lines = new Map<string, { lastMs: number; leftOut: number }>();
  return {
    warn(message, fields) {
      const nowMs = clock.monotonicMs();
      const line = lines.get(message);
      if (line && nowMs - line.lastMs < INTERVAL_MS) {
        line.leftOut += 1;
        return;
      }
      lines.set(message, { lastMs: nowMs, leftOut: 0 });
      logger.warn(message, line?.leftOut ? { ...fields, leftOut: line.leftOut } : fields);
    },
  };
}
