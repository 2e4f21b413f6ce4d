// The keep-alive connections to one API server: a bounded pool for requests and a separate one for watches, so that long watches never
// take a request's connection. Invariant: when the TLS material changes, new requests use new connections and old ones end by themselves.
import { Pool } from 'undici';
import type { KubeTls } from './config.js';

export interface PoolsOptions {
  /** Scheme, host and port only. */
  readonly origin: string;
  readonly maxConnections: number;
  readonly maxStreams: number;
  /** A response larger than this fails; streams have no such bound, their lines do. */
  readonly maxResponseBytes: number;
  /** Connecting, TLS handshake included. */
  readonly connectTimeoutMs: number;
  /** Silence inside a response body. */
  readonly bodyTimeoutMs: number;
}

export interface PoolPair {
  readonly requests: Pool;
  readonly streams: Pool;
}

export interface Pools {
  current(tls: KubeTls): PoolPair;
  /** Cuts every connection at once; what is under way fails. */
  destroy(): Promise<void>;
}

/** Below the idle limits that API servers and load balancers have; a server's own Keep-Alive hint comes first. */
const IDLE_MS = 30_000;

export function createPools(options: PoolsOptions): Pools {
  const open = new Set<Pool>();
  let current: { readonly fingerprint: string; readonly pair: PoolPair } | undefined;

  function openPool(tls: KubeTls, connections: number, maxResponseSize: number, bodyTimeout: number): Pool {
    const pool = new Pool(options.origin, {
      connections,
      pipelining: 1,
      keepAliveTimeout: IDLE_MS,
      headersTimeout: 0, // the transport's own deadline covers it
      bodyTimeout,
      maxResponseSize,
      connect: { ...tls, timeout: options.connectTimeoutMs },
    });
    open.add(pool);
    return pool;
  }

  function retire(pool: Pool): void {
    pool.close().then(
      () => open.delete(pool),
      () => open.delete(pool), // closed by destroy() in the meantime
    );
  }

  return {
    current(tls) {
      const fingerprint = JSON.stringify([tls.ca, tls.cert, tls.key, tls.servername, tls.rejectUnauthorized]);
      if (current?.fingerprint === fingerprint) return current.pair;
      if (current) {
        retire(current.pair.requests);
        retire(current.pair.streams);
      }
      const requests = openPool(tls, options.maxConnections, options.maxResponseBytes, options.bodyTimeoutMs);
      const streams = openPool(tls, options.maxStreams, -1, 0);
      current = { fingerprint, pair: { requests, streams } };
      return current.pair;
    },
    async destroy() {
      current = undefined;
      await Promise.all([...open].map((pool) => pool.destroy()));
      open.clear();
    },
  };
}
