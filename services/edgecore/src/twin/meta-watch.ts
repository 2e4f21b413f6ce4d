// Hears from edgecore which devices and models the cloud wants here. Reconnects for ever; what was heard stays meanwhile.

import type { Clock } from '@skerry/common/clock';
import { messageOf } from '@skerry/common/errors';
import { unixClient } from '@skerry/common/grpc/client';
import type { Logger } from '@skerry/common/logger';
import { MetaServiceClient, type WatchResponse } from '@skerry/gen/skerry/edge/v1/edge';
import { keepConnected } from '../sidecar/reconnect.js';
import { type Affected, type DesiredSet, WATCHED_PREFIXES } from './desired-set.js';

export interface MetaWatchOptions {
  readonly socket: string;
  readonly set: DesiredSet;
  readonly onChange: (affected: Extract<Affected, { kind: 'devices' | 'all' }>) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface MetaWatch {
  stop(): Promise<void>;
}

export function startMetaWatch(options: MetaWatchOptions): MetaWatch {
  const { set, onChange, logger } = options;
  const client = unixClient(MetaServiceClient, options.socket);

  async function session(signal: AbortSignal, healthy: () => void): Promise<void> {
    const stream = client.watch({ prefixes: WATCHED_PREFIXES });
    const cancel = (): void => stream.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    try {
      set.restart();
      for await (const message of stream as AsyncIterable<WatchResponse>) {
        healthy();
        if (message.event) heard(message.event);
      }
    } finally {
      signal.removeEventListener('abort', cancel);
      cancel();
    }
  }

  function heard(event: NonNullable<WatchResponse['event']>): void {
    try {
      const affected = set.accept(event);
      if (affected.kind !== 'unreadable') onChange(affected);
      else logger.error('cannot read what the cloud wants', { key: affected.key, reason: affected.reason });
    } catch (error) {
      logger.error('cannot use what the cloud wants', { event: event.$case, error: messageOf(error) });
    }
  }

  const connection = keepConnected({ name: 'meta', session, clock: options.clock, logger });
  return {
    async stop() {
      await connection.stop();
      client.close();
    },
  };
}
