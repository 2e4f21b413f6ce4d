// Keys that wait for work, each at most once. Invariants: a key is never handed out twice at a time; added while it is being processed, it
// comes again afterwards, once. There is no bound to refuse by: the queue holds keys, not events, so it is never longer than the key space.
import type { Clock, Timer } from '../clock.js';
import { backoffMs } from './backoff.js';

export interface WorkqueueOptions {
  readonly clock: Clock;
  readonly random: () => number;
  /** First and longest wait after failures; 500 ms to 5 min unless given. */
  readonly backoff?: { readonly baseMs: number; readonly maxMs: number };
}

export interface WorkqueueMetrics {
  /** Keys ready to be taken. */
  readonly depth: number;
  readonly processing: number;
  /** Keys with a timer. */
  readonly delayed: number;
  readonly adds: number;
  readonly retries: number;
}

export interface Workqueue {
  add(key: string): void;
  /** Adds when `delayMs` has passed; of several delays of one key the earliest counts. */
  addAfter(key: string, delayMs: number): void;
  /** Adds after the key's own back-off, which grows with each call until `forget`; `atLeastMs` comes first if it is longer. */
  addRateLimited(key: string, atLeastMs?: number): void;
  /** The key went well: its back-off starts anew. */
  forget(key: string): void;
  /** The next key, when there is one; `undefined` once the queue is shut down. Every key taken needs a `done`. */
  take(): Promise<string | undefined>;
  done(key: string): void;
  /** Nothing is added or handed out any more; what waits is dropped. */
  shutDown(): void;
  metrics(): WorkqueueMetrics;
}

const DEFAULT_BACKOFF = { baseMs: 500, maxMs: 300_000 };

export function createWorkqueue(options: WorkqueueOptions): Workqueue {
  const { clock, random, backoff = DEFAULT_BACKOFF } = options;
  const ready = new Set<string>();
  const processing = new Set<string>();
  const dirty = new Set<string>();
  const delayed = new Map<string, { readonly timer: Timer; readonly dueMs: number }>();
  const failures = new Map<string, number>();
  const takers: ((key: string | undefined) => void)[] = [];
  let shut = false;
  let adds = 0;
  let retries = 0;

  function add(key: string): void {
    if (shut) return;
    adds += 1;
    dropDelay(key);
    if (processing.has(key)) dirty.add(key);
    else {
      ready.add(key);
      handOut();
    }
  }

  function handOut(): void {
    for (const key of ready) {
      const taker = takers.shift();
      if (!taker) return;
      ready.delete(key);
      processing.add(key);
      taker(key);
    }
  }

  function dropDelay(key: string): void {
    delayed.get(key)?.timer.cancel();
    delayed.delete(key);
  }

  function addAfter(key: string, delayMs: number): void {
    if (shut) return;
    if (delayMs <= 0) {
      add(key);
      return;
    }
    const dueMs = clock.monotonicMs() + delayMs;
    const pending = delayed.get(key);
    // Ready or dirty: it comes sooner anyway, and whoever handles it will say again when to return.
    if (ready.has(key) || dirty.has(key) || (pending && pending.dueMs <= dueMs)) return;
    pending?.timer.cancel();
    delayed.set(key, { dueMs, timer: clock.after(delayMs, () => add(key)) });
  }

  return {
    add,
    addAfter,
    addRateLimited(key, atLeastMs = 0) {
      const count = (failures.get(key) ?? 0) + 1;
      failures.set(key, count);
      retries += 1;
      addAfter(key, Math.max(atLeastMs, backoffMs(count, backoff, random)));
    },
    forget: (key) => void failures.delete(key),
    take() {
      if (shut) return Promise.resolve(undefined);
      return new Promise((resolve) => {
        takers.push(resolve);
        handOut();
      });
    },
    done(key) {
      processing.delete(key);
      if (!dirty.delete(key) || shut) return;
      ready.add(key);
      handOut();
    },
    shutDown() {
      shut = true;
      for (const { timer } of delayed.values()) timer.cancel();
      for (const keys of [ready, dirty, delayed, failures]) keys.clear();
      for (const taker of takers.splice(0)) taker(undefined);
    },
    metrics: () => ({ depth: ready.size, processing: processing.size, delayed: delayed.size, adds, retries }),
  };
}
