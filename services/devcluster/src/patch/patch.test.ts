import { describe, expect, test } from '@jest/globals';
import { BUILTIN, builtinSchema } from '../schema/builtin.js';
import { applyJsonPatch } from './json-patch.js';
import { applyMergePatch } from './merge-patch.js';
import { applyStrategicPatch } from './strategic.js';

describe('JSON patch', () => {
  const document = { a: { b: [1, 2, 3] }, 'x/y': 1 };
  test.each([
    ['add to a list', [{ op: 'add', path: '/a/b/1', value: 9 }], { a: { b: [1, 9, 2, 3] }, 'x/y': 1 }],
    ['add to the end', [{ op: 'add', path: '/a/b/-', value: 9 }], { a: { b: [1, 2, 3, 9] }, 'x/y': 1 }],
    ['remove with an escaped key', [{ op: 'remove', path: '/x~1y' }], { a: { b: [1, 2, 3] } }],
    ['move', [{ op: 'move', from: '/a/b/0', path: '/c' }], { a: { b: [2, 3] }, 'x/y': 1, c: 1 }],
    ['copy', [{ op: 'copy', from: '/x~1y', path: '/a/c' }], { a: { b: [1, 2, 3], c: 1 }, 'x/y': 1 }],
    [
      'test and replace',
      [
        { op: 'test', path: '/a/b/0', value: 1 },
        { op: 'replace', path: '/x~1y', value: 2 },
      ],
      { a: { b: [1, 2, 3] }, 'x/y': 2 },
    ],
  ])('%s', (_name, patch, expected) => {
    expect(applyJsonPatch(document, patch)).toEqual(expected);
    expect(document).toEqual({ a: { b: [1, 2, 3] }, 'x/y': 1 });
  });

  test.each([
    ['a failed test', [{ op: 'test', path: '/a/b/0', value: 2 }], 422],
    ['a path that is not there', [{ op: 'remove', path: '/nope' }], 422],
    ['an index out of range', [{ op: 'add', path: '/a/b/7', value: 1 }], 422],
    ['an unknown operation', [{ op: 'drop', path: '/a' }], 422],
    ['no list', { op: 'add' }, 400],
  ])('%s is refused', (_name, patch, httpCode) => {
    expect(() => applyJsonPatch(document, patch)).toThrow(expect.objectContaining({ httpCode }));
  });

  test('a field named __proto__ is only a field', () => {
    const result = applyJsonPatch({}, [{ op: 'add', path: '/__proto__', value: { evil: 1 } }]);
    expect(Object.hasOwn(result as object, '__proto__')).toBe(true);
    expect(({} as Record<string, unknown>)['evil']).toBeUndefined();
  });
});

test('merge patch: null deletes, objects merge, lists are replaced', () => {
  const patch = { a: null, b: { c: 2, d: null }, l: [3] };
  expect(applyMergePatch({ a: 1, b: { d: 1, e: 1 }, l: [1, 2] }, patch)).toEqual({ b: { c: 2, e: 1 }, l: [3] });
});

describe('strategic merge patch', () => {
  const apply = (document: object, patch: object) =>
    applyStrategicPatch({ ...document }, { ...patch }, builtinSchema('Pod'), BUILTIN);
  const pod = (...containers: object[]) => ({ spec: { containers } });
  const a = { name: 'a', image: 'x:1', env: [{ name: 'A', value: '1' }] };
  const b = { name: 'b', image: 'y:1' };

  test('containers merge by name, their env by name', () => {
    const patch = pod({
      name: 'a',
      env: [
        { name: 'B', value: '2' },
        { name: 'A', value: '3' },
      ],
    });
    const env = [
      { name: 'A', value: '3' },
      { name: 'B', value: '2' },
    ];
    expect(apply(pod(a, b), patch)).toEqual(pod({ ...a, env }, b));
  });

  test('$patch: delete takes an entry out, $patch: replace replaces the list', () => {
    expect(apply(pod(a, b), pod({ name: 'a', $patch: 'delete' }))).toEqual(pod(b));
    expect(apply(pod(a, b), pod({ name: 'c', image: 'z' }, { $patch: 'replace' }))).toEqual(
      pod({ name: 'c', image: 'z' }),
    );
  });

  test('conditions merge by type, tolerations are replaced as a whole', () => {
    const status = {
      conditions: [
        { type: 'Ready', status: 'False' },
        { type: 'PodScheduled', status: 'True' },
      ],
    };
    expect(apply({ status }, { status: { conditions: [{ type: 'Ready', status: 'True' }] } })).toEqual({
      status: {
        conditions: [
          { type: 'Ready', status: 'True' },
          { type: 'PodScheduled', status: 'True' },
        ],
      },
    });
    const spec = { tolerations: [{ key: 'a' }, { key: 'b' }] };
    expect(apply({ spec }, { spec: { tolerations: [{ key: 'c' }] } })).toEqual({
      spec: { tolerations: [{ key: 'c' }] },
    });
  });

  test('$retainKeys replaces the source of a volume', () => {
    const spec = { volumes: [{ name: 'v', emptyDir: {} }] };
    const patch = { spec: { volumes: [{ name: 'v', $retainKeys: ['name', 'hostPath'], hostPath: { path: '/x' } }] } };
    expect(apply({ spec }, patch)).toEqual({ spec: { volumes: [{ name: 'v', hostPath: { path: '/x' } }] } });
  });

  test('$deleteFromPrimitiveList and merging of scalar lists', () => {
    const metadata = { finalizers: ['x/a', 'x/b'] };
    const patch = { metadata: { '$deleteFromPrimitiveList/finalizers': ['x/a'], finalizers: ['x/c'] } };
    expect(apply({ metadata }, patch)).toEqual({ metadata: { finalizers: ['x/b', 'x/c'] } });
  });

  test('$setElementOrder orders, and what only the server has keeps its place', () => {
    const patch = { spec: { '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }] } };
    const result = apply(pod(a, { name: 's' }, b), patch) as { spec: { containers: { name: string }[] } };
    expect(result.spec.containers.map(({ name }) => name)).toEqual(['s', 'b', 'a']);
  });

  test('an entry without its merge key is refused', () => {
    expect(() => apply(pod(a), pod({ image: 'x' }))).toThrow('does not contain declared merge key: name');
  });
});
