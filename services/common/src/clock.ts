// Time as a parameter. Ages and timeouts use `monotonicMs`; wall-clock time is only for what people and other machines read.
// Invariant: nothing outside this file and main.ts calls Date.now, performance.now or setTimeout for a decision.

/** A timer that can be cancelled; cancelling twice is harmless. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall-clock time, Unix milliseconds. May jump. */
  nowMs(): number;
  /** Monotonic time in milliseconds from an arbitrary origin. Never goes back. */
  monotonicMs(): number;
  /** Calls `fn` once after `delayMs`; delays beyond the platform's limit (2^31-1 ms) are waited out in steps. */
  after(delayMs: number, fn: () => void): Timer;
  /** Resolves after `delayMs`; rejects with the signal's reason when aborted. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** The machine's clock. */
export function systemClock(): Clock {
  const after = (delayMs: number, fn: () => void): Timer => {
    let handle: NodeJS.Timeout;
    const arm = (leftMs: number): void => {
      const stepMs = Math.min(Math.max(leftMs, 0), MAX_TIMEOUT_MS);
      handle = setTimeout(() => (leftMs > stepMs ? arm(leftMs - stepMs) : fn()), stepMs);
    };
    arm(delayMs);
    return { cancel: () => clearTimeout(handle) };
  };
  return {
    nowMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    after,
    sleep: (delayMs, signal) => sleepWith(after, delayMs, signal),
  };
}

/** Shared by every clock: a sleep built on `after` that gives its timer back when aborted. */
export function sleepWith(after: Clock['after'], delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = (): void => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
