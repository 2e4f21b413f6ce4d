// The runtime that a node is configured with. Drivers are loaded only when chosen: a small device does not pay for the others.
// Invariant: the choice is the operator's, made once; there is no falling back from one runtime to another.
import { join } from 'node:path';
import type { Clock } from '@skerry/common/clock';
import { SkerryError } from '@skerry/common/errors';
import type { Runtime } from './runtime.js';

export interface RuntimeChoice {
  /** "process" or "fake". */
  readonly kind: string;
  /** The engine's state folder; the runtime keeps its own in `<stateDir>/engine`. */
  readonly stateDir: string;
  /** For `process`: name or uid:gid of the user that workloads run under. */
  readonly processUser?: string;
  readonly clock: Clock;
}

type Maker = (choice: RuntimeChoice) => Promise<Runtime>;

const RUNTIMES: Readonly<Record<string, Maker>> = {
  async process({ stateDir, processUser, clock }) {
    const { createProcessRuntime } = await import('./process/process-runtime.js');
    const dir = join(stateDir, 'engine', 'process');
    return createProcessRuntime({ dir, clock, ...(processUser ? { user: processUser } : {}) });
  },
  async fake({ clock }) {
    const { createFakeRuntime } = await import('./fake/fake-runtime.js');
    return createFakeRuntime({ clock });
  },
};

/** Throws `invalid_argument` for an unknown kind, and what the runtime's own factory throws. */
export async function createRuntime(choice: RuntimeChoice): Promise<Runtime> {
  const make = Object.hasOwn(RUNTIMES, choice.kind) ? RUNTIMES[choice.kind] : undefined;
  if (!make) {
    const known = Object.keys(RUNTIMES).join(', ');
    throw new SkerryError('invalid_argument', `runtime "${choice.kind}" is not known: choose one of ${known}`);
  }
  return make(choice);
}
