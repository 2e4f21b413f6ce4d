// Conditions of Pods and Nodes. Pure. Invariant: lastTransitionTime changes exactly when the condition's status changes.
import { isObject, type JsonObject, objectsAt } from '../api/objects.js';

export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason?: string;
  readonly message?: string;
}

export function findCondition(status: unknown, type: string): JsonObject | undefined {
  return objectsAt(status, 'conditions').find((condition) => condition['type'] === type);
}

/** The status with the condition set; undefined when it already says so. `now`: RFC 3339. */
export function withCondition(status: unknown, wanted: Condition, now: string): JsonObject | undefined {
  const old = findCondition(status, wanted.type);
  const differs = (['status', 'reason', 'message'] as const).some((field) => old?.[field] !== wanted[field]);
  if (!differs) return undefined;
  const lastTransitionTime = old?.['status'] === wanted.status ? old['lastTransitionTime'] : now;
  const { reason: _, message: __, ...kept } = old ?? {};
  const next = { ...kept, ...wanted, lastTransitionTime };
  const conditions = objectsAt(status, 'conditions');
  return {
    ...(isObject(status) ? status : {}),
    conditions: old === undefined ? [...conditions, next] : conditions.map((item) => (item === old ? next : item)),
  };
}
