// From a request body to an object of a known type: kind and version checked, unknown fields dropped and reported.
import { isObject, type JsonObject, type KubeObject, showValue } from '../api/objects.js';
import { type ApiError, badRequest } from '../api/status.js';
import { apiVersionOf, type ResourceType } from '../registry/types.js';
import { decodeTyped, prune } from '../schema/decode.js';
import type { Definitions, Schema } from '../schema/types.js';

/** What to do with fields that the type does not have. */
export type FieldValidation = 'Strict' | 'Warn' | 'Ignore';

export interface Body {
  readonly value: JsonObject;
  /** Paths of fields that were given twice. */
  readonly duplicates: readonly string[];
}

/** Throws 400 as the API server does. */
export function decodeObject(
  type: ResourceType,
  body: Body,
  validation: FieldValidation,
  warn: (text: string) => void,
): KubeObject {
  const { value } = body;
  const wanted = apiVersionOf(type);
  if (value['apiVersion'] !== undefined && value['apiVersion'] !== '' && value['apiVersion'] !== wanted) {
    throw badRequest(
      `the API version in the data (${showValue(value['apiVersion'])}) does not match the expected API version (${wanted})`,
    );
  }
  const kind = value['kind'];
  if (kind !== undefined && kind !== '' && kind !== type.kind) {
    throw badRequest(
      `${showValue(kind)} in version ${JSON.stringify(type.version)} cannot be handled as a ${type.kind}`,
    );
  }
  const what = `${type.kind} in version "${type.version}" cannot be handled as a ${type.kind}`;
  const { metadata, object } = splitMetadata(type, value);
  const decoded = type.custom
    ? prune(type.schema, type.definitions, object)
    : decodeTyped(type.schema, type.definitions, object);
  if (decoded.mismatch !== undefined) throw badRequest(`${what}: ${decoded.mismatch}`);
  report(what, [...decoded.unknown, ...metadata.unknown], body.duplicates, validation, warn);
  return { ...(decoded.value as KubeObject), metadata: metadata.value };
}

/** Decodes a body of a fixed kind, such as DeleteOptions or Binding. Throws 400. */
export function decodeFixed(schema: Schema, definitions: Definitions, kind: string, value: JsonObject): JsonObject {
  const decoded = decodeTyped(schema, definitions, value);
  if (decoded.mismatch !== undefined) throw badRequest(`${kind} cannot be decoded: ${decoded.mismatch}`);
  return decoded.value as JsonObject;
}

const META_FIELDS: ReadonlySet<string> = new Set([
  'annotations',
  'creationTimestamp',
  'deletionGracePeriodSeconds',
  'deletionTimestamp',
  'finalizers',
  'generateName',
  'generation',
  'labels',
  'managedFields',
  'name',
  'namespace',
  'ownerReferences',
  'resourceVersion',
  'selfLink',
  'uid',
]);
const STRINGS = [
  'name',
  'generateName',
  'namespace',
  'uid',
  'resourceVersion',
  'creationTimestamp',
  'deletionTimestamp',
] as const;

/** Metadata is the same for all types: it is checked here, by hand, and never pruned by a custom resource's schema. */
function splitMetadata(type: ResourceType, value: JsonObject) {
  const { apiVersion: _a, kind: _k, metadata = {}, ...object } = value;
  const wrong = (why: string): ApiError =>
    badRequest(`${type.kind} in version "${type.version}" cannot be handled as a ${type.kind}: ${why}`);
  if (metadata !== null && !isObject(metadata))
    throw wrong('json: cannot unmarshal metadata into Go value of type v1.ObjectMeta');
  const kept: JsonObject = {};
  const unknown: string[] = [];
  for (const [field, item] of Object.entries(metadata ?? {})) {
    if (!META_FIELDS.has(field)) unknown.push(`metadata.${field}`);
    else if (item !== null && field !== 'managedFields' && field !== 'selfLink' && !isEmpty(item)) kept[field] = item;
  }
  for (const field of STRINGS) {
    if (kept[field] !== undefined && typeof kept[field] !== 'string') {
      throw wrong(
        `json: cannot unmarshal ${typeof kept[field]} into Go struct field ObjectMeta.metadata.${field} of type string`,
      );
    }
  }
  for (const field of ['labels', 'annotations']) {
    const map = kept[field];
    if (map === undefined) continue;
    const bad = isObject(map) ? Object.entries(map).find(([, item]) => typeof item !== 'string') : [field, map];
    if (bad !== undefined) {
      throw wrong(
        `json: cannot unmarshal ${typeof bad[1]} into Go struct field ObjectMeta.metadata.${field} of type string`,
      );
    }
  }
  checkLists(kept, wrong);
  return { object, metadata: { value: kept as KubeObject['metadata'], unknown } };
}

function checkLists(metadata: JsonObject, wrong: (why: string) => ApiError): void {
  const { finalizers, ownerReferences } = metadata;
  if (
    finalizers !== undefined &&
    !(Array.isArray(finalizers) && finalizers.every((item) => typeof item === 'string'))
  ) {
    throw wrong('json: cannot unmarshal into Go struct field ObjectMeta.metadata.finalizers of type []string');
  }
  if (ownerReferences !== undefined && !(Array.isArray(ownerReferences) && ownerReferences.every(isObject))) {
    throw wrong(
      'json: cannot unmarshal into Go struct field ObjectMeta.metadata.ownerReferences of type []v1.OwnerReference',
    );
  }
}

function isEmpty(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  return value === '' || (isObject(value) && Object.keys(value).length === 0);
}

function report(
  what: string,
  unknown: readonly string[],
  duplicates: readonly string[],
  validation: FieldValidation,
  warn: (text: string) => void,
): void {
  if (validation === 'Ignore') return;
  const texts = [
    ...unknown.map((path) => `unknown field ${JSON.stringify(path)}`),
    ...duplicates.map((path) => `duplicate field ${JSON.stringify(path)}`),
  ];
  if (texts.length === 0) return;
  if (validation === 'Strict') throw badRequest(`${what}: strict decoding error: ${texts.join(', ')}`);
  for (const text of texts) warn(text);
}
