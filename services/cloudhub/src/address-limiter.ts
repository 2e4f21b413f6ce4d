// A token bucket for each address that asks for something before it has an identity. Pure and bounded.
// Invariant: at most MAX_ADDRESSES buckets; the one unused for longest goes first, which only helps who was slow anyway.

export interface AddressLimiter {
  /** True when this address may go on now. */
  take(address: string, nowMs: number): boolean;
}

export interface AddressLimiterOptions {
  readonly burst: number;
  readonly perSecond: number;
  readonly maxAddresses: number;
}

export function createAddressLimiter({ burst, perSecond, maxAddresses }: AddressLimiterOptions): AddressLimiter {
  /** In order of last use. */
  const buckets = new Map<string, { readonly tokens: number; readonly atMs: number }>();

  function take(address: string, nowMs: number): boolean {
    const bucket = buckets.get(address) ?? { tokens: burst, atMs: nowMs };
    const tokens = Math.min(burst, bucket.tokens + ((nowMs - bucket.atMs) * perSecond) / 1_000);
    const allowed = tokens >= 1;
    buckets.delete(address);
    buckets.set(address, { tokens: allowed ? tokens - 1 : tokens, atMs: nowMs });
    for (const oldest of buckets.keys()) {
      if (buckets.size <= maxAddresses) break;
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
