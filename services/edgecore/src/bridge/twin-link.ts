// The bridge's stream to the twin. Invariants: requests are sent in the order they were made, also again after the stream broke, because what was
// not answered may not have been taken; each is answered once or given up after a time; what waits is bounded.
import type { Clock, Timer } from '@skerry/common/clock';
import { SkerryError } from '@skerry/common/errors';
import { unixClient } from '@skerry/common/grpc/client';
import type { Logger } from '@skerry/common/logger';
import { type ExchangeRequest, type ExchangeResponse, TwinServiceClient } from '@skerry/gen/skerry/edge/v1/twin';
import { keepConnected, type Reconnecting } from '../sidecar/reconnect.js';
import { send } from '../sidecar/send.js';

/** A request without its number. */
export type TwinRequest = Omit<ExchangeRequest, 'id'>;

export interface TwinLinkOptions {
  readonly socket: string;
  /** What the twin says unasked. */
  readonly onNotice: (notice: ExchangeResponse) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface TwinLink {
  /**
   * Resolves with the twin's answer, given after what it says is on disk. Rejects with `unavailable` when the twin did not answer in time,
   * `resource_exhausted` when too much is waiting already.
   */
  request(request: TwinRequest, bytes: number): Promise<ExchangeResponse>;
  connected(): boolean;
  /** Connects, and again whenever the stream breaks. */
  start(): void;
  stop(): Promise<void>;
}

/** How long a request waits for a twin that is away: a restart of the twin passes unnoticed. */
const PATIENCE_MS = 10_000;
const MAX_WAITING = 65_536;
const MAX_WAITING_BYTES = 64 * 1024 * 1024;

interface Waiting {
  readonly request: ExchangeRequest;
  readonly bytes: number;
  readonly untilMs: number;
  resolve(response: ExchangeResponse): void;
  reject(error: SkerryError): void;
}

export function createTwinLink(options: TwinLinkOptions): TwinLink {
  const { onNotice, clock, logger } = options;
  const client = unixClient(TwinServiceClient, options.socket);
  /** What has no answer yet, in the order it was made. */
  const waiting = new Map<bigint, Waiting>();
  let waitingBytes = 0;
  let lastId = 0n;
  /** What the current stream has not been given yet. */
  let unsent: Waiting[] = [];
  let isConnected = false;
  let wake: () => void = () => {};
  let cancelStream: () => void = () => {};
  let expiry: Timer | undefined;
  let connection: Reconnecting | undefined;

  async function session(signal: AbortSignal, healthy: () => void): Promise<void> {
    const stream = client.exchange();
    const ended = new AbortController();
    const cancel = (): void => stream.cancel();
    // Every stream ends with a status, whoever ended it.
    const over = new Promise<unknown>((resolve) => stream.once('status', resolve));
    const end = (): void => {
      ended.abort();
      wake();
    };
    let failure: Error | undefined;
    stream.on('error', (error) => {
      failure = error;
      end();
    });
    stream.on('end', end);
    stream.on('metadata', () => {
      isConnected = true;
      healthy();
    });
    stream.on('data', answered);
    signal.addEventListener('abort', cancel, { once: true });
    cancelStream = cancel;
    unsent = [...waiting.values()];
    try {
      await writeRequests((request) => send(stream, request, ended.signal), ended.signal);
    } catch (error) {
      if (!ended.signal.aborted) throw error;
    } finally {
      isConnected = false;
      signal.removeEventListener('abort', cancel);
      cancel();
      await over;
    }
    if (failure) throw failure;
  }

  async function writeRequests(write: (request: ExchangeRequest) => Promise<void>, ended: AbortSignal): Promise<void> {
    while (!ended.aborted) {
      const batch = unsent;
      unsent = [];
      for (const { request } of batch) if (waiting.has(request.id)) await write(request);
      if (unsent.length === 0) await nextRequest(ended);
    }
  }

  function nextRequest(ended: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      wake = resolve;
      if (ended.aborted) resolve();
    });
  }

  function answered(response: ExchangeResponse): void {
    if (response.id === 0n) onNotice(response);
    else take(response.id)?.resolve(response);
  }

  function take(id: bigint): Waiting | undefined {
    const entry = waiting.get(id);
    if (!entry) return undefined;
    waiting.delete(id);
    waitingBytes -= entry.bytes;
    return entry;
  }

  function request(content: TwinRequest, bytes: number): Promise<ExchangeResponse> {
    if (waiting.size >= MAX_WAITING || waitingBytes + bytes > MAX_WAITING_BYTES) {
      return Promise.reject(
        new SkerryError('resource_exhausted', `${waiting.size} requests wait for the twin already`),
      );
    }
    return new Promise((resolve, reject) => {
      lastId += 1n;
      const untilMs = clock.monotonicMs() + PATIENCE_MS;
      const entry = { request: { id: lastId, ...content }, bytes, untilMs, resolve, reject };
      waiting.set(lastId, entry);
      waitingBytes += bytes;
      unsent.push(entry);
      expiry ??= clock.after(PATIENCE_MS, expire);
      wake();
    });
  }

  /** The oldest come first, so one timer is enough. */
  function expire(): void {
    expiry = undefined;
    for (const [id, { untilMs }] of waiting) {
      const leftMs = untilMs - clock.monotonicMs();
      if (leftMs > 0) {
        expiry = clock.after(leftMs, expire);
        return;
      }
      take(id)?.reject(new SkerryError('unavailable', `the twin did not answer within ${PATIENCE_MS} ms`));
      // A stream that is silent for so long is no good, even if nobody has ended it.
      cancelStream();
    }
  }

  return {
    request,
    connected: () => isConnected,
    start() {
      connection ??= keepConnected({ name: 'twin', session, clock, logger });
    },
    async stop() {
      expiry?.cancel();
      await connection?.stop();
      client.close();
      for (const id of [...waiting.keys()]) take(id)?.reject(new SkerryError('cancelled', 'the bridge stops'));
    },
  };
}
