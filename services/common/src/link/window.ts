// How much of a hop may be in flight: about one second of the measured ack rate, so that a slow link stays responsive (a new control
// frame waits a second at most) and a fast one is kept full.
// Invariants: always between MIN_WINDOW_BYTES and MAX_WINDOW_BYTES; a link that runs idle says nothing about its rate. A sender that sends
// little also makes it small, which costs it nothing: it grows by (1 s / round trip) with each sample that fills it.
import { MAX_WINDOW_BYTES, MIN_WINDOW_BYTES } from './limits.js';

/** Shortest time over which a rate is measured. */
const SAMPLE_MS = 100;
const TARGET_MS = 1_000;

export class Window {
  readonly #nowMs: () => number;
  #size = MIN_WINDOW_BYTES;
  /** Undefined after an idle time: the next sample begins with the next acknowledgement. */
  #sampleStartMs: number | undefined;
  #sampleBytes = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  bytes(): number {
    return this.#size;
  }

  /** `idle`: nothing is in flight any more and nothing waits. The clock is read only while the link is busy. */
  acked(bytes: number, idle: boolean): void {
    if (idle) {
      this.#sampleStartMs = undefined;
      return;
    }
    const nowMs = this.#nowMs();
    if (this.#sampleStartMs === undefined) {
      this.#restart(nowMs);
      return;
    }
    this.#sampleBytes += bytes;
    const elapsedMs = nowMs - this.#sampleStartMs;
    if (elapsedMs < SAMPLE_MS) return;
    const rate = (this.#sampleBytes * TARGET_MS) / elapsedMs;
    this.#size = Math.min(Math.max(rate, MIN_WINDOW_BYTES), MAX_WINDOW_BYTES);
    this.#restart(nowMs);
  }

  #restart(nowMs: number): void {
    this.#sampleStartMs = nowMs;
    this.#sampleBytes = 0;
  }
}
