// What is kept of the cluster's Nodes: which are edges, which are autonomous, what the API shows of an edge's conditions.
// Invariant: a node that was not seen yet counts as an edge: its Pods may be heard of before it is, and must not be missed.
import type { Clock } from '@skerry/common/clock';
import type { KubeClient } from '@skerry/common/kube/client';
import { createReflector, type Reflector } from '@skerry/common/kube/reflector';
import { NODES, type Node } from '@skerry/common/kube/resources';
import type { Logger } from '@skerry/common/logger';
import { isAutonomous } from '../autonomy/tolerations.js';
import { EDGE_ROLE_LABEL, ownConditions } from '../status/node-status.js';

export interface NodeRecord {
  readonly edge: boolean;
  readonly autonomous: boolean;
  /** Of edges: status of the conditions that they report. */
  readonly conditions: ReadonlyMap<string, string>;
}

export interface NodesOptions {
  readonly client: KubeClient;
  /** Nodes whose Pods were not kept have to be looked at anew, or the other way round. */
  readonly onRolesChanged: () => void;
  readonly onChanged: (name: string, node: NodeRecord, previous: NodeRecord | undefined) => void;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
}

export interface Nodes extends Pick<Reflector<NodeRecord>, 'name' | 'start' | 'stop' | 'metrics'> {
  mayBeEdge(name: string): boolean;
  isAutonomous(name: string): boolean;
}

/** Cloud nodes come and go with load; so many names are remembered in case one comes back as an edge. */
const MAX_FORMER = 10_000;
const CLOUD_NODE: NodeRecord = { edge: false, autonomous: false, conditions: new Map() };

export function createNodes(options: NodesOptions): Nodes {
  const { client, clock, random, logger } = options;
  let known = false;
  /** Names that were cloud nodes: Pods of theirs that came before the news of the node were not kept. The oldest stands first. */
  const formerCloud = new Set<string>();

  function removed(name: string, { edge }: NodeRecord): void {
    if (edge) return;
    formerCloud.add(name);
    for (const oldest of formerCloud) {
      if (formerCloud.size <= MAX_FORMER) break;
      formerCloud.delete(oldest);
    }
  }

  const reflector = createReflector<Node, NodeRecord>({
    client,
    resource: NODES,
    project: nodeRecord,
    handler: {
      upsert(name, node, previous) {
        const wasCloud = formerCloud.delete(name) || previous?.edge === false;
        const wasEdge = previous?.edge === true;
        if (node.edge ? wasCloud : wasEdge) options.onRolesChanged();
        options.onChanged(name, node, previous);
      },
      remove: (name, _uid, last) => removed(name, last),
      synced: () => {
        if (!known) options.onRolesChanged();
        known = true;
      },
    },
    clock,
    random,
    logger,
  });
  return {
    name: reflector.name,
    start: reflector.start,
    stop: reflector.stop,
    metrics: reflector.metrics,
    mayBeEdge: (name) => reflector.store.get(name)?.edge ?? true,
    isAutonomous: (name) => reflector.store.get(name)?.autonomous ?? false,
  };
}

export function nodeRecord(node: Node): NodeRecord {
  if (node.metadata?.labels?.[EDGE_ROLE_LABEL] === undefined) return CLOUD_NODE;
  return {
    edge: true,
    autonomous: isAutonomous(node.metadata.annotations),
    conditions: ownConditions(node.status),
  };
}
