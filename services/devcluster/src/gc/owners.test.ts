import { expect, test } from '@jest/globals';
import type { KubeObject, ObjectMeta } from '../api/objects.js';
import { judge, type OwnerState, unblocking, withoutFinalizer, withoutOwners } from './owners.js';

function owned(states: readonly OwnerState[], metadata: ObjectMeta = {}): KubeObject {
  const ownerReferences = states.map((state) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    name: state,
    uid: state,
    blockOwnerDeletion: true,
  }));
  return { metadata: { ...metadata, ownerReferences } };
}

test.each<[OwnerState[], ObjectMeta, boolean, string]>([
  [[], {}, false, 'keep'],
  [['present'], {}, false, 'keep'],
  [['unknown'], {}, false, 'keep'],
  [['present', 'unknown'], {}, true, 'keep'],
  [['absent'], {}, false, 'Background'],
  [['absent', 'absent'], {}, true, 'Background'],
  [['absent'], { finalizers: ['orphan'] }, false, 'Orphan'],
  [['absent'], { finalizers: ['foregroundDeletion'] }, false, 'Foreground'],
  [['waiting'], {}, false, 'Background'],
  [['waiting', 'absent'], {}, true, 'Foreground'],
  [['present', 'absent', 'waiting'], {}, false, 'absent,waiting'],
  [['unknown', 'absent'], {}, false, 'absent'],
  [['absent'], { deletionTimestamp: '2024-01-01T00:00:00Z' }, false, 'keep'],
])('owners %j of %j, dependents %j: %s', (states, metadata, hasDependents, expected) => {
  const verdict = judge(owned(states, metadata), (owner) => owner.uid as OwnerState, hasDependents);
  const text = { keep: 'keep', release: '', delete: '' }[verdict.kind];
  if (verdict.kind === 'release') expect([...verdict.owners].join(',')).toBe(expected);
  else expect(verdict.kind === 'delete' ? verdict.propagation : text).toBe(expected);
});

test('lists that become empty are left out', () => {
  const object = owned(['absent'], { name: 'x', finalizers: ['orphan'] });
  expect(withoutOwners(object, new Set(['absent'])).metadata).toEqual({ name: 'x', finalizers: ['orphan'] });
  expect(withoutFinalizer(object, 'orphan').metadata).not.toHaveProperty('finalizers');
  expect(unblocking(object).metadata.ownerReferences).toMatchObject([{ uid: 'absent', blockOwnerDeletion: false }]);
  expect(object.metadata.ownerReferences).toMatchObject([{ blockOwnerDeletion: true }]);
});
