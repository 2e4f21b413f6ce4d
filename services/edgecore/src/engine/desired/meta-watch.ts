// Follows the meta store for ever and hands every change on. The stream itself is the only state.
import type { Clock } from '@skerry/common/clock';
import { unixClient } from '@skerry/common/grpc/client';
import type { Logger } from '@skerry/common/logger';
import { MetaServiceClient, type WatchResponse } from '@skerry/gen/skerry/edge/v1/edge';
import { keepConnected, type Reconnecting } from '../../sidecar/reconnect.js';
import { readStream } from '../../sidecar/streams.js';
import type { DesiredState } from './desired-state.js';

const PREFIXES = ['pod/', 'configmap/', 'secret/'];

export interface MetaWatchOptions {
  readonly edgecoreSocket: string;
  readonly desired: DesiredState;
  /** Called with the Pods that changed; `listed` when the store has told all that it has. */
  readonly onChange: (podUids: readonly string[], listed: boolean) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

export function watchMeta(options: MetaWatchOptions): Reconnecting {
  const { edgecoreSocket, desired, onChange, clock, logger } = options;

  async function session(signal: AbortSignal, healthy: () => void): Promise<void> {
    const client = unixClient(MetaServiceClient, edgecoreSocket);
    try {
      desired.begin();
      await readStream<WatchResponse>(client.watch({ prefixes: PREFIXES }), signal, (message) => {
        const listed = message.event?.$case === 'listed';
        if (listed) healthy();
        const changed = desired.apply(message);
        if (changed.length > 0 || listed) onChange(changed, listed);
      });
    } finally {
      client.close();
    }
  }

  return keepConnected({ name: 'meta store', session, clock, logger });
}
