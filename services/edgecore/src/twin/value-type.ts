// The types of twin values. Values are text; a type says which texts are allowed and when two of them mean the same.
// Names are KubeEdge's: those of `metadata.type` in MQTT messages and those of DeviceModel properties.
import type { PropertyType } from '@skerry/common/kube/device-types';

/** `int` and `integer` mean the same; a client gets back the name that it gave. */
export type ValueType = 'string' | 'int' | 'integer' | 'float' | 'double' | 'boolean' | 'bytes';

const TYPES: ReadonlySet<string> = new Set(['string', 'int', 'integer', 'float', 'double', 'boolean', 'bytes']);

const FROM_MODEL: Record<PropertyType, ValueType> = {
  INT: 'int',
  FLOAT: 'float',
  DOUBLE: 'double',
  STRING: 'string',
  BOOLEAN: 'boolean',
  BYTES: 'bytes',
  // A stream has no value of its own; what a client writes about it is text.
  STREAM: 'string',
};

const INTEGER = /^[+-]?\d{1,40}$/;
const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const SPECIAL = /^[+-]?(inf|infinity|nan)$/i;
const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/** The type that a client names; an empty name is a string. Undefined for an unknown one. */
export function parseType(name: string): ValueType | undefined {
  if (name === '') return 'string';
  return TYPES.has(name) ? (name as ValueType) : undefined;
}

export function typeOfModel(type: PropertyType): ValueType | undefined {
  return Object.hasOwn(FROM_MODEL, type) ? FROM_MODEL[type] : undefined;
}

export function isNumeric(type: ValueType): boolean {
  return type !== 'string' && type !== 'boolean' && type !== 'bytes';
}

/** int: a 64-bit integer; float and double: a 64-bit float, also inf and nan; boolean: true or false; string and bytes: any text. */
export function fits(type: ValueType, value: string): boolean {
  switch (type) {
    case 'string':
    case 'bytes':
      return true;
    case 'boolean':
      return value === 'true' || value === 'false';
    case 'int':
    case 'integer':
      return INTEGER.test(value) && isInt64(BigInt(value.replace('+', '')));
    case 'float':
    case 'double':
      return SPECIAL.test(value) || (DECIMAL.test(value) && Number.isFinite(Number(value)));
  }
}

/** True when a device that was asked for `expected` and says `actual` has obeyed: numbers are compared as numbers ("21.50" is "21.5"). */
export function sameValue(type: ValueType, expected: string, actual: string): boolean {
  if (expected === actual) return true;
  if (!fits(type, expected) || !fits(type, actual)) return false;
  if (type === 'int' || type === 'integer')
    return BigInt(expected.replace('+', '')) === BigInt(actual.replace('+', ''));
  return (type === 'float' || type === 'double') && Number(expected) === Number(actual);
}

function isInt64(value: bigint): boolean {
  return value >= INT64_MIN && value <= INT64_MAX;
}
