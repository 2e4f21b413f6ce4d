// Versions of delivered state: <projection>/<uid>/<x>, compared for equality only.
// Invariant: two values that are equal as JSON have the same version, whatever the order of their members.
import { createHash } from 'node:crypto';

/** JSON with members sorted by name at every level; undefined members are left out as JSON.stringify does. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) => {
    if (typeof member !== 'object' || member === null || Array.isArray(member)) return member;
    return Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

/** 128 bits of SHA-256 over the canonical JSON, as 32 hexadecimal digits. */
export function contentHash(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex').slice(0, 32);
}

/**
 * @param projection number of the code that made `value` from its object; raised when that code changes what is delivered
 * @param uid the object's UID, empty where it has none
 */
export function versionOf(projection: number, uid: string, value: unknown): string {
  return `${projection}/${uid}/${contentHash(value)}`;
}
