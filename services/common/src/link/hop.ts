// The hop layer without sockets or clock: numbers frames, bounds what is in flight, decides which frame leaves next, checks what arrives.
// Invariants: control frames leave regardless of the window, all others only inside it; queued plus in flight never exceeds maxQueuedBytes.
// After an Attached or Detached neither side delivers a frame of the lane session before it: both ends drop what they have queued for it,
// and what the peer sent before it took the Attached is refused. So the two ends of a lane session always speak of the same one.
import { type Controller, type Frame, Lane } from '@skerry/gen/skerry/link/v1/link';
import { frameCost } from './cost.js';
import { Fifo } from './fifo.js';
import { FrameQueue } from './frame-queue.js';
import { controllerOf, fits } from './lanes.js';
import type { Body, ChannelStats, Envelope } from './types.js';
import { Window } from './window.js';

export type Received =
  | { readonly kind: 'deliver'; readonly envelope: Envelope }
  /** Only an acknowledgement, or a frame of a lane session that is over. */
  | { readonly kind: 'nothing' }
  | { readonly kind: 'violation'; readonly message: string };

export interface HopOptions {
  readonly maxQueuedBytes: number;
  /** Monotonic, in milliseconds; read only where a rate is measured. */
  readonly nowMs: () => number;
}

/** Frames and bytes after which an acknowledgement does not wait for company. Half of the smallest window: a sender never stalls on it. */
const ACK_FRAMES = 32;
const ACK_BYTES = 16 * 1024;

const NOTHING: Received = { kind: 'nothing' };

// A class, because there is one for each connection: methods are compiled once for all, closures would be for each.
/** Both directions start after the handshake: Hello and Welcome (or Goodbye) were number 1. */
export class Hop {
  readonly #options: HopOptions;
  readonly #window: Window;
  readonly #queue = new FrameQueue();
  readonly #inFlight = new Fifo<number>();
  readonly #barriers = new Barriers();
  #sent = 1;
  #acked = 1;
  #received = 1;
  #ackSent = 1;
  #unackedBytes = 0;
  #inFlightBytes = 0;
  #stale = 0;

  constructor(options: HopOptions) {
    this.#options = options;
    this.#window = new Window(options.nowMs);
  }

  /**
   * Takes a frame to send: `full` when the bound of the queue does not allow it, `queued` when it has to wait for `next`, or the numbered
   * frame when nothing is in its way. `ready` says whether the stream takes one now.
   */
  send(envelope: Envelope, ready: boolean): Frame | 'queued' | 'full' {
    const { lane, node, body } = envelope;
    const cost = frameCost(body);
    const queued = this.#queue.bytes();
    if (queued + this.#inFlightBytes + cost > this.#options.maxQueuedBytes) return 'full';
    if (body.$case === 'attached' || body.$case === 'detached') {
      this.#stale += this.#queue.drop(body.value.controller, node);
      this.#barriers.raise(body.value.controller, node);
    }
    const open = lane === Lane.LANE_CONTROL || this.#inFlightBytes < this.#window.bytes();
    if (ready && open && queued === 0) return this.#number(envelope, cost);
    this.#queue.push(envelope);
    return 'queued';
  }

  /** The next frame that may leave, numbered and counted as sent. */
  next(): Frame | undefined {
    if (this.#queue.bytes() === 0) return undefined;
    const control = this.#queue.takeControl();
    if (control) return this.#number(control, frameCost(control.body));
    if (this.#inFlightBytes >= this.#window.bytes()) return undefined;
    const envelope = this.#queue.take();
    return envelope && this.#number(envelope, frameCost(envelope.body));
  }

  #number(envelope: Envelope, cost: number): Frame {
    const { lane, node, body } = envelope;
    this.#inFlightBytes += cost;
    this.#inFlight.push(cost);
    this.#sent++;
    if (body.$case === 'attached' || body.$case === 'detached')
      this.#barriers.number(body.value.controller, node, this.#sent);
    return { seq: BigInt(this.#sent), ack: this.#acknowledge(), lane, node, body };
  }

  /** Numbers a frame past the queue and the window: the last one of this side. */
  last(envelope: Envelope): Frame {
    return { ...envelope, seq: BigInt(++this.#sent), ack: this.#acknowledge() };
  }

  #acknowledge(): bigint {
    this.#ackSent = this.#received;
    this.#unackedBytes = 0;
    return BigInt(this.#received);
  }

  receive(frame: Frame): Received {
    const seq = Number(frame.seq);
    const ack = Number(frame.ack);
    if (ack > this.#sent) return violation(`frame ${ack} is acknowledged, ${this.#sent} were sent`);
    if (ack > this.#acked) this.#takeAck(ack);
    if (seq === 0 && frame.body === undefined) return NOTHING;
    if (seq !== this.#received + 1) return violation(`frame ${seq} came, ${this.#received + 1} is next`);
    if (frame.body === undefined) return violation(`frame ${seq} has a body that this version does not know`);
    return this.#takeBody(frame.lane, frame.node, frame.body);
  }

  #takeAck(ack: number): void {
    let bytes = 0;
    for (; this.#acked < ack; this.#acked++) bytes += this.#inFlight.shift() ?? 0;
    this.#inFlightBytes -= bytes;
    this.#window.acked(bytes, this.#inFlightBytes === 0 && this.#queue.bytes() === 0);
    this.#barriers.pass(ack);
  }

  #takeBody(lane: Lane, node: string, body: Body): Received {
    if (!fits(lane, body)) return violation(`a ${body.$case} does not belong on lane ${lane}`);
    // Dropped before the number counts as taken: a frame that acknowledges it is of the new lane session.
    if (body.$case === 'attached' || body.$case === 'detached')
      this.#stale += this.#queue.drop(body.value.controller, node);
    this.#received++;
    this.#unackedBytes += frameCost(body);
    if (lane !== Lane.LANE_CONTROL && this.#barriers.stops(lane, node)) {
      this.#stale++;
      return NOTHING;
    }
    return { kind: 'deliver', envelope: { lane, node, body } };
  }

  /** Frames were received that nothing sent since acknowledges. */
  owesAck(): boolean {
    return this.#received > this.#ackSent;
  }

  /** So much is not acknowledged that the peer should hear of it at once. */
  ackDue(): boolean {
    return this.#received - this.#ackSent >= ACK_FRAMES || this.#unackedBytes >= ACK_BYTES;
  }

  /** A frame that only acknowledges. */
  ackOnly(): Frame {
    return { seq: 0n, ack: this.#acknowledge(), lane: Lane.LANE_UNSPECIFIED, node: '', body: undefined };
  }

  /** Bytes queued or in flight. */
  pendingBytes(): number {
    return this.#queue.bytes() + this.#inFlightBytes;
  }

  stats(): ChannelStats {
    return {
      sent: this.#sent,
      received: this.#received,
      inFlightBytes: this.#inFlightBytes,
      queuedBytes: this.#queue.bytes(),
      windowBytes: Math.round(this.#window.bytes()),
      stale: this.#stale,
    };
  }
}

function violation(message: string): Received {
  return { kind: 'violation', message };
}

/** Lane sessions that were begun or ended from this side and whose other end has not said that it knows. */
class Barriers {
  /** How many Attached and Detached of a node are not acknowledged: only the last one opens the way. */
  readonly #open = new Map<string, number>();
  readonly #sent = new Fifo<{ readonly key: string; readonly seq: number }>();

  /** An Attached or Detached is to be sent. */
  raise(controller: Controller, node: string): void {
    const key = keyOf(controller, node);
    this.#open.set(key, (this.#open.get(key) ?? 0) + 1);
  }

  /** The next one left under this number. */
  number(controller: Controller, node: string, seq: number): void {
    this.#sent.push({ key: keyOf(controller, node), seq });
  }

  /** Everything up to `ack` was taken by the peer. */
  pass(ack: number): void {
    for (let first = this.#sent.peek(); first && first.seq <= ack; first = this.#sent.peek()) {
      this.#sent.shift();
      const left = (this.#open.get(first.key) ?? 1) - 1;
      if (left === 0) this.#open.delete(first.key);
      else this.#open.set(first.key, left);
    }
  }

  stops(lane: Lane, node: string): boolean {
    return this.#open.size > 0 && this.#open.has(keyOf(controllerOf(lane), node));
  }
}

function keyOf(controller: Controller | undefined, node: string): string {
  return `${controller}/${node}`;
}
