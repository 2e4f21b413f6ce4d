// Crash back-off: the first restart is immediate, then the waits double from 10 s to 5 min; 10 min of running start it anew.
// Invariant: everything is derived from the previous container, so that it survives restarts of the engine without a record of its own.
// Source of the rule: "Container restarts" in the Kubernetes documentation.
import type { ContainerLabels, ExitInfo } from '../runtime/runtime.js';

export interface CrashBackoff {
  readonly baseMs: number;
  readonly maxMs: number;
  readonly resetAfterMs: number;
}

export const CRASH_BACKOFF: CrashBackoff = { baseMs: 10_000, maxMs: 300_000, resetAfterMs: 600_000 };

export interface RestartDelay {
  /** From the exit to the restart. */
  readonly waitMs: number;
  /** To be kept with the new container. */
  readonly nextMs: number;
}

export function restartDelay(labels: ContainerLabels, exit: ExitInfo, options: CrashBackoff): RestartDelay {
  const ranMs = exit.startedAtMs === undefined ? 0 : exit.finishedAtMs - exit.startedAtMs;
  const waitMs = ranMs >= options.resetAfterMs ? 0 : labels.backoffMs;
  return { waitMs, nextMs: waitMs === 0 ? options.baseMs : Math.min(waitMs * 2, options.maxMs) };
}
