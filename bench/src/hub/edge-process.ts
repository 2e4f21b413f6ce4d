// Edges against a hub: a few that report without pause, or many that only keep their heartbeat going.
import { systemClock } from '@skerry/common/clock';
import { clientCredentials } from '@skerry/common/grpc/tls';
import { dialChannel, isRefused } from '@skerry/common/link/channel';
import { linkChannelOptions } from '@skerry/common/link/grpc-options';
import { createLaneSession } from '@skerry/common/link/lane-session';
import type { Channel } from '@skerry/common/link/types';
import { nullLogger } from '@skerry/common/logger';
import type { IssuedCertificate } from '@skerry/common/pki/authority';
import { nodeSubject } from '@skerry/common/pki/names';
import { EdgeLinkServiceClient } from '@skerry/gen/skerry/cloud/v1/cloud';
import { Controller, Done_Outcome, Lane } from '@skerry/gen/skerry/link/v1/link';
import { serveParent } from './child.js';
import { clientMaterial } from './material.js';

export interface EdgesRequest {
  readonly address: string;
  readonly ca: IssuedCertificate;
  readonly count: number;
  /** Of node names, so that groups do not replace one another. */
  readonly prefix: string;
}

export interface RelayRequest extends EdgesRequest {
  readonly payloadBytes: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

const clock = systemClock();
const logger = nullLogger();
const HEARTBEAT_MS = 10_000;
/** Entries of each reporting edge: more than its credit lets out at once. */
const KEYS = 2_000;
const DIALS_AT_ONCE = 16;

serveParent({
  /** Entries a second, from Put to Done, over all edges. */
  async relay(request: RelayRequest): Promise<number> {
    const done = { count: 0 };
    for (let i = 0; i < request.count; i++) report(await dial(request, i), request.payloadBytes, done);
    await clock.sleep(request.warmUpMs);
    const [before, startMs] = [done.count, clock.monotonicMs()];
    await clock.sleep(request.measureMs);
    return ((done.count - before) * 1_000) / (clock.monotonicMs() - startMs);
  },
  async idle(request: EdgesRequest): Promise<void> {
    let next = 0;
    const work = async (): Promise<void> => {
      for (let i = next++; i < request.count; i = next++) stay(await dial(request, i));
    };
    await Promise.all(Array.from({ length: DIALS_AT_ONCE }, work));
  },
});

async function dial({ address, ca, prefix }: EdgesRequest, index: number): Promise<Channel> {
  const node = `${prefix}-${index}`;
  const tls = clientCredentials(await clientMaterial(ca, nodeSubject(node)));
  const value = { node, bootId: 'bench', generation: 1n, softwareVersion: 'bench', storeEpoch: 'bench' };
  for (;;) {
    const client = new EdgeLinkServiceClient(address, tls, linkChannelOptions());
    try {
      const hello = { role: { $case: 'edge', value } } as const;
      return await dialChannel({ connect: () => client.connect(), hello, clock, logger });
    } catch (error) {
      client.close();
      if (!isRefused(error)) throw error;
      await clock.sleep(error.goodbye.retryAfterMs);
    }
  }
}

function stay(channel: Channel): void {
  beat(channel);
  channel.start();
}

function beat(channel: Channel): void {
  const say = (): void =>
    channel.send({ lane: Lane.LANE_CONTROL, node: '', body: { $case: 'heartbeat', value: { uptimeMs: 1n } } });
  say();
  setInterval(say, HEARTBEAT_MS);
}

/** Every entry that is done gets a new version at once. */
function report(channel: Channel, payloadBytes: number, done: { count: number }): void {
  const payload = Buffer.alloc(payloadBytes, 'x');
  const versions = new Map(Array.from({ length: KEYS }, (_, i) => [`podstatus/default/pod-${i}/uid-${i}`, '1/uid/0']));
  let version = 0;
  const session = createLaneSession({
    role: 'edge',
    controller: Controller.CONTROLLER_KUBE,
    node: '',
    source: {
      versions: () => versions,
      read: (key) => ({ version: versions.get(key) ?? '', payload, absent: false, references: [] }),
      complete: () => true,
      confirmAbsent: async () => false,
      settled: (key, _version, { outcome }) => {
        if (outcome !== Done_Outcome.OUTCOME_APPLIED) throw new Error(`entry ${key} ended with ${outcome}`);
        done.count += 1;
        version += 1;
        versions.set(key, `1/uid/${version}`);
        session.dirty(key);
      },
      epoch: () => 0n,
    },
    sink: {
      versions: () => [],
      put: async () => ({ outcome: Done_Outcome.OUTCOME_APPLIED, code: '', reason: '' }),
      delete: async () => ({ outcome: Done_Outcome.OUTCOME_APPLIED, code: '', reason: '' }),
      synced: async () => {},
      unsynced: () => false,
    },
    logSources: [],
    logSink: undefined,
    onCall: undefined,
    clock,
    logger,
  });
  channel.onEnvelope((envelope) => {
    if (envelope.lane !== Lane.LANE_CONTROL) session.receive(envelope);
    else if (envelope.body.$case === 'attached')
      session.attach(channel, { shardEpoch: envelope.body.value.shardEpoch });
    else if (envelope.body.$case === 'detached') session.detach('detached');
  });
  beat(channel);
  channel.start();
}
