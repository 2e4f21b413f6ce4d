// A Channel on a stream of frames: performs what the hop decides. One bounded writer, one timer for acknowledgements, one for liveness.
// Invariants: nothing is written while the stream's buffer is full; the end is told exactly once and nothing is delivered after it; a
// peer that is silent for LOST_AFTER_INTERVALS heartbeat intervals is lost, whatever its socket says; no timer outlives the stream.
import {
  type Frame,
  type Goodbye,
  Goodbye_Reason,
  type Hello,
  Lane,
  type Welcome,
} from '@skerry/gen/skerry/link/v1/link';
import type { Clock, Timer } from '../clock.js';
import { messageOf } from '../errors.js';
import type { Logger } from '../logger.js';
import type { FrameStream } from './frame-stream.js';
import { completeGoodbye } from './handshake.js';
import { Hop } from './hop.js';
import { CONGESTED_SHARE, HEARTBEAT_INTERVAL_MS, LOST_AFTER_INTERVALS } from './limits.js';
import type { Body, Channel, ChannelEnd, ChannelStats, Envelope } from './types.js';

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
/** How often liveness is looked at. */
const LOOKS_PER_INTERVAL = 2;

/** The stream is past its handshake: both sides have sent frame 1. */
export function createStreamChannel(options: StreamChannelOptions): Channel {
  return new StreamChannel(options);
}

// A class, because there is one for each connection: methods are compiled once for all, closures would be for each.
class StreamChannel implements Channel {
  readonly hello: Hello;
  readonly welcome: Welcome;
  readonly #options: StreamChannelOptions;
  readonly #stream: FrameStream;
  readonly #clock: Clock;
  readonly #hop: Hop;
  readonly #intervalMs: number;
  readonly #congestedBytes: number;
  /** Who waits for room, in the order of asking. */
  readonly #waiters = new Set<() => void>();
  #onEnvelope: (envelope: Envelope) => void = () => {};
  #onEnd: (end: ChannelEnd) => void = () => {};
  #end: ChannelEnd | undefined;
  #started = false;
  #endTold = false;
  #writable = true;
  /** Since the last look at the clock. */
  #heard = false;
  #said = false;
  #silentLooks = 0;
  #ackTimer: Timer | undefined;
  #liveTimer: Timer | undefined;
  #lingerTimer: Timer | undefined;

  constructor(options: StreamChannelOptions) {
    this.hello = options.hello;
    this.welcome = options.welcome;
    this.#options = options;
    this.#stream = options.stream;
    this.#clock = options.clock;
    this.#hop = new Hop({ maxQueuedBytes: options.maxQueuedBytes, nowMs: () => options.clock.monotonicMs() });
    this.#congestedBytes = options.maxQueuedBytes * CONGESTED_SHARE;
    this.#intervalMs = options.welcome.heartbeatIntervalMs || HEARTBEAT_INTERVAL_MS;
    this.#stream.handle({
      frame: (frame) => this.#receive(frame),
      drained: () => {
        this.#writable = true;
        this.#pump();
      },
      ended: ({ reason }) => this.#streamEnded(reason),
    });
  }

  onEnvelope(listener: (envelope: Envelope) => void): void {
    this.#onEnvelope = listener;
  }

  onEnd(listener: (end: ChannelEnd) => void): void {
    this.#onEnd = listener;
  }

  start(): void {
    this.#started = true;
    if (this.#end) {
      this.#tellEnd();
      return;
    }
    this.#watch();
    this.#stream.resume();
  }

  send(envelope: Envelope): void {
    if (this.#end) return;
    const frame = this.#hop.send(envelope, this.#writable);
    if (frame === 'full') this.#fail(`more than ${this.#options.maxQueuedBytes} bytes are queued`);
    else if (frame !== 'queued') this.#write(frame);
    else this.#pump();
  }

  pendingBytes(): number {
    return this.#hop.pendingBytes();
  }

  hasRoom(): boolean {
    return this.#hop.pendingBytes() < this.#congestedBytes;
  }

  awaitRoom(waiter: () => void): void {
    if (!this.#end) this.#waiters.add(waiter);
  }

  /** One waiter after another until there is no room: who has more to send asks again and is the last then. */
  #offerRoom(): void {
    for (const waiter of this.#waiters) {
      if (this.#end || !this.hasRoom()) return;
      this.#waiters.delete(waiter);
      waiter();
    }
  }

  stats(): ChannelStats {
    return this.#hop.stats();
  }

  close(goodbye: Partial<Goodbye>): void {
    if (this.#end) return;
    this.#sayGoodbye(goodbye);
    this.#finish({ kind: 'closed' });
  }

  /** Writes what may leave, and an acknowledgement that is due. */
  #pump(): void {
    if (this.#end) return;
    while (this.#writable) {
      const frame = this.#hop.next();
      if (!frame) break;
      this.#write(frame);
    }
    if (!this.#hop.owesAck()) return;
    if (this.#hop.ackDue()) this.#sendAck();
    else this.#ackTimer ??= this.#clock.after(ACK_DELAY_MS, () => this.#onAckTimer());
  }

  #write(frame: Frame): void {
    this.#said = true;
    this.#writable = this.#stream.write(frame);
  }

  #sendAck(): void {
    if (this.#writable && !this.#end && this.#hop.owesAck()) this.#write(this.#hop.ackOnly());
  }

  #onAckTimer(): void {
    this.#ackTimer = undefined;
    this.#sendAck();
  }

  #receive(frame: Frame): void {
    if (this.#end) return;
    this.#heard = true;
    const received = this.#hop.receive(frame);
    if (received.kind === 'violation') this.#fail(received.message);
    else if (received.kind === 'deliver') this.#deliver(received.envelope);
    this.#pump();
    // Only an acknowledgement makes room, and one comes for whatever is queued.
    if (this.#waiters.size > 0) this.#offerRoom();
  }

  #deliver(envelope: Envelope): void {
    const { body } = envelope;
    if (body.$case === 'hello' || body.$case === 'welcome') {
      this.#fail(`${body.$case} came after the handshake`);
    } else if (body.$case === 'goodbye' && envelope.node === '') {
      this.#stream.end();
      this.#finish({ kind: 'goodbye', goodbye: body.value });
    } else {
      try {
        this.#onEnvelope(envelope);
      } catch (error) {
        this.#fail(`a ${body.$case} could not be taken: ${messageOf(error)}`);
      }
    }
  }

  /** The contract is broken: tells the peer and gives the connection up. */
  #fail(message: string): void {
    if (this.#end) return;
    this.#options.logger.warn('link ended by a protocol error', { error: message });
    this.#sayGoodbye({ reason: Goodbye_Reason.REASON_PROTOCOL_ERROR, message });
    this.#finish({ kind: 'lost', reason: `protocol error: ${message}` });
  }

  #sayGoodbye(goodbye: Partial<Goodbye>): void {
    const body: Body = { $case: 'goodbye', value: completeGoodbye(goodbye) };
    this.#write(this.#hop.last({ lane: Lane.LANE_CONTROL, node: '', body }));
    this.#stream.end();
  }

  /** Ends this side. The stream itself may linger until the peer has read our Goodbye. */
  #finish(how: ChannelEnd): void {
    if (this.#end) return;
    this.#end = how;
    this.#waiters.clear();
    this.#ackTimer?.cancel();
    this.#liveTimer?.cancel();
    this.#lingerTimer = this.#clock.after(LINGER_MS, () => this.#stream.abort());
    this.#stream.resume();
    this.#tellEnd();
  }

  /** An end before `start` is told by it: only then are the listeners known to be set. */
  #tellEnd(): void {
    if (!this.#end || !this.#started || this.#endTold) return;
    this.#endTold = true;
    this.#onEnd(this.#end);
  }

  #streamEnded(reason: string): void {
    if (!this.#end) this.#stream.end();
    this.#finish({ kind: 'lost', reason });
    this.#lingerTimer?.cancel();
  }

  /** Looks twice an interval whether the peer was heard and whether this side should be. */
  #watch(): void {
    this.#liveTimer = this.#clock.after(this.#intervalMs / LOOKS_PER_INTERVAL, () => {
      this.#silentLooks = this.#heard ? 0 : this.#silentLooks + 1;
      this.#heard = false;
      if (this.#silentLooks >= LOST_AFTER_INTERVALS * LOOKS_PER_INTERVAL) {
        this.#finish({ kind: 'lost', reason: `nothing was heard for ${LOST_AFTER_INTERVALS} heartbeat intervals` });
        this.#stream.abort();
        return;
      }
      if (this.#options.automaticHeartbeat && !this.#said) {
        const uptimeMs = BigInt(Math.trunc(this.#clock.monotonicMs()));
        this.send({ lane: Lane.LANE_CONTROL, node: '', body: { $case: 'heartbeat', value: { uptimeMs } } });
      }
      this.#said = false;
      if (!this.#end) this.#watch();
    });
  }
}
