// How a controller answers for state that came up: what the Kubernetes API said, as the outcome for the edge.
// Invariant: only what cannot be helped by waiting is answered; while the API is away the write is tried again, and the lane's credit
// bounds how many wait.
import { Done_Outcome } from '@skerry/gen/skerry/link/v1/link';
import type { Clock } from '../clock.js';
import { isSkerryError } from '../errors.js';
import { backoffMs } from '../kube/backoff.js';
import { isConflict, isKubeError, type KubeError } from '../kube/kube-error.js';
import type { Settlement } from '../link/types.js';

export const APPLIED: Settlement = { outcome: Done_Outcome.OUTCOME_APPLIED, code: '', reason: '' };
/** The object that was reported on is not there any longer: nothing to write to. */
export const GONE: Settlement = { outcome: Done_Outcome.OUTCOME_GONE, code: '', reason: '' };

/** @param code a short CamelCase word; `reason` is for people */
export function rejected(code: string, reason: string): Settlement {
  return { outcome: Done_Outcome.OUTCOME_REJECTED, code, reason };
}

export interface RetryOptions {
  /** Ends the trying. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly random: () => number;
}

const BACKOFF = { baseMs: 250, maxMs: 15_000 };

/** True for what passes by itself: no answer, overload, a restarting server, credentials being rotated, a lost race. */
export function isPassing(error: unknown): boolean {
  if (isConflict(error)) return true;
  if (!isKubeError(error)) return false;
  if (error.httpStatus === 0) return !isSkerryError(error, 'cancelled') && !isSkerryError(error, 'invalid_argument');
  return [401, 408, 429].includes(error.httpStatus) || error.httpStatus >= 500;
}

/** True for the API server's no, which stays one however often it is asked. */
export function isRefusal(error: unknown): error is KubeError {
  return isKubeError(error) && error.httpStatus !== 0 && !isPassing(error);
}

/**
 * Runs `attempt`, which reads and then writes, until it succeeds or fails for a reason that stays. Throws the latter, or the signal's
 * reason.
 */
export async function persistently<T>(attempt: (signal: AbortSignal) => Promise<T>, options: RetryOptions): Promise<T> {
  const { signal, clock, random } = options;
  for (let failures = 1; ; failures++) {
    try {
      return await attempt(signal);
    } catch (error) {
      if (!isPassing(error) || signal.aborted) throw error;
      const atLeastMs = isKubeError(error) ? (error.retryAfterMs ?? 0) : 0;
      await clock.sleep(Math.max(atLeastMs, backoffMs(failures, BACKOFF, random)), signal);
    }
  }
}

/** The refusal of the API server as an answer to the edge; anything else is thrown on. */
export function rejectionOf(error: unknown): Settlement {
  if (isRefusal(error)) return rejected(error.reason || `Http${error.httpStatus}`, error.message);
  if (isSkerryError(error, 'invalid_argument')) return rejected('Invalid', error.message);
  throw error;
}
