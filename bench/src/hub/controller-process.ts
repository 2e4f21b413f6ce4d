// A controller that takes every entry: all shards, one lane session per node, each Put answered applied.
import { systemClock } from '@skerry/common/clock';
import { clientCredentials } from '@skerry/common/grpc/tls';
import { SHARD_COUNT } from '@skerry/common/kube/shard';
import { dialChannel } from '@skerry/common/link/channel';
import { linkChannelOptions } from '@skerry/common/link/grpc-options';
import { createLaneSession } from '@skerry/common/link/lane-session';
import type { Channel, LaneSession, Settlement } from '@skerry/common/link/types';
import { nullLogger } from '@skerry/common/logger';
import type { IssuedCertificate } from '@skerry/common/pki/authority';
import { controllerSubject } from '@skerry/common/pki/names';
import { ControllerLinkServiceClient } from '@skerry/gen/skerry/cloud/v1/cloud';
import { Controller, Done_Outcome, Lane } from '@skerry/gen/skerry/link/v1/link';
import { serveParent } from './child.js';
import { clientMaterial } from './material.js';

const clock = systemClock();
const logger = nullLogger();
const kind = Controller.CONTROLLER_KUBE;
const APPLIED: Settlement = { outcome: Done_Outcome.OUTCOME_APPLIED, code: '', reason: '' };

serveParent({
  async attach({ address, ca }: { address: string; ca: IssuedCertificate }): Promise<void> {
    const tls = clientCredentials(await clientMaterial(ca, controllerSubject('edgecontroller')));
    const client = new ControllerLinkServiceClient(address, tls, linkChannelOptions());
    const shards = Array.from({ length: SHARD_COUNT }, (_, shard) => ({ shard, epoch: 1n }));
    const value = { kind, instance: 'bench', softwareVersion: 'bench', claims: { shards } };
    const hello = { role: { $case: 'controller', value } } as const;
    serve(await dialChannel({ connect: () => client.attach(), hello, clock, logger }));
  },
});

function serve(channel: Channel): void {
  const sessions = new Map<string, LaneSession>();
  channel.onEnvelope((envelope) => {
    const { lane, node, body } = envelope;
    if (lane !== Lane.LANE_CONTROL) sessions.get(node)?.receive(envelope);
    else if (body.$case === 'attached') {
      const session = openSession(node);
      sessions.set(node, session);
      session.attach(channel, { shardEpoch: 1n });
    } else if (body.$case === 'detached') {
      sessions.get(node)?.close();
      sessions.delete(node);
    }
  });
  channel.start();
}

/** Remembers the versions that it took, as a real one does. */
function openSession(node: string): LaneSession {
  const versions = new Map<string, string>();
  return createLaneSession({
    role: 'controller',
    controller: kind,
    node,
    source: {
      versions: () => [],
      read: () => undefined,
      complete: () => true,
      confirmAbsent: async () => true,
      settled: () => {},
      epoch: () => 1n,
    },
    sink: {
      versions: () => versions,
      put: async (key, entry) => {
        versions.set(key, entry.version);
        return APPLIED;
      },
      delete: async () => APPLIED,
      synced: async () => {},
      unsynced: () => false,
    },
    logSources: [],
    logSink: undefined,
    onCall: undefined,
    clock,
    logger,
  });
}
