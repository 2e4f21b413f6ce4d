// Deletion of any resource, inside one transaction: at once, or by a deletion time stamp that finalizers or grace keep visible.
import { cloneJson, type JsonObject, type KubeObject, textAt } from '../api/objects.js';
import { badRequest, conflict, notFound } from '../api/status.js';
import { rfc3339 } from '../api/time.js';
import { keyOf, type ResourceType, resourceOf, type WriteContext } from '../registry/types.js';
import { BUILTIN, builtinSchema } from '../schema/builtin.js';
import type { StoredObject } from '../storage/changes.js';
import { decodeFixed } from './decode.js';
import { isGone } from './write.js';

export type Propagation = 'Background' | 'Foreground' | 'Orphan';

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagation?: Propagation;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly dryRun?: boolean;
}

export const FOREGROUND = 'foregroundDeletion';
export const ORPHAN = 'orphan';

/** From the body (may be empty) and the query of a DELETE. Throws 400. */
export function parseDeleteOptions(body: JsonObject | undefined, query: URLSearchParams): DeleteOptions {
  const given = body === undefined ? {} : decodeFixed(builtinSchema('DeleteOptions'), BUILTIN, 'DeleteOptions', body);
  const grace = given['gracePeriodSeconds'] ?? numberOf(query.get('gracePeriodSeconds'));
  const preconditions = given['preconditions'];
  const propagation = propagationOf(given, query);
  const uid = textAt(preconditions, 'uid');
  const resourceVersion = textAt(preconditions, 'resourceVersion');
  return {
    ...(typeof grace === 'number' ? { gracePeriodSeconds: grace } : {}),
    ...(propagation === undefined ? {} : { propagation }),
    ...(uid === '' ? {} : { uid }),
    ...(resourceVersion === '' ? {} : { resourceVersion }),
    dryRun: isDryRun(query) || (Array.isArray(given['dryRun']) && given['dryRun'].includes('All')),
  };
}

/** Throws 400 for a `dryRun` that is not `All`. */
export function isDryRun(query: URLSearchParams): boolean {
  const values = query.getAll('dryRun');
  const wrong = values.find((value) => value !== 'All');
  if (wrong !== undefined)
    throw badRequest(`dryRun: Unsupported value: ${JSON.stringify(wrong)}: supported values: "All"`);
  return values.length > 0;
}

function numberOf(text: string | null): number | undefined {
  if (text === null || text === '') return undefined;
  if (!/^-?\d{1,15}$/.test(text)) throw badRequest(`gracePeriodSeconds: ${JSON.stringify(text)} is no whole number`);
  return Number(text);
}

function propagationOf(given: JsonObject, query: URLSearchParams): Propagation | undefined {
  const orphan = given['orphanDependents'] ?? query.get('orphanDependents');
  if (orphan === true || orphan === 'true') return 'Orphan';
  const policy = given['propagationPolicy'] ?? query.get('propagationPolicy') ?? undefined;
  if (policy === undefined) return undefined;
  if (policy === 'Background' || policy === 'Foreground' || policy === 'Orphan') return policy;
  throw badRequest(
    `propagationPolicy: Unsupported value: ${JSON.stringify(policy)}: supported values: "Background", "Foreground", "Orphan"`,
  );
}

/** Returns the last state and whether the object is gone. Throws 404, and 409 when a precondition does not hold. */
export function deleteObject(
  type: ResourceType,
  namespace: string,
  name: string,
  options: DeleteOptions,
  context: WriteContext,
): { stored: StoredObject; gone: boolean } {
  const { tx } = context;
  const key = keyOf(type, namespace, name);
  const old = tx.get(key);
  if (old === undefined) throw notFound(resourceOf(type), name);
  checkPreconditions(type, old.object, options);
  const next = cloneJson(old.object);
  type.behaviour.prepareDelete(next, context);
  setPropagation(next, options.propagation);
  markDeleted(next, type.behaviour.grace(next, options.gracePeriodSeconds), context.now);
  if (isGone(next)) return { stored: tx.remove(key), gone: true };
  if (JSON.stringify(next) === old.json) return { stored: old, gone: false };
  return { stored: tx.put(key, next), gone: false };
}

function checkPreconditions(type: ResourceType, object: KubeObject, { uid, resourceVersion }: DeleteOptions): void {
  const { metadata } = object;
  const name = metadata.name ?? '';
  if (uid !== undefined && uid !== metadata.uid) {
    const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${metadata.uid ?? ''}`;
    throw conflict(resourceOf(type), name, why);
  }
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
    const why = `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${metadata.resourceVersion ?? ''}`;
    throw conflict(resourceOf(type), name, why);
  }
}

function setPropagation(next: KubeObject, propagation: Propagation | undefined): void {
  if (propagation === undefined) return;
  const others = (next.metadata.finalizers ?? []).filter((item) => item !== FOREGROUND && item !== ORPHAN);
  if (propagation === 'Foreground') others.push(FOREGROUND);
  if (propagation === 'Orphan') others.push(ORPHAN);
  if (others.length > 0) next.metadata.finalizers = others;
  else delete next.metadata.finalizers;
}

/** The grace of an object that is already being deleted can only become shorter. */
function markDeleted(next: KubeObject, graceSeconds: number, now: string): void {
  const { metadata } = next;
  const before = metadata.deletionGracePeriodSeconds;
  if (metadata.deletionTimestamp !== undefined && before !== undefined && before <= graceSeconds) return;
  if (metadata.deletionTimestamp === undefined && metadata.generation !== undefined) metadata.generation += 1;
  const asked =
    metadata.deletionTimestamp === undefined
      ? Date.parse(now)
      : Date.parse(metadata.deletionTimestamp) - (before ?? 0) * 1000;
  metadata.deletionTimestamp = rfc3339(asked + graceSeconds * 1000);
  metadata.deletionGracePeriodSeconds = graceSeconds;
}
