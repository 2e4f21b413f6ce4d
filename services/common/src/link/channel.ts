// Opening a Channel over gRPC: the handshake of both sides. The dialler says Hello, the server answers Welcome or Goodbye.
// Invariants: the handshake takes a bounded time and one frame each way; whoever fails it leaves no stream, timer or listener behind.
import type { ClientDuplexStream, ServerDuplexStream } from '@grpc/grpc-js';
import { type Frame, type Goodbye, Goodbye_Reason, type Hello, type Welcome } from '@skerry/gen/skerry/link/v1/link';
import type { Clock } from '../clock.js';
import { SkerryError } from '../errors.js';
import { fromServiceError } from '../grpc/client.js';
import type { Logger } from '../logger.js';
import { createFrameStream, type FrameStream, type StreamEnd } from './frame-stream.js';
import { completeGoodbye, completeHello, completeWelcome, controlFrame, helloProblem } from './handshake.js';
import { MAX_QUEUED_BYTES } from './limits.js';
import { RefusedError } from './refused.js';
import { createStreamChannel } from './stream-channel.js';
import type { Body, Channel } from './types.js';

export { isRefused, RefusedError } from './refused.js';

export interface HandshakeOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long the other side may take for its first frame. Default 10 s. */
  readonly handshakeTimeoutMs?: number;
  /** What the channel may hold queued and in flight. Default 64 MiB. */
  readonly maxQueuedBytes?: number;
  /** Gives up a handshake under way. */
  readonly signal?: AbortSignal;
}

/** A peer that said Hello and waits for the answer: call `accept` or `refuse`, once. */
export interface PendingChannel {
  readonly hello: Hello;
  /** Answers Welcome; what is left out is filled in. Call `start` on the channel when its listeners are set. */
  accept(welcome: Partial<Welcome>): Channel;
  refuse(goodbye: Partial<Goodbye>): void;
}

const HANDSHAKE_TIMEOUT_MS = 10_000;

/**
 * The server's side. Throws when no acceptable Hello comes in time (the peer was answered and the call ended): `deadline_exceeded`,
 * `unavailable` when the peer went away, `invalid_argument` when its Hello is wrong.
 */
export async function serveChannel(
  call: ServerDuplexStream<Frame, Frame>,
  options: HandshakeOptions,
): Promise<PendingChannel> {
  const stream = createFrameStream(call);
  const refuse = (goodbye: Partial<Goodbye>): void => {
    stream.write(controlFrame(1, 1, { $case: 'goodbye', value: completeGoodbye(goodbye) }));
    stream.end();
    stream.resume();
  };
  const first = await firstFrame(stream, options).catch((error: unknown) => {
    stream.end();
    throw error;
  });
  if (first.$case !== 'hello') {
    refuse({
      reason: Goodbye_Reason.REASON_PROTOCOL_ERROR,
      message: `the first frame is a ${first.$case}, want hello`,
    });
    throw new SkerryError('invalid_argument', `the first frame is a ${first.$case}, want hello`);
  }
  const hello = first.value;
  const problem = helloProblem(hello);
  if (problem) {
    refuse(problem);
    throw new SkerryError('invalid_argument', problem.message);
  }
  const accept = (partial: Partial<Welcome>): Channel => {
    const welcome = completeWelcome(hello, partial, options.clock.nowMs());
    stream.write(controlFrame(1, 1, { $case: 'welcome', value: welcome }));
    return openChannel(stream, hello, welcome, false, options);
  };
  return { hello, accept, refuse };
}

export interface DialOptions extends HandshakeOptions {
  /** Opens the stream: `() => client.connect()`. The client's connection must not outlive the channel: close it on `onEnd`. */
  readonly connect: () => ClientDuplexStream<Frame, Frame>;
  /** At least the role; versions and encodings are filled in. */
  readonly hello: Partial<Hello>;
}

/**
 * The client's side. Throws RefusedError when the server says Goodbye, `unavailable` and the like when it cannot be reached,
 * `deadline_exceeded` when it does not answer in time. A controller's channel sends heartbeats by itself; an edge sends its own.
 */
export async function dialChannel(options: DialOptions): Promise<Channel> {
  const hello = completeHello(options.hello);
  const stream = createFrameStream(options.connect());
  stream.write(controlFrame(1, 0, { $case: 'hello', value: hello }));
  const first = await firstFrame(stream, options).catch((error: unknown) => {
    stream.abort();
    throw error;
  });
  if (first.$case === 'welcome') {
    return openChannel(stream, hello, first.value, hello.role?.$case === 'controller', options);
  }
  stream.abort();
  if (first.$case === 'goodbye') throw new RefusedError(first.value);
  throw new SkerryError('internal', `the hub answered Hello with a ${first.$case}`);
}

function openChannel(
  stream: FrameStream,
  hello: Hello,
  welcome: Welcome,
  automaticHeartbeat: boolean,
  options: HandshakeOptions,
): Channel {
  const { clock, logger, maxQueuedBytes = MAX_QUEUED_BYTES } = options;
  return createStreamChannel({ stream, hello, welcome, automaticHeartbeat, maxQueuedBytes, clock, logger });
}

/** The first frame; afterwards the stream is paused again. */
function firstFrame(stream: FrameStream, options: HandshakeOptions): Promise<Body> {
  const { clock, signal, handshakeTimeoutMs = HANDSHAKE_TIMEOUT_MS } = options;
  return new Promise((resolve, reject) => {
    let settled = false;
    const settle = (act: () => void): void => {
      if (settled) return;
      settled = true;
      timer.cancel();
      signal?.removeEventListener('abort', onAbort);
      stream.pause();
      act();
    };
    const onAbort = (): void => settle(() => reject(signal?.reason));
    const timer = clock.after(handshakeTimeoutMs, () =>
      settle(() => reject(new SkerryError('deadline_exceeded', `no handshake within ${handshakeTimeoutMs} ms`))),
    );
    signal?.addEventListener('abort', onAbort, { once: true });
    stream.handle({
      frame: (frame) => settle(() => take(frame)),
      drained: () => {},
      ended: (end) => settle(() => reject(endError(end))),
    });
    if (signal?.aborted) return onAbort();
    stream.resume();

    function take(frame: Frame): void {
      if (frame.seq === 1n && frame.body) resolve(frame.body);
      else reject(new SkerryError('invalid_argument', `the first frame has number ${frame.seq}, want 1`));
    }
  });
}

function endError(end: StreamEnd): SkerryError {
  if (end.error !== undefined) return fromServiceError(end.error);
  return new SkerryError('unavailable', `the handshake was not finished: ${end.reason}`);
}
