// What makes the schema of a CustomResourceDefinition structural: every level states its type, so that pruning and defaults are defined.
import { isObject } from '../api/objects.js';
import type { FieldError } from '../api/status.js';
import { compilePattern } from '../schema/pattern.js';
import type { Schema } from '../schema/types.js';
import { validate } from '../schema/validate.js';

const MAX_DEPTH = 64;

export function checkStructural(schema: Schema, path: string): FieldError[] {
  const errors = checkLevel(schema, path, 0);
  if (schema.type !== 'object') {
    errors.unshift({
      type: 'invalid',
      field: `${path}.type`,
      value: schema.type ?? '',
      detail: 'must be object at the root',
    });
  }
  return errors;
}

function checkLevel(schema: Schema, path: string, depth: number): FieldError[] {
  if (depth > MAX_DEPTH) return [{ type: 'forbidden', field: path, detail: `deeper than ${MAX_DEPTH} levels` }];
  const errors: FieldError[] = [...checkOwn(schema, path)];
  const { additionalProperties, items } = schema;
  for (const [key, property] of Object.entries(schema.properties ?? {})) {
    if (depth === 0 && key === 'metadata') continue;
    errors.push(...checkLevel(property, `${path}.properties[${key}]`, depth + 1));
  }
  if (isObject(additionalProperties))
    errors.push(...checkLevel(additionalProperties as Schema, `${path}.additionalProperties`, depth + 1));
  if (isObject(items)) errors.push(...checkLevel(items as Schema, `${path}.items`, depth + 1));
  return errors;
}

function checkOwn(schema: Schema, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const free = schema['x-kubernetes-int-or-string'] === true || schema['x-kubernetes-preserve-unknown-fields'] === true;
  if (!schema.type && !free) {
    errors.push({ type: 'required', field: `${path}.type`, detail: 'must not be empty for specified object fields' });
  }
  if (schema.$ref !== undefined)
    errors.push({ type: 'forbidden', field: `${path}.$ref`, detail: '$ref is not supported' });
  if (schema.uniqueItems === true) {
    errors.push({
      type: 'forbidden',
      field: `${path}.uniqueItems`,
      detail: 'uniqueItems cannot be set to true since the runtime complexity becomes quadratic',
    });
  }
  if (schema.additionalProperties === false) {
    errors.push({
      type: 'forbidden',
      field: `${path}.additionalProperties`,
      detail: 'additionalProperties cannot be set to false',
    });
  }
  if (schema.properties !== undefined && schema.additionalProperties !== undefined) {
    errors.push({
      type: 'forbidden',
      field: `${path}.additionalProperties`,
      detail: 'additionalProperties and properties are mutual exclusive',
    });
  }
  if (schema.type === 'array' && !isObject(schema.items)) {
    errors.push({ type: 'required', field: `${path}.items`, detail: 'must be specified' });
  }
  if (schema.pattern !== undefined && compilePattern(schema.pattern) === undefined) {
    errors.push({
      type: 'invalid',
      field: `${path}.pattern`,
      value: schema.pattern,
      detail: 'must be a valid regular expression',
    });
  }
  if (schema['x-kubernetes-list-type'] === 'map') errors.push(...checkMapKeys(schema, path));
  if (schema.default !== undefined) {
    errors.push(
      ...validate(schema, schema.default).map((error) => ({
        ...error,
        field: `${path}.default${error.field === '' ? '' : `.${error.field}`}`,
      })),
    );
  }
  return errors;
}

function checkMapKeys(schema: Schema, path: string): FieldError[] {
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  if (keys.length === 0) {
    return [
      {
        type: 'required',
        field: `${path}.x-kubernetes-list-map-keys`,
        detail: 'must not be empty if x-kubernetes-list-type is map',
      },
    ];
  }
  const items = schema.items ?? {};
  return keys
    .filter((key) => !(items.required ?? []).includes(key) && items.properties?.[key]?.default === undefined)
    .map((key) => ({
      type: 'required',
      field: `${path}.items.properties[${key}].default`,
      detail: 'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property',
    }));
}
