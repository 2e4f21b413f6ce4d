// What most resources do; each kind states only its differences.
import { dnsSubdomain } from '../api/names.js';
import type { KubeObject } from '../api/objects.js';
import type { Behaviour } from './types.js';

const PLAIN: Behaviour = {
  checkName: dnsSubdomain,
  createOnUpdate: false,
  unconditionalUpdate: true,
  returnsDeleted: false,
  hasGeneration: false,
  prepareCreate: () => {},
  afterCreate: () => {},
  prepareUpdate: () => {},
  prepareStatus: keepAllButStatus,
  validate: () => [],
  validateUpdate: () => [],
  prepareDelete: () => {},
  grace: () => 0,
};

export function behaviour(differences: Partial<Behaviour> = {}): Behaviour {
  return { ...PLAIN, ...differences };
}

/** The status subresource of most types: everything but status and metadata stays. */
export function keepAllButStatus(next: KubeObject, old: KubeObject): void {
  for (const field of new Set([...Object.keys(next), ...Object.keys(old)])) {
    if (field !== 'status' && field !== 'metadata') keepField(next, old, field);
  }
  keepField(next.metadata, old.metadata, 'ownerReferences');
}

/** Copies a field from `old`; absent there, it is absent in `next` as well. */
export function keepField<T extends object>(next: T, old: T, field: keyof T): void {
  if (old[field] === undefined) delete next[field];
  else next[field] = old[field];
}
