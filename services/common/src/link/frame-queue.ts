// What waits to leave on one hop: control frames first, then one frame of each (lane, node) in turn.
// Invariants: frames of one (lane, node) stay in order, but grants of credit, which add up and go first; an Attached or Detached takes what
// waits of the lane session before it out of the queue.
import { type Controller, Lane } from '@skerry/gen/skerry/link/v1/link';
import { frameCost } from './cost.js';
import { Fifo } from './fifo.js';
import { controllerOf } from './lanes.js';
import type { Body, Envelope } from './types.js';

/** What waits of one lane of one node. Grants of credit add up to one frame. */
interface Flow {
  readonly lane: Lane;
  readonly node: string;
  readonly frames: Fifo<Envelope>;
  grant: number;
  ready: boolean;
}

const EMPTY_GRANT: Body = { $case: 'credit', value: { bytes: 0 } };

export class FrameQueue {
  readonly #control = new Fifo<Envelope>();
  readonly #flows = new Map<Lane, Map<string, Flow>>();
  readonly #ready = new Fifo<Flow>();
  #bytes = 0;

  /** Cost of all that waits. */
  bytes(): number {
    return this.#bytes;
  }

  push(envelope: Envelope): void {
    const { lane, node, body } = envelope;
    if (lane === Lane.LANE_CONTROL) {
      this.#control.push(envelope);
      this.#bytes += frameCost(body);
      return;
    }
    const flow = this.#flowOf(lane, node);
    if (body.$case !== 'credit') {
      flow.frames.push(envelope);
      this.#bytes += frameCost(body);
    } else {
      if (flow.grant === 0) this.#bytes += frameCost(body);
      flow.grant += body.value.bytes;
    }
    if (flow.ready) return;
    flow.ready = true;
    this.#ready.push(flow);
  }

  #flowOf(lane: Lane, node: string): Flow {
    let nodes = this.#flows.get(lane);
    if (!nodes) {
      nodes = new Map();
      this.#flows.set(lane, nodes);
    }
    let flow = nodes.get(node);
    if (!flow) {
      flow = { lane, node, frames: new Fifo(), grant: 0, ready: false };
      nodes.set(node, flow);
    }
    return flow;
  }

  /** Takes the oldest control frame. */
  takeControl(): Envelope | undefined {
    const envelope = this.#control.shift();
    if (envelope) this.#bytes -= frameCost(envelope.body);
    return envelope;
  }

  /** Takes a frame of the (lane, node) whose turn it is. */
  take(): Envelope | undefined {
    for (let flow = this.#ready.shift(); flow; flow = this.#ready.shift()) {
      const envelope = takeOf(flow);
      if (flow.frames.length > 0) this.#ready.push(flow);
      else {
        flow.ready = false;
        // The flows of an edge are few and used all the time; those of many nodes come and go.
        if (flow.node !== '') this.#flows.get(flow.lane)?.delete(flow.node);
      }
      if (envelope) {
        this.#bytes -= frameCost(envelope.body);
        return envelope;
      }
    }
    return undefined;
  }

  /** Takes out what waits of a lane session that is over. Returns the number of frames. */
  drop(controller: Controller, node: string): number {
    let dropped = 0;
    for (const [lane, nodes] of this.#flows) {
      const flow = controllerOf(lane) === controller ? nodes.get(node) : undefined;
      if (!flow) continue;
      for (let envelope = flow.frames.shift(); envelope; envelope = flow.frames.shift()) {
        this.#bytes -= frameCost(envelope.body);
        dropped++;
      }
      if (flow.grant > 0) this.#bytes -= frameCost(EMPTY_GRANT);
      flow.grant = 0;
    }
    return dropped;
  }
}

function takeOf(flow: Flow): Envelope | undefined {
  if (flow.grant === 0) return flow.frames.shift();
  const bytes = flow.grant;
  flow.grant = 0;
  return { lane: flow.lane, node: flow.node, body: { $case: 'credit', value: { bytes } } };
}
