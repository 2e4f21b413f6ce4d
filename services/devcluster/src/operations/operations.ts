// The operations of the API, for HTTP handlers and for the controllers inside. Each write is one durable transaction.
import type { Clock } from '@skerry/common/clock';
import { isObject, type JsonObject, textAt } from '../api/objects.js';
import { badRequest, conflict, notFound } from '../api/status.js';
import { rfc3339 } from '../api/time.js';
import type { Registry } from '../registry/registry.js';
import { keyOf, type ResourceType, resourceOf, type WriteContext } from '../registry/types.js';
import type { StoredObject } from '../storage/changes.js';
import type { Transaction } from '../storage/draft.js';
import type { Store } from '../storage/store.js';
import type { Body, FieldValidation } from './decode.js';
import { type DeleteOptions, deleteObject } from './delete.js';
import { createObject, patchObject, type Target, updateObject } from './write.js';

export interface CallOptions {
  readonly dryRun?: boolean;
  readonly fieldValidation?: FieldValidation;
  /** Called for each warning to the client. */
  readonly warn?: (text: string) => void;
}

export interface PatchInput {
  readonly apply: (current: JsonObject) => unknown;
  readonly duplicates: readonly string[];
}

export interface Operations {
  create(type: ResourceType, namespace: string, body: Body, options?: CallOptions): Promise<StoredObject>;
  update(target: Target, body: Body, options?: CallOptions): Promise<{ stored: StoredObject; created: boolean }>;
  patch(target: Target, patch: PatchInput, options?: CallOptions): Promise<StoredObject>;
  remove(
    type: ResourceType,
    namespace: string,
    name: string,
    options: DeleteOptions,
  ): Promise<{ stored: StoredObject; gone: boolean }>;
  /** Deletes all that match, in one transaction; returns their last states. */
  removeAll(
    type: ResourceType,
    namespace: string,
    filter: (stored: StoredObject) => boolean,
    options: DeleteOptions,
  ): Promise<StoredObject[]>;
  /** Binds a Pod to a node, as the scheduler does. Throws 404, 409. */
  bind(namespace: string, pod: string, binding: JsonObject, options?: CallOptions): Promise<void>;
}

export interface OperationsOptions {
  readonly store: Store;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly newUid: () => string;
  /** A random whole number below its argument. */
  readonly random: (below: number) => number;
}

export function createOperations(options: OperationsOptions): Operations {
  const { store, registry, clock, newUid, random } = options;

  function contextOf(tx: Transaction, warn: (text: string) => void = () => {}): WriteContext {
    return { tx, now: rfc3339(clock.nowMs()), newUid, warn };
  }

  /** One transaction with a context; dry runs keep nothing. */
  function write<T>(call: CallOptions, fn: (context: WriteContext) => T): Promise<T> {
    return store.transact((tx) => fn(contextOf(tx, call.warn)), { dryRun: call.dryRun === true });
  }

  const validationOf = (call: CallOptions): { fieldValidation: FieldValidation } => ({
    fieldValidation: call.fieldValidation ?? 'Warn',
  });

  return {
    create: (type, namespace, body, call = {}) =>
      write(call, (context) => createObject(type, namespace, body, validationOf(call), context, random)),
    update: (target, body, call = {}) =>
      write(call, (context) => updateObject(target, body, validationOf(call), context)),
    patch: (target, patch, call = {}) =>
      write(call, (context) => patchObject(target, patch.apply, patch.duplicates, validationOf(call), context)),
    remove: (type, namespace, name, call) =>
      write({ dryRun: call.dryRun === true }, (context) => deleteObject(type, namespace, name, call, context)),
    removeAll: (type, namespace, filter, call) =>
      write({ dryRun: call.dryRun === true }, (context) =>
        context.tx
          .list(type.collection, namespace === '' ? undefined : namespace)
          .filter(filter)
          .map(({ key }) => deleteObject(type, key.namespace, key.name, call, context).stored),
      ),
    bind: async (namespace, pod, binding, call = {}) => {
      const type = registry.find('', 'v1', 'pods');
      if (type === undefined) throw notFound({ group: '', resource: 'pods' }, pod);
      await write(call, (context) => bindPod(type, namespace, pod, binding, context));
    },
  };
}

function bindPod(
  type: ResourceType,
  namespace: string,
  name: string,
  binding: JsonObject,
  context: WriteContext,
): void {
  const kind = textAt(binding, 'target', 'kind');
  const node = textAt(binding, 'target', 'name');
  if ((kind !== '' && kind !== 'Node') || node === '') throw badRequest('target: a Binding needs the name of a Node');
  const key = keyOf(type, namespace, name);
  const pod = context.tx.get(key)?.object;
  if (pod === undefined) throw notFound(resourceOf(type), name);
  const uid = textAt(binding, 'metadata', 'uid');
  if (uid !== '' && uid !== pod.metadata.uid) {
    throw conflict(
      resourceOf(type),
      name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${pod.metadata.uid ?? ''}`,
    );
  }
  if (pod.metadata.deletionTimestamp !== undefined) {
    throw conflict(resourceOf(type), name, `pod ${name} is being deleted, cannot be assigned to a host`);
  }
  const bound = textAt(pod.spec, 'nodeName');
  if (bound !== '') throw conflict(resourceOf(type), name, `pod ${name} is already assigned to node "${bound}"`);
  if (Array.isArray(pod.spec?.['schedulingGates'])) {
    throw conflict(resourceOf(type), name, `pod ${name} has non-empty .spec.schedulingGates`);
  }
  const conditions = Array.isArray(pod.status?.['conditions']) ? pod.status['conditions'].filter(isObject) : [];
  const scheduled = { type: 'PodScheduled', status: 'True', lastProbeTime: null, lastTransitionTime: context.now };
  context.tx.put(key, {
    ...pod,
    spec: { ...pod.spec, nodeName: node },
    status: { ...pod.status, conditions: [...conditions.filter((item) => item['type'] !== 'PodScheduled'), scheduled] },
  });
}
