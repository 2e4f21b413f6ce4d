// A connection without sockets: frames wait on it until a test delivers, loses or repeats them.
import type { Frame } from '@skerry/gen/skerry/link/v1/link';
import type { FrameStream, StreamHandlers } from '../frame-stream.js';

export interface Wire {
  /** The two ends, as a channel sees them. */
  readonly ends: readonly [FrameStream, FrameStream];
  /** Frames on their way to an end. */
  waiting(to: 0 | 1): number;
  /** Delivers the oldest frame. False when none waits. */
  deliver(to: 0 | 1): boolean;
  /** The oldest frame arrives twice, which no real connection does. */
  repeat(to: 0 | 1): void;
  /** The connection breaks: what is on its way is lost, both ends notice. */
  cut(): void;
  open(): boolean;
}

export function createWire(onFrame: (to: 0 | 1, frame: Frame) => void = () => {}): Wire {
  const queues: [Frame[], Frame[]] = [[], []];
  const handlers: [StreamHandlers | undefined, StreamHandlers | undefined] = [undefined, undefined];
  const ended: [boolean, boolean] = [false, false];
  const finished: [boolean, boolean] = [false, false];

  function tellEnd(end: 0 | 1, reason: string): void {
    if (finished[end]) return;
    finished[end] = true;
    handlers[end]?.ended({ reason, error: undefined });
  }

  function cut(): void {
    queues[0].length = 0;
    queues[1].length = 0;
    tellEnd(0, 'cut');
    tellEnd(1, 'cut');
  }

  function end(of: 0 | 1): FrameStream {
    const other = of === 0 ? 1 : 0;
    return {
      handle: (next) => {
        handlers[of] = next;
      },
      resume: () => {},
      pause: () => {},
      write: (frame) => {
        if (!finished[of] && !ended[of]) queues[other].push(frame);
        return true;
      },
      end: () => {
        ended[of] = true;
      },
      abort: cut,
    };
  }

  function take(to: 0 | 1, frame: Frame): void {
    onFrame(to, frame);
    handlers[to]?.frame(frame);
  }

  return {
    ends: [end(0), end(1)],
    waiting: (to) => queues[to].length,
    deliver: (to) => {
      const frame = queues[to].shift();
      if (frame) take(to, frame);
      const sender = to === 0 ? 1 : 0;
      if (queues[to].length === 0 && ended[sender]) tellEnd(to, 'the peer ended the stream');
      return frame !== undefined;
    },
    repeat: (to) => {
      const frame = queues[to][0];
      if (frame) take(to, frame);
    },
    cut,
    open: () => !finished[0] && !finished[1] && !ended[0] && !ended[1],
  };
}
