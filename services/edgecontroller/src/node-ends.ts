// The controller's end of each node's lane session: its desired state down, its status and events up.
// Invariant: one end per node that is there; it keeps nothing beyond its session.
import type { Clock } from '@skerry/common/clock';
import type { NodeEnd } from '@skerry/common/controller/controller-link';
import type { DesiredState } from '@skerry/common/controller/desired-state';
import { persistently } from '@skerry/common/controller/settlement';
import { SkerryError } from '@skerry/common/errors';
import { nodeKey, podKey, podStatusKey } from '@skerry/common/keys';
import type { KubeClient } from '@skerry/common/kube/client';
import { isNotFound } from '@skerry/common/kube/kube-error';
import { PODS } from '@skerry/common/kube/resources';
import type { CallHandler } from '@skerry/common/link/types';
import type { Logger } from '@skerry/common/logger';
import type { NodeRecord } from './desired/nodes.js';
import type { PlacedPod } from './desired/projections.js';
import { createEventLog, type EventCounters } from './events/event-log.js';
import { createNodeWriter } from './status/node-writer.js';
import { createPodWriter } from './status/pod-writer.js';
import { createUpSink, podConditions, type UpCounters, type UpSink } from './status/up-sink.js';

export interface NodeEndsOptions {
  readonly client: KubeClient;
  readonly desired: () => DesiredState<PlacedPod>;
  /** Somebody has overwritten what a node reported: it has to say it again. */
  readonly onOverwritten: (node: string) => void;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
}

export interface NodeEnds {
  open(node: string): NodeEnd;
  podSeen(pod: PlacedPod): void;
  nodeSeen(name: string, node: NodeRecord): void;
  counters(): Readonly<UpCounters & { events: EventCounters }>;
}

export function createNodeEnds(options: NodeEndsOptions): NodeEnds {
  const { client, desired, clock, random, logger } = options;
  const pods = createPodWriter(client);
  const sinks = new Map<string, UpSink>();
  const up: UpCounters = { applied: 0, gone: 0, rejected: 0, ignoredLabels: 0, overwritten: 0 };
  const events: EventCounters = { posted: 0, droppedOld: 0, droppedForeign: 0, droppedInvalid: 0 };

  /** The index knows most; what it does not know (deleted, or not heard of yet) is asked for. */
  async function hasPod(node: string, namespace: string, name: string, uid: string, signal: AbortSignal) {
    if (desired().index.placed(podKey(namespace, name, uid))?.node === node) return true;
    if (namespace === '' || name === '') return false;
    const live = await persistently((patience) => client.get(PODS, { namespace, name }, { signal: patience }), {
      signal,
      clock,
      random,
    }).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
    return live?.metadata?.uid === uid && live.spec?.nodeName === node;
  }

  function open(node: string): NodeEnd {
    const closing = new AbortController();
    const self = createNodeWriter(client, node, clock);
    const sink = createUpSink({ node, pods, self, counters: up, clock, random, logger });
    const eventLog = createEventLog({
      node,
      client,
      hasPod: (namespace, name, uid) => hasPod(node, namespace, name, uid, closing.signal),
      counters: events,
      clock,
      random,
      logger,
    });
    sinks.set(node, sink);
    return {
      source: desired().source(node),
      sink,
      logSink: eventLog,
      onCall: refuseCall,
      close() {
        closing.abort();
        sink.close();
        eventLog.close();
        if (sinks.get(node) === sink) sinks.delete(node);
      },
    };
  }

  function observed(node: string, key: string, conditions: ReadonlyMap<string, string>): void {
    if (sinks.get(node)?.observed(key, conditions)) options.onOverwritten(node);
  }

  return {
    open,
    podSeen: ({ node, namespace, name, uid, ready }) =>
      observed(node, podStatusKey(namespace, name, uid), podConditions(ready)),
    nodeSeen: (name, { conditions }) => observed(name, nodeKey(name), conditions),
    counters: () => ({ ...up, events }),
  };
}

const refuseCall: CallHandler = async (_payload, { method }) => {
  throw new SkerryError('unsupported', `edgecontroller serves no call "${method.slice(0, 100)}" of an edge`);
};
