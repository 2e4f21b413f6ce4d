import { describe, expect, test } from '@jest/globals';
import { dnsLabel, dnsSubdomain, qualifiedName } from './names.js';
import { cloneJson, equalJson } from './objects.js';
import { isQuantity, parseMilli } from './quantity.js';
import { invalid, notFound } from './status.js';

test.each([
  ['1', 1_000n],
  ['250m', 250n],
  ['1.5', 1_500n],
  ['64Mi', 64n * 1024n * 1024n * 1_000n],
  ['1k', 1_000_000n],
  ['1e3', 1_000_000n],
  ['1E', 10n ** 21n],
  ['100n', 1n],
  ['-2', -2_000n],
  ['.5', 500n],
  ['1Ki', 1_024_000n],
])('quantity %s', (text, milli) => expect(parseMilli(text)).toBe(milli));

test.each(['', 'x', '1 Mi', '1KB', '--1', '1e', 'Mi'])('%j is no quantity', (text) =>
  expect(isQuantity(text)).toBe(false),
);

test('names', () => {
  expect(dnsLabel('a-b1')).toBeUndefined();
  expect(dnsLabel('A')).toContain('RFC 1123 label');
  expect(dnsSubdomain('a.b-c')).toBeUndefined();
  expect(dnsSubdomain('a..b')).toContain('RFC 1123 subdomain');
  expect(qualifiedName('example.com/Name_1')).toBeUndefined();
  expect(qualifiedName('/x')).toBe('prefix part must be non-empty');
});

test('copies are deep and equality ignores the order of keys', () => {
  const value = { a: [{ b: 1 }], c: null };
  const copy = cloneJson(value);
  expect(copy).toEqual(value);
  expect(copy.a).not.toBe(value.a);
  expect(equalJson({ a: 1, b: [1] }, { b: [1], a: 1 })).toBe(true);
  expect(equalJson({ a: undefined }, {})).toBe(true);
  expect(equalJson({ a: 1 }, { a: 1, b: null })).toBe(false);
});

describe('Status', () => {
  test('not found', () => {
    expect(notFound({ group: 'example.com', resource: 'widgets' }, 'w').toStatus()).toEqual({
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message: 'widgets.example.com "w" not found',
      reason: 'NotFound',
      details: { name: 'w', group: 'example.com', kind: 'widgets' },
      code: 404,
    });
  });

  test('invalid, with causes', () => {
    const status = invalid('', 'Pod', 'p', [
      { type: 'required', field: 'spec.containers' },
      { type: 'invalid', field: 'metadata.name', value: 'P', detail: 'is bad' },
    ]).toStatus();
    expect(status['message']).toBe(
      'Pod "p" is invalid: [spec.containers: Required value, metadata.name: Invalid value: "P": is bad]',
    );
    expect(status['details']).toMatchObject({
      causes: [{ reason: 'FieldValueRequired' }, { reason: 'FieldValueInvalid' }],
    });
  });
});
