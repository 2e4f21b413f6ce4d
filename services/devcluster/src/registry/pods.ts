// Pods: admission, defaults, what may change, and graceful deletion.
import { at, isObject, type JsonObject, type KubeObject, objectsAt, textAt } from '../api/objects.js';
import { forbidden } from '../api/status.js';
import { behaviour, keepField } from './behaviour.js';
import { defaultPod, qosClass } from './pod-defaults.js';
import { validatePod, validatePodUpdate } from './pod-validation.js';
import type { Behaviour, WriteContext } from './types.js';

const PODS = { group: '', resource: 'pods' };

export function podBehaviour(): Behaviour {
  return behaviour({
    returnsDeleted: true,
    hasGeneration: true,
    prepareCreate,
    prepareUpdate: (next, old) => {
      keepField(next, old, 'status');
      // What an update leaves out that a creation would have filled in stays filled in.
      defaultPod(next);
    },
    prepareStatus: (next, old) => {
      keepField(next, old, 'spec');
      keepField(next.metadata, old.metadata, 'ownerReferences');
      const status: JsonObject = isObject(next.status) ? next.status : {};
      next.status = { ...status, qosClass: at(old, 'status', 'qosClass') ?? qosClass(old.spec) };
    },
    validate: validatePod,
    validateUpdate: validatePodUpdate,
    grace,
  });
}

function prepareCreate(pod: KubeObject, { tx }: WriteContext): void {
  const name = pod.metadata.name ?? '';
  const namespace = pod.metadata.namespace ?? '';
  defaultPod(pod);
  const spec = pod.spec ?? {};
  const account = textAt(spec, 'serviceAccountName');
  if (tx.get({ collection: 'serviceaccounts', namespace, name: account }) === undefined) {
    const why = `error looking up service account ${namespace}/${account}: serviceaccount "${account}" not found`;
    throw forbidden(PODS, name, why);
  }
  admitPriority(spec, name, tx);
  admitRuntimeClass(spec, name, tx);
  pod.status = { phase: 'Pending', qosClass: qosClass(spec) };
  if (objectsAt(spec, 'schedulingGates').length > 0) {
    const message = 'Scheduling is blocked due to non-empty scheduling gates';
    pod.status['conditions'] = [
      {
        type: 'PodScheduled',
        status: 'False',
        lastProbeTime: null,
        lastTransitionTime: null,
        reason: 'SchedulingGated',
        message,
      },
    ];
  }
}

function admitPriority(spec: JsonObject, pod: string, tx: WriteContext['tx']): void {
  const name = textAt(spec, 'priorityClassName');
  const classes = tx.list('priorityclasses.scheduling.k8s.io');
  const found = classes.find(({ object }) =>
    name === '' ? object['globalDefault'] === true : object.metadata.name === name,
  )?.object;
  if (name !== '' && found === undefined) throw forbidden(PODS, pod, `no PriorityClass with name ${name} was found`);
  if (found?.metadata.name !== undefined) spec['priorityClassName'] = found.metadata.name;
  spec['priority'] = found?.['value'] ?? 0;
  spec['preemptionPolicy'] = spec['preemptionPolicy'] ?? found?.['preemptionPolicy'] ?? 'PreemptLowerPriority';
}

function admitRuntimeClass(spec: JsonObject, pod: string, tx: WriteContext['tx']): void {
  const name = textAt(spec, 'runtimeClassName');
  if (name === '') return;
  const found = tx.get({ collection: 'runtimeclasses.node.k8s.io', namespace: '', name })?.object;
  if (found === undefined) throw forbidden(PODS, pod, `pod rejected: RuntimeClass "${name}" not found`);
  const overhead = at(found, 'overhead', 'podFixed');
  if (isObject(overhead)) spec['overhead'] = overhead;
  const selector = at(found, 'scheduling', 'nodeSelector');
  if (isObject(selector))
    spec['nodeSelector'] = { ...selector, ...(isObject(spec['nodeSelector']) ? spec['nodeSelector'] : {}) };
  const tolerations = objectsAt(found, 'scheduling', 'tolerations');
  if (tolerations.length > 0) spec['tolerations'] = [...objectsAt(spec, 'tolerations'), ...tolerations];
}

/** Only a Pod that a node may be running needs time to stop. */
function grace(pod: KubeObject, requested: number | undefined): number {
  const phase = at(pod, 'status', 'phase');
  if (textAt(pod, 'spec', 'nodeName') === '' || phase === 'Failed' || phase === 'Succeeded') return 0;
  const wanted = requested ?? at(pod, 'spec', 'terminationGracePeriodSeconds');
  const seconds = typeof wanted === 'number' ? wanted : 30;
  return seconds < 0 ? 1 : seconds;
}
