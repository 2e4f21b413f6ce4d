// Notices the end of commands whose wrapper is not a child of this engine (adopted ones), by looking at them once a second.
// Invariants: no timer runs while nothing is watched; one look at a time; each end is told once.
import type { Clock, Timer } from '@skerry/common/clock';

export interface ExitWatch {
  add(id: string): void;
  stop(): void;
}

const INTERVAL_MS = 1_000;

export function createExitWatch(options: {
  readonly clock: Clock;
  readonly hasEnded: (id: string) => Promise<boolean>;
  readonly onEnd: (id: string) => void;
}): ExitWatch {
  const { clock, hasEnded, onEnd } = options;
  const watched = new Set<string>();
  let timer: Timer | undefined;
  let stopped = false;

  function arm(): void {
    if (stopped || timer || watched.size === 0) return;
    timer = clock.after(INTERVAL_MS, () => {
      look().then(again, again);
    });
  }

  function again(): void {
    timer = undefined;
    arm();
  }

  async function look(): Promise<void> {
    for (const id of [...watched]) {
      // A container that cannot be looked at is worth a look by the engine, which tells the error.
      if (!(await hasEnded(id).catch(() => true))) continue;
      watched.delete(id);
      if (!stopped) onEnd(id);
    }
  }

  return {
    add(id) {
      watched.add(id);
      arm();
    },
    stop() {
      stopped = true;
      timer?.cancel();
    },
  };
}
