// The rules for metadata that hold for every type: what is checked, and what only the server may set.
import { dnsLabel, labelValue, qualifiedName } from '../api/names.js';
import { isObject, type KubeObject, type ObjectMeta, textAt } from '../api/objects.js';
import type { FieldError } from '../api/status.js';
import { keepField } from '../registry/behaviour.js';
import type { ResourceType } from '../registry/types.js';

const MAX_ANNOTATION_BYTES = 256 * 1024;

export function validateMetadata(type: ResourceType, object: KubeObject): FieldError[] {
  const { metadata } = object;
  const errors: FieldError[] = [];
  const name = metadata.name ?? '';
  const wrongName = type.behaviour.checkName(name);
  if (wrongName !== undefined) errors.push({ type: 'invalid', field: 'metadata.name', value: name, detail: wrongName });
  if (type.namespaced) {
    const wrong = dnsLabel(metadata.namespace ?? '');
    if (wrong !== undefined)
      errors.push({ type: 'invalid', field: 'metadata.namespace', value: metadata.namespace, detail: wrong });
  }
  for (const [key, value] of Object.entries(metadata.labels ?? {})) {
    errors.push(...wrongKey(key, 'metadata.labels'));
    const wrong = labelValue(value);
    if (wrong !== undefined) errors.push({ type: 'invalid', field: 'metadata.labels', value, detail: wrong });
  }
  let bytes = 0;
  for (const [key, value] of Object.entries(metadata.annotations ?? {})) {
    errors.push(...wrongKey(key.toLowerCase(), 'metadata.annotations'));
    bytes += key.length + value.length;
  }
  if (bytes > MAX_ANNOTATION_BYTES) {
    errors.push({
      type: 'tooLong',
      field: 'metadata.annotations',
      detail: `may not be more than ${MAX_ANNOTATION_BYTES} bytes`,
    });
  }
  for (const finalizer of metadata.finalizers ?? []) errors.push(...wrongFinalizer(finalizer));
  errors.push(...validateOwners(metadata));
  return errors;
}

function wrongKey(key: string, field: string): FieldError[] {
  const wrong = qualifiedName(key);
  return wrong === undefined ? [] : [{ type: 'invalid', field, value: key, detail: wrong }];
}

const PLAIN_FINALIZERS: ReadonlySet<string> = new Set(['orphan', 'foregroundDeletion', 'kubernetes']);

function wrongFinalizer(finalizer: string): FieldError[] {
  const field = 'metadata.finalizers';
  const wrong = qualifiedName(finalizer);
  if (wrong !== undefined) return [{ type: 'invalid', field, value: finalizer, detail: wrong }];
  if (finalizer.includes('/') || finalizer.includes('.') || PLAIN_FINALIZERS.has(finalizer)) return [];
  return [
    {
      type: 'invalid',
      field,
      value: finalizer,
      detail: 'name is neither a standard finalizer name nor is it fully qualified',
    },
  ];
}

function validateOwners(metadata: ObjectMeta): FieldError[] {
  const errors: FieldError[] = [];
  let controllers = 0;
  (metadata.ownerReferences ?? []).forEach((owner, index) => {
    const path = `metadata.ownerReferences[${index}]`;
    for (const field of ['apiVersion', 'kind', 'name', 'uid'] as const) {
      if (!isObject(owner) || textAt(owner, field) === '') {
        errors.push({ type: 'invalid', field: `${path}.${field}`, value: '', detail: `must not be empty` });
      }
    }
    if (owner.controller === true) controllers += 1;
  });
  if (controllers > 1) {
    const detail = 'Only one reference can have Controller set to true';
    errors.push({ type: 'invalid', field: 'metadata.ownerReferences', detail });
  }
  return errors;
}

const SERVER_SET = [
  'uid',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'generation',
  'namespace',
] as const;

/** Puts back what an update can not change. */
export function keepServerFields(next: KubeObject, old: KubeObject): void {
  for (const field of SERVER_SET) keepField(next.metadata, old.metadata, field);
  keepField(next.metadata, old.metadata, 'generateName');
}

/** An object that is being deleted may lose finalizers, never gain some. */
export function validateFinalizers(next: KubeObject, old: KubeObject): FieldError[] {
  if (old.metadata.deletionTimestamp === undefined) return [];
  const added = (next.metadata.finalizers ?? []).filter((item) => !(old.metadata.finalizers ?? []).includes(item));
  if (added.length === 0) return [];
  const detail = `no new finalizers can be added if the object is being deleted, found new finalizers ${JSON.stringify(added)}`;
  return [{ type: 'forbidden', field: 'metadata.finalizers', detail }];
}
