// A controller's side of the link: attached to every hub at once, with one lane session for each node that is there and whose shard is
// served here.
// Invariants: a node has at most one lane session, on the channel of its newest connection (highest generation); it ends when the hub says
// Detached, its channel ends or its shard is no longer served; a frame that no session of its channel awaits is dropped and counted.
import type { Attached, Claims as ClaimsMessage, Controller, EdgeHello } from '@skerry/gen/skerry/link/v1/link';
import { Lane } from '@skerry/gen/skerry/link/v1/link';
import type { Clock } from '../clock.js';
import { shardOf } from '../kube/shard.js';
import type { Component } from '../lifecycle.js';
import type { Channel, Envelope, LaneSession, LaneSessionOptions } from '../link/types.js';
import type { Logger } from '../logger.js';
import { type HubCallHandler, serveHubCalls } from './hub-calls.js';
import { createHubConnection } from './hub-connection.js';

/** What a controller brings to the lane session of one node. */
export interface NodeEnd extends Pick<LaneSessionOptions, 'source' | 'sink' | 'logSink' | 'onCall'> {
  /** The lane session has ended. */
  close(): void;
}

export interface ServedShards {
  /** Shard -> epoch. */
  owned(): ReadonlyMap<number, number>;
  epochOf(shard: number): number | undefined;
}

export interface ControllerLinkOptions {
  readonly kind: Controller;
  readonly hubs: readonly string[];
  readonly dial: (hub: string, signal: AbortSignal) => Promise<Channel>;
  readonly claims: ServedShards;
  readonly openNode: (node: string) => NodeEnd;
  readonly openSession: (options: LaneSessionOptions) => LaneSession;
  readonly onHubCall?: HubCallHandler;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
}

export interface ControllerLinkStats {
  readonly channels: number;
  readonly nodes: number;
  readonly attaches: number;
  readonly staleAttaches: number;
  readonly droppedFrames: number;
}

export interface ControllerLink extends Component {
  /** The lane session of a node that is there. */
  session(node: string): LaneSession | undefined;
  dirty(node: string, key: string): void;
  /** The desired state became complete: every session compares. */
  compareAll(): void;
  /** `claims.owned()` has changed: ends the sessions of shards that are served no longer, and tells the hubs. */
  claimsChanged(): void;
  stats(): ControllerLinkStats;
}

interface Attachment {
  readonly channel: Channel;
  readonly generation: bigint;
  readonly session: LaneSession;
  readonly end: NodeEnd;
}

export function claimsMessage(owned: ReadonlyMap<number, number>): ClaimsMessage {
  return { shards: [...owned].map(([shard, epoch]) => ({ shard, epoch: BigInt(epoch) })) };
}

export function createControllerLink(options: ControllerLinkOptions): ControllerLink {
  const { kind, claims, clock, random, logger } = options;
  const nodes = new Map<string, Attachment>();
  const counters = { attaches: 0, staleAttaches: 0, droppedFrames: 0 };
  const hubs = options.hubs.map((hub) =>
    createHubConnection({ hub, dial: options.dial, onChannel, clock, random, logger }),
  );

  function onChannel(channel: Channel) {
    const calls = serveHubCalls({ channel, handler: options.onHubCall, clock });
    // They may have changed since the Hello was written.
    tellClaims(channel);
    return {
      envelope(envelope: Envelope): void {
        if (envelope.lane === Lane.LANE_CONTROL) control(channel, envelope);
        else if (envelope.node === '') calls.receive(envelope);
        else deliver(channel, envelope);
      },
      ended(): void {
        calls.close();
        for (const [node, attachment] of [...nodes]) if (attachment.channel === channel) end(node, 'the hub is away');
      },
    };
  }

  function tellClaims(channel: Channel | undefined): void {
    const value = claimsMessage(claims.owned());
    channel?.send({ lane: Lane.LANE_CONTROL, node: '', body: { $case: 'claims', value } });
  }

  function control(channel: Channel, { node, body }: Envelope): void {
    if (body.$case === 'attached') attached(channel, node, body.value);
    else if (body.$case === 'detached' && nodes.get(node)?.channel === channel) end(node, 'the node is away');
  }

  function deliver(channel: Channel, envelope: Envelope): void {
    const attachment = nodes.get(envelope.node);
    if (attachment?.channel === channel) attachment.session.receive(envelope);
    else counters.droppedFrames += 1;
  }

  function attached(channel: Channel, node: string, { edge }: Attached): void {
    const epoch = claims.epochOf(shardOf(node));
    const current = nodes.get(node);
    const generation = edge?.generation ?? 0n;
    const overtaken = current !== undefined && current.channel !== channel && current.generation > generation;
    // Not served here: the hub has not heard of our newest claims yet. It detaches the node when it has.
    if (epoch === undefined || overtaken) {
      counters.staleAttaches += 1;
      return;
    }
    end(node, 'the node attached anew');
    open(channel, node, generation, BigInt(epoch), edge);
  }

  function open(
    channel: Channel,
    node: string,
    generation: bigint,
    shardEpoch: bigint,
    edge: EdgeHello | undefined,
  ): void {
    const nodeEnd = options.openNode(node);
    const { source, sink, logSink, onCall } = nodeEnd;
    const session = options.openSession({
      role: 'controller',
      controller: kind,
      node,
      source,
      sink,
      logSources: [],
      logSink,
      onCall,
    });
    nodes.set(node, { channel, generation, session, end: nodeEnd });
    counters.attaches += 1;
    logger.info('node attached', { node, hub: channel.welcome.hubInstance, version: edge?.softwareVersion });
    session.attach(channel, { shardEpoch });
  }

  function end(node: string, reason: string): void {
    const attachment = nodes.get(node);
    if (!attachment) return;
    nodes.delete(node);
    attachment.session.detach(reason);
    attachment.session.close();
    attachment.end.close();
    logger.info('node detached', { node, reason });
  }

  return {
    name: 'link',
    session: (node) => nodes.get(node)?.session,
    dirty: (node, key) => nodes.get(node)?.session.dirty(key),
    compareAll() {
      for (const { session } of nodes.values()) session.compare();
    },
    claimsChanged() {
      for (const node of [...nodes.keys()]) {
        if (claims.epochOf(shardOf(node)) === undefined) end(node, 'its shard is served elsewhere');
      }
      for (const hub of hubs) tellClaims(hub.channel());
    },
    async start() {
      for (const hub of hubs) await hub.start();
    },
    async stop(deadline) {
      await Promise.all(hubs.map((hub) => hub.stop(deadline)));
      for (const node of [...nodes.keys()]) end(node, 'the controller stops');
    },
    stats: () => ({
      ...counters,
      channels: hubs.filter((hub) => hub.channel() !== undefined).length,
      nodes: nodes.size,
    }),
  };
}
