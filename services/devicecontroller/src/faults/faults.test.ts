// What is wrong with a Device.
import { describe, expect, test } from '@jest/globals';
import type { ModelProperty } from '@skerry/common/kube/device-types';
import { faultsOf } from './faults.js';

function reasons(model: Partial<ModelProperty>, value: string): string[] {
  return faultsOf(
    { deviceModelRef: { name: 'm' }, properties: [{ name: 'p', desired: { value } }] },
    { properties: [{ name: 'p', ...model }] },
  ).map(({ reason }) => reason);
}

describe('faultsOf', () => {
  test.each<[Partial<ModelProperty>, string, string[]]>([
    [{ type: 'INT' }, '-12', []],
    [{ type: 'INT' }, '1.5', ['ValueNotFitting']],
    [{ type: 'INT' }, '', ['ValueNotFitting']],
    [{ type: 'FLOAT' }, '1e3', []],
    [{ type: 'DOUBLE' }, 'warm', ['ValueNotFitting']],
    [{ type: 'BOOLEAN' }, 'TRUE', []],
    [{ type: 'BOOLEAN' }, 'yes', ['ValueNotFitting']],
    [{ type: 'STRING', minimum: '5' }, 'anything', []],
    [{ type: 'BYTES' }, '', []],
    [{}, 'anything', []],
    [{ type: 'INT', accessMode: 'ReadOnly' }, '1', ['ReadOnlyProperty']],
    [{ type: 'INT', minimum: '0', maximum: '10' }, '10', []],
    [{ type: 'INT', minimum: '0', maximum: '10' }, '11', ['ValueOutOfRange']],
    [{ type: 'DOUBLE', minimum: '0.5' }, '0.4', ['ValueOutOfRange']],
    [{ type: 'INT', minimum: 'none' }, '-1', []],
  ])('%j with %j: %j', (model, value, expected) => {
    expect(reasons(model, value)).toEqual(expected);
  });

  test('names the model that is missing', () => {
    expect(faultsOf({}, undefined)).toMatchObject([{ reason: 'NoModel' }]);
    expect(faultsOf({ deviceModelRef: { name: 'm' } }, undefined)).toEqual([
      { reason: 'UnknownModel', message: 'DeviceModel "m" does not exist in this namespace' },
    ]);
  });

  test('names the properties, up to ten of a kind', () => {
    const properties = Array.from({ length: 12 }, (_, n) => ({ name: `p${n}` }));
    expect(faultsOf({ deviceModelRef: { name: 'm' }, properties }, {})).toEqual([
      {
        reason: 'UnknownProperty',
        message: 'has properties that its model does not have: p0, p1, p2, p3, p4, p5, p6, p7, p8, p9 and 2 more',
      },
    ]);
  });

  test('knows the built-in stream properties', () => {
    expect(faultsOf({ deviceModelRef: { name: 'm' }, properties: [{ name: 'saveFrame' }] }, {})).toEqual([]);
  });
});
