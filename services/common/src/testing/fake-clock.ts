// A clock that moves only when a test says so.
import { type Clock, sleepWith, type Timer } from '../clock.js';

export interface FakeClock extends Clock {
  /** Moves time forward, firing due timers in order and letting promises settle after each. */
  advance(ms: number): Promise<void>;
  /** Timers that are armed: a test that ends with some has leaked them. */
  pending(): number;
}

export function fakeClock(startMs = 1_700_000_000_000): FakeClock {
  let elapsedMs = 0;
  let nextId = 0;
  const timers = new Map<number, { atMs: number; fn: () => void }>();

  const after = (delayMs: number, fn: () => void): Timer => {
    const id = nextId++;
    timers.set(id, { atMs: elapsedMs + Math.max(delayMs, 0), fn });
    return { cancel: () => void timers.delete(id) };
  };

  function nextDue(limitMs: number): [number, { atMs: number; fn: () => void }] | undefined {
    let due: [number, { atMs: number; fn: () => void }] | undefined;
    for (const entry of timers) {
      if (entry[1].atMs <= limitMs && (due === undefined || entry[1].atMs < due[1].atMs)) due = entry;
    }
    return due;
  }

  async function advance(ms: number): Promise<void> {
    const endMs = elapsedMs + ms;
    await settle();
    for (let due = nextDue(endMs); due !== undefined; due = nextDue(endMs)) {
      timers.delete(due[0]);
      elapsedMs = due[1].atMs;
      due[1].fn();
      await settle();
    }
    elapsedMs = endMs;
    await settle();
  }

  return {
    nowMs: () => startMs + elapsedMs,
    monotonicMs: () => elapsedMs,
    after,
    sleep: (delayMs, signal) => sleepWith(after, delayMs, signal),
    advance,
    pending: () => timers.size,
  };
}

/** Lets already resolved promise chains run to their next wait. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}
