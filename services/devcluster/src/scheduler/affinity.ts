// Which nodes a Pod wants: nodeSelector and required node affinity. Pure.
import { at, isObject, type JsonObject, listAt, objectsAt, textAt } from '../api/objects.js';

export interface NodeIdentity {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** True when the node has every label of nodeSelector and fits at least one term of the required node affinity. */
export function wantsNode(podSpec: unknown, node: NodeIdentity): boolean {
  const selector = at(podSpec, 'nodeSelector');
  const pairs = Object.entries(isObject(selector) ? selector : {});
  if (pairs.some(([key, value]) => own(node.labels, key) !== value)) return false;
  const required = at(podSpec, 'affinity', 'nodeAffinity', 'requiredDuringSchedulingIgnoredDuringExecution');
  if (!isObject(required)) return true;
  return objectsAt(required, 'nodeSelectorTerms').some((term) => termMatches(term, node));
}

/** A term without any requirement matches no node. */
function termMatches(term: JsonObject, node: NodeIdentity): boolean {
  const expressions = objectsAt(term, 'matchExpressions');
  const fields = objectsAt(term, 'matchFields');
  if (expressions.length + fields.length === 0) return false;
  return (
    expressions.every((requirement) => holds(requirement, own(node.labels, textAt(requirement, 'key')))) &&
    fields.every((requirement) => textAt(requirement, 'key') === 'metadata.name' && holds(requirement, node.name))
  );
}

function holds(requirement: JsonObject, value: string | undefined): boolean {
  const values = listAt(requirement, 'values');
  switch (requirement['operator']) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    case 'Gt':
      return compare(value, values[0], (a, b) => a > b);
    case 'Lt':
      return compare(value, values[0], (a, b) => a < b);
    default:
      return false;
  }
}

const INTEGER = /^[+-]?\d+$/;

function compare(value: string | undefined, limit: unknown, ordered: (a: bigint, b: bigint) => boolean): boolean {
  if (value === undefined || typeof limit !== 'string' || !INTEGER.test(value) || !INTEGER.test(limit)) return false;
  return ordered(toInteger(value), toInteger(limit));
}

function toInteger(text: string): bigint {
  return BigInt(text.replace(/^\+/, ''));
}

function own(labels: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(labels, key) ? labels[key] : undefined;
}
