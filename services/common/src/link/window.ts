// How much of a hop may be in flight: about one second of the measured ack rate, so that a slow link stays responsive (a new control
// frame waits a second at most) and a fast one is kept full.
// Invariants: always between MIN_WINDOW_BYTES and MAX_WINDOW_BYTES; it only shrinks on samples in which the window itself was the limit.
import { MAX_WINDOW_BYTES, MIN_WINDOW_BYTES } from './limits.js';

/** Shortest time over which a rate is measured. */
const SAMPLE_MS = 100;
const TARGET_MS = 1_000;

export interface Window {
  bytes(): number;
  /** The first frame after an idle time is about to leave: an idle link says nothing about its rate. */
  busy(nowMs: number): void;
  /** Frames had to wait for the window. */
  limited(): void;
  acked(bytes: number, nowMs: number): void;
}

export function createWindow(): Window {
  let size = MIN_WINDOW_BYTES;
  let sampleStartMs = 0;
  let sampleBytes = 0;
  let wasLimited = false;

  function restart(nowMs: number): void {
    sampleStartMs = nowMs;
    sampleBytes = 0;
    wasLimited = false;
  }

  return {
    bytes: () => size,
    busy: (nowMs) => {
      if (nowMs - sampleStartMs >= SAMPLE_MS) restart(nowMs);
    },
    limited: () => {
      wasLimited = true;
    },
    acked: (bytes, nowMs) => {
      sampleBytes += bytes;
      const elapsedMs = nowMs - sampleStartMs;
      if (elapsedMs < SAMPLE_MS) return;
      const target = Math.min(Math.max((sampleBytes * TARGET_MS) / elapsedMs, MIN_WINDOW_BYTES), MAX_WINDOW_BYTES);
      if (wasLimited || target > size) size = target;
      restart(nowMs);
    },
  };
}
