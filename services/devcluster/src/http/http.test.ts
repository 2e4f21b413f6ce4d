import { describe, expect, test } from '@jest/globals';
import { parseJson, parseYaml } from './body.js';
import { compareVersions } from './discovery.js';
import { findDuplicates } from './json-duplicates.js';
import { negotiate } from './negotiate.js';
import { decodeProtobuf } from './protobuf.js';
import { parseResourcePath } from './request-info.js';

test.each([
  ['/api/v1/pods', { group: '', version: 'v1', namespace: '', plural: 'pods', name: '', subresource: '' }],
  ['/api/v1/namespaces/n/pods/p/status', { namespace: 'n', plural: 'pods', name: 'p', subresource: 'status' }],
  ['/api/v1/namespaces/n', { namespace: '', plural: 'namespaces', name: 'n', subresource: '' }],
  ['/api/v1/namespaces/n/status', { namespace: '', plural: 'namespaces', name: 'n', subresource: 'status' }],
  ['/apis/a.b/v1/namespaces/n/things/', { group: 'a.b', namespace: 'n', plural: 'things', name: '' }],
  ['/apis/a.b/v1/things/x%20y', { plural: 'things', name: 'x y' }],
])('path %s', (path, expected) => {
  expect(parseResourcePath(path)).toMatchObject(expected);
});

test.each([
  '/api',
  '/api/v1',
  '/apis/a.b',
  '/apis/a.b/v1',
  '/version',
  '/api/v1/namespaces/n/pods/p/a/b',
  '/api/v1/pods/%zz',
  '/api/v1//pods',
])('path %s is none of a resource', (path) => expect(parseResourcePath(path)).toBeUndefined());

describe('duplicate fields', () => {
  test.each([
    ['{"a":1,"b":{"c":[{"d":1,"d":2}],"c":3},"a":2}', ['b.c[0].d', 'b.c', 'a']],
    ['{"a":"}\\"{","b":[],"c":{},"d":[1,2,{"x":null}]}', []],
    ['{"a\\u0062":1,"ab":2}', ['ab']],
    ['[]', []],
    [' { "a" : 1 , "a" : 2 } ', ['a']],
  ])('%s', (text, expected) => expect(findDuplicates(text)).toEqual(expected));
});

describe('bodies', () => {
  test('YAML becomes JSON, repeated keys are reported', () => {
    expect(parseYaml('a: 1\nb: [x, "1"]\n').value).toEqual({ a: 1, b: ['x', '1'] });
    expect(parseYaml('a: 1\na: 2\n').duplicates).toHaveLength(1);
  });

  test.each([
    ['broken JSON', () => parseJson('{"a":')],
    ['broken YAML', () => parseYaml('a: [1')],
    ['bottomless JSON', () => parseJson('['.repeat(5_000) + ']'.repeat(5_000))],
    [
      'a YAML bomb',
      () =>
        parseYaml(
          `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefghij'
            .split('')
            .map((name, index) => `${name}: &${name} [${Array(9).fill(`*${'abcdefghij'[index]}`).join(',')}]`)
            .join('\n')}`,
        ),
    ],
  ])('%s is a bad request', (_name, parse) => {
    expect(parse).toThrow(expect.objectContaining({ httpCode: 400 }));
  });
});

describe('protobuf', () => {
  // A ConfigMap {metadata: {name: "x", creationTimestamp: null}, data: {a: "b"}} as client-go writes it.
  const field = (number: number, bytes: Buffer): Buffer =>
    Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]);
  const text = (value: string): Buffer => Buffer.from(value);
  const entry = Buffer.concat([field(1, text('a')), field(2, text('b'))]);
  const metadata = Buffer.concat([field(1, text('x')), field(2, text('')), field(8, Buffer.alloc(0))]);
  const raw = Buffer.concat([field(1, metadata), field(2, entry)]);
  const typeMeta = Buffer.concat([field(1, text('v1')), field(2, text('ConfigMap'))]);
  const body = Buffer.concat([
    text('k8s\0'),
    field(1, typeMeta),
    field(2, raw),
    field(3, text('')),
    field(4, text('')),
  ]);

  test('a ConfigMap is read', () => {
    expect(decodeProtobuf(body)).toEqual({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'x' },
      data: { a: 'b' },
    });
  });

  test('every cut of it is a bad request or a smaller object, never a crash', () => {
    for (let end = 0; end < body.length; end++) {
      try {
        decodeProtobuf(body.subarray(0, end));
      } catch (error) {
        expect(error).toMatchObject({ httpCode: 400 });
      }
    }
  });
});

test('negotiation', () => {
  expect(negotiate(undefined)).toBe('object');
  expect(negotiate('*/*')).toBe('object');
  expect(negotiate('application/json;as=Table;v=v1;g=meta.k8s.io,application/json')).toBe('table');
  expect(negotiate('application/json;as=Table;v=v9;g=meta.k8s.io,application/json')).toBe('object');
  expect(negotiate('application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1')).toBe('metadata');
  expect(negotiate('application/vnd.kubernetes.protobuf')).toBe('object');
  expect(() => negotiate('text/html')).toThrow(expect.objectContaining({ httpCode: 406 }));
});

test('the newest version comes first', () => {
  expect(['v1beta1', 'v2', 'v1', 'v1alpha1', 'v1beta2', 'foo'].sort(compareVersions)).toEqual([
    'v2',
    'v1',
    'v1beta2',
    'v1beta1',
    'v1alpha1',
    'foo',
  ]);
});
