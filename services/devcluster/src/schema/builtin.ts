// The schemas of the built-in types, expanded from the compact lines of models.ts and the list facts of list-types.ts.
import { LIST_TYPES, type ListFacts } from './list-types.js';
import { MODELS } from './models.js';
import { type Definitions, REF_PREFIX, type Schema } from './types.js';

const ANY: Schema = { 'x-kubernetes-preserve-unknown-fields': true };

const SCALARS: Readonly<Record<string, Schema>> = {
  '': { type: 'string' },
  bool: { type: 'boolean' },
  int32: { type: 'integer', format: 'int32' },
  int64: { type: 'integer', format: 'int64' },
  double: { type: 'number', format: 'double' },
  time: { type: 'string', format: 'date-time' },
  microtime: { type: 'string', format: 'micro-time' },
  bytes: { type: 'string', format: 'byte' },
  intOrString: { 'x-kubernetes-int-or-string': true, format: 'int-or-string' },
  any: ANY,
};

/** Fields of type Quantity: Kubernetes' documents show them as plain strings, the server also takes numbers. */
const QUANTITIES: ReadonlySet<string> = new Set([
  'EmptyDirVolumeSource.sizeLimit',
  'ResourceFieldSelector.divisor',
  'ResourceRequirements.limits',
  'ResourceRequirements.requests',
  'VolumeResourceRequirements.limits',
  'VolumeResourceRequirements.requests',
  'NodeStatus.allocatable',
  'NodeStatus.capacity',
  'ContainerStatus.allocatedResources',
  'Overhead.podFixed',
  'PodSpec.overhead',
]);
const QUANTITY: Schema = { type: 'string', format: 'quantity' };

function schemaOf(type: string, scalar: Schema | undefined): Schema {
  if (type.startsWith('[]')) return { type: 'array', items: schemaOf(type.slice(2), scalar) };
  if (type.startsWith('{}')) return { type: 'object', additionalProperties: schemaOf(type.slice(2), scalar) };
  return scalar ?? SCALARS[type] ?? { $ref: `${REF_PREFIX}${type}` };
}

function withListFacts(schema: Schema, facts: ListFacts | undefined): Schema {
  if (schema.type !== 'array') return schema;
  if (facts === undefined) return { ...schema, 'x-kubernetes-list-type': 'atomic' };
  const { patchMergeKey, mapKeys } = facts;
  return {
    ...schema,
    'x-kubernetes-list-type': mapKeys ? 'map' : facts.set ? 'set' : 'atomic',
    ...(mapKeys ? { 'x-kubernetes-list-map-keys': mapKeys } : {}),
    ...(patchMergeKey === undefined
      ? {}
      : { 'x-kubernetes-patch-strategy': facts.retainKeys ? 'merge,retainKeys' : 'merge' }),
    ...(patchMergeKey ? { 'x-kubernetes-patch-merge-key': patchMergeKey } : {}),
  };
}

function expand(model: string, line: string): Schema {
  const properties: Record<string, Schema> = {};
  const required: string[] = [];
  for (const field of line.split(' ')) {
    const [head = '', type = ''] = field.split(':');
    const name = head.replace(/!$/, '');
    if (head.endsWith('!')) required.push(name);
    const scalar = QUANTITIES.has(`${model}.${name}`) ? QUANTITY : undefined;
    properties[name] = withListFacts(schemaOf(type, scalar), LIST_TYPES[model]?.[name]);
  }
  return { type: 'object', properties, ...(required.length > 0 ? { required } : {}) };
}

/** All built-in definitions by model name, for example `Pod`. */
export const BUILTIN: Definitions = Object.fromEntries(
  Object.entries(MODELS).map(([model, line]) => [model, expand(model, line)]),
);

export function builtinSchema(model: string): Schema {
  return { $ref: `${REF_PREFIX}${model}` };
}
