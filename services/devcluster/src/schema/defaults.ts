// Defaults of structural schemas, filled in where an object leaves a field out (also for null where null is not allowed).
import { cloneJson, isObject, type JsonObject, setField } from '../api/objects.js';
import type { Schema } from './types.js';

/** Fills `value` in place. */
export function applyDefaults(schema: Schema, value: unknown): void {
  if (Array.isArray(value)) {
    if (schema.items !== undefined) for (const item of value) applyDefaults(schema.items, item);
    return;
  }
  if (!isObject(value)) return;
  for (const [key, property] of Object.entries(schema.properties ?? {})) fillField(value, key, property);
  if (typeof schema.additionalProperties !== 'object') return;
  for (const [key, item] of Object.entries(value)) {
    if (!schema.properties || !Object.hasOwn(schema.properties, key)) applyDefaults(schema.additionalProperties, item);
  }
}

function fillField(object: JsonObject, key: string, schema: Schema): void {
  const missing = !Object.hasOwn(object, key) || (object[key] === null && !schema.nullable);
  if (missing && schema.default !== undefined) setField(object, key, cloneJson(schema.default));
  if (Object.hasOwn(object, key)) applyDefaults(schema, object[key]);
}
