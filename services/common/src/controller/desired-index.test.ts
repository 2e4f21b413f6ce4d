// The index as its users see it: what a node should have, and which keys are said to have changed.
import { describe, expect, test } from '@jest/globals';
import type { Entry } from '../link/types.js';
import { createDesiredIndex, type DesiredIndex } from './desired-index.js';
import { ABSENT } from './entry.js';

function entry(version: string, references: readonly string[] = []): Entry {
  return { version, payload: Buffer.from(version), absent: false, references };
}

function setUp(): { index: DesiredIndex; said: () => string[] } {
  const log: string[] = [];
  const index = createDesiredIndex({
    dirty: (node, key) => log.push(`${node} ${key}`),
    wanted: (target) => log.push(`want ${target}`),
  });
  return { index, said: () => log.splice(0) };
}

const versions = (index: DesiredIndex, node: string): Record<string, string> =>
  Object.fromEntries(index.versions(node));

describe('desired index', () => {
  test('an object and its targets are desired on its node alone', () => {
    const { index, said } = setUp();
    index.place('pod/a', { node: 'n1', entry: entry('1', ['cm/x']) });
    expect(said()).toEqual(['want cm/x', 'n1 pod/a']);
    index.settle('cm/x', entry('x1'));
    expect(said()).toEqual(['n1 cm/x']);
    expect(versions(index, 'n1')).toEqual({ 'pod/a': '1', 'cm/x': 'x1' });
    expect(versions(index, 'n2')).toEqual({});
    expect(index.read('n2', 'cm/x')).toBeUndefined();
  });

  test('a target that is not known yet is desired, but not told', () => {
    const { index } = setUp();
    index.place('pod/a', { node: 'n1', entry: entry('1', ['cm/x']) });
    expect(index.read('n1', 'cm/x')).toBeUndefined();
    expect(index.desires('n1', 'cm/x')).toBe(true);
    expect(versions(index, 'n1')).toEqual({ 'pod/a': '1' });
    index.settle('cm/x', ABSENT);
    expect(versions(index, 'n1')).toEqual({ 'pod/a': '1', 'cm/x': 'absent' });
  });

  test('a target stays until its last user on the node is gone', () => {
    const { index, said } = setUp();
    index.place('pod/a', { node: 'n1', entry: entry('1', ['cm/x']) });
    index.place('pod/b', { node: 'n1', entry: entry('1', ['cm/x']) });
    index.settle('cm/x', entry('x1'));
    said();
    index.remove('pod/a');
    expect(said()).toEqual(['n1 pod/a']);
    expect(index.read('n1', 'cm/x')?.version).toBe('x1');
    index.remove('pod/b');
    expect(said()).toEqual(['n1 pod/b', 'n1 cm/x']);
    expect(index.desires('n1', 'cm/x')).toBe(false);
    expect(index.sizes()).toEqual({ nodes: 0, placed: 0, targets: 0 });
  });

  test('a change of a target reaches every node that needs it, an unchanged one none', () => {
    const { index, said } = setUp();
    index.place('pod/a', { node: 'n1', entry: entry('1', ['cm/x']) });
    index.place('pod/b', { node: 'n2', entry: entry('1', ['cm/x']) });
    index.settle('cm/x', entry('x1'));
    said();
    index.settle('cm/x', entry('x2'));
    expect(said()).toEqual(['n1 cm/x', 'n2 cm/x']);
    index.settle('cm/x', entry('x2'));
    expect(said()).toEqual([]);
  });

  test('the second node that references a known target is told of it at once', () => {
    const { index, said } = setUp();
    index.place('pod/a', { node: 'n1', entry: entry('1', ['cm/x']) });
    index.settle('cm/x', entry('x1'));
    said();
    index.place('pod/b', { node: 'n2', entry: entry('1', ['cm/x']) });
    expect(said()).toEqual(['n2 cm/x', 'n2 pod/b']);
  });

  test('a move takes the object and its targets along', () => {
    const { index, said } = setUp();
    index.place('device/d', { node: 'n1', entry: entry('1', ['model/m']) });
    index.settle('model/m', entry('m1'));
    said();
    index.place('device/d', { node: 'n2', entry: entry('2', ['model/m']) });
    expect(said().sort()).toEqual(['n1 device/d', 'n1 model/m', 'n2 device/d', 'n2 model/m']);
    expect(versions(index, 'n1')).toEqual({});
    expect(versions(index, 'n2')).toEqual({ 'device/d': '2', 'model/m': 'm1' });
  });

  test('a changed object keeps the targets that it still has, and what is known of them', () => {
    const { index, said } = setUp();
    index.place('pod/a', { node: 'n1', entry: entry('1', ['cm/x', 'cm/y']) });
    index.settle('cm/x', entry('x1'));
    index.settle('cm/y', entry('y1'));
    said();
    index.place('pod/a', { node: 'n1', entry: entry('2', ['cm/x', 'cm/z']) });
    expect(said()).toEqual(['want cm/z', 'n1 cm/y', 'n1 pod/a']);
    expect(versions(index, 'n1')).toEqual({ 'pod/a': '2', 'cm/x': 'x1' });
  });

  test('placing the same again says nothing', () => {
    const { index, said } = setUp();
    index.place('pod/a', { node: 'n1', entry: entry('1', ['cm/x']) });
    said();
    index.place('pod/a', { node: 'n1', entry: entry('1', ['cm/x']) });
    expect(said()).toEqual([]);
  });

  test('what nobody references is not kept', () => {
    const { index } = setUp();
    index.settle('cm/x', entry('x1'));
    expect(index.isReferenced('cm/x')).toBe(false);
    expect([...index.targets()]).toEqual([]);
  });
});
