// Who wins: one test per row of the table in docs/twin.md.
import { describe, expect, test } from '@jest/globals';
import type { DeviceProperty } from '@skerry/common/kube/device-types';
import { decideDesired } from './desired.js';
import { deviceOf, modelOf, pumpModel } from './testing/samples.js';
import { apply, NOW, patch, property, twinOf, value } from './testing/twins.js';
import type { DeviceTwin, Property } from './types.js';
import { decideUpdate } from './update.js';

const UID = { uid: 'u1' };
const wish = (text: string, metadata?: Record<string, string>): DeviceProperty => ({
  name: 'rpm',
  desired: { value: text, ...(metadata ? { metadata } : {}) },
});

/** The twin after the cloud's Device with these properties. */
function afterCloud(
  twin: DeviceTwin | undefined,
  properties: DeviceProperty[],
  generation = 1,
  model = pumpModel,
): DeviceTwin {
  const { head, changes } = decideDesired(twin, deviceOf('pump-1', properties, { ...UID, generation }), model, NOW);
  return apply({ ...(twin ?? twinOf()), head }, changes);
}

function afterClient(twin: DeviceTwin, expected: string): DeviceTwin {
  const decision = decideUpdate(twin, new Map([['rpm', patch({ expected })]]), NOW + 5);
  if (decision.kind === 'refused') throw new Error(decision.reason);
  return apply(twin, decision.changes);
}

const rpm = (twin: DeviceTwin): Property | undefined => twin.properties.get('rpm');

describe('who wins', () => {
  test('a desired value of the cloud becomes expected, with the generation as its version', () => {
    expect(rpm(afterCloud(undefined, [wish('1500')], 7))).toMatchObject({
      type: 'int',
      declared: true,
      expected: { value: '1500', provenance: 'cloud', timestampMs: NOW },
      expectedVersion: { cloud: 7, edge: 0 },
    });
  });

  test("a client's expected wins over the cloud's older wish, also after the Device changed elsewhere", () => {
    const edited = afterClient(afterCloud(undefined, [wish('1500')]), '900');
    expect(rpm(edited)).toMatchObject({ expected: { value: '900', provenance: 'edge' } });
    const later = afterCloud(edited, [wish('1500'), { name: 'note' }], 2);
    expect(rpm(later)).toMatchObject({
      expected: { value: '900', provenance: 'edge' },
      expectedVersion: { cloud: 1, edge: 1 },
    });
  });

  test("the cloud's new wish wins over a client's expected", () => {
    const edited = afterClient(afterCloud(undefined, [wish('1500')]), '900');
    expect(rpm(afterCloud(edited, [wish('1600')], 2))).toMatchObject({
      expected: { value: '1600', provenance: 'cloud' },
    });
  });

  test('the same value with other metadata is a new wish', () => {
    const edited = afterClient(afterCloud(undefined, [wish('1500')]), '900');
    expect(rpm(afterCloud(edited, [wish('1500', { timestamp: '2' })], 2))).toMatchObject({
      expected: { value: '1500' },
    });
  });

  test("a wish that is taken back takes its value with it, a client's stays", () => {
    expect(rpm(afterCloud(afterCloud(undefined, [wish('1500')]), [{ name: 'rpm' }], 2))?.expected).toBeUndefined();
    const edited = afterClient(afterCloud(undefined, [wish('1500')]), '900');
    expect(rpm(afterCloud(edited, [{ name: 'rpm' }], 2))).toMatchObject({ expected: { value: '900' } });
  });

  test('a wish revives a property that a client deleted, another change of the Device does not', () => {
    const declared = property({ type: 'int', declared: true, reported: true, removed: true });
    const deleted = twinOf({ rpm: declared });
    expect(rpm(afterCloud(deleted, [{ name: 'rpm' }], 2))).toBe(declared);
    expect(rpm(afterCloud(deleted, [wish('1500')], 2))).toMatchObject({ removed: false, expected: { value: '1500' } });
  });
});

describe('properties of the spec', () => {
  test('exist with the type of the model; without a model they are strings', () => {
    const twin = afterCloud(undefined, [{ name: 'rpm' }, { name: 'temperature' }, { name: 'unheard' }]);
    expect([...twin.properties].map(([name, p]) => [name, p.type])).toEqual([
      ['rpm', 'int'],
      ['temperature', 'double'],
      ['unheard', 'string'],
    ]);
    const { changes } = decideDesired(undefined, deviceOf('pump-1', [wish('fast')]), undefined, NOW);
    expect(changes[0]?.next).toMatchObject({ type: 'string', expected: { value: 'fast' } });
  });

  test('that left the spec go; those of clients stay', () => {
    const twin = twinOf({ rpm: property({ declared: true }), own: property() });
    expect([...afterCloud(twin, []).properties.keys()]).toEqual(['own']);
  });

  test("a client's property that becomes declared keeps what fits", () => {
    const fits = twinOf({ rpm: property({ actual: value('7'), expected: value('fast', 'edge') }) });
    expect(rpm(afterCloud(fits, [{ name: 'rpm' }]))).toMatchObject({
      type: 'int',
      declared: true,
      actual: { value: '7' },
      expected: undefined,
    });
  });

  test('that are the same change nothing', () => {
    const twin = afterCloud(undefined, [wish('1500')]);
    expect(decideDesired(twin, deviceOf('pump-1', [wish('1500')], UID), pumpModel, NOW + 9).changes).toEqual([]);
  });

  test('reportToCloud: false keeps a value at the edge', () => {
    expect(rpm(afterCloud(undefined, [{ name: 'rpm', reportToCloud: false }]))).toMatchObject({ reported: false });
    expect(rpm(afterCloud(undefined, [{ name: 'rpm' }]))).toMatchObject({ reported: true });
  });
});

test('another UID is another device: nothing of its predecessor counts', () => {
  const old = twinOf({ rpm: property({ declared: true, actual: value('7') }), own: property() }, 'old');
  const { changes } = decideDesired(old, deviceOf('pump-1', [{ name: 'rpm' }], UID), pumpModel, NOW);
  expect(changes.map(({ name, last, next }) => [name, last !== undefined, next !== undefined])).toEqual([
    ['rpm', true, false],
    ['own', true, false],
    ['rpm', false, true],
  ]);
});

describe('faults change nothing and are named', () => {
  test.each<[string, DeviceProperty, RegExp]>([
    ['type', wish('fast'), /not of type int/],
    ['minimum', wish('-1'), /below the model's minimum 0/],
    ['maximum', wish('3001'), /above the model's maximum 3000/],
    ['access mode', { name: 'temperature', desired: { value: '20' } }, /ReadOnly/],
    ['size', { name: 'note', desired: { value: 'x'.repeat(32 * 1024 + 1) } }, /at most 32768/],
    ['no text', { name: 'note', desired: { value: 7 as unknown as string } }, /not a text/],
  ])('%s', (_what, wished, reason) => {
    const { changes, faults } = decideDesired(undefined, deviceOf('pump-1', [wished]), pumpModel, NOW);
    expect(faults).toEqual([expect.stringMatching(reason)]);
    expect(changes[0]?.next?.expected).toBeUndefined();
  });

  test('a wish that did not fit is taken over once the model allows it', () => {
    const refused = afterCloud(undefined, [wish('4000')]);
    const wider = modelOf([{ name: 'rpm', type: 'INT', maximum: '5000' }]);
    expect(rpm(afterCloud(refused, [wish('4000')], 1, wider))).toMatchObject({ expected: { value: '4000' } });
  });

  test('names that no message can carry and properties beyond the bound', () => {
    const many = Array.from({ length: 1_001 }, (_, n) => ({ name: `p${n}` }));
    const { changes, faults } = decideDesired(
      undefined,
      deviceOf('pump-1', [{ name: '__proto__' }, ...many]),
      pumpModel,
      NOW,
    );
    expect(changes).toHaveLength(1_000);
    expect(faults).toHaveLength(2);
  });
});
