// Bounds what one process asks of the API server: so many requests at once, so many per second, and a bounded line of waiters.
// Invariants: first come, first served; a waiter that gives up leaves nothing behind; a full line refuses, it never grows.
import type { Clock, Timer } from '../clock.js';
import { SkerryError } from '../errors.js';

export interface LimiterOptions {
  /** Requests under way at once. */
  readonly maxInFlight: number;
  /** Waiters; one more is refused with `resource_exhausted`. */
  readonly maxQueued: number;
  /** Sustained requests per second and how many may come at once; without it only `maxInFlight` bounds. */
  readonly rate?: { readonly perSecond: number; readonly burst: number };
  readonly clock: Clock;
}

export interface LimiterStats {
  readonly inFlight: number;
  readonly queued: number;
  readonly refused: number;
}

export interface Limiter {
  /** Resolves when the request may go; every resolved call needs one `release`. Rejects with the signal's reason when aborted. */
  acquire(signal: AbortSignal): Promise<void>;
  release(): void;
  stats(): LimiterStats;
}

export function createLimiter(options: LimiterOptions): Limiter {
  const { maxInFlight, maxQueued, rate, clock } = options;
  const waiters = new Set<() => void>();
  let inFlight = 0;
  let refused = 0;
  let tokens = rate?.burst ?? 0;
  let filledAtMs = clock.monotonicMs();
  let refill: Timer | undefined;

  /** Takes a token, or says how many ms until there is one. */
  function takeToken(): number {
    if (!rate) return 0;
    const nowMs = clock.monotonicMs();
    tokens = Math.min(rate.burst, tokens + ((nowMs - filledAtMs) * rate.perSecond) / 1_000);
    filledAtMs = nowMs;
    if (tokens < 1) return Math.max(1, Math.ceil(((1 - tokens) * 1_000) / rate.perSecond));
    tokens -= 1;
    return 0;
  }

  function admitWaiters(): void {
    for (const admit of waiters) {
      if (inFlight >= maxInFlight || refill) return;
      const waitMs = takeToken();
      if (waitMs > 0) {
        refill = clock.after(waitMs, () => {
          refill = undefined;
          admitWaiters();
        });
        return;
      }
      waiters.delete(admit);
      inFlight += 1;
      admit();
    }
  }

  function acquire(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.reject(signal.reason);
    if (waiters.size >= maxQueued) {
      refused += 1;
      return Promise.reject(
        new SkerryError('resource_exhausted', `${maxQueued} requests wait for the API server already; try again later`),
      );
    }
    return new Promise((resolve, reject) => {
      const admit = (): void => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      const onAbort = (): void => {
        waiters.delete(admit);
        if (waiters.size === 0) dropRefill();
        reject(signal.reason);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      waiters.add(admit);
      admitWaiters();
    });
  }

  function dropRefill(): void {
    refill?.cancel();
    refill = undefined;
  }

  function release(): void {
    inFlight -= 1;
    admitWaiters();
  }

  return { acquire, release, stats: () => ({ inFlight, queued: waiters.size, refused }) };
}
