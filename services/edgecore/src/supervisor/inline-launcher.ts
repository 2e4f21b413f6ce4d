// A sidecar inside edgecore's own process, for devices with little memory: the same component, the same sockets, no isolation.
// It takes the same lock as the process would, so that no second instance runs beside one that an earlier edgecore left.
import type { Clock } from '@skerry/common/clock';
import { messageOf } from '@skerry/common/errors';
import type { Component } from '@skerry/common/lifecycle';
import type { Logger } from '@skerry/common/logger';
import { acquireExclusive } from '../disk/exclusive.js';
import type { Launcher } from './launcher.js';
import { outliveOldInstance } from './launcher.js';

export interface InlineLauncherOptions {
  /** Makes a fresh component; loads its code when it is first asked. */
  readonly create: (name: string) => Promise<Component>;
  readonly lockFileOf: (name: string) => string;
  readonly clock: Clock;
  readonly logger: Logger;
}

export function createInlineLauncher(options: InlineLauncherOptions): Launcher {
  const { create, lockFileOf, clock, logger } = options;
  return async (name, signal) => {
    await outliveOldInstance({ name, lockFile: lockFileOf(name), clock, logger, signal });
    const lock = await acquireExclusive(lockFileOf(name));
    const component = await startOrRelease(create, name, lock.release);
    let end: (how: string) => void = () => {};
    const exited = new Promise<string>((resolve) => {
      end = resolve;
    });
    return {
      pid: process.pid,
      exited,
      terminate(graceMs, deadline) {
        const patience = new AbortController();
        const abort = (): void => patience.abort();
        const timer = clock.after(graceMs, abort);
        deadline?.addEventListener('abort', abort, { once: true });
        component
          .stop(patience.signal)
          .then(
            () => 'stopped',
            (error: unknown) => `stopped with errors: ${messageOf(error)}`,
          )
          .then(async (how) => {
            timer.cancel();
            deadline?.removeEventListener('abort', abort);
            await lock.release();
            end(how);
          })
          .catch((error: unknown) => end(messageOf(error)));
      },
    };
  };
}

async function startOrRelease(
  create: (name: string) => Promise<Component>,
  name: string,
  release: () => Promise<void>,
): Promise<Component> {
  try {
    const component = await create(name);
    await component.start();
    return component;
  } catch (error) {
    await release();
    throw error;
  }
}
