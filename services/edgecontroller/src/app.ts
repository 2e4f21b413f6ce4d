// edgecontroller put together: what runs, in which order, and who tells whom.
// Invariants: identity comes first, shards before what is served under them, the link last; stopping goes the other way, so no node is
// served by a controller that no longer holds its shard.
import type { Clock } from '@skerry/common/clock';
import { claimsMessage, createControllerLink } from '@skerry/common/controller/controller-link';
import { createCounterLog } from '@skerry/common/controller/counter-log';
import { createDesiredState } from '@skerry/common/controller/desired-state';
import { createHubDialer } from '@skerry/common/controller/hub-dialer';
import { createGrpcServer } from '@skerry/common/grpc/server';
import type { TlsMaterial } from '@skerry/common/grpc/tls';
import type { KubeClient } from '@skerry/common/kube/client';
import { SYSTEM_NAMESPACE } from '@skerry/common/kube/join-token';
import { createReconciler } from '@skerry/common/kube/reconciler';
import { CONFIG_MAPS, PODS, SECRETS } from '@skerry/common/kube/resources';
import { createShardClaims } from '@skerry/common/kube/shard-claims';
import type { TransportStats } from '@skerry/common/kube/transport';
import type { Component } from '@skerry/common/lifecycle';
import { createLaneSession } from '@skerry/common/link/lane-session';
import type { Settlement } from '@skerry/common/link/types';
import type { LogFields, Logger } from '@skerry/common/logger';
import { Controller, Done_Outcome } from '@skerry/gen/skerry/link/v1/link';
import { createLifter } from './autonomy/lifter.js';
import { createNodes, type NodeRecord } from './desired/nodes.js';
import { configMapEntry, type PlacedPod, placePod, secretEntry } from './desired/projections.js';
import { createNodeEnds } from './node-ends.js';
import { createPki, type PkiMaterial } from './pki/pki.js';

export interface EdgeControllerOptions {
  readonly client: KubeClient;
  /** Of the client's transport. */
  readonly kubeStats: () => Pick<TransportStats, 'queued' | 'refused' | 'retries'>;
  /** host:port of each hub. */
  readonly hubs: readonly string[];
  /** Of this replica: a DNS label that no other one has. */
  readonly instance: string;
  /** Further names and addresses for the hubs' certificate. */
  readonly serverNames: readonly string[];
  /** How long a node's certificate lives. */
  readonly nodeCertificateTtlMs: number;
  /** Serves gRPC health and reflection on this unix socket. */
  readonly healthSocket?: string | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
}

export interface EdgeController {
  /** To be started in this order and stopped in the reverse one. */
  readonly components: readonly Component[];
  /** Counters and gauges of the moment. */
  stats(): LogFields;
}

/** How long overwritten statuses of one node are gathered. */
const OVERWRITTEN_MS = 1_000;

export function createEdgeController(options: EdgeControllerOptions): EdgeController {
  const { client, instance, clock, random, logger } = options;
  const common = { client, clock, random, logger };
  let rejectedByEdges = 0;

  const { serverNames, nodeCertificateTtlMs } = options;
  const pki = createPki({ kube: client, serverNames, nodeCertificateTtlMs, clock, random, logger });

  const claims = createShardClaims({
    ...common,
    service: 'edgecontroller',
    namespace: SYSTEM_NAMESPACE,
    identity: instance,
    onChange: () => {
      link.claimsChanged();
      desired.reload();
    },
  });

  const lifter = createLifter({ ...common, isAutonomous: (node) => nodes.isAutonomous(node) });

  const nodes = createNodes({
    ...common,
    onRolesChanged: () => desired.reload(),
    onChanged: nodeSeen,
  });

  const desired = createDesiredState({
    ...common,
    claims,
    placement: {
      resource: PODS,
      kind: 'pod',
      place: placePod,
      nodeSelector: (node) => `spec.nodeName=${node}`,
    },
    followed: [
      (follow) => follow({ resource: CONFIG_MAPS, kind: 'configmap', entry: configMapEntry }),
      (follow) => follow({ resource: SECRETS, kind: 'secret', entry: secretEntry }),
    ],
    wantsNode: (node) => nodes.mayBeEdge(node),
    onDirty: (node, key) => link.dirty(node, key),
    onComplete: () => link.compareAll(),
    onPlaced: podSeen,
    onSettled,
  });

  const ends = createNodeEnds({
    ...common,
    desired: () => desired,
    onOverwritten: (node) => overwritten.addAfter(node, OVERWRITTEN_MS),
  });

  /** Many Pods of a node are overwritten together; one comparison makes the node say all of them again. */
  const overwritten = createReconciler({
    ...common,
    name: 'overwritten',
    workers: 1,
    reconcile: async (node) => {
      link.session(node)?.compare();
      return undefined;
    },
  });

  const link = createControllerLink({
    kind: Controller.CONTROLLER_KUBE,
    hubs: options.hubs,
    dial: createHubDialer({
      kind: Controller.CONTROLLER_KUBE,
      instance,
      tls: () => tlsMaterial(pki.material()),
      claims: () => claimsMessage(claims.owned()),
      clock,
      logger,
    }),
    claims,
    openNode: ends.open,
    openSession: (session) => createLaneSession({ ...session, clock, random, logger }),
    onHubCall: pki.serve,
    clock,
    random,
    logger,
  });

  function podSeen(pod: PlacedPod): void {
    ends.podSeen(pod);
    if (pod.liftable && nodes.isAutonomous(pod.node)) lifter.add(`${pod.namespace}/${pod.name}`);
  }

  function nodeSeen(name: string, node: NodeRecord, previous: NodeRecord | undefined): void {
    ends.nodeSeen(name, node);
    if (!node.autonomous || previous?.autonomous) return;
    for (const [key] of desired.index.versions(name)) {
      const pod = desired.object(key);
      if (pod) podSeen(pod);
    }
  }

  function onSettled(node: string, key: string, { outcome, code, reason }: Settlement): void {
    if (outcome !== Done_Outcome.OUTCOME_REJECTED) return;
    rejectedByEdges += 1;
    logger.warn('an edge refused an object', { node, key, code, reason });
  }

  function stats(): LogFields {
    const { queued, refused, retries } = options.kubeStats();
    return {
      shards: claims.owned().size,
      link: link.stats(),
      up: ends.counters(),
      rejectedByEdges,
      desired: desired.metrics(),
      kube: { queued, refused, retries },
      nodes: nodes.metrics(),
      autonomy: lifter.metrics(),
    };
  }

  const health = options.healthSocket && {
    name: 'edgecontroller health',
    services: [],
    listen: { kind: 'unix', path: options.healthSocket } as const,
    clock,
    logger,
  };
  return {
    components: [
      pki,
      claims,
      nodes,
      lifter,
      desired,
      overwritten,
      link,
      createCounterLog({ collect: stats, clock, logger }),
      ...(health ? [createGrpcServer(health)] : []),
    ],
    stats,
  };
}

function tlsMaterial({ caPem, certPem, keyPem }: PkiMaterial): TlsMaterial {
  return { ca: Buffer.from(caPem), cert: Buffer.from(certPem), key: Buffer.from(keyPem) };
}
