// One connection to the hub from its handshake to its end: routes frames to the two lane sessions and says that the main loop turns.
// Invariant: when `run` settles no lane session is attached and no timer or connection of it is left.
import type { ChannelCredentials } from '@grpc/grpc-js';
import type { Clock, Timer } from '@skerry/common/clock';
import { isSkerryError, SkerryError } from '@skerry/common/errors';
import { HUB_ROLE } from '@skerry/common/grpc/tls';
import { dialChannel } from '@skerry/common/link/channel';
import { openFrames, withFrameCodec } from '@skerry/common/link/frame-codec';
import { linkChannelOptions } from '@skerry/common/link/grpc-options';
import { controllerOf } from '@skerry/common/link/lanes';
import { HEARTBEAT_INTERVAL_MS } from '@skerry/common/link/limits';
import type { Channel, ChannelEnd, Envelope, LaneSession } from '@skerry/common/link/types';
import type { Logger } from '@skerry/common/logger';
import { EdgeLinkServiceClient, EdgeLinkServiceService } from '@skerry/gen/skerry/cloud/v1/cloud';
import { type Controller, type EdgeHello, Goodbye_Reason, Lane } from '@skerry/gen/skerry/link/v1/link';

export interface HubLinkOptions {
  /** host:port */
  readonly address: string;
  readonly credentials: ChannelCredentials;
  readonly edge: EdgeHello;
  readonly sessions: ReadonlyMap<Controller, LaneSession>;
  readonly onConnected: (cloudTimeMs: number) => void;
  readonly onAttachment: (controller: Controller, isAttached: boolean) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Resolves with how the connection ended; `signal` closes it. Throws what `dialChannel` throws when there was none. */
export async function runHubLink(options: HubLinkOptions, signal: AbortSignal): Promise<ChannelEnd> {
  const { sessions, clock, logger } = options;
  const channelOptions = { ...linkChannelOptions(), ...HUB_ROLE };
  const client = new EdgeLinkServiceClient(options.address, options.credentials, channelOptions);
  try {
    const channel = await dialChannel({
      connect: () => openFrames(client, withFrameCodec(EdgeLinkServiceService).connect),
      hello: { role: { $case: 'edge', value: options.edge } },
      ...{ clock, logger, signal },
    });
    options.onConnected(Number(channel.welcome.cloudTimeUnixMs));
    return await serve(channel, options, signal);
  } finally {
    for (const [controller, session] of sessions) {
      session.detach('the hub is away');
      options.onAttachment(controller, false);
    }
    client.close();
  }
}

function serve(channel: Channel, options: HubLinkOptions, signal: AbortSignal): Promise<ChannelEnd> {
  const { clock } = options;
  const intervalMs = channel.welcome.heartbeatIntervalMs || HEARTBEAT_INTERVAL_MS;
  let beat: Timer | undefined;
  const heartbeat = (): void => {
    const uptimeMs = BigInt(Math.trunc(clock.monotonicMs()));
    channel.send({ lane: Lane.LANE_CONTROL, node: '', body: { $case: 'heartbeat', value: { uptimeMs } } });
    beat = clock.after(intervalMs, heartbeat);
  };
  return new Promise((resolve) => {
    const onAbort = (): void => {
      channel.close({ reason: Goodbye_Reason.REASON_SHUTTING_DOWN, message: String(signal.reason) });
    };
    channel.onEnvelope((envelope) => route(channel, envelope, options));
    channel.onEnd((end) => {
      beat?.cancel();
      signal.removeEventListener('abort', onAbort);
      resolve(end);
    });
    signal.addEventListener('abort', onAbort, { once: true });
    heartbeat();
    channel.start();
    if (signal.aborted) onAbort();
  });
}

function route(channel: Channel, envelope: Envelope, options: HubLinkOptions): void {
  const { sessions, onAttachment, logger } = options;
  const { body } = envelope;
  if (body.$case === 'attached' || body.$case === 'detached') {
    const { controller } = body.value;
    const session = sessions.get(controller);
    // A controller kind of a later version: this node has nothing for it.
    if (!session) return;
    if (body.$case === 'attached') session.attach(channel, { shardEpoch: body.value.shardEpoch });
    else session.detach('the controller is away');
    onAttachment(controller, body.$case === 'attached');
    logger.info('controller', { controller, state: body.$case });
    return;
  }
  if (envelope.lane === Lane.LANE_CONTROL) return;
  const controller = controllerOf(envelope.lane);
  const session = controller === undefined ? undefined : sessions.get(controller);
  if (!session) throw new SkerryError('invalid_argument', `no session owns lane ${envelope.lane}`);
  session.receive(envelope);
}

/** True for an end that another attempt at once would not change: the hub or this node's own files said no. */
export function isRefusal(error: unknown): boolean {
  return isSkerryError(error) && !['unavailable', 'deadline_exceeded', 'cancelled', 'internal'].includes(error.code);
}
