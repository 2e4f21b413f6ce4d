// Waiting for the world to become what a step of the demonstration promises.
import type { Clock } from '@skerry/common/clock';
import { isSkerryError, messageOf, SkerryError } from '@skerry/common/errors';

export interface Waiter {
  /**
   * Asks `probe` until it gives a value. An error of the probe counts as "not yet" and is told when time is up, except
   * `invalid_argument`: what is wrong in itself does not become right by waiting.
   */
  until<T>(what: string, probe: () => Promise<T | undefined>, timeoutMs?: number): Promise<T>;
}

export interface WaiterOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Looked at in every round: throws when waiting has become pointless. */
  readonly check: () => void;
}

const POLL_MS = 50;
export const STEP_TIMEOUT_MS = 60_000;

export function createWaiter(options: WaiterOptions): Waiter {
  const { clock, signal, check } = options;
  return {
    async until<T>(what: string, probe: () => Promise<T | undefined>, timeoutMs = STEP_TIMEOUT_MS): Promise<T> {
      const endMs = clock.monotonicMs() + timeoutMs;
      let last = 'nothing seen yet';
      while (clock.monotonicMs() < endMs) {
        signal.throwIfAborted();
        check();
        try {
          const value = await probe();
          if (value !== undefined) return value;
        } catch (error) {
          if (isSkerryError(error, 'invalid_argument')) throw error;
          last = messageOf(error);
        }
        await clock.sleep(POLL_MS, signal);
      }
      throw new SkerryError('deadline_exceeded', `${what}: not within ${timeoutMs / 1000} s (${last})`);
    },
  };
}
