import { describe, expect, test } from '@jest/globals';
import { BUILTIN, builtinSchema } from './builtin.js';
import { decodeTyped, prune } from './decode.js';
import { applyDefaults } from './defaults.js';
import { compilePattern } from './pattern.js';
import { REF_PREFIX, type Schema } from './types.js';
import { validate } from './validate.js';

describe('built-in types', () => {
  test('every reference leads somewhere', () => {
    const missing: string[] = [];
    const visit = (schema: Schema): void => {
      if (schema.$ref !== undefined && !(schema.$ref.slice(REF_PREFIX.length) in BUILTIN)) missing.push(schema.$ref);
      for (const property of Object.values(schema.properties ?? {})) visit(property);
      if (schema.items !== undefined) visit(schema.items);
      if (typeof schema.additionalProperties === 'object') visit(schema.additionalProperties);
    };
    for (const schema of Object.values(BUILTIN)) visit(schema);
    expect(missing).toEqual([]);
  });

  const decode = (value: object) => decodeTyped(builtinSchema('Pod'), BUILTIN, { ...value });

  test('unknown fields are dropped and reported by their path', () => {
    const decoded = decode({ spec: { containers: [{ name: 'a', imag: 'x' }], foo: 1 } });
    expect(decoded.unknown).toEqual(['spec.containers[0].imag', 'spec.foo']);
    expect(decoded.value).toEqual({ spec: { containers: [{ name: 'a' }] } });
  });

  test('nulls and empty lists and maps go, empty structs stay', () => {
    const spec = {
      containers: [],
      nodeSelector: {},
      tolerations: [],
      volumes: [{ name: 'v', emptyDir: {} }],
      affinity: null,
    };
    expect(decode({ spec }).value).toEqual({ spec: { containers: [], volumes: [{ name: 'v', emptyDir: {} }] } });
  });

  test.each([
    [{ spec: { containers: 'x' } }, /cannot unmarshal string .* spec.containers of type array/],
    [{ spec: { containers: [{ name: 1 }] } }, /cannot unmarshal number .* spec.containers\[0\].name of type string/],
    [{ spec: { terminationGracePeriodSeconds: 1.5 } }, /cannot unmarshal number 1.5 .* of type int64/],
    [{ spec: { priority: 3_000_000_000 } }, /of type int32/],
    [{ spec: { containers: [{ resources: { limits: { cpu: 'many' } } }] } }, /quantities must match/],
    [{ status: { startTime: 'yesterday' } }, /parsing time "yesterday"/],
  ])('%j is refused', (value, message) => {
    expect(decode(value).mismatch).toMatch(message);
  });

  test('a quantity given as a number becomes text', () => {
    const spec = { containers: [{ name: 'a', resources: { limits: { cpu: 2 } } }] };
    expect(decode({ spec }).value).toMatchObject({ spec: { containers: [{ resources: { limits: { cpu: '2' } } }] } });
  });
});

describe('structural schemas', () => {
  const schema: Schema = {
    type: 'object',
    required: ['size'],
    properties: {
      size: { type: 'integer', minimum: 1, maximum: 10 },
      color: { type: 'string', enum: ['red', 'blue'], default: 'red' },
      port: { 'x-kubernetes-int-or-string': true },
      code: { type: 'string', pattern: '^[a-z\\-]+$', maxLength: 5 },
      free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true, properties: { known: { type: 'string' } } },
      map: { type: 'object', additionalProperties: { type: 'integer' } },
      parts: {
        type: 'array',
        maxItems: 2,
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['name'],
        items: {
          type: 'object',
          required: ['name'],
          properties: { name: { type: 'string' }, on: { type: 'boolean', default: true } },
        },
      },
      maybe: { type: 'string', nullable: true },
    },
  };

  test.each([
    [{ size: 3, port: 'http', map: { a: 1 }, maybe: null }, []],
    [{}, ['size: required']],
    [{ size: 11 }, ['size: invalid']],
    [{ size: 1.5 }, ['size: type']],
    [{ size: 1, color: 'green' }, ['color: unsupported']],
    [{ size: 1, port: true }, ['port: type']],
    [{ size: 1, code: 'ABC' }, ['code: invalid']],
    [{ size: 1, code: 'abcdef' }, ['code: tooLong']],
    [{ size: 1, map: { a: 'x' } }, ['map.a: type']],
    [{ size: 1, parts: [{ name: 'a' }, { name: 'a' }] }, ['parts[1]: duplicate']],
    [{ size: 1, parts: [{ name: 'a' }, { name: 'b' }, {}] }, ['parts: tooMany', 'parts[2].name: required']],
    [{ size: null }, ['size: type']],
  ])('%j -> %j', (value, expected) => {
    expect(validate(schema, value).map(({ field, type }) => `${field}: ${type}`)).toEqual(expected);
  });

  test('messages are those of the API server', () => {
    expect(validate(schema, { size: 11 })[0]).toMatchObject({
      value: 11,
      detail: 'size in body should be less than or equal to 10',
    });
    expect(validate(schema, { size: 'x' })[0]?.detail).toBe('size in body must be of type integer: "string"');
  });

  test('pruning keeps what is preserved', () => {
    const value = { size: 1, extra: 1, free: { known: 'a', other: { x: 1 } }, parts: [{ name: 'a', extra: 2 }] };
    const pruned = prune(schema, {}, value);
    expect(pruned.unknown).toEqual(['extra', 'parts[0].extra']);
    expect(pruned.value).toEqual({ size: 1, free: { known: 'a', other: { x: 1 } }, parts: [{ name: 'a' }] });
  });

  test('defaults fill what is missing, also in lists', () => {
    const value = { size: 1, parts: [{ name: 'a' }, { name: 'b', on: false }] };
    applyDefaults(schema, value);
    expect(value).toEqual({
      size: 1,
      color: 'red',
      parts: [
        { name: 'a', on: true },
        { name: 'b', on: false },
      ],
    });
  });

  test('anyOf, oneOf, not', () => {
    const either: Schema = {
      type: 'object',
      properties: { a: {}, b: {} },
      oneOf: [{ required: ['a'] }, { required: ['b'] }],
      not: { required: ['c'] },
    };
    expect(validate(either, { a: 1 })).toEqual([]);
    expect(validate(either, { a: 1, b: 1 })).toHaveLength(1);
    expect(validate(either, { a: 1, c: 1 })).toHaveLength(1);
  });

  test('patterns of RE2 that JavaScript spells differently', () => {
    expect(compilePattern('(?i)^abc$')?.test('ABC')).toBe(true);
    expect(compilePattern('[\\w\\-]+')?.test('a-b')).toBe(true);
    expect(compilePattern('(')).toBeUndefined();
  });
});
