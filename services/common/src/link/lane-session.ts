// A lane session: what one node and one controller say to each other, on three lanes of a Channel. Both ends use it.
// Invariants: it lives from attach to detach and each attach begins by comparing; frames outside of it are dropped; a peer that breaks the
// contract ends it (an edge's whole connection, at a controller only that node's), never this process.
import { Goodbye_Reason, Lane } from '@skerry/gen/skerry/link/v1/link';
import type { Clock } from '../clock.js';
import { messageOf, SkerryError } from '../errors.js';
import type { Logger } from '../logger.js';
import { bodyProblem } from './body-check.js';
import { createCalls } from './calls.js';
import { completeGoodbye } from './handshake.js';
import { createLanePort, type LanePort } from './lane-port.js';
import { lanesOf } from './lanes.js';
import { createLogLane } from './log-lane.js';
import { createStateLane } from './state-lane.js';
import type { Body, Channel, Envelope, LaneSession, LaneSessionOptions } from './types.js';

export interface LaneSessionEnvironment {
  readonly clock: Clock;
  readonly logger: Logger;
  /** The peer broke the contract; the session has ended and, at an edge, its connection too. */
  readonly onProtocolError?: (message: string) => void;
  /** In [0, 1); spreads retries and comparisons. Default Math.random. */
  readonly random?: () => number;
}

/** Throws `invalid_argument` for a controller kind that has no lanes. */
export function createLaneSession(options: LaneSessionOptions & LaneSessionEnvironment): LaneSession {
  const { controller, node, clock, logger, random = Math.random } = options;
  const lanes = lanesOf(controller);
  if (!lanes) throw new SkerryError('invalid_argument', `controller kind ${controller} has no lanes`);
  let channel: Channel | undefined;

  const common = { onViolation: violate, clock, logger, random };
  const statePort = portOf(
    lanes.state,
    (body, cost) => stateLane.receive(body, cost),
    () => stateLane.roomCame(),
  );
  const logPort = portOf(
    lanes.log,
    (body, cost) => logLane.receive(body, cost),
    () => logLane.roomCame(),
  );
  const callPort = portOf(
    lanes.call,
    (body, cost) => calls.receive(body, cost),
    () => calls.roomCame(),
  );
  const stateLane = createStateLane({ port: statePort, source: options.source, sink: options.sink, ...common });
  const logLane = createLogLane({ port: logPort, sources: options.logSources, sink: options.logSink, ...common });
  const calls = createCalls({
    send: (body) => callPort.send(body),
    room: () => callPort.room(),
    refund: (bytes) => callPort.refund(bytes),
    onViolation: violate,
    onCall: options.onCall,
    clock,
  });
  const ports = new Map<Lane, LanePort>([
    [lanes.state, statePort],
    [lanes.log, logPort],
    [lanes.call, callPort],
  ]);

  function portOf(lane: Lane, take: (body: Body, cost: number) => void, onRoom: () => void): LanePort {
    const onBody = (body: Body, cost: number): void => {
      const problem = bodyProblem(body);
      if (problem) violate(problem);
      else take(body, cost);
    };
    return createLanePort({ lane, node, onBody, onRoom, onViolation: violate });
  }

  function attach(to: Channel): void {
    detach('it was attached anew');
    channel = to;
    for (const port of ports.values()) port.attach(to);
    calls.attach();
    stateLane.attach();
    logLane.attach();
  }

  function detach(reason: string): void {
    if (!channel) return;
    channel = undefined;
    for (const port of ports.values()) port.detach();
    calls.detach(reason);
    stateLane.detach();
    logLane.detach();
  }

  function receive({ lane, body }: Envelope): void {
    if (!channel) return;
    const port = ports.get(lane);
    if (!port) {
      violate(`lane ${lane} is none of this session's`);
      return;
    }
    try {
      port.receive(body);
    } catch (error) {
      // Ends this session only: at a controller the channel carries other nodes.
      violate(`a ${body.$case} could not be taken: ${messageOf(error)}`);
    }
  }

  function violate(message: string): void {
    const broken = channel;
    if (!broken) return;
    logger.warn('lane session ended by a protocol error', { node, error: message });
    const goodbye = completeGoodbye({ reason: Goodbye_Reason.REASON_PROTOCOL_ERROR, message });
    detach(message);
    // Between hub and controller one node's fault must not end the others: the hub passes this on to the edge.
    if (node === '') broken.close(goodbye);
    else broken.send({ lane: Lane.LANE_CONTROL, node, body: { $case: 'goodbye', value: goodbye } });
    options.onProtocolError?.(message);
  }

  return {
    attach,
    detach,
    receive,
    dirty: stateLane.dirty,
    compare: stateLane.compare,
    logGrew: logLane.grew,
    call: calls.call,
    stats: stateLane.stats,
    close: () => detach('it was closed'),
  };
}
