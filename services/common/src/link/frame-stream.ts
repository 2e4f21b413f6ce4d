// One face for the client's and the server's side of a gRPC stream of frames: written in order, read only when resumed, ended once.
// Invariants: nothing is read before `resume`; `ended` is reported exactly once; no event of the stream goes unheard.
import { type ClientDuplexStream, type ServerDuplexStream, status } from '@grpc/grpc-js';
import type { Frame } from '@skerry/gen/skerry/link/v1/link';
import { messageOf } from '../errors.js';
import { isServiceError } from '../grpc/client.js';

export type FrameCall = ClientDuplexStream<Frame, Frame> | ServerDuplexStream<Frame, Frame>;

/** Why a stream is over; `error` is undefined when the peer ended it in order. */
export interface StreamEnd {
  readonly reason: string;
  readonly error: unknown;
}

export interface StreamHandlers {
  frame(frame: Frame): void;
  /** There is room to write again. */
  drained(): void;
  ended(end: StreamEnd): void;
}

export interface FrameStream {
  /** Who takes what happens. An end that came before is reported at once. */
  handle(handlers: StreamHandlers): void;
  resume(): void;
  pause(): void;
  /** False when the stream's buffer is full: wait for `drained`. */
  write(frame: Frame): boolean;
  /** Ends this side in order, after what was written. */
  end(): void;
  /** Lets go at once. */
  abort(): void;
}

export function createFrameStream(call: FrameCall): FrameStream {
  let handlers: StreamHandlers | undefined;
  let end: StreamEnd | undefined;

  const finish = (reason: string, error?: unknown): void => {
    if (end) return;
    end = { reason, error };
    handlers?.ended(end);
  };
  call.pause();
  call.on('data', (frame: Frame) => handlers?.frame(frame));
  call.on('drain', () => handlers?.drained());
  call.on('end', () => finish('the peer ended the stream'));
  call.on('error', (error: unknown) => finish(isServiceError(error) ? error.details : messageOf(error), error));
  call.on('cancelled', () => finish('the stream was cut'));

  return {
    handle: (next) => {
      handlers = next;
      if (end) next.ended(end);
    },
    resume: () => void call.resume(),
    pause: () => void call.pause(),
    write: (frame) => call.write(frame),
    end: () => void call.end(),
    abort: () => {
      finish('it was given up on this side');
      if ('sendMetadata' in call) call.emit('error', { code: status.ABORTED, details: 'the link was given up' });
      else call.cancel();
    },
  };
}
