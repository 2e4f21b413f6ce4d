// The hop layer without sockets or clock: numbers frames, bounds what is in flight, decides which frame leaves next, checks what arrives.
// Invariants: frames of one (lane, node) leave in order; control frames first and regardless of the window, then one frame of each
// (lane, node) in turn; queued plus in flight never exceeds maxQueuedBytes. After an Attached or Detached neither side delivers a frame
// of the lane session before it: the queue of those lanes is dropped at both ends, and what was sent before the acknowledgement is refused.
import { type Controller, Lane } from '@skerry/gen/skerry/link/v1/link';
import { frameCost } from './cost.js';
import { Fifo } from './fifo.js';
import { controllerOf, fits } from './lanes.js';
import type { Body, Envelope } from './types.js';
import { createWindow } from './window.js';

/** A frame to write. `envelope` is undefined when it only acknowledges; then `seq` is 0. */
export interface OutFrame {
  readonly seq: number;
  readonly ack: number;
  readonly envelope: Envelope | undefined;
}

/** A frame that was read. */
export interface InFrame {
  readonly seq: number;
  readonly ack: number;
  readonly lane: Lane;
  readonly node: string;
  readonly body: Body | undefined;
}

export type Received =
  | { readonly kind: 'deliver'; readonly envelope: Envelope }
  /** Only an acknowledgement, or a frame of a lane session that is over. */
  | { readonly kind: 'nothing' }
  | { readonly kind: 'violation'; readonly message: string };

export interface HopOptions {
  readonly maxQueuedBytes: number;
}

export interface HopStats {
  readonly sent: number;
  readonly received: number;
  readonly inFlightBytes: number;
  readonly queuedBytes: number;
  readonly windowBytes: number;
  /** Frames that were not delivered or not sent because their lane session had ended. */
  readonly stale: number;
}

export interface Hop {
  /** Queues a frame. False when the queue's bound does not allow it: the frame is not queued. */
  enqueue(envelope: Envelope): boolean;
  /** The next frame that may leave now, numbered and counted as sent. */
  next(nowMs: number): OutFrame | undefined;
  /** Numbers a frame past the queue and the window: the last one of this side. */
  last(envelope: Envelope): OutFrame;
  receive(frame: InFrame, nowMs: number): Received;
  /** Frames were received that nothing sent since acknowledges. */
  owesAck(): boolean;
  /** So much is not acknowledged that the peer should hear of it at once. */
  ackDue(): boolean;
  /** A frame that only acknowledges. */
  ackOnly(): OutFrame;
  stats(): HopStats;
}

/** Frames and bytes after which an acknowledgement does not wait for company. Half of the smallest window: a sender never stalls on it. */
const ACK_FRAMES = 32;
const ACK_BYTES = 16 * 1024;

/** What waits of one lane of one node. Grants of credit add up to one frame. */
interface Flow {
  readonly lane: Lane;
  readonly node: string;
  readonly frames: Fifo<Envelope>;
  grant: number;
  ready: boolean;
}

const NOTHING: Received = { kind: 'nothing' };

/** Both directions start after the handshake: Hello and Welcome (or Goodbye) were number 1. */
export function createHop(options: HopOptions): Hop {
  const window = createWindow();
  const control = new Fifo<Envelope>();
  const flows = new Map<Lane, Map<string, Flow>>();
  const ready = new Fifo<Flow>();
  const inFlight = new Fifo<number>();
  const barriers = createBarriers();
  let sent = 1;
  let acked = 1;
  let received = 1;
  let ackSent = 1;
  let unackedBytes = 0;
  let queuedBytes = 0;
  let inFlightBytes = 0;
  let stale = 0;

  function flowOf(lane: Lane, node: string): Flow {
    let nodes = flows.get(lane);
    if (!nodes) {
      nodes = new Map();
      flows.set(lane, nodes);
    }
    let flow = nodes.get(node);
    if (!flow) {
      flow = { lane, node, frames: new Fifo(), grant: 0, ready: false };
      nodes.set(node, flow);
    }
    return flow;
  }

  function enqueue(envelope: Envelope): boolean {
    const { lane, node, body } = envelope;
    const cost = frameCost(body);
    if (queuedBytes + inFlightBytes + cost > options.maxQueuedBytes) return false;
    if (lane === Lane.LANE_CONTROL) {
      if (body.$case === 'attached' || body.$case === 'detached') {
        dropSession(body.value.controller, node);
        barriers.raise(body.value.controller, node);
      }
      control.push(envelope);
      queuedBytes += cost;
      return true;
    }
    const flow = flowOf(lane, node);
    if (body.$case === 'credit') {
      if (flow.grant === 0) queuedBytes += cost;
      flow.grant += body.value.bytes;
    } else {
      flow.frames.push(envelope);
      queuedBytes += cost;
    }
    if (!flow.ready) {
      flow.ready = true;
      ready.push(flow);
    }
    return true;
  }

  /** What is queued for a lane session that is over must not reach the next one. */
  function dropSession(controller: Controller, node: string): void {
    for (const [lane, nodes] of flows) {
      if (controllerOf(lane) !== controller) continue;
      const flow = nodes.get(node);
      if (!flow) continue;
      for (let envelope = flow.frames.shift(); envelope; envelope = flow.frames.shift()) {
        queuedBytes -= frameCost(envelope.body);
        stale++;
      }
      if (flow.grant > 0) queuedBytes -= frameCost(CREDIT);
      flow.grant = 0;
    }
  }

  function next(nowMs: number): OutFrame | undefined {
    const first = control.shift();
    if (first) return number(first, nowMs);
    if (queuedBytes === 0) return undefined;
    if (inFlightBytes >= window.bytes()) {
      window.limited();
      return undefined;
    }
    for (let flow = ready.shift(); flow; flow = ready.shift()) {
      const envelope = take(flow);
      if (flow.frames.length > 0) ready.push(flow);
      else {
        flow.ready = false;
        // The flows of an edge are few and used all the time; those of many nodes come and go.
        if (flow.node !== '') flows.get(flow.lane)?.delete(flow.node);
      }
      if (envelope) return number(envelope, nowMs);
    }
    return undefined;
  }

  function take(flow: Flow): Envelope | undefined {
    if (flow.grant === 0) return flow.frames.shift();
    const bytes = flow.grant;
    flow.grant = 0;
    return { lane: flow.lane, node: flow.node, body: { $case: 'credit', value: { bytes } } };
  }

  function number(envelope: Envelope, nowMs: number): OutFrame {
    const { body } = envelope;
    const cost = frameCost(body);
    if (inFlightBytes === 0) window.busy(nowMs);
    queuedBytes -= cost;
    inFlightBytes += cost;
    inFlight.push(cost);
    sent++;
    if (body.$case === 'attached' || body.$case === 'detached')
      barriers.number(body.value.controller, envelope.node, sent);
    return { seq: sent, ack: acknowledge(), envelope };
  }

  function acknowledge(): number {
    ackSent = received;
    unackedBytes = 0;
    return received;
  }

  function receive(frame: InFrame, nowMs: number): Received {
    if (frame.ack > sent) return violation(`frame ${frame.ack} is acknowledged, ${sent} were sent`);
    if (frame.ack > acked) takeAck(frame.ack, nowMs);
    if (frame.seq === 0 && frame.body === undefined) return NOTHING;
    if (frame.seq !== received + 1) return violation(`frame ${frame.seq} came, ${received + 1} is next`);
    if (frame.body === undefined) return violation(`frame ${frame.seq} has a body that this version does not know`);
    return takeBody(frame.lane, frame.node, frame.body);
  }

  function takeAck(ack: number, nowMs: number): void {
    let bytes = 0;
    for (; acked < ack; acked++) bytes += inFlight.shift() ?? 0;
    inFlightBytes -= bytes;
    window.acked(bytes, nowMs);
    barriers.pass(ack);
  }

  function takeBody(lane: Lane, node: string, body: Body): Received {
    if (!fits(lane, body)) return violation(`a ${body.$case} does not belong on lane ${lane}`);
    if (lane === Lane.LANE_CONTROL && (body.$case === 'attached' || body.$case === 'detached')) {
      // Before the number counts as taken: a frame that acknowledges it is of the new lane session.
      dropSession(body.value.controller, node);
    }
    received++;
    unackedBytes += frameCost(body);
    if (lane !== Lane.LANE_CONTROL && barriers.stops(controllerOf(lane), node)) {
      stale++;
      return NOTHING;
    }
    return { kind: 'deliver', envelope: { lane, node, body } };
  }

  return {
    enqueue,
    next,
    last: (envelope) => ({ seq: ++sent, ack: acknowledge(), envelope }),
    receive,
    owesAck: () => received > ackSent,
    ackDue: () => received - ackSent >= ACK_FRAMES || unackedBytes >= ACK_BYTES,
    ackOnly: () => ({ seq: 0, ack: acknowledge(), envelope: undefined }),
    stats: () => ({ sent, received, inFlightBytes, queuedBytes, windowBytes: window.bytes(), stale }),
  };
}

const CREDIT: Body = { $case: 'credit', value: { bytes: 0 } };

function violation(message: string): Received {
  return { kind: 'violation', message };
}

/** Lane sessions that were begun or ended from this side and whose other end has not said that it knows. */
interface Barriers {
  /** An Attached or Detached was queued. */
  raise(controller: Controller, node: string): void;
  /** The next one that was queued left under this number. */
  number(controller: Controller, node: string, seq: number): void;
  /** Everything up to `ack` was taken by the peer. */
  pass(ack: number): void;
  stops(controller: Controller | undefined, node: string): boolean;
}

function createBarriers(): Barriers {
  const keyOf = (controller: Controller | undefined, node: string): string => `${controller}/${node}`;
  /** How many of a node's are not acknowledged: only the last one opens the way. */
  const open = new Map<string, number>();
  const sent = new Fifo<{ readonly key: string; readonly seq: number }>();

  function lower(key: string): void {
    const left = (open.get(key) ?? 1) - 1;
    if (left === 0) open.delete(key);
    else open.set(key, left);
  }

  return {
    raise: (controller, node) => {
      const key = keyOf(controller, node);
      open.set(key, (open.get(key) ?? 0) + 1);
    },
    number: (controller, node, seq) => sent.push({ key: keyOf(controller, node), seq }),
    pass: (ack) => {
      for (let first = sent.peek(); first && first.seq <= ack; first = sent.peek()) {
        sent.shift();
        lower(first.key);
      }
    },
    stops: (controller, node) => open.size > 0 && open.has(keyOf(controller, node)),
  };
}
