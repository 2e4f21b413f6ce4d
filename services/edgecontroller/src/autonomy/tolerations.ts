// What autonomy changes in a Pod: it stays on its node however long that node is away. Pure.
// Source of the rule: of a bound Pod the API lets tolerations be added and their tolerationSeconds be changed, nothing else.
import type { Pod } from '@skerry/common/kube/resources';

export type Toleration = NonNullable<NonNullable<Pod['spec']>['tolerations']>[number];

/** The taints that the node lifecycle controller evicts by when a node is away. */
const AWAY_TAINTS = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'] as const;

/** The annotation of a Node whose Pods shall never be evicted for its being away; "false" is as good as none. */
export const AUTONOMY_ANNOTATION = 'skerry.dev/autonomy';

export function isAutonomous(annotations: Readonly<Record<string, string>> | undefined): boolean {
  const value = annotations?.[AUTONOMY_ANNOTATION];
  return value !== undefined && value !== 'false';
}

/** The tolerations of a Pod that is never evicted; undefined when they are so already. */
export function liftTolerations(tolerations: readonly Toleration[] = []): Toleration[] | undefined {
  const lifted = tolerations.map((toleration) => (isTimed(toleration) ? withoutSeconds(toleration) : toleration));
  const missing = AWAY_TAINTS.filter((taint) => !lifted.some((toleration) => toleratesForEver(toleration, taint)));
  const added = missing.map((key) => ({ key, operator: 'Exists', effect: 'NoExecute' }));
  return added.length === 0 && !tolerations.some(isTimed) ? undefined : [...lifted, ...added];
}

function isTimed(toleration: Toleration): boolean {
  return toleration.tolerationSeconds !== undefined && AWAY_TAINTS.some((taint) => tolerates(toleration, taint));
}

function toleratesForEver(toleration: Toleration, taint: string): boolean {
  return toleration.tolerationSeconds === undefined && tolerates(toleration, taint);
}

/** The away taints have no value, so an Equal toleration matches them only with none. */
function tolerates({ key, operator, effect, value }: Toleration, taint: string): boolean {
  if (effect && effect !== 'NoExecute') return false;
  if (operator === 'Exists') return !key || key === taint;
  return key === taint && !value;
}

function withoutSeconds({ tolerationSeconds: _lifted, ...rest }: Toleration): Toleration {
  return rest;
}
