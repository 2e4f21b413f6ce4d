// How a sidecar comes to life. Two launchers: a process of its own, or inside this one.
import type { Clock } from '@skerry/common/clock';
import { SkerryError } from '@skerry/common/errors';
import type { Logger } from '@skerry/common/logger';
import { lookAtHolder } from '../disk/exclusive.js';
import { isAlive, killProcess, type ProcessIdentity } from '../disk/process-identity.js';

export interface Instance {
  readonly pid: number;
  /** Resolves with how it ended, for people; never rejects. */
  readonly exited: Promise<string>;
  /** Asks it to stop; it is ended by force when it has not after `graceMs` or when `deadline` aborts. */
  terminate(graceMs: number, deadline?: AbortSignal): void;
}

/** Throws when it cannot be started; then nothing of it is left. */
export type Launcher<Name extends string> = (name: Name, signal: AbortSignal) => Promise<Instance>;

export interface OldInstanceOptions {
  readonly name: string;
  readonly lockFile: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** An old instance notices that its edgecore is gone and stops by itself in this time; one that hangs is killed after it. */
const PATIENCE_MS = 10_000;
const AFTER_KILL_MS = 5_000;
const LOOK_EVERY_MS = 100;

/**
 * Resolves when no process holds the sidecar's lock. One that does not leave in time is killed, but only if the lock's file names it and its
 * start time proves that it is that process. Throws `unavailable` when it stays nonetheless.
 */
export async function outliveOldInstance(options: OldInstanceOptions): Promise<void> {
  const holder = await waitUntilFree(options, PATIENCE_MS);
  if (holder === 'free') return;
  if (holder !== 'unknown' && (await killProcess(holder, 'SIGKILL'))) {
    options.logger.warn('killed an old sidecar that did not leave', { sidecar: options.name, pid: holder.pid });
    if ((await waitUntilFree(options, AFTER_KILL_MS)) === 'free' && !(await isAlive(holder))) return;
  }
  const who = holder === 'unknown' ? 'a process that cannot be identified' : `process ${holder.pid}`;
  throw new SkerryError('unavailable', `an old ${options.name} still runs: ${who} holds ${options.lockFile}; end it`);
}

async function waitUntilFree(
  options: OldInstanceOptions,
  patienceMs: number,
): Promise<ProcessIdentity | 'free' | 'unknown'> {
  const { clock, signal, lockFile } = options;
  const startMs = clock.monotonicMs();
  for (;;) {
    const holder = await lookAtHolder(lockFile);
    if (holder.kind === 'free') return 'free';
    if (clock.monotonicMs() - startMs >= patienceMs) return holder.identity ?? 'unknown';
    await clock.sleep(LOOK_EVERY_MS, signal);
  }
}
