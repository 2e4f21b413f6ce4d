// JSON over kept-alive HTTPS to the API server. Owns retries, deadlines, the request bound and the request counters.
// Invariants: every request ends by its deadline; a write is sent again only when the server refused it unread (429) or did not know us
// (401), a read also after a failure that passes; every failure is a KubeError.
import { setMaxListeners } from 'node:events';
import type { Dispatcher } from 'undici';
import type { Clock } from '../clock.js';
import { isSkerryError, messageOf } from '../errors.js';
import { backoffMs } from './backoff.js';
import type { KubeConnection, KubeCredentials } from './config.js';
import { errorFromResponse, isKubeError, KubeError } from './kube-error.js';
import { createLimiter, type LimiterStats } from './limiter.js';
import { createPools, type PoolPair } from './pools.js';

export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

export interface KubeRequest {
  readonly method: HttpMethod;
  /** Absolute path below the server's address, segments encoded. */
  readonly path: string;
  /** `undefined` values are left out. */
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Of the body; `application/json` unless given. */
  readonly contentType?: string;
  readonly signal?: AbortSignal;
  /** For everything: waiting for a turn, retries, the body. 30 s unless given; for a stream: until its headers are here. */
  readonly timeoutMs?: number;
  /** False: one attempt, for callers with a back-off of their own. */
  readonly retry?: boolean;
  /** Labels of the counters, from a small fixed set: Kubernetes' verb (`list`) and plural (`pods`). */
  readonly verb: string;
  readonly resource: string;
}

export interface RequestCount {
  readonly verb: string;
  readonly resource: string;
  /** The HTTP status, or `error` when there was no answer. */
  readonly code: string;
  readonly count: number;
}

export interface TransportStats extends LimiterStats {
  readonly requests: readonly RequestCount[];
  readonly retries: number;
  readonly openStreams: number;
}

export interface KubeTransport {
  /** Sends, and returns the parsed answer. Throws KubeError. */
  request<T>(request: KubeRequest): Promise<T>;
  /** A streaming GET: resolves when a 2xx status is here; the bytes end when the server ends them or `signal` aborts. */
  stream(request: KubeRequest): Promise<AsyncIterable<Uint8Array>>;
  stats(): TransportStats;
  /** Cuts everything at once. */
  close(): Promise<void>;
}

export interface TransportOptions {
  readonly connection: KubeConnection;
  readonly clock: Clock;
  readonly random: () => number;
  readonly userAgent?: string;
  readonly maxConnections?: number;
  readonly maxStreams?: number;
  readonly maxQueued?: number;
  readonly rate?: { readonly perSecond: number; readonly burst: number };
  readonly maxResponseBytes?: number;
}

const DEFAULT_TIMEOUT_MS = 30_000;
const MAX_ATTEMPTS = 4;
/** A server that wants to be left alone for longer is told to the caller instead. */
const MAX_RETRY_AFTER_MS = 10_000;
const RETRY_BACKOFF = { baseMs: 200, maxMs: 5_000 };

export function createKubeTransport(options: TransportOptions): KubeTransport {
  const { connection, clock, random, maxConnections = 32, maxStreams = 64 } = options;
  const url = new URL(connection.server);
  const pathPrefix = url.pathname.replace(/\/+$/, '');
  const limiter = createLimiter({
    maxInFlight: maxConnections,
    maxQueued: options.maxQueued ?? 10_000,
    clock,
    ...(options.rate && { rate: options.rate }),
  });
  const pools = createPools({
    origin: url.origin,
    maxConnections,
    maxStreams,
    maxResponseBytes: options.maxResponseBytes ?? 256 * 1024 * 1024,
    connectTimeoutMs: 10_000,
    bodyTimeoutMs: 30_000,
  });
  const counts = new Map<string, { verb: string; resource: string; code: string; count: number }>();
  const closing = new AbortController();
  let retries = 0;
  let openStreams = 0;

  function count(request: KubeRequest, code: string): void {
    const key = `${request.verb} ${request.resource} ${code}`;
    const entry = counts.get(key);
    if (entry) entry.count += 1;
    else counts.set(key, { verb: request.verb, resource: request.resource, code, count: 1 });
  }

  /** One exchange; a 401 is tried once more with credentials read anew. */
  async function exchange(
    request: KubeRequest,
    pick: (pair: PoolPair) => Dispatcher,
    signal: AbortSignal,
  ): Promise<Dispatcher.ResponseData> {
    let credentials = await connection.credentials();
    for (let attempt = 1; ; attempt++) {
      const response = await pick(pools.current(credentials.tls)).request(
        dispatchOptions(request, pathPrefix, credentials, options.userAgent ?? 'skerry', signal),
      );
      count(request, String(response.statusCode));
      if (response.statusCode < 300) return response;
      const text = await response.body.text();
      if (response.statusCode !== 401 || attempt > 1)
        throw errorFromResponse(nameOf(request), response.statusCode, text, retryAfterHeader(response));
      credentials = await connection.credentials({ refresh: true });
    }
  }

  async function attempt<T>(request: KubeRequest, signal: AbortSignal): Promise<T> {
    await limiter.acquire(signal);
    try {
      const response = await exchange(request, (pair) => pair.requests, signal);
      return parseJson<T>(request, await response.body.text());
    } finally {
      limiter.release();
    }
  }

  async function request<T>(req: KubeRequest): Promise<T> {
    const deadline = openDeadline(req, clock, closing.signal);
    try {
      for (let failures = 1; ; failures++) {
        try {
          return await attempt<T>(req, deadline.signal);
        } catch (thrown) {
          const error = toKubeError(req, thrown, deadline.signal);
          if (error.httpStatus === 0) count(req, 'error');
          const waitMs = retryDelayMs(req, error, failures, random);
          if (waitMs === undefined || waitMs >= deadline.leftMs()) throw error;
          retries += 1;
          await clock.sleep(waitMs, deadline.signal).catch((reason: unknown) => {
            throw toKubeError(req, reason, deadline.signal);
          });
        }
      }
    } finally {
      deadline.dispose();
    }
  }

  async function stream(req: KubeRequest): Promise<AsyncIterable<Uint8Array>> {
    if (openStreams >= maxStreams)
      throw new KubeError('resource_exhausted', `${nameOf(req)}: ${maxStreams} streams are open; raise maxStreams`, {
        httpStatus: 0,
      });
    openStreams += 1;
    const deadline = openDeadline(req, clock, closing.signal);
    try {
      const response = await exchange(req, (pair) => pair.streams, deadline.signal);
      deadline.stopTimer();
      response.body.once('close', () => end(deadline));
      response.body.on('error', () => {}); // whoever iterates gets it; nobody iterating must not end the process
      return bytesOf(req, response, deadline.signal);
    } catch (thrown) {
      const error = toKubeError(req, thrown, deadline.signal);
      if (error.httpStatus === 0) count(req, 'error');
      end(deadline);
      throw error;
    }
  }

  function end(deadline: Deadline): void {
    deadline.dispose();
    openStreams -= 1;
  }

  return {
    request,
    stream,
    stats: () => ({
      ...limiter.stats(),
      requests: [...counts.values()].map((entry) => ({ ...entry })),
      retries,
      openStreams,
    }),
    async close() {
      closing.abort(new KubeError('cancelled', 'the Kubernetes transport is closed', { httpStatus: 0 }));
      await pools.destroy();
    },
  };
}

async function* bytesOf(
  request: KubeRequest,
  response: Dispatcher.ResponseData,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of response.body) yield chunk as Uint8Array;
  } catch (thrown) {
    throw toKubeError(request, thrown, signal);
  }
}

/** The rule of retries; `undefined` = give up. Exported for its tests. */
export function retryDelayMs(
  request: KubeRequest,
  error: KubeError,
  failures: number,
  random: () => number,
): number | undefined {
  if (request.retry === false || failures >= MAX_ATTEMPTS) return undefined;
  const transient = error.code === 'unavailable' || error.httpStatus === 504;
  const mayRepeat = error.httpStatus === 429 || (request.method === 'GET' && transient);
  const retryAfterMs = error.retryAfterMs ?? 0;
  if (!mayRepeat || retryAfterMs > MAX_RETRY_AFTER_MS) return undefined;
  return retryAfterMs + backoffMs(failures, RETRY_BACKOFF, random);
}

interface Deadline {
  readonly signal: AbortSignal;
  leftMs(): number;
  /** The caller's signal still counts, the time does not any longer. */
  stopTimer(): void;
  dispose(): void;
}

/** One signal out of the caller's, the transport's closing and the time limit. */
function openDeadline(request: KubeRequest, clock: Clock, closing: AbortSignal): Deadline {
  const timeoutMs = request.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const endMs = clock.monotonicMs() + timeoutMs;
  const controller = new AbortController();
  const sources = request.signal ? [request.signal, closing] : [closing];
  const onAbort = (): void => controller.abort(sources.find((source) => source.aborted)?.reason);
  setMaxListeners(0, ...sources); // many requests share one signal; each takes its listener back
  for (const source of sources) source.addEventListener('abort', onAbort, { once: true });
  if (sources.some((source) => source.aborted)) onAbort();
  const timer = clock.after(timeoutMs, () =>
    controller.abort(
      new KubeError('deadline_exceeded', `${nameOf(request)}: no answer within ${timeoutMs} ms`, { httpStatus: 0 }),
    ),
  );
  return {
    signal: controller.signal,
    leftMs: () => endMs - clock.monotonicMs(),
    stopTimer: () => timer.cancel(),
    dispose: () => {
      timer.cancel();
      for (const source of sources) source.removeEventListener('abort', onAbort);
    },
  };
}

function dispatchOptions(
  request: KubeRequest,
  pathPrefix: string,
  credentials: KubeCredentials,
  userAgent: string,
  signal: AbortSignal,
): Dispatcher.RequestOptions {
  const headers: Record<string, string> = {
    ...credentials.headers,
    accept: 'application/json',
    'user-agent': userAgent,
  };
  if (request.body !== undefined) headers['content-type'] = request.contentType ?? 'application/json';
  return {
    method: request.method,
    path: pathPrefix + request.path + queryOf(request),
    headers,
    signal,
    ...(request.body !== undefined && { body: JSON.stringify(request.body) }),
  };
}

function queryOf(request: KubeRequest): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(request.query ?? {})) {
    if (value !== undefined) params.set(name, String(value));
  }
  return params.size > 0 ? `?${params.toString()}` : '';
}

function parseJson<T>(request: KubeRequest, text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw new KubeError('unavailable', `${nameOf(request)}: the answer is not JSON (${text.length} characters)`, {
      httpStatus: 0,
      cause,
    });
  }
}

/** What undici, the credentials or the limiter threw, as the one error type. */
function toKubeError(request: KubeRequest, thrown: unknown, signal: AbortSignal): KubeError {
  if (signal.aborted && isKubeError(signal.reason)) return signal.reason;
  if (isKubeError(thrown)) return thrown;
  const init = { httpStatus: 0, cause: thrown };
  if (signal.aborted) return new KubeError('cancelled', `${nameOf(request)}: cancelled by the caller`, init);
  const code = isSkerryError(thrown) ? thrown.code : 'unavailable';
  return new KubeError(code, `${nameOf(request)}: ${messageOf(thrown)}`, init);
}

function nameOf(request: KubeRequest): string {
  return `${request.method} ${request.path}`;
}

function retryAfterHeader(response: Dispatcher.ResponseData): string | undefined {
  const value = response.headers['retry-after'];
  return typeof value === 'string' ? value : undefined;
}
