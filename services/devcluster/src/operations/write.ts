// The write operations on any resource, as steps inside one transaction. Reading, deciding and storing are one atomic step.
import { cloneJson, equalJson, isObject, type JsonObject, type KubeObject } from '../api/objects.js';
import {
  ApiError,
  alreadyExists,
  badRequest,
  conflict,
  forbidden,
  invalid,
  MODIFIED,
  notFound,
} from '../api/status.js';
import { apiVersionOf, keyOf, type ResourceType, resourceOf, type WriteContext } from '../registry/types.js';
import type { StoredObject } from '../storage/changes.js';
import { type Body, decodeObject, type FieldValidation } from './decode.js';
import { keepServerFields, validateFinalizers, validateMetadata } from './metadata.js';

export interface WriteOptions {
  readonly fieldValidation: FieldValidation;
}

export interface Target {
  readonly type: ResourceType;
  /** '' for cluster scope. */
  readonly namespace: string;
  readonly name: string;
  readonly subresource?: 'status';
}

const GENERATED = 'bcdfghjklmnpqrstvwxz2456789';
const GENERATED_LENGTH = 5;
const MAX_GENERATED_PREFIX = 58;
const GENERATE_TRIES = 8;

/** `random` gives whole numbers below its argument. */
export function createObject(
  type: ResourceType,
  namespace: string,
  body: Body,
  options: WriteOptions,
  context: WriteContext,
  random: (below: number) => number,
): StoredObject {
  if (type.terminating) {
    const message = 'create not allowed while custom resource definition is terminating';
    throw new ApiError(405, 'MethodNotAllowed', message);
  }
  const next = decodeObject(type, body, options.fieldValidation, context.warn);
  setNamespace(type, next, namespace);
  checkNamespace(type, next, context);
  generateName(type, next, context, random);
  return insert(type, next, context);
}

function insert(type: ResourceType, next: KubeObject, context: WriteContext): StoredObject {
  const { metadata } = next;
  if (!metadata.name) {
    throw invalid(type.group, type.kind, '', [
      { type: 'required', field: 'metadata.name', detail: 'name or generateName is required' },
    ]);
  }
  if (metadata.resourceVersion) throw badRequest('resourceVersion should not be set on objects to be created');
  const key = keyOf(type, metadata.namespace ?? '', metadata.name);
  if (context.tx.get(key) !== undefined) throw alreadyExists(resourceOf(type), metadata.name);
  delete metadata.deletionTimestamp;
  delete metadata.deletionGracePeriodSeconds;
  delete metadata.generation;
  metadata.uid = context.newUid();
  metadata.creationTimestamp = context.now;
  if (type.behaviour.hasGeneration) metadata.generation = 1;
  type.behaviour.prepareCreate(next, context);
  const errors = [...validateMetadata(type, next), ...type.behaviour.validate(next)];
  if (errors.length > 0) throw invalid(type.group, type.kind, metadata.name, errors);
  const stored = context.tx.put(key, next);
  type.behaviour.afterCreate(stored, context);
  return stored;
}

function setNamespace(type: ResourceType, object: KubeObject, namespace: string): void {
  const { metadata } = object;
  if (!type.namespaced) delete metadata.namespace;
  else if (metadata.namespace === undefined || metadata.namespace === '') metadata.namespace = namespace;
  else if (metadata.namespace !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  }
}

function checkNamespace(type: ResourceType, object: KubeObject, { tx }: WriteContext): void {
  const name = object.metadata.namespace;
  if (!type.namespaced || name === undefined) return;
  const found = tx.get({ collection: 'namespaces', namespace: '', name });
  if (found === undefined) throw notFound({ group: '', resource: 'namespaces' }, name);
  if (found.object.metadata.deletionTimestamp === undefined) return;
  const why = `unable to create new content in namespace ${name} because it is being terminated`;
  const cause = {
    reason: 'NamespaceTerminating',
    message: `namespace ${name} is being terminated`,
    field: 'metadata.namespace',
  };
  throw forbidden(resourceOf(type), object.metadata.name ?? '', why, cause);
}

function generateName(
  type: ResourceType,
  object: KubeObject,
  { tx }: WriteContext,
  random: (below: number) => number,
): void {
  const { metadata } = object;
  if (metadata.name || !metadata.generateName) return;
  const prefix = metadata.generateName.slice(0, MAX_GENERATED_PREFIX);
  for (let tries = 0; tries < GENERATE_TRIES; tries++) {
    const suffix = Array.from({ length: GENERATED_LENGTH }, () => GENERATED[random(GENERATED.length)]).join('');
    metadata.name = `${prefix}${suffix}`;
    if (tx.get(keyOf(type, metadata.namespace ?? '', metadata.name)) === undefined) return;
  }
}

/** PUT. Returns whether the object was created by it. */
export function updateObject(
  target: Target,
  body: Body,
  options: WriteOptions,
  context: WriteContext,
): { stored: StoredObject; created: boolean } {
  const { type, namespace, name } = target;
  const next = decodeObject(type, body, options.fieldValidation, context.warn);
  setNamespace(type, next, namespace);
  if (next.metadata.name === undefined) next.metadata.name = name;
  if (next.metadata.name !== name) {
    throw badRequest(`the name of the object (${next.metadata.name}) does not match the name on the URL (${name})`);
  }
  const old = context.tx.get(keyOf(type, namespace, name));
  if (old === undefined) {
    if (!type.behaviour.createOnUpdate || target.subresource !== undefined) throw notFound(resourceOf(type), name);
    checkNamespace(type, next, context);
    delete next.metadata.resourceVersion;
    return { stored: insert(type, next, context), created: true };
  }
  if (next.metadata.resourceVersion === undefined && !type.behaviour.unconditionalUpdate) {
    throw invalid(type.group, type.kind, name, [
      { type: 'invalid', field: 'metadata.resourceVersion', value: 0, detail: 'must be specified for an update' },
    ]);
  }
  return { stored: replace(target, next, old, context), created: false };
}

/** PATCH: `apply` gets the object as this version shows it and returns the patched one. */
export function patchObject(
  target: Target,
  apply: (current: JsonObject) => unknown,
  duplicates: readonly string[],
  options: WriteOptions,
  context: WriteContext,
): StoredObject {
  const { type, namespace, name } = target;
  const old = context.tx.get(keyOf(type, namespace, name));
  if (old === undefined) throw notFound(resourceOf(type), name);
  const patched = apply({ kind: type.kind, apiVersion: apiVersionOf(type), ...old.object });
  if (!isObject(patched)) throw badRequest('the patched document is no object');
  const next = decodeObject(type, { value: patched, duplicates }, options.fieldValidation, context.warn);
  if (next.metadata.name !== name) {
    throw badRequest(
      `the name of the object (${next.metadata.name ?? ''}) does not match the name on the URL (${name})`,
    );
  }
  setNamespace(type, next, namespace);
  return replace(target, next, old, context);
}

/** Stores `next` (ours to change) in place of `old`; nothing is written when nothing differs. */
function replace(target: Target, given: KubeObject, old: StoredObject, context: WriteContext): StoredObject {
  const { type, name } = target;
  const { tx } = context;
  const was = old.object;
  if (given.metadata.uid !== undefined && given.metadata.uid !== was.metadata.uid) {
    const why = `Precondition failed: UID in precondition: ${given.metadata.uid}, UID in object meta: ${was.metadata.uid ?? ''}`;
    throw conflict(resourceOf(type), name, why);
  }
  const { resourceVersion } = given.metadata;
  if (resourceVersion !== undefined && resourceVersion !== was.metadata.resourceVersion) {
    throw conflict(resourceOf(type), name, MODIFIED);
  }
  const next = cloneJson(given);
  keepServerFields(next, was);
  if (target.subresource === 'status') type.behaviour.prepareStatus(next, was);
  else type.behaviour.prepareUpdate(next, was, context);
  if (type.behaviour.hasGeneration && !sameDesired(next, was))
    next.metadata.generation = (was.metadata.generation ?? 0) + 1;
  const errors = [
    ...validateMetadata(type, next),
    ...validateFinalizers(next, was),
    ...type.behaviour.validate(next),
    ...type.behaviour.validateUpdate(next, was),
  ];
  if (errors.length > 0) throw invalid(type.group, type.kind, name, errors);
  next.metadata.resourceVersion = was.metadata.resourceVersion ?? '';
  if (isGone(next)) return tx.remove(old.key);
  return equalJson(next, was) ? old : tx.put(old.key, next);
}

/** Everything besides metadata and status is what somebody wants. */
function sameDesired(next: KubeObject, old: KubeObject): boolean {
  const { metadata: _m, status: _s, ...now } = next;
  const { metadata: _om, status: _os, ...was } = old;
  return equalJson(now, was);
}

/** Deleted, nobody holds it any longer, and its grace is over. */
export function isGone(object: KubeObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds, finalizers } = object.metadata;
  const specFinalizers = object.spec?.['finalizers'];
  if (Array.isArray(specFinalizers) && specFinalizers.length > 0) return false;
  return deletionTimestamp !== undefined && (deletionGracePeriodSeconds ?? 0) === 0 && (finalizers ?? []).length === 0;
}
