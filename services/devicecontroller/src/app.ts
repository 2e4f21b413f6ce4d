// devicecontroller put together: what runs, in which order, and who tells whom.
// Invariants: shards come before what is served under them, the link last; stopping goes the other way: first nobody reports any longer,
// then what was merged is written, then the shards are given up.
import type { Clock } from '@skerry/common/clock';
import { claimsMessage, createControllerLink } from '@skerry/common/controller/controller-link';
import { createCounterLog } from '@skerry/common/controller/counter-log';
import { createDesiredState } from '@skerry/common/controller/desired-state';
import { createHubDialer } from '@skerry/common/controller/hub-dialer';
import { createGrpcServer } from '@skerry/common/grpc/server';
import type { TlsMaterial } from '@skerry/common/grpc/tls';
import { deviceKey, kindOf } from '@skerry/common/keys';
import type { KubeClient } from '@skerry/common/kube/client';
import { SYSTEM_NAMESPACE } from '@skerry/common/kube/join-token';
import { createReflector } from '@skerry/common/kube/reflector';
import { DEVICE_MODELS, DEVICE_STATUSES, DEVICES } from '@skerry/common/kube/resources';
import { createShardClaims } from '@skerry/common/kube/shard-claims';
import type { TransportStats } from '@skerry/common/kube/transport';
import type { Component } from '@skerry/common/lifecycle';
import { createLaneSession } from '@skerry/common/link/lane-session';
import type { Settlement } from '@skerry/common/link/types';
import type { LogFields, Logger } from '@skerry/common/logger';
import { Controller, Done_Outcome } from '@skerry/gen/skerry/link/v1/link';
import { modelEntry, type PlacedDevice, placeDevice } from './desired/projections.js';
import { createFaultEvents } from './faults/fault-events.js';
import { createNodeEnds } from './node-ends.js';
import { ownerUid } from './status/status-objects.js';
import { createStatusWriter } from './status/status-writer.js';

export interface DeviceControllerOptions {
  readonly client: KubeClient;
  /** Of the client's transport. */
  readonly kubeStats: () => Pick<TransportStats, 'queued' | 'refused' | 'retries'>;
  /** host:port of each hub. */
  readonly hubs: readonly string[];
  readonly tls: () => TlsMaterial;
  /** Of this replica: a DNS label that no other one has. */
  readonly instance: string;
  /** At most one write of a DeviceStatus in this time, in ms. */
  readonly reportCycleMs: number;
  /** Writes of DeviceStatuses a second, of this replica. */
  readonly writesPerSecond: number;
  /** Serves gRPC health and reflection on this unix socket. */
  readonly healthSocket?: string | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
}

export interface DeviceController {
  /** To be started in this order and stopped in the reverse one. */
  readonly components: readonly Component[];
  /** Counters and gauges of the moment. */
  stats(): LogFields;
}

export function createDeviceController(options: DeviceControllerOptions): DeviceController {
  const { client, instance, clock, random, logger } = options;
  const common = { client, clock, random, logger };
  let rejectedByEdges = 0;

  const claims = createShardClaims({
    ...common,
    service: 'devicecontroller',
    namespace: SYSTEM_NAMESPACE,
    identity: instance,
    onChange: () => {
      link.claimsChanged();
      desired.reload();
    },
  });

  const desired = createDesiredState({
    ...common,
    claims,
    placement: { resource: DEVICES, kind: 'device', place: placeDevice },
    followed: [(follow) => follow({ resource: DEVICE_MODELS, kind: 'devicemodel', entry: modelEntry })],
    onDirty,
    onComplete: () => link.compareAll(),
    onPlaced: (device) => {
      writer.seen(device);
      faults.add(device.key);
    },
    onRemoved: (device) => {
      writer.gone(device.namespace, device.name, device.uid);
      faults.add(device.key);
    },
    onSettled,
  });

  const writer = createStatusWriter({
    ...common,
    cycleMs: options.reportCycleMs,
    budgetPerSecond: options.writesPerSecond,
    epochOf: claims.epochOf,
    onRefused: (device, message) => faults.tell(device, { reason: 'StatusRefused', message }),
  });

  /** Only tells when a DeviceStatus is no longer what the writer knows; nothing of it is kept. */
  const statuses = createReflector({
    ...common,
    resource: DEVICE_STATUSES,
    project: (status) => {
      const { namespace = '', name = '' } = status.metadata ?? {};
      return desired.object(deviceKey(namespace, name)) && { owner: ownerUid(status) };
    },
    handler: {
      upsert: (key, { owner }) => {
        if (owner !== desired.object(`device/${key}`)?.uid) statusLost(key);
      },
      remove: statusLost,
      removedUnseen: statusLost,
      synced: () => {},
    },
  });

  const faults = createFaultEvents({
    ...common,
    device: desired.object,
    model: ({ node, model }) => (model === undefined ? undefined : desired.index.read(node, model)),
  });

  const ends = createNodeEnds({ ...common, desired: () => desired, writer });

  const link = createControllerLink({
    kind: Controller.CONTROLLER_DEVICE,
    hubs: options.hubs,
    dial: createHubDialer({
      kind: Controller.CONTROLLER_DEVICE,
      instance,
      tls: options.tls,
      claims: () => claimsMessage(claims.owned()),
      clock,
      logger,
    }),
    claims,
    openNode: ends.open,
    openSession: (session) => createLaneSession({ ...session, clock, random, logger }),
    clock,
    random,
    logger,
  });

  function statusLost(key: string): void {
    const [namespace = '', name = ''] = key.split('/');
    writer.lost(namespace, name);
  }

  function onDirty(node: string, key: string): void {
    link.dirty(node, key);
    if (kindOf(key) !== 'devicemodel') return;
    for (const [other] of desired.index.versions(node)) if (desired.object(other)?.model === key) faults.add(other);
  }

  function onSettled(node: string, key: string, { outcome, code, reason }: Settlement): void {
    if (outcome !== Done_Outcome.OUTCOME_REJECTED) return;
    rejectedByEdges += 1;
    logger.warn('an edge refused an object', { node, key, code, reason });
    const device: PlacedDevice | undefined = desired.object(key);
    if (device) faults.tell(device, { reason: 'RefusedByNode', message: `node ${node}: ${code}: ${reason}` });
  }

  function stats(): LogFields {
    const { queued, refused, retries } = options.kubeStats();
    return {
      shards: claims.owned().size,
      link: link.stats(),
      up: ends.counters(),
      writer: writer.stats(),
      faults: faults.metrics(),
      rejectedByEdges,
      desired: desired.metrics(),
      kube: { queued, refused, retries },
    };
  }

  const health = options.healthSocket && {
    name: 'devicecontroller health',
    services: [],
    listen: { kind: 'unix', path: options.healthSocket } as const,
    clock,
    logger,
  };
  return {
    components: [
      claims,
      writer,
      faults,
      desired,
      statuses,
      link,
      createCounterLog({ collect: stats, clock, logger }),
      ...(health ? [createGrpcServer(health)] : []),
    ],
    stats,
  };
}
