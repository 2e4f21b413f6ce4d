// Ordered start and stop. Components start one after another and stop in the reverse order, all inside one deadline.
// Invariants: a component that failed to start is not stopped, those started before it are; stop is idempotent and never rejects early:
// every component gets its turn and the errors are reported together.
import type { Clock } from './clock.js';
import { messageOf, SkerryError } from './errors.js';
import type { Logger } from './logger.js';

export interface Component {
  readonly name: string;
  /** Resolves when the component serves; throws when it cannot. */
  start(): Promise<void>;
  /** Resolves when nothing of it is left. `deadline` aborts when patience ends: then let go at once. */
  stop(deadline: AbortSignal): Promise<void>;
}

export interface Lifecycle {
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface LifecycleOptions {
  readonly components: readonly Component[];
  readonly stopTimeoutMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

export function createLifecycle(options: LifecycleOptions): Lifecycle {
  const { components, stopTimeoutMs, clock, logger } = options;
  const started: Component[] = [];
  let stopping: Promise<void> | undefined;

  async function start(): Promise<void> {
    for (const component of components) {
      if (stopping) throw new SkerryError('cancelled', 'stopped while starting');
      try {
        await component.start();
      } catch (error) {
        logger.error('component failed to start', { component: component.name, error: messageOf(error) });
        await stop();
        throw error;
      }
      started.push(component);
    }
  }

  async function stopAll(): Promise<void> {
    const deadline = new AbortController();
    const timer = clock.after(stopTimeoutMs, () =>
      deadline.abort(new SkerryError('deadline_exceeded', 'stop took too long')),
    );
    const failures: string[] = [];
    for (const component of started.splice(0).reverse()) {
      try {
        await withDeadline(component.stop(deadline.signal), deadline.signal);
      } catch (error) {
        failures.push(`${component.name}: ${messageOf(error)}`);
      }
    }
    timer.cancel();
    if (failures.length > 0) throw new SkerryError('internal', `did not stop cleanly: ${failures.join('; ')}`);
  }

  function stop(): Promise<void> {
    stopping ??= stopAll();
    return stopping;
  }

  return { start, stop };
}

function withDeadline(work: Promise<void>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) {
    // The component was still told to stop; nobody waits for it any longer.
    work.catch(() => {});
    return Promise.reject(signal.reason);
  }
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
