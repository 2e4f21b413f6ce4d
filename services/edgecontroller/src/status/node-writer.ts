// Registers the Node of an edge and writes the status that the edge reports.
// Invariants: a Node that exists is never replaced; per node at most one write of the status a second.

import type { Clock } from '@skerry/common/clock';
import { APPLIED, persistently, type RetryOptions, rejectionOf } from '@skerry/common/controller/settlement';
import type { KubeClient } from '@skerry/common/kube/client';
import { isAlreadyExists, isNotFound } from '@skerry/common/kube/kube-error';
import { NODES, type Node } from '@skerry/common/kube/resources';
import type { Settlement } from '@skerry/common/link/types';
import { type NodeReport, nodeMetadataPatch, nodeStatusPatch, nodeToRegister } from './node-status.js';

/** Writes of one node. */
export interface NodeWriter {
  /** Answers for one report; goes on trying while the API is away. Throws only when `retry.signal` ends it. */
  write(report: NodeReport, retry: RetryOptions): Promise<Settlement>;
}

/** The newest report waits for its turn in the lane, so that what is written is never older than this. */
const MIN_INTERVAL_MS = 1_000;

export function createNodeWriter(client: KubeClient, node: string, clock: Clock): NodeWriter {
  let nextWriteMs = 0;

  async function readOrRegister(report: NodeReport, signal: AbortSignal): Promise<Node> {
    try {
      return await client.get(NODES, { name: node }, { signal });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    try {
      return await client.create(NODES, nodeToRegister(node, report), { signal });
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      return client.get(NODES, { name: node }, { signal });
    }
  }

  async function attempt(report: NodeReport, signal: AbortSignal): Promise<Settlement> {
    const live = await readOrRegister(report, signal);
    const metadata = nodeMetadataPatch(live, report);
    const current = metadata
      ? await client.patch(NODES, { name: node }, { type: 'merge', body: { metadata } }, { signal })
      : live;
    const status = nodeStatusPatch(current.status, report.status, clock.nowMs());
    if (!status) return APPLIED;
    // Conditions are a list, replaced as one: the resourceVersion keeps what others wrote meanwhile.
    const body = { metadata: { resourceVersion: current.metadata?.resourceVersion }, status };
    await client.patch(NODES, { name: node }, { type: 'merge', body }, { subresource: 'status', signal });
    return APPLIED;
  }

  return {
    async write(report, retry) {
      const waitMs = nextWriteMs - clock.monotonicMs();
      if (waitMs > 0) await clock.sleep(waitMs, retry.signal);
      nextWriteMs = clock.monotonicMs() + MIN_INTERVAL_MS;
      return persistently((signal) => attempt(report, signal), retry).catch(rejectionOf);
    },
  };
}
