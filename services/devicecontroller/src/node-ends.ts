// The controller's end of each node's lane session: its Devices down, what it reports on them up.
// Invariant: one end per node that is there; it keeps nothing beyond its session.
import { sharedAbortController } from '@skerry/common/abort';
import type { Clock } from '@skerry/common/clock';
import type { NodeEnd } from '@skerry/common/controller/controller-link';
import type { DesiredState } from '@skerry/common/controller/desired-state';
import { SkerryError } from '@skerry/common/errors';
import { deviceKey } from '@skerry/common/keys';
import type { KubeClient } from '@skerry/common/kube/client';
import type { CallHandler } from '@skerry/common/link/types';
import type { Logger } from '@skerry/common/logger';
import type { PlacedDevice } from './desired/projections.js';
import { createDeviceSink, type ReportCounters } from './status/device-sink.js';
import type { StatusWriter } from './status/status-writer.js';

export interface NodeEndsOptions {
  readonly client: KubeClient;
  readonly desired: () => DesiredState<PlacedDevice>;
  readonly writer: StatusWriter;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
}

export interface NodeEnds {
  open(node: string): NodeEnd;
  counters(): Readonly<ReportCounters>;
}

export function createNodeEnds(options: NodeEndsOptions): NodeEnds {
  const { client, desired, writer, clock, random, logger } = options;
  const counters: ReportCounters = { applied: 0, gone: 0, rejected: 0 };

  function open(node: string): NodeEnd {
    const closing = sharedAbortController();
    const sink = createDeviceSink({
      node,
      client,
      device: (namespace, name) => desired().object(deviceKey(namespace, name)),
      writer,
      counters,
      retry: { signal: closing.signal, clock, random },
      logger,
    });
    return {
      source: desired().source(node),
      sink,
      // Readings are logged by a later release of the edge; this one has no stream for them.
      logSink: undefined,
      onCall: refuseCall,
      close: () => closing.abort(),
    };
  }

  return { open, counters: () => ({ ...counters }) };
}

const refuseCall: CallHandler = async (_payload, { method }) => {
  throw new SkerryError('unsupported', `devicecontroller serves no call "${method.slice(0, 100)}" of an edge`);
};
