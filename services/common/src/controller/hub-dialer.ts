// Opens the channel of a controller to a hub: gRPC over mTLS, and a Hello that names the shards served now.
// Invariant: each dial has a client of its own, closed with its channel, so a dead connection is never used twice and a renewed
// certificate is used from the next dial on.
import { ControllerLinkServiceClient, ControllerLinkServiceService } from '@skerry/gen/skerry/cloud/v1/cloud';
import type { Claims as ClaimsMessage, Controller } from '@skerry/gen/skerry/link/v1/link';
import type { Clock } from '../clock.js';
import { clientCredentials, HUB_ROLE, type TlsMaterial } from '../grpc/tls.js';
import { dialChannel } from '../link/channel.js';
import { openFrames, withFrameCodec } from '../link/frame-codec.js';
import { linkChannelOptions } from '../link/grpc-options.js';
import type { Channel } from '../link/types.js';
import type { Logger } from '../logger.js';

export interface HubDialerOptions {
  readonly kind: Controller;
  /** Of this replica. */
  readonly instance: string;
  readonly tls: () => TlsMaterial;
  readonly claims: () => ClaimsMessage;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Of the packages. */
const SOFTWARE_VERSION = '0.1.0';

export type HubDialer = (hub: string, signal: AbortSignal) => Promise<Channel>;

export function createHubDialer(options: HubDialerOptions): HubDialer {
  const { kind, instance, claims, clock, logger } = options;
  return async (hub, signal) => {
    const channelOptions = { ...linkChannelOptions(), ...HUB_ROLE };
    const client = new ControllerLinkServiceClient(hub, clientCredentials(options.tls()), channelOptions);
    const connect = () => {
      const call = openFrames(client, withFrameCodec(ControllerLinkServiceService).attach);
      call.once('status', () => client.close());
      return call;
    };
    const value = { kind, instance, softwareVersion: SOFTWARE_VERSION, claims: claims() };
    try {
      return await dialChannel({ connect, hello: { role: { $case: 'controller', value } }, clock, logger, signal });
    } catch (error) {
      client.close();
      throw error;
    }
  };
}
