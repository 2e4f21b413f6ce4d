// Workers that bring the world in line, one key at a time: take a key, re-read, act, say when to return.
// Invariants: one key is never reconciled twice at a time; a failure is tried again with the key's own back-off, unless it is terminal; stop
// waits for what is under way.
import { sharedAbortController } from '../abort.js';
import type { Clock } from '../clock.js';
import { isSkerryError, messageOf, SkerryError } from '../errors.js';
import type { Component } from '../lifecycle.js';
import type { Logger } from '../logger.js';
import { isKubeError } from './kube-error.js';
import { createWorkqueue, type WorkqueueMetrics } from './workqueue.js';

/** What a reconcile may return: nothing, or when the key should come again although nothing failed. */
export interface ReconcileResult {
  readonly requeueAfterMs?: number;
}

/** `signal` aborts when patience with stopping ends. */
export type Reconcile = (key: string, signal: AbortSignal) => Promise<ReconcileResult | undefined>;

export interface ReconcilerOptions {
  readonly name: string;
  readonly workers: number;
  readonly reconcile: Reconcile;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly backoff?: { readonly baseMs: number; readonly maxMs: number };
}

export interface ReconcilerMetrics extends WorkqueueMetrics {
  readonly succeeded: number;
  readonly failed: number;
  /** Failures that are not tried again. */
  readonly terminal: number;
}

export interface Reconciler extends Component {
  add(key: string): void;
  addAfter(key: string, delayMs: number): void;
  metrics(): ReconcilerMetrics;
}

/** Trying again cannot help until something changes: the key waits for its next event. */
export class TerminalError extends SkerryError {
  readonly terminal = true;

  constructor(message: string, options?: { cause?: unknown }) {
    super('failed_precondition', message, options);
    this.name = 'TerminalError';
  }
}

export function isTerminalError(error: unknown): error is TerminalError {
  return isSkerryError(error) && 'terminal' in error && error.terminal === true;
}

/** Keys may be added before `start`; they wait. */
export function createReconciler(options: ReconcilerOptions): Reconciler {
  const { clock, random, backoff } = options;
  const logger = options.logger.child({ reconciler: options.name });
  const queue = createWorkqueue({ clock, random, ...(backoff && { backoff }) });
  const patience = sharedAbortController();
  const counters = { succeeded: 0, failed: 0, terminal: 0 };
  let workers: Promise<unknown> = Promise.resolve();

  function failed(key: string, error: unknown): void {
    if (isTerminalError(error)) {
      counters.terminal += 1;
      queue.forget(key);
      logger.error('reconcile failed for good', { key, error: messageOf(error) });
      return;
    }
    counters.failed += 1;
    queue.addRateLimited(key, isKubeError(error) ? error.retryAfterMs : undefined);
    logger.warn('reconcile failed', { key, error: messageOf(error) });
  }

  async function reconcileOne(key: string): Promise<void> {
    try {
      const result = await options.reconcile(key, patience.signal);
      counters.succeeded += 1;
      queue.forget(key);
      if (result?.requeueAfterMs !== undefined) queue.addAfter(key, result.requeueAfterMs);
    } catch (error) {
      failed(key, error);
    } finally {
      queue.done(key);
    }
  }

  async function work(): Promise<void> {
    for (let key = await queue.take(); key !== undefined; key = await queue.take()) await reconcileOne(key);
  }

  return {
    name: `reconciler ${options.name}`,
    add: (key) => queue.add(key),
    addAfter: (key, delayMs) => queue.addAfter(key, delayMs),
    async start() {
      workers = Promise.all(Array.from({ length: options.workers }, work));
    },
    async stop(deadline) {
      queue.shutDown();
      const giveUp = (): void => patience.abort(deadline.reason);
      if (deadline.aborted) giveUp();
      deadline.addEventListener('abort', giveUp, { once: true });
      await workers.finally(() => deadline.removeEventListener('abort', giveUp));
    },
    metrics: () => ({ ...queue.metrics(), ...counters }),
  };
}
