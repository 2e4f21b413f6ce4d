// Which tolerations autonomy changes.
import { describe, expect, test } from '@jest/globals';
import { isAutonomous, liftTolerations, type Toleration } from './tolerations.js';

const NOT_READY = 'node.kubernetes.io/not-ready';
const UNREACHABLE = 'node.kubernetes.io/unreachable';
const forEver = (key: string): Toleration => ({ key, operator: 'Exists', effect: 'NoExecute' });
const timed = (key: string): Toleration => ({ ...forEver(key), tolerationSeconds: 300 });

describe('liftTolerations', () => {
  test('lifts the time of the two that DefaultTolerationSeconds adds', () => {
    expect(liftTolerations([timed(NOT_READY), timed(UNREACHABLE)])).toEqual([forEver(NOT_READY), forEver(UNREACHABLE)]);
  });

  test('adds those that are missing', () => {
    expect(liftTolerations(undefined)).toEqual([forEver(NOT_READY), forEver(UNREACHABLE)]);
    expect(liftTolerations([forEver(NOT_READY)])).toEqual([forEver(NOT_READY), forEver(UNREACHABLE)]);
  });

  test.each<[string, Toleration[]]>([
    ['both for ever', [forEver(NOT_READY), forEver(UNREACHABLE)]],
    ['everything', [{ operator: 'Exists' }]],
    ['every NoExecute taint', [{ operator: 'Exists', effect: 'NoExecute' }]],
  ])('leaves alone who tolerates %s', (_name, tolerations) => {
    expect(liftTolerations(tolerations)).toBeUndefined();
  });

  test('leaves other tolerations as they are', () => {
    const other: Toleration = { key: 'maintenance', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 60 };
    expect(liftTolerations([other])).toEqual([other, forEver(NOT_READY), forEver(UNREACHABLE)]);
  });

  test('knows what does not tolerate an away taint', () => {
    const schedule: Toleration = { key: NOT_READY, operator: 'Exists', effect: 'NoSchedule' };
    const value: Toleration = { key: NOT_READY, operator: 'Equal', value: 'x', effect: 'NoExecute' };
    expect(liftTolerations([schedule, value])).toHaveLength(4);
  });
});

describe('isAutonomous', () => {
  test.each([
    [undefined, false],
    [{}, false],
    [{ 'skerry.dev/autonomy': '' }, true],
    [{ 'skerry.dev/autonomy': 'true' }, true],
    [{ 'skerry.dev/autonomy': 'false' }, false],
  ])('%j: %s', (annotations, expected) => {
    expect(isAutonomous(annotations)).toBe(expected);
  });
});
