// A Channel on a stream of frames: performs what the hop decides. One bounded writer, one timer for acknowledgements, one for liveness.
// Invariants: nothing is written while the stream's buffer is full; the end is told exactly once and nothing is delivered after it; a
// peer that is silent for LOST_AFTER_INTERVALS heartbeat intervals is lost, whatever its socket says; no timer outlives the stream.
import { type Goodbye, Goodbye_Reason, type Hello, Lane, type Welcome } from '@skerry/gen/skerry/link/v1/link';
import type { Clock, Timer } from '../clock.js';
import { messageOf } from '../errors.js';
import type { Logger } from '../logger.js';
import type { FrameStream } from './frame-stream.js';
import { completeGoodbye } from './handshake.js';
import { createHop, type OutFrame } from './hop.js';
import { HEARTBEAT_INTERVAL_MS, LOST_AFTER_INTERVALS } from './limits.js';
import type { Channel, ChannelEnd, Envelope } from './types.js';

export interface StreamChannelOptions {
  readonly stream: FrameStream;
  readonly hello: Hello;
  readonly welcome: Welcome;
  /** Say that this side is there when nothing else was said for an interval. Edges do so from their main loop instead. */
  readonly automaticHeartbeat: boolean;
  readonly maxQueuedBytes: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** An acknowledgement waits this long for a frame to ride on. */
const ACK_DELAY_MS = 5;
/** After Goodbye the peer has this long to end its side. */
const LINGER_MS = 2_000;

/** The stream is past its handshake: both sides have sent frame 1. */
export function createStreamChannel(options: StreamChannelOptions): Channel {
  const { stream, hello, welcome, clock, logger } = options;
  const hop = createHop({ maxQueuedBytes: options.maxQueuedBytes });
  const intervalMs = welcome.heartbeatIntervalMs || HEARTBEAT_INTERVAL_MS;
  let onEnvelope: (envelope: Envelope) => void = () => {};
  let onEnd: (end: ChannelEnd) => void = () => {};
  let end: ChannelEnd | undefined;
  let started = false;
  let endTold = false;
  let writable = true;
  let heardMs = clock.monotonicMs();
  let saidMs = heardMs;
  let ackTimer: Timer | undefined;
  let liveTimer: Timer | undefined;
  let lingerTimer: Timer | undefined;

  function write(frame: OutFrame): void {
    const { envelope } = frame;
    writable = stream.write({
      seq: BigInt(frame.seq),
      ack: BigInt(frame.ack),
      lane: envelope?.lane ?? Lane.LANE_UNSPECIFIED,
      node: envelope?.node ?? '',
      body: envelope?.body,
    });
  }

  function pump(): void {
    if (end) return;
    while (writable) {
      const nowMs = clock.monotonicMs();
      const frame = hop.next(nowMs);
      if (!frame) break;
      saidMs = nowMs;
      write(frame);
    }
    if (!hop.owesAck()) return;
    if (hop.ackDue()) sendAck();
    else ackTimer ??= clock.after(ACK_DELAY_MS, onAckTimer);
  }

  function sendAck(): void {
    if (writable && !end && hop.owesAck()) write(hop.ackOnly());
  }

  function onAckTimer(): void {
    ackTimer = undefined;
    sendAck();
  }

  function send(envelope: Envelope): void {
    if (end) return;
    if (hop.enqueue(envelope)) pump();
    else fail(`more than ${options.maxQueuedBytes} bytes are queued`);
  }

  function receive(frame: Parameters<Parameters<FrameStream['handle']>[0]['frame']>[0]): void {
    if (end) return;
    heardMs = clock.monotonicMs();
    const { lane, node, body } = frame;
    const received = hop.receive({ seq: Number(frame.seq), ack: Number(frame.ack), lane, node, body }, heardMs);
    if (received.kind === 'violation') {
      fail(received.message);
      return;
    }
    if (received.kind === 'deliver') deliver(received.envelope);
    pump();
  }

  function deliver(envelope: Envelope): void {
    const { body } = envelope;
    if (body.$case === 'hello' || body.$case === 'welcome') {
      fail(`${body.$case} came after the handshake`);
      return;
    }
    if (body.$case === 'goodbye' && envelope.node === '') {
      stream.end();
      finish({ kind: 'goodbye', goodbye: body.value });
      return;
    }
    try {
      onEnvelope(envelope);
    } catch (error) {
      fail(`a ${body.$case} could not be taken: ${messageOf(error)}`);
    }
  }

  /** The contract is broken: tell the peer and give the connection up. */
  function fail(message: string): void {
    if (end) return;
    logger.warn('link ended by a protocol error', { error: message });
    sayGoodbye({ reason: Goodbye_Reason.REASON_PROTOCOL_ERROR, message });
    finish({ kind: 'lost', reason: `protocol error: ${message}` });
  }

  function close(goodbye: Partial<Goodbye>): void {
    if (end) return;
    sayGoodbye(goodbye);
    finish({ kind: 'closed' });
  }

  function sayGoodbye(goodbye: Partial<Goodbye>): void {
    write(hop.last({ lane: Lane.LANE_CONTROL, node: '', body: { $case: 'goodbye', value: completeGoodbye(goodbye) } }));
    stream.end();
  }

  /** Tells the owner once. The stream itself may linger until the peer has read our Goodbye. */
  function finish(how: ChannelEnd): void {
    if (end) return;
    end = how;
    ackTimer?.cancel();
    liveTimer?.cancel();
    lingerTimer = clock.after(LINGER_MS, stream.abort);
    stream.resume();
    tellEnd();
  }

  /** An end before `start` is told by it: only then are the listeners known to be set. */
  function tellEnd(): void {
    if (!end || !started || endTold) return;
    endTold = true;
    onEnd(end);
  }

  function watch(): void {
    liveTimer = clock.after(intervalMs / 2, () => {
      const nowMs = clock.monotonicMs();
      if (nowMs - heardMs >= intervalMs * LOST_AFTER_INTERVALS) {
        stream.abort();
        finish({ kind: 'lost', reason: `nothing was heard for ${Math.round(nowMs - heardMs)} ms` });
        return;
      }
      if (options.automaticHeartbeat && nowMs - saidMs >= intervalMs) {
        const uptimeMs = BigInt(Math.trunc(nowMs));
        send({ lane: Lane.LANE_CONTROL, node: '', body: { $case: 'heartbeat', value: { uptimeMs } } });
      }
      if (!end) watch();
    });
  }

  stream.handle({
    frame: receive,
    drained: () => {
      writable = true;
      pump();
    },
    ended: ({ reason }) => {
      if (!end) stream.end();
      finish({ kind: 'lost', reason });
      lingerTimer?.cancel();
    },
  });

  return {
    hello,
    welcome,
    send,
    pendingBytes: () => hop.stats().inFlightBytes + hop.stats().queuedBytes,
    onEnvelope: (listener) => {
      onEnvelope = listener;
    },
    onEnd: (listener) => {
      onEnd = listener;
    },
    start: () => {
      started = true;
      if (end) return tellEnd();
      heardMs = clock.monotonicMs();
      watch();
      stream.resume();
    },
    close,
    stats: hop.stats,
  };
}
