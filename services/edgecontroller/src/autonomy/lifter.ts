// Keeps Pods on autonomous nodes from being evicted while the node is away: lifts their tolerationSeconds as soon as they are bound.
// Invariant: a Pod is changed only as far as the API lets a bound Pod be changed, under the UID and resourceVersion that were just read.
import type { Clock } from '@skerry/common/clock';
import type { KubeClient } from '@skerry/common/kube/client';
import { isConflict, isKubeError, isNotFound } from '@skerry/common/kube/kube-error';
import { createReconciler, type Reconciler, TerminalError } from '@skerry/common/kube/reconciler';
import { PODS } from '@skerry/common/kube/resources';
import type { Logger } from '@skerry/common/logger';
import { liftTolerations } from './tolerations.js';

export interface LifterOptions {
  readonly client: KubeClient;
  readonly isAutonomous: (node: string) => boolean;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
}

/** Keys are `<namespace>/<name>`. */
export type Lifter = Reconciler;

const WORKERS = 4;
const BACKOFF = { baseMs: 500, maxMs: 60_000 };

export function createLifter(options: LifterOptions): Lifter {
  const { client, clock, random, logger } = options;

  async function lift(key: string, signal: AbortSignal): Promise<undefined> {
    const [namespace = '', name = ''] = key.split('/');
    const pod = await client.get(PODS, { namespace, name }, { signal });
    const node = pod.spec?.nodeName;
    const tolerations = liftTolerations(pod.spec?.tolerations);
    if (!node || !options.isAutonomous(node) || !tolerations || pod.metadata?.deletionTimestamp !== undefined) return;
    const { uid, resourceVersion } = pod.metadata ?? {};
    const body = { metadata: { uid, resourceVersion }, spec: { tolerations } };
    await client.patch(PODS, { namespace, name }, { type: 'merge', body }, { signal });
    logger.info('pod made autonomous', { pod: key, node });
  }

  return createReconciler({
    name: 'autonomy',
    workers: WORKERS,
    reconcile: (key, signal) => lift(key, signal).catch((error: unknown) => giveUpOr(key, error)),
    backoff: BACKOFF,
    clock,
    random,
    logger,
  });
}

/** A Pod that is gone needs nothing; a refusal stays one until the Pod changes. */
function giveUpOr(key: string, error: unknown): undefined {
  if (isNotFound(error)) return undefined;
  const refused = isKubeError(error) && [400, 403, 422].includes(error.httpStatus) && !isConflict(error);
  if (refused)
    throw new TerminalError(`tolerations of Pod ${key} cannot be lifted: ${error.message}`, { cause: error });
  throw error;
}
