// Validation of custom resources against their structural schema, in the words of the API server.
import { isObject, type JsonObject } from '../api/objects.js';
import type { FieldError } from '../api/status.js';
import { compilePattern } from './pattern.js';
import type { Schema } from './types.js';

/** All violations, in the order of the document. `path` is '' at the root. */
export function validate(schema: Schema, value: unknown, path = ''): FieldError[] {
  if (value === null && schema.nullable) return [];
  const wrongType = checkType(schema, value, path);
  if (wrongType !== undefined) return [wrongType];
  const errors: FieldError[] = [];
  if (schema.enum !== undefined && !schema.enum.some((item) => JSON.stringify(item) === JSON.stringify(value))) {
    const allowed = schema.enum.map((item) => JSON.stringify(item)).join(', ');
    errors.push({ type: 'unsupported', field: path, value, detail: `supported values: ${allowed}` });
  }
  if (typeof value === 'string') errors.push(...validateText(schema, value, path));
  else if (typeof value === 'number') errors.push(...validateNumber(schema, value, path));
  else if (Array.isArray(value)) errors.push(...validateList(schema, value, path));
  else if (isObject(value)) errors.push(...validateObject(schema, value, path));
  errors.push(...validateLogic(schema, value, path));
  return errors;
}

function typeName(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function checkType(schema: Schema, value: unknown, path: string): FieldError | undefined {
  const found = typeName(value);
  if (schema['x-kubernetes-int-or-string']) {
    if (found === 'integer' || found === 'string') return undefined;
    return wrong(path, value, `must be of type integer,string: "${found}"`);
  }
  const wanted = schema.type;
  if (wanted === undefined || wanted === '' || wanted === found) return undefined;
  if (wanted === 'number' && found === 'integer') return undefined;
  return wrong(path, value, `must be of type ${wanted}: "${found}"`);
}

function wrong(path: string, value: unknown, rule: string): FieldError {
  const name = path === '' ? '<nil>' : path;
  const shown = isObject(value) || Array.isArray(value) ? typeName(value) : value;
  return { type: 'type', field: name, value: shown, detail: `${name} in body ${rule}` };
}

const FORMATS: Readonly<Record<string, (value: string) => boolean>> = {
  'date-time': (value) =>
    /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/.test(value) && !Number.isNaN(Date.parse(value)),
  date: (value) => /^\d{4}-\d\d-\d\d$/.test(value) && !Number.isNaN(Date.parse(value)),
  byte: (value) => /^[A-Za-z0-9+/]*={0,2}$/.test(value) && value.length % 4 === 0,
  ipv4: (value) => /^(\d{1,3}\.){3}\d{1,3}$/.test(value) && value.split('.').every((part) => Number(part) < 256),
  uuid: (value) => /^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$/i.test(value),
  uri: (value) => URL.canParse(value),
  hostname: (value) =>
    value.length <= 253 &&
    /^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?)*$/.test(value),
  email: (value) => /^[^@\s]+@[^@\s]+$/.test(value),
};

function validateText(schema: Schema, value: string, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const length = Array.from(value).length;
  const invalid = (rule: string): void =>
    void errors.push({ type: 'invalid', field: path, value, detail: `${path} in body ${rule}` });
  if (schema.minLength !== undefined && length < schema.minLength)
    invalid(`should be at least ${schema.minLength} chars long`);
  if (schema.maxLength !== undefined && length > schema.maxLength) {
    errors.push({ type: 'tooLong', field: path, detail: `may not be more than ${schema.maxLength} bytes` });
  }
  if (schema.pattern !== undefined && !matches(schema.pattern, value)) invalid(`should match '${schema.pattern}'`);
  const format = schema.format === undefined ? undefined : FORMATS[schema.format];
  if (format !== undefined && !format(value)) invalid(`must be of type ${schema.format}: ${JSON.stringify(value)}`);
  return errors;
}

function matches(pattern: string, value: string): boolean {
  return compilePattern(pattern)?.test(value) ?? true;
}

function validateNumber(schema: Schema, value: number, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const invalid = (rule: string): void =>
    void errors.push({ type: 'invalid', field: path, value, detail: `${path} in body ${rule}` });
  const { minimum, maximum, multipleOf, format } = schema;
  if (minimum !== undefined && (schema.exclusiveMinimum ? value <= minimum : value < minimum)) {
    invalid(`should be greater than ${schema.exclusiveMinimum ? '' : 'or equal to '}${minimum}`);
  }
  if (maximum !== undefined && (schema.exclusiveMaximum ? value >= maximum : value > maximum)) {
    invalid(`should be less than ${schema.exclusiveMaximum ? '' : 'or equal to '}${maximum}`);
  }
  if (multipleOf !== undefined && !Number.isInteger(value / multipleOf))
    invalid(`should be a multiple of ${multipleOf}`);
  if (format === 'int32' && (value > 0x7fffffff || value < -0x80000000)) invalid('should be a valid int32');
  return errors;
}

function validateList(schema: Schema, value: readonly unknown[], path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (schema.minItems !== undefined && value.length < schema.minItems) {
    errors.push({
      type: 'invalid',
      field: path,
      value: value.length,
      detail: `${path} in body should have at least ${schema.minItems} items`,
    });
  }
  if (schema.maxItems !== undefined && value.length > schema.maxItems) {
    errors.push({
      type: 'tooMany',
      field: path,
      value: value.length,
      detail: `must have at most ${schema.maxItems} items`,
    });
  }
  errors.push(...duplicates(schema, value, path));
  const { items } = schema;
  if (items !== undefined)
    value.forEach((item, index) => void errors.push(...validate(items, item, `${path}[${index}]`)));
  return errors;
}

function duplicates(schema: Schema, value: readonly unknown[], path: string): FieldError[] {
  const keys = schema['x-kubernetes-list-map-keys'];
  const isMap = schema['x-kubernetes-list-type'] === 'map' && keys !== undefined;
  if (!isMap && schema['x-kubernetes-list-type'] !== 'set' && !schema.uniqueItems) return [];
  const seen = new Set<string>();
  const errors: FieldError[] = [];
  value.forEach((item, index) => {
    const id = isMap && isObject(item) ? Object.fromEntries(keys.map((key) => [key, item[key] ?? null])) : item;
    const text = JSON.stringify(id);
    if (seen.has(text)) errors.push({ type: 'duplicate', field: `${path}[${index}]`, value: id });
    seen.add(text);
  });
  return errors;
}

function validateObject(schema: Schema, value: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const join = (key: string): string => (path === '' ? key : `${path}.${key}`);
  for (const key of schema.required ?? []) {
    if (!Object.hasOwn(value, key)) errors.push({ type: 'required', field: join(key) });
  }
  const count = Object.keys(value).length;
  if (schema.minProperties !== undefined && count < schema.minProperties) {
    errors.push({
      type: 'invalid',
      field: path,
      value: count,
      detail: `${path} in body should have at least ${schema.minProperties} properties`,
    });
  }
  if (schema.maxProperties !== undefined && count > schema.maxProperties) {
    errors.push({
      type: 'tooMany',
      field: path,
      value: count,
      detail: `must have at most ${schema.maxProperties} items`,
    });
  }
  for (const [key, item] of Object.entries(value)) {
    const known = schema.properties && Object.hasOwn(schema.properties, key) ? schema.properties[key] : undefined;
    const values = known ?? (typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined);
    if (values !== undefined) errors.push(...validate(values, item, join(key)));
  }
  return errors;
}

function validateLogic(schema: Schema, value: unknown, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const holds = (part: Schema): boolean => validate(part, value, path).length === 0;
  const fails = (rule: string): void =>
    void errors.push({ type: 'invalid', field: path, value, detail: `${path} in body ${rule}` });
  for (const part of schema.allOf ?? []) errors.push(...validate(part, value, path));
  if (schema.anyOf && !schema.anyOf.some(holds)) fails('must validate at least one schema (anyOf)');
  if (schema.oneOf && schema.oneOf.filter(holds).length !== 1) fails('must validate one and only one schema (oneOf)');
  if (schema.not && holds(schema.not)) fails('must not validate the schema (not)');
  return errors;
}
