// The pace at which edges may come in: as many a second as this process can take, the others are told when to return. Pure.
// Invariants: the rate moves between MIN and MAX by how busy the event loop was; the refused are spread over the time that admitting them
// all would take, so that they do not return as one crowd.

export type Verdict = { readonly kind: 'admit' } | { readonly kind: 'later'; readonly retryAfterMs: number };

export interface Admission {
  /** One connection wants in now. */
  ask(nowMs: number): Verdict;
  /** Tells how busy the event loop was since the last time, 0 to 1. Called about once a second. */
  observe(utilization: number): void;
  /** Connections a second, at present. */
  rate(): number;
}

const MIN_RATE = 5;
const MAX_RATE = 1_000;
const START_RATE = 200;
/** Above this the process falls behind with what it has; below the other it has room. */
const BUSY = 0.85;
const IDLE = 0.6;
const MIN_RETRY_MS = 500;
const MAX_RETRY_MS = 30_000;

/** `random` is in [0, 1). */
export function createAdmission(random: () => number, nowMs: number): Admission {
  let rate = START_RATE;
  let tokens = START_RATE;
  let filledAtMs = nowMs;
  /** Refused and not yet back, as far as one can tell. */
  let waiting = 0;

  function ask(atMs: number): Verdict {
    const earned = (Math.max(atMs - filledAtMs, 0) * rate) / 1_000;
    filledAtMs = atMs;
    tokens = Math.min(tokens + earned, rate);
    if (tokens >= 1) {
      tokens -= 1;
      waiting = Math.max(waiting - 1, 0);
      return { kind: 'admit' };
    }
    waiting += 1;
    const crowdMs = Math.min(Math.max((waiting / rate) * 1_000, MIN_RETRY_MS), MAX_RETRY_MS);
    return { kind: 'later', retryAfterMs: Math.ceil(crowdMs * (0.5 + random())) };
  }

  function observe(utilization: number): void {
    if (utilization > BUSY) rate = Math.max(MIN_RATE, rate * 0.7);
    else if (utilization < IDLE) rate = Math.min(MAX_RATE, rate * 1.2);
    // Who never came back must not count for ever.
    waiting = Math.floor(waiting * 0.9);
  }

  return { ask, observe, rate: () => rate };
}
