// What the server knows about one resource in one version: its names, schema, behaviour and columns. Generic code reads nothing else.
import type { NameCheck } from '../api/names.js';
import type { KubeObject } from '../api/objects.js';
import type { FieldError } from '../api/status.js';
import type { Definitions, Schema } from '../schema/types.js';
import type { FieldReader } from '../selectors/fields.js';
import type { ObjectKey, StoredObject } from '../storage/changes.js';
import type { Transaction } from '../storage/draft.js';
import type { TableColumn } from '../table/columns.js';

/** What a write may use: the open transaction, time, ids, and a place for warnings to the client. */
export interface WriteContext {
  readonly tx: Transaction;
  /** RFC 3339 with seconds. */
  readonly now: string;
  readonly newUid: () => string;
  readonly warn: (text: string) => void;
}

/** How one kind of object differs from the others. Hooks change `next` in place; it is always a copy of our own. */
export interface Behaviour {
  readonly checkName: NameCheck;
  /** PUT of an object that does not exist creates it. */
  readonly createOnUpdate: boolean;
  /** An update may leave out metadata.resourceVersion. */
  readonly unconditionalUpdate: boolean;
  /** DELETE answers with the object instead of a Status. */
  readonly returnsDeleted: boolean;
  /** metadata.generation counts changes of the desired state. */
  readonly hasGeneration: boolean;
  /** Admission and defaults of a new object. May throw ApiError. */
  prepareCreate(next: KubeObject, context: WriteContext): void;
  /** Runs after the object was stored, in the same transaction. */
  afterCreate(stored: StoredObject, context: WriteContext): void;
  prepareUpdate(next: KubeObject, old: KubeObject, context: WriteContext): void;
  /** For the status subresource: keeps from `old` what it must not change. */
  prepareStatus(next: KubeObject, old: KubeObject): void;
  validate(next: KubeObject): FieldError[];
  validateUpdate(next: KubeObject, old: KubeObject): FieldError[];
  /** May refuse a deletion (throws), and adds what a deletion has to wait for. */
  prepareDelete(next: KubeObject, context: WriteContext): void;
  /** Seconds of grace, given those asked for; 0 = at once. */
  grace(object: KubeObject, requested: number | undefined): number;
}

export interface Subresource {
  readonly name: string;
  readonly kind: string;
  readonly group: string;
  readonly version: string;
  readonly verbs: readonly string[];
}

export interface ResourceType {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly listKind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  /** The storage collection; shared by the versions of one resource. */
  readonly collection: string;
  readonly schema: Schema;
  readonly definitions: Definitions;
  /** From a CustomResourceDefinition: pruned and validated by its schema, no strategic merge patch. */
  readonly custom: boolean;
  readonly hasStatus: boolean;
  readonly subresources: readonly Subresource[];
  readonly fields: Readonly<Record<string, FieldReader>>;
  readonly columns: readonly TableColumn[];
  readonly behaviour: Behaviour;
  /** Its definition is being deleted: nothing new is taken. */
  readonly terminating: boolean;
  /** Shown to every client that uses this version. */
  readonly deprecation?: string;
}

export const VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'] as const;

export function apiVersionOf(type: { readonly group: string; readonly version: string }): string {
  return type.group === '' ? type.version : `${type.group}/${type.version}`;
}

export function resourceOf(type: ResourceType): { group: string; resource: string } {
  return { group: type.group, resource: type.plural };
}

export function keyOf(type: ResourceType, namespace: string, name: string): ObjectKey {
  return { collection: type.collection, namespace: type.namespaced ? namespace : '', name };
}

export function collectionName(group: string, plural: string): string {
  return group === '' ? plural : `${plural}.${group}`;
}
