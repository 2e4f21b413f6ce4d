// A sidecar inside edgecore's own process, for devices with little memory: the same component, the same sockets and lock, no isolation.
import type { Clock } from '@skerry/common/clock';
import { messageOf } from '@skerry/common/errors';
import type { Component } from '@skerry/common/lifecycle';
import type { Logger } from '@skerry/common/logger';
import { type Instance, type Launcher, outliveOldInstance } from './launcher.js';

export interface InlineLauncherOptions<Name extends string> {
  /** Makes a fresh component; loads its code when it is first asked. */
  readonly create: (name: Name) => Promise<Component>;
  readonly lockFileOf: (name: Name) => string;
  readonly clock: Clock;
  readonly logger: Logger;
}

export function createInlineLauncher<Name extends string>(options: InlineLauncherOptions<Name>): Launcher<Name> {
  const { create, lockFileOf, clock, logger } = options;
  return async (name, signal) => {
    // A process that an earlier edgecore left may still run.
    await outliveOldInstance({ name, lockFile: lockFileOf(name), clock, logger, signal });
    const component = await create(name);
    await component.start();
    return instanceOf(component, clock);
  };
}

function instanceOf(component: Component, clock: Clock): Instance {
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
        .then((how) => {
          timer.cancel();
          deadline?.removeEventListener('abort', abort);
          end(how);
        }, end);
    },
  };
}
