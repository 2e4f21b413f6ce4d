// The units of storage: keys, stored objects and changes, and how a change is written to disk.
// Invariant: a revision belongs to exactly one change, and revisions only grow.
import type { KubeObject } from '../api/objects.js';

export interface ObjectKey {
  /** The resource, for example `pods` or `devices.devices.kubeedge.io`. */
  readonly collection: string;
  /** Empty for objects of cluster scope. */
  readonly namespace: string;
  readonly name: string;
}

export interface StoredObject {
  readonly key: ObjectKey;
  readonly revision: number;
  /** Without apiVersion and kind; `metadata.resourceVersion` is the revision. Never changed. */
  readonly object: KubeObject;
  /** `object` as JSON. */
  readonly json: string;
}

export type Change =
  | { readonly type: 'ADDED'; readonly current: StoredObject; readonly previous?: undefined }
  | { readonly type: 'MODIFIED'; readonly current: StoredObject; readonly previous: StoredObject }
  /** `current` is the last state under the revision of the deletion. */
  | { readonly type: 'DELETED'; readonly current: StoredObject; readonly previous: StoredObject };

/** The key inside its collection; objects are listed in its order. */
export function localKey(key: ObjectKey): string {
  return key.namespace === '' ? key.name : `${key.namespace}/${key.name}`;
}

export function storedObject(key: ObjectKey, revision: number, draft: KubeObject): StoredObject {
  const metadata = { ...draft.metadata, resourceVersion: String(revision) };
  const object = { ...draft, metadata };
  return { key, revision, object, json: JSON.stringify(object) };
}

/** One line of a frame: `[revision, collection, namespace, name, object or null for a deletion]`. */
export function encodeChange(change: Change): string {
  const { key, revision, json } = change.current;
  const id = JSON.stringify([revision, key.collection, key.namespace, key.name]).slice(0, -1);
  return `${id},${change.type === 'DELETED' ? 'null' : json}]`;
}

export interface StoredLine {
  readonly key: ObjectKey;
  readonly revision: number;
  readonly object: KubeObject | null;
}

export function decodeLines(payload: string): StoredLine[] {
  const lines = JSON.parse(payload) as [number, string, string, string, KubeObject | null][];
  return lines.map(([revision, collection, namespace, name, object]) => ({
    revision,
    key: { collection, namespace, name },
    object,
  }));
}
