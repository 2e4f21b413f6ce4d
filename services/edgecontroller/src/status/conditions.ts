// Conditions of a Pod or Node when several write them: the edge's own are replaced by its report, everybody else's stay. Pure.
import { isJsonObject } from '@skerry/common/controller/json';
import { canonicalJson } from '@skerry/common/version';

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
  readonly lastHeartbeatTime?: string;
}

/** Conditions of our own making, on any object. */
const OWN_PREFIX = 'skerry.dev/';

/** Which condition types an edge may write: `core` and ours. */
export function edgeOwned(core: readonly string[]): (type: string) => boolean {
  const types = new Set(core);
  return (type) => types.has(type) || type.startsWith(OWN_PREFIX);
}

export function mergeConditions(
  live: readonly Condition[] | undefined,
  reported: readonly Condition[] | undefined,
  isOwned: (type: string) => boolean,
): Condition[] {
  const others = (live ?? []).filter(({ type }) => !isOwned(type));
  const own = (reported ?? []).filter(({ type }) => isOwned(type));
  return byType([...others, ...own]);
}

/** Their order means nothing; this one makes them comparable. */
export function byType(conditions: readonly Condition[] = []): Condition[] {
  return [...conditions].sort((a, b) => (a.type < b.type ? -1 : 1));
}

export function isCondition(value: unknown): value is Condition {
  return isJsonObject(value) && typeof value['type'] === 'string' && typeof value['status'] === 'string';
}

/** The fields of `next` that differ from `live`, as a merge patch (null removes); undefined when there are none. */
export function mergePatchOf(
  live: Readonly<Record<string, unknown>>,
  next: Readonly<Record<string, unknown>>,
): Record<string, unknown> | undefined {
  const patch: Record<string, unknown> = {};
  for (const field of new Set([...Object.keys(live), ...Object.keys(next)])) {
    if (!sameJson(live[field], next[field])) patch[field] = next[field] ?? null;
  }
  return Object.keys(patch).length === 0 ? undefined : patch;
}

/** Equal as the API server sees it: it shows some unset members as null and leaves others out. */
export function sameJson(a: unknown, b: unknown): boolean {
  return a === b || canonicalJson(withoutNulls(a)) === canonicalJson(withoutNulls(b));
}

function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isJsonObject(value)) return value ?? null;
  const members = Object.entries(value).filter(([, member]) => member !== null && member !== undefined);
  return Object.fromEntries(members.map(([name, member]) => [name, withoutNulls(member)]));
}
