// How long to wait before trying again: exponential with full jitter, so that many clients that failed together return apart.
// Source of the rule: full jitter spreads a crowd best for a given mean wait; the cap keeps recovery prompt.

export interface BackoffOptions {
  readonly baseMs: number;
  readonly maxMs: number;
}

/** The wait before attempt `failures` + 1, in ms: uniform in (0, min(max, base * 2^(failures-1))]. `random` is in [0, 1). */
export function backoffMs(failures: number, options: BackoffOptions, random: () => number): number {
  // Past 2^30 the cap has long decided; the bound keeps the power finite.
  const ceiling = Math.min(options.maxMs, options.baseMs * 2 ** Math.min(Math.max(failures - 1, 0), 30));
  return Math.ceil(ceiling * (1 - random()));
}
