// Events that the cluster's own controllers write. The name is a hash of what is said, so that a repetition is a count and not an object.
import { createHash } from 'node:crypto';
import { type JsonObject, textAt } from '../api/objects.js';
import { rfc3339 } from '../api/time.js';
import type { StoredObject } from '../storage/changes.js';
import type { Transaction } from '../storage/draft.js';
import { EVENTS, NAMESPACES } from './access.js';

export interface EventText {
  /** For example `Pod`; only kinds of the core group have events here. */
  readonly kind: string;
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
  /** Who says it, for example `default-scheduler`. */
  readonly component: string;
}

export interface EventContext {
  readonly nowMs: number;
  readonly newUid: () => string;
  /** The same again is not counted before this many milliseconds have passed since the last time. */
  readonly quietMs?: number;
}

/** Of the name of the object; the rest of the 253 characters is a dot and the hash. */
const MAX_NAME = 236;

/** Writes an event about `involved`, or counts it when the same was said before. A namespace in deletion takes none. */
export function recordEvent(tx: Transaction, involved: StoredObject, text: EventText, context: EventContext): void {
  const namespace = involved.key.namespace || 'default';
  const home = tx.get({ collection: NAMESPACES, namespace: '', name: namespace });
  if (home === undefined || home.object.metadata.deletionTimestamp !== undefined) return;
  const name = `${involved.key.name.slice(0, MAX_NAME)}.${hashOf(involved, text)}`;
  const key = { collection: EVENTS, namespace, name };
  const now = rfc3339(context.nowMs);
  const known = tx.get(key)?.object;
  if (known !== undefined) {
    if (context.nowMs - Date.parse(textAt(known, 'lastTimestamp')) < (context.quietMs ?? 0)) return;
    tx.put(key, { ...known, count: Number(known['count'] ?? 0) + 1, lastTimestamp: now });
    return;
  }
  tx.put(key, {
    metadata: { name, namespace, uid: context.newUid(), creationTimestamp: now },
    involvedObject: reference(involved, text.kind),
    type: text.type,
    reason: text.reason,
    message: text.message,
    source: { component: text.component },
    firstTimestamp: now,
    lastTimestamp: now,
    count: 1,
    eventTime: null,
    reportingComponent: text.component,
    reportingInstance: '',
  });
}

function hashOf(involved: StoredObject, { type, reason, message, component }: EventText): string {
  const said = JSON.stringify([involved.object.metadata.uid, type, reason, message, component]);
  return createHash('sha256').update(said).digest('hex').slice(0, 16);
}

function reference({ key, object }: StoredObject, kind: string): JsonObject {
  const { uid = '', resourceVersion = '' } = object.metadata;
  const scope = key.namespace === '' ? {} : { namespace: key.namespace };
  return { kind, ...scope, name: key.name, uid, apiVersion: 'v1', resourceVersion };
}
