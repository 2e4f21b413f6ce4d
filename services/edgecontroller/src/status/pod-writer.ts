// Writes the status of Pods that edges report, and ends the deletion of Pods that have stopped.
// Invariants: each write carries the UID and the resourceVersion that was just read; the Pod is bound to the reporting node; nothing is
// deleted whose deletion nobody asked for.
import {
  APPLIED,
  GONE,
  persistently,
  type RetryOptions,
  rejected,
  rejectionOf,
} from '@skerry/common/controller/settlement';
import type { ParsedKey } from '@skerry/common/keys';
import type { KubeClient } from '@skerry/common/kube/client';
import { isConflict, isNotFound } from '@skerry/common/kube/kube-error';
import { PODS, type Pod } from '@skerry/common/kube/resources';
import type { Settlement } from '@skerry/common/link/types';
import { type PodReport, podStatusPatch } from './pod-status.js';

export interface PodWriter {
  /** Answers for one report; goes on trying while the API is away. Throws only when `retry.signal` ends it. */
  write(node: string, key: ParsedKey, report: PodReport, retry: RetryOptions): Promise<Settlement>;
}

export function createPodWriter(client: KubeClient): PodWriter {
  async function attempt(node: string, key: ParsedKey, report: PodReport, signal: AbortSignal): Promise<Settlement> {
    const ref = { namespace: key.namespace, name: key.name };
    const live = await client.get(PODS, ref, { signal }).catch(undefinedIfGone);
    if (live?.metadata?.uid !== key.uid) return GONE;
    if (live.spec?.nodeName !== node)
      return rejected('Forbidden', `Pod ${key.namespace}/${key.name} is not on node ${node}`);
    const patch = podStatusPatch(live.status, report.status);
    if (patch) {
      const { uid, resourceVersion } = live.metadata;
      const body = { metadata: { uid, resourceVersion }, status: patch };
      await client.patch(PODS, ref, { type: 'merge', body }, { subresource: 'status', signal });
    }
    if (report.stopped && live.metadata.deletionTimestamp !== undefined) await endDeletion(ref, key.uid, signal);
    return APPLIED;
  }

  async function endDeletion(
    ref: { namespace: string; name: string },
    uid: string,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      await client.delete(PODS, ref, { uid, gracePeriodSeconds: 0, signal });
    } catch (error) {
      // Gone, or another Pod under the name: either way this one's deletion is over.
      if (!isNotFound(error) && !isConflict(error)) throw error;
    }
  }

  return {
    write: (node, key, report, retry) =>
      persistently((signal) => attempt(node, key, report, signal), retry).catch((error: unknown) =>
        // Gone between the read and the write.
        isNotFound(error) ? GONE : rejectionOf(error),
      ),
  };
}

function undefinedIfGone(error: unknown): Pod | undefined {
  if (isNotFound(error)) return undefined;
  throw error;
}
