// The hub's sessions and the frames between them: performs what the registry decides and passes frames on unread.
// Invariants: an edge's frames are about the node of its certificate only; a frame goes to the owner of its lane and shard or nowhere; what is
// held for one node and lane is bounded by the credit that its receiver gave; one slow peer delays nobody else; no controller's queue is
// filled by edges: credit for them is held back while it is long, and nodes are let go for a while before it is full.
import type { Clock, Timer } from '@skerry/common/clock';
import { SkerryError } from '@skerry/common/errors';
import { Fifo } from '@skerry/common/link/fifo';
import { controllerOf } from '@skerry/common/link/lanes';
import { MAX_QUEUED_BYTES } from '@skerry/common/link/limits';
import { createRelayGuard, type RelayGuard } from '@skerry/common/link/relay-guard';
import type { Channel, ChannelEnd, Envelope } from '@skerry/common/link/types';
import type { Logger } from '@skerry/common/logger';
import {
  Controller,
  type EdgeHello,
  type Goodbye,
  Goodbye_Reason,
  Lane,
  type ShardClaim,
} from '@skerry/gen/skerry/link/v1/link';
import type { Counters } from './counters.js';
import { type CreditHold, createCreditHold } from './credit-hold.js';
import { createHubCalls } from './hub-calls.js';
import { type ControllerKind, createRegistry, type Effect, type Registry } from './registry.js';

export interface HubOptions {
  readonly clock: Clock;
  readonly counters: Counters;
  readonly logger: Logger;
  /** A heartbeat of a node arrived. */
  readonly onHeartbeat: (node: string) => void;
  /** A node's session ended and no newer one took its place. */
  readonly onAway: (node: string) => void;
}

export interface Hub {
  readonly judgeEdge: Registry['judgeEdge'];
  /** Takes over a channel whose Welcome was sent. `node` is the certificate's. */
  addEdge(node: string, hello: EdgeHello, channel: Channel): void;
  addController(kind: ControllerKind, instance: string, claims: readonly ShardClaim[], channel: Channel): void;
  /** Calls an attached controller of a kind, in turn. Throws `unavailable` when there is none. */
  callController(kind: ControllerKind, method: string, payload: Buffer, timeoutMs: number): Promise<Uint8Array>;
  /** Says Goodbye to everybody; who comes later is to be refused by whoever accepts. */
  shutDown(): void;
  size: Registry['size'];
}

interface EdgeSession {
  readonly session: number;
  readonly node: string;
  readonly channel: Channel;
  readonly routes: Map<Controller, Route>;
}

interface ControllerSession {
  readonly session: number;
  readonly kind: ControllerKind;
  readonly instance: string;
  readonly channel: Channel;
  readonly routes: Map<string, Route>;
  /** Its grants to edges. */
  readonly grants: CreditHold<Route>;
}

/** One lane session that passes through. */
interface Route {
  readonly edge: EdgeSession;
  readonly controller: ControllerSession;
  readonly guard: RelayGuard;
}

/** A node that was cut off from its controller gets it back after this. */
const SEVERED_MS = 5_000;
/** Past this a node that sends more is cut off: the rest of the controller's queue is for the frames of attaching and detaching. */
const FULL_BYTES = (MAX_QUEUED_BYTES * 3) / 4;

export function createHub(options: HubOptions): Hub {
  const { clock, counters, logger } = options;
  const registry = createRegistry();
  const calls = createHubCalls(clock);
  const edges = new Map<number, EdgeSession>();
  const controllers = new Map<number, ControllerSession>();
  const severed = new Set<Timer>();
  const effects = new Fifo<Effect>();
  let performing = false;
  let lastSession = 0;
  let turn = 0;

  function addEdge(node: string, hello: EdgeHello, channel: Channel): void {
    const edge: EdgeSession = { session: ++lastSession, node, channel, routes: new Map() };
    edges.set(edge.session, edge);
    channel.onEnvelope((envelope) => fromEdge(edge, envelope));
    channel.onEnd((end) => edgeEnded(edge, end));
    counters.edgesConnected += 1;
    logger.info('edge connected', { node, generation: hello.generation, version: hello.softwareVersion });
    perform(registry.edgeOpened({ session: edge.session, node, hello }));
    // Last: a channel that has ended meanwhile says so now.
    channel.start();
  }

  function edgeEnded(edge: EdgeSession, end: ChannelEnd): void {
    edges.delete(edge.session);
    logger.info('edge away', { node: edge.node, ...describe(end) });
    if (registry.nodeOf(edge.session) !== undefined) options.onAway(edge.node);
    perform(registry.edgeClosed(edge.session));
  }

  function addController(
    kind: ControllerKind,
    instance: string,
    claims: readonly ShardClaim[],
    channel: Channel,
  ): void {
    const grants = createCreditHold<Route>({ channel, pass: passCredit, onHeld, clock });
    const controller: ControllerSession = {
      session: ++lastSession,
      kind,
      instance,
      channel,
      routes: new Map(),
      grants,
    };
    controllers.set(controller.session, controller);
    channel.onEnvelope((envelope) => fromController(controller, envelope));
    channel.onEnd((end) => controllerEnded(controller, end));
    counters.controllersConnected += 1;
    logger.info('controller attached', { controller: Controller[kind], instance, shards: claims.length });
    perform(registry.controllerOpened({ session: controller.session, kind, instance }, claims));
    channel.start();
  }

  function controllerEnded(controller: ControllerSession, end: ChannelEnd): void {
    controllers.delete(controller.session);
    controller.grants.close();
    logger.info('controller away', {
      controller: Controller[controller.kind],
      instance: controller.instance,
      ...describe(end),
    });
    calls.ended(controller.session);
    perform(registry.controllerClosed(controller.session));
  }

  /** In the order of the decisions, also when performing one leads to the next. */
  function perform(decided: readonly Effect[]): void {
    for (const effect of decided) effects.push(effect);
    if (performing) return;
    performing = true;
    try {
      for (let effect = effects.shift(); effect; effect = effects.shift()) performOne(effect);
    } finally {
      performing = false;
    }
  }

  function performOne(effect: Effect): void {
    if (effect.kind === 'attach') attach(effect);
    else if (effect.kind === 'detach') detach(effect);
    else if (effect.kind === 'close') replaced(effect);
    else {
      counters.duplicateNodes += 1;
      logger.warn('two machines use the name and certificate of one node in turn', { node: effect.node });
    }
  }

  function attach({ pair, epoch: shardEpoch }: Effect & { kind: 'attach' }): void {
    const edge = edges.get(pair.edge.session);
    const controller = controllers.get(pair.controller);
    // Either may have gone since the decision; its end is decided upon next.
    if (!edge || !controller) return;
    const route: Route = { edge, controller, guard: createRelayGuard() };
    edge.routes.set(pair.kind, route);
    controller.routes.set(edge.node, route);
    const attached = { controller: pair.kind, shardEpoch };
    edge.channel.send(control('', { $case: 'attached', value: { ...attached, edge: undefined } }));
    controller.channel.send(control(edge.node, { $case: 'attached', value: { ...attached, edge: pair.edge.hello } }));
  }

  function detach({ pair }: Effect & { kind: 'detach' }): void {
    const controller = controllers.get(pair.controller);
    const route = edges.get(pair.edge.session)?.routes.get(pair.kind) ?? controller?.routes.get(pair.edge.node);
    if (route?.edge.session !== pair.edge.session || route.controller.session !== pair.controller) return;
    route.edge.routes.delete(pair.kind);
    route.controller.routes.delete(pair.edge.node);
    route.controller.grants.forget(route);
    const detached = { $case: 'detached', value: { controller: pair.kind } } as const;
    route.edge.channel.send(control('', detached));
    route.controller.channel.send(control(pair.edge.node, detached));
  }

  function replaced({ session, reason, message }: Effect & { kind: 'close' }): void {
    const edge = edges.get(session);
    if (edge) counters.edgesReplaced += 1;
    else counters.controllersReplaced += 1;
    (edge ?? controllers.get(session))?.channel.close({ reason, message });
  }

  function fromEdge(edge: EdgeSession, envelope: Envelope): void {
    const { lane, node, body } = envelope;
    if (node !== '') breach(edge.channel, 'an edge speaks of itself only: Frame.node must be empty');
    else if (lane !== Lane.LANE_CONTROL) relayUp(edge, envelope);
    else if (body.$case === 'heartbeat') options.onHeartbeat(edge.node);
    else breach(edge.channel, `an edge sends no ${body.$case}`);
  }

  function relayUp(edge: EdgeSession, envelope: Envelope): void {
    const { lane, body } = envelope;
    const kind = controllerOf(lane);
    const route = kind && edge.routes.get(kind);
    if (!route) {
      counters.framesDropped += 1;
      return;
    }
    const problem = route.guard.check('up', envelope);
    if (problem !== undefined) {
      violated(edge.node, 'edge', problem);
      breach(edge.channel, problem);
      return;
    }
    if (body.$case !== 'credit' && route.controller.channel.pendingBytes() >= FULL_BYTES) {
      counters.nodesShed += 1;
      sever(edge.node, route.controller.kind);
      return;
    }
    counters.framesUp += 1;
    route.controller.channel.send({ lane, node: edge.node, body });
  }

  function fromController(controller: ControllerSession, envelope: Envelope): void {
    const { lane, node, body } = envelope;
    if (lane === Lane.LANE_CONTROL) controlFromController(controller, envelope);
    else if (controllerOf(lane) !== controller.kind)
      breach(controller.channel, `lane ${Lane[lane]} belongs to another controller kind`);
    else if (node === '') calls.receive(controller.session, body);
    else relayDown(controller, envelope);
  }

  function relayDown(controller: ControllerSession, envelope: Envelope): void {
    const { lane, node, body } = envelope;
    const route = controller.routes.get(node);
    if (!route) {
      counters.framesDropped += 1;
      return;
    }
    const problem = route.guard.check('down', envelope);
    if (problem !== undefined) {
      violated(node, 'controller', problem);
      sever(node, controller.kind);
      return;
    }
    counters.framesDown += 1;
    if (body.$case === 'credit') controller.grants.grant(route, lane, body.value.bytes);
    else route.edge.channel.send({ lane, node: '', body });
  }

  function passCredit({ edge }: Route, lane: Lane, bytes: number): void {
    edge.channel.send({ lane, node: '', body: { $case: 'credit', value: { bytes } } });
  }

  function onHeld(): void {
    counters.creditsHeld += 1;
  }

  function controlFromController(controller: ControllerSession, { node, body }: Envelope): void {
    if (body.$case === 'heartbeat') return;
    if (body.$case === 'claims') perform(registry.claimsChanged(controller.session, body.value.shards));
    // About one node: its owner wants it to connect anew, or not at all.
    else if (body.$case === 'goodbye') controller.routes.get(node)?.edge.channel.close(body.value);
    else breach(controller.channel, `a controller sends no ${body.$case}`);
  }

  function breach(channel: Channel, message: string): void {
    counters.protocolErrors += 1;
    channel.close({ reason: Goodbye_Reason.REASON_PROTOCOL_ERROR, message });
  }

  function violated(node: string, sender: string, problem: string): void {
    counters.creditViolations += 1;
    logger.warn('a frame against the rules of its lane', { node, sender, problem });
  }

  /** Cuts off one node of a controller, which may serve its other nodes well. What is queued for either goes with the lane session. */
  function sever(node: string, kind: ControllerKind): void {
    perform(registry.sever(node, kind));
    const timer = clock.after(SEVERED_MS, () => {
      severed.delete(timer);
      perform(registry.reconcile(node));
    });
    severed.add(timer);
  }

  async function callController(
    kind: ControllerKind,
    method: string,
    payload: Buffer,
    timeoutMs: number,
  ): Promise<Uint8Array> {
    const candidates = registry.controllers(kind);
    const callee = controllers.get(candidates[turn++ % Math.max(candidates.length, 1)] ?? 0);
    if (!callee) throw new SkerryError('unavailable', `no ${Controller[kind]} is attached to this hub: try again`);
    return calls.call(callee, method, payload, timeoutMs);
  }

  function shutDown(): void {
    for (const timer of severed) timer.cancel();
    severed.clear();
    const goodbye: Partial<Goodbye> = { reason: Goodbye_Reason.REASON_SHUTTING_DOWN, message: 'this hub stops' };
    for (const { channel } of [...controllers.values(), ...edges.values()]) channel.close(goodbye);
  }

  return { judgeEdge: registry.judgeEdge, addEdge, addController, callController, shutDown, size: registry.size };
}

function control(node: string, body: Envelope['body']): Envelope {
  return { lane: Lane.LANE_CONTROL, node, body };
}

function describe(end: ChannelEnd): Record<string, unknown> {
  switch (end.kind) {
    case 'goodbye':
      return { because: Goodbye_Reason[end.goodbye.reason], text: end.goodbye.message };
    case 'lost':
      return { because: end.reason };
    case 'closed':
      return { because: 'closed by this hub' };
  }
}
