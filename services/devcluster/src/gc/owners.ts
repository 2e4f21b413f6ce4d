// What ownership makes of an object, by the rules of Kubernetes' garbage collector. Pure.
import type { KubeObject, OwnerReference } from '../api/objects.js';
import { FOREGROUND, ORPHAN, type Propagation } from '../operations/delete.js';

/**
 * `absent`: not there, or another object has its name now; `waiting`: in foreground deletion, until its dependents are gone; `unknown`: of a
 * kind that is not served or can not be looked up, so that nothing may follow from it.
 */
export type OwnerState = 'present' | 'absent' | 'waiting' | 'unknown';

export type Verdict =
  | { readonly kind: 'keep' }
  /** Some owners stay: the references to the others, by UID, are dropped. */
  | { readonly kind: 'release'; readonly owners: ReadonlySet<string> }
  | { readonly kind: 'delete'; readonly propagation: Propagation };

const KEEP: Verdict = { kind: 'keep' };

export function ownersOf(object: KubeObject): readonly OwnerReference[] {
  return object.metadata.ownerReferences ?? [];
}

export function hasFinalizer(object: KubeObject, finalizer: string): boolean {
  return object.metadata.finalizers?.includes(finalizer) === true;
}

/** In deletion, and staying until the dependents that block it are gone. */
export function awaitsDependents(object: KubeObject | undefined): boolean {
  return object?.metadata.deletionTimestamp !== undefined && hasFinalizer(object, FOREGROUND);
}

/** What becomes of an object, given its owners and whether it owns something itself. */
export function judge(
  object: KubeObject,
  stateOf: (owner: OwnerReference) => OwnerState,
  hasDependents: boolean,
): Verdict {
  const owners = ownersOf(object);
  if (owners.length === 0 || object.metadata.deletionTimestamp !== undefined) return KEEP;
  const states = owners.map((owner) => ({ uid: owner.uid, state: stateOf(owner) }));
  const lost = states.filter(({ state }) => state === 'absent' || state === 'waiting');
  if (lost.length === 0) return KEEP;
  if (lost.length < states.length) return { kind: 'release', owners: new Set(lost.map(({ uid }) => uid)) };
  if (hasDependents && lost.some(({ state }) => state === 'waiting'))
    return { kind: 'delete', propagation: 'Foreground' };
  if (hasFinalizer(object, ORPHAN)) return { kind: 'delete', propagation: 'Orphan' };
  return { kind: 'delete', propagation: hasFinalizer(object, FOREGROUND) ? 'Foreground' : 'Background' };
}

/** Whether the owner with that UID, in foreground deletion, has to wait for the object. */
export function blocks(object: KubeObject, owner: string): boolean {
  return ownersOf(object).some(({ uid, blockOwnerDeletion }) => uid === owner && blockOwnerDeletion === true);
}

export function withoutOwners(object: KubeObject, owners: ReadonlySet<string>): KubeObject {
  return withMetadata(
    object,
    'ownerReferences',
    ownersOf(object).filter(({ uid }) => !owners.has(uid)),
  );
}

/** No owner waits for it any longer: cuts circles of owners that would wait for each other. */
export function unblocking(object: KubeObject): KubeObject {
  return withMetadata(
    object,
    'ownerReferences',
    ownersOf(object).map((owner) => ({ ...owner, blockOwnerDeletion: false })),
  );
}

export function withoutFinalizer(object: KubeObject, finalizer: string): KubeObject {
  return withMetadata(
    object,
    'finalizers',
    (object.metadata.finalizers ?? []).filter((item) => item !== finalizer),
  );
}

/** An empty list is left out, as the API shows it. */
function withMetadata(
  object: KubeObject,
  field: 'finalizers' | 'ownerReferences',
  list: readonly unknown[],
): KubeObject {
  const { [field]: _, ...metadata } = object.metadata;
  return { ...object, metadata: list.length === 0 ? metadata : { ...metadata, [field]: list } };
}
