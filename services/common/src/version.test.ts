import { describe, expect, test } from '@jest/globals';
import { nodeKey, parseKey, podKey } from './keys.js';
import { canonicalJson, versionOf } from './version.js';

describe('versions', () => {
  test('do not depend on the order of members, at any depth', () => {
    expect(versionOf(1, 'u', { a: { x: 1, y: [1, 2] }, b: 2 })).toBe(
      versionOf(1, 'u', { b: 2, a: { y: [1, 2], x: 1 } }),
    );
  });

  test('depend on the order of arrays, the projection and the UID', () => {
    const versions = [
      versionOf(1, 'u', [1, 2]),
      versionOf(1, 'u', [2, 1]),
      versionOf(2, 'u', [1, 2]),
      versionOf(1, 'v', [1, 2]),
    ];
    expect(new Set(versions).size).toBe(4);
  });

  test('canonical JSON keeps numeric-looking member names and leaves out undefined', () => {
    expect(canonicalJson({ b: undefined, '10': 1, '9': 2 })).toBe('{"9":2,"10":1}');
  });
});

describe('keys', () => {
  test('parse what the builders make', () => {
    expect(parseKey(podKey('plant', 'web', 'u-1'))).toEqual({
      kind: 'pod',
      namespace: 'plant',
      name: 'web',
      uid: 'u-1',
    });
    expect(parseKey(nodeKey('edge-1'))).toEqual({ kind: 'node', namespace: '', name: 'edge-1', uid: '' });
  });

  test.each([
    '',
    'pod',
    'pod/ns/name',
    'configmap/ns/name/uid',
    'thing/ns/name',
    'pod/ns/name/uid/more',
    'secret//name',
    'node/ns/x',
  ])('refuse %p', (key) => {
    expect(() => parseKey(key)).toThrow('is not a state key');
  });
});
