// A token bucket for each caller: by address before it has an identity, by name afterwards. Pure and bounded.
// Invariant: at most `maxCallers` buckets; the one unused for longest goes first, which only helps who was slow anyway.

export interface CallerLimiter {
  /** True when this caller may go on now. */
  take(caller: string, nowMs: number): boolean;
}

export interface CallerLimiterOptions {
  readonly burst: number;
  readonly perSecond: number;
  readonly maxCallers: number;
}

export function createCallerLimiter({ burst, perSecond, maxCallers }: CallerLimiterOptions): CallerLimiter {
  /** In order of last use. */
  const buckets = new Map<string, { readonly tokens: number; readonly atMs: number }>();

  function take(caller: string, nowMs: number): boolean {
    const bucket = buckets.get(caller) ?? { tokens: burst, atMs: nowMs };
    const tokens = Math.min(burst, bucket.tokens + ((nowMs - bucket.atMs) * perSecond) / 1_000);
    const allowed = tokens >= 1;
    buckets.delete(caller);
    buckets.set(caller, { tokens: allowed ? tokens - 1 : tokens, atMs: nowMs });
    for (const oldest of buckets.keys()) {
      if (buckets.size <= maxCallers) break;
      buckets.delete(oldest);
    }
    return allowed;
  }

  return { take };
}

/** The host of what gRPC calls a peer: "1.2.3.4:567" or "[::1]:567". */
export function hostOf(peer: string): string {
  const colon = peer.lastIndexOf(':');
  return colon < 0 ? peer : peer.slice(0, colon);
}
