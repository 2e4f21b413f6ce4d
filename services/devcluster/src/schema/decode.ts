// Decoding: what Go's typed decoder does to built-in objects, and pruning to custom resources. Unknown fields are dropped and reported.
// Invariants: the input is not changed; field paths are written as the API writes them (`spec.containers[0].name`).
import { isObject, type JsonObject, setField } from '../api/objects.js';
import { isQuantity } from '../api/quantity.js';
import { type Definitions, resolveRef, type Schema } from './types.js';

export interface Decoded {
  readonly value: unknown;
  /** Paths of fields that the schema does not have. */
  readonly unknown: readonly string[];
  /** The first value of a wrong type, in words. Only for built-in types. */
  readonly mismatch?: string;
}

interface Walk {
  readonly definitions: Definitions;
  readonly unknown: string[];
  /** Built-in types: types are checked here and empty optional lists and maps are left out, as Go's `omitempty` does. */
  readonly typed: boolean;
  mismatch?: string;
}

/** For built-in types. */
export function decodeTyped(schema: Schema, definitions: Definitions, value: JsonObject): Decoded {
  const walk: Walk = { definitions, unknown: [], typed: true };
  const decoded = decode(walk, schema, value, '');
  return { value: decoded, unknown: walk.unknown, ...(walk.mismatch === undefined ? {} : { mismatch: walk.mismatch }) };
}

/** For custom resources: unknown fields go, unless the schema preserves them. Types are left to validation. */
export function prune(schema: Schema, definitions: Definitions, value: JsonObject): Decoded {
  const walk: Walk = { definitions, unknown: [], typed: false };
  return { value: decode(walk, schema, value, ''), unknown: walk.unknown };
}

function decode(walk: Walk, ref: Schema, value: unknown, path: string): unknown {
  const schema = resolveRef(ref, walk.definitions);
  if (Array.isArray(value)) return decodeList(walk, schema, value, path);
  if (isObject(value)) return decodeObject(walk, schema, value, path);
  return decodeScalar(walk, schema, value, path);
}

function decodeList(walk: Walk, schema: Schema, value: readonly unknown[], path: string): unknown {
  const { items } = schema;
  if (items === undefined) {
    if (!schema['x-kubernetes-preserve-unknown-fields']) mismatch(walk, schema, 'array', path);
    return value;
  }
  return value.map((item, index) => decode(walk, items, item, `${path}[${index}]`));
}

function decodeObject(walk: Walk, schema: Schema, value: JsonObject, path: string): unknown {
  const { properties, additionalProperties } = schema;
  const free = schema['x-kubernetes-preserve-unknown-fields'] === true;
  if (schema.type !== 'object' && !free && properties === undefined) {
    mismatch(walk, schema, 'object', path);
    return value;
  }
  const result: JsonObject = {};
  for (const [key, item] of Object.entries(value)) {
    const field = path === '' ? key : `${path}.${key}`;
    const known = properties && Object.hasOwn(properties, key) ? properties[key] : undefined;
    const values = known ?? (typeof additionalProperties === 'object' ? additionalProperties : undefined);
    if (values !== undefined) {
      if (walk.typed && item === null) continue;
      const decoded = decode(walk, values, item, field);
      if (walk.typed && known && isOmitted(decoded, known, schema.required, key)) continue;
      setField(result, key, decoded);
    } else if (free || additionalProperties === true) setField(result, key, item);
    else if (schema['x-kubernetes-embedded-resource'] && EMBEDDED.has(key)) setField(result, key, item);
    else walk.unknown.push(field);
  }
  return result;
}

const EMBEDDED: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata']);

function isOmitted(value: unknown, schema: Schema, required: readonly string[] = [], key: string): boolean {
  if (required.includes(key)) return false;
  if (Array.isArray(value)) return value.length === 0 && schema.type === 'array';
  // A struct behind a pointer means something even when it is empty (emptyDir: {}); a map does not.
  return isObject(value) && schema.additionalProperties !== undefined && Object.keys(value).length === 0;
}

function decodeScalar(walk: Walk, schema: Schema, value: unknown, path: string): unknown {
  if (!walk.typed || value === null || value === undefined) return value;
  if (schema['x-kubernetes-preserve-unknown-fields']) return value;
  if (schema['x-kubernetes-int-or-string']) {
    if (typeof value !== 'string' && !Number.isInteger(value)) mismatch(walk, schema, typeof value, path);
    return value;
  }
  if (schema.format === 'quantity') return decodeQuantity(walk, schema, value, path);
  checkScalar(walk, schema, value, path);
  return value;
}

function checkScalar(walk: Walk, schema: Schema, value: unknown, path: string): void {
  if (schema.type === 'string' && typeof value === 'string') checkText(walk, schema, value, path);
  else if (schema.type === 'integer' && typeof value === 'number') checkInteger(walk, schema, value, path);
  else if (typeof value !== schema.type) mismatch(walk, schema, typeof value, path);
}

function checkInteger(walk: Walk, schema: Schema, value: number, path: string): void {
  const tooLarge = schema.format === 'int32' && (value > 0x7fffffff || value < -0x80000000);
  if (!Number.isInteger(value) || tooLarge) mismatch(walk, schema, `number ${value}`, path);
}

function decodeQuantity(walk: Walk, schema: Schema, value: unknown, path: string): unknown {
  const text = typeof value === 'number' ? String(value) : value;
  if (typeof text !== 'string') mismatch(walk, schema, typeof value, path);
  else if (!isQuantity(text)) {
    walk.mismatch ??= `quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$' (${path}: ${JSON.stringify(text)})`;
  }
  return text;
}

const DATE_TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

function checkText(walk: Walk, schema: Schema, value: string, path: string): void {
  if (schema.format === 'date-time' || schema.format === 'micro-time') {
    if (!DATE_TIME.test(value) || Number.isNaN(Date.parse(value))) {
      walk.mismatch ??= `parsing time ${JSON.stringify(value)} as "2006-01-02T15:04:05Z07:00": cannot parse (${path})`;
    }
  } else if (schema.format === 'byte' && !BASE64.test(value.replace(/[\r\n]/g, ''))) {
    walk.mismatch ??= `illegal base64 data (${path})`;
  }
}

function mismatch(walk: Walk, schema: Schema, found: string, path: string): void {
  if (!walk.typed) return;
  const wanted = schema.format && schema.type !== 'string' ? schema.format : (schema.type ?? 'intstr.IntOrString');
  const shown = found === 'boolean' ? 'bool' : found;
  walk.mismatch ??= `json: cannot unmarshal ${shown} into Go struct field ${path} of type ${wanted}`;
}
