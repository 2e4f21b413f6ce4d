import { describe, expect, test } from '@jest/globals';
import type { ExchangeRequest } from '@skerry/gen/skerry/edge/v1/twin';
import { createTwinCore, type TwinCore } from './core.js';
import { deviceStatusOf } from './device-status.js';
import { deviceOf, pumpModel } from './testing/samples.js';
import { NOW, patch } from './testing/twins.js';
import { LIMITS } from './types.js';

const ID = 'plant/pump-1';
const request = (body: ExchangeRequest['request'], name = 'pump-1'): ExchangeRequest => ({
  id: 1n,
  eventId: 'e',
  device: { namespace: 'plant', name },
  request: body,
});
const update = (twins: Record<string, ReturnType<typeof patch>>): ExchangeRequest =>
  request({ $case: 'twinUpdate', value: { twins } });

function coreWithPump(): TwinCore {
  const core = createTwinCore();
  core.apply(deviceOf('pump-1', [{ name: 'rpm', desired: { value: '1500' } }, { name: 'note' }]), pumpModel, NOW);
  return core;
}

describe('a step', () => {
  test('of a new device is written, announced with its delta, and reported', () => {
    const core = createTwinCore();
    const step = core.apply(deviceOf('pump-1', [{ name: 'rpm', desired: { value: '1500' } }]), pumpModel, NOW);
    expect(step.writes.map(({ key }) => key)).toEqual(['device/plant/pump-1', 'property/plant/pump-1/rpm']);
    expect(step.notices.map(({ result }) => result.$case)).toEqual(['membershipChanged', 'twinDelta']);
    expect(step.reports).toEqual([ID]);
  });

  test('of an unchanged device is empty', () => {
    const core = coreWithPump();
    const again = deviceOf('pump-1', [{ name: 'rpm', desired: { value: '1500' } }, { name: 'note' }]);
    expect(core.apply(again, pumpModel, NOW + 1)).toEqual({ writes: [], notices: [], reports: [], faults: [] });
  });

  test('of an update writes only what changed, and answers with what still differs', () => {
    const core = coreWithPump();
    const step = core.answer(update({ rpm: patch({ actual: '1400' }) }), NOW + 1);
    expect(step.writes.map(({ key }) => key)).toEqual(['property/plant/pump-1/rpm']);
    expect(step.reports).toEqual([ID]);
    expect(step.result).toMatchObject({
      $case: 'twinChanged',
      value: {
        changed: { rpm: { expected: undefined, actual: { value: '1400', timestampMs: BigInt(NOW + 1) }, type: 'int' } },
        document: { rpm: { last: { actual: undefined }, current: { actual: { value: '1400' } } } },
        delta: { delta: { rpm: '1500' } },
      },
    });
  });

  test("of a client's own property is not reported to the cloud", () => {
    expect(coreWithPump().answer(update({ own: patch({ actual: '1' }) }), NOW).reports).toEqual([]);
  });

  test('that obeys leaves no delta', () => {
    expect(coreWithPump().answer(update({ rpm: patch({ actual: '1500' }) }), NOW).result).toMatchObject({
      value: { delta: undefined },
    });
  });

  test('that is refused changes nothing', () => {
    const core = coreWithPump();
    const step = core.answer(update({ note: patch({ actual: '1' }), rpm: patch({ actual: 'x' }) }), NOW);
    expect(step).toMatchObject({ writes: [], reports: [], result: { $case: 'error', value: { code: 400 } } });
    expect(core.answer(request({ $case: 'twinGet', value: {} }), NOW).result).toMatchObject({
      value: { twins: { note: { actual: undefined } } },
    });
  });

  test('for an unknown device is 404, without a body 400', () => {
    const core = coreWithPump();
    expect(core.answer(request({ $case: 'twinGet', value: {} }, 'x'), NOW).result).toMatchObject({
      value: { code: 404 },
    });
    expect(core.answer(request(undefined), NOW).result).toMatchObject({ value: { code: 400 } });
  });

  test('of a state keeps it as written; a time only while the device is online or ok', () => {
    const core = coreWithPump();
    const say = (state: string) => core.answer(request({ $case: 'stateUpdate', value: { state } }), NOW).result;
    expect(say('OK')).toMatchObject({ value: { name: 'pump-1', state: 'OK', lastOnlineTime: '2023-11-14T22:13:20Z' } });
    expect(say('offline')).toMatchObject({ value: { state: 'offline', lastOnlineTime: '' } });
    expect(say('asleep')).toMatchObject({ value: { code: 400 } });
  });

  test('of a removal deletes every record and says so once', () => {
    const core = coreWithPump();
    const step = core.remove(ID);
    expect(step.writes.every(({ value }) => value === undefined)).toBe(true);
    expect(step.writes).toHaveLength(3);
    expect(step.notices).toMatchObject([
      { result: { $case: 'membershipChanged', value: { added: [], removed: [{ id: { name: 'pump-1' } }] } } },
    ]);
    expect(core.remove(ID).writes).toEqual([]);
  });

  test('beyond the number of devices is a fault', () => {
    const core = createTwinCore();
    for (let n = 0; n < LIMITS.devices; n++) core.apply(deviceOf(`d${n}`, []), undefined, NOW);
    expect(core.apply(deviceOf('one-more', []), undefined, NOW).faults).toHaveLength(1);
    expect(core.twins().size).toBe(LIMITS.devices);
  });
});

test('what is written is what is read back', () => {
  const core = coreWithPump();
  const entries = new Map<string, string>();
  const steps = [
    core.apply(
      deviceOf('pump-1', [{ name: 'rpm', desired: { value: '1600' } }, { name: 'note' }], { generation: 2 }),
      pumpModel,
      NOW,
    ),
    core.answer(
      update({ 'a/b': patch({ actual: 'ä\u2028"' }), rpm: patch({ actual: '3' }), note: patch({ remove: true }) }),
      NOW,
    ),
    core.answer(request({ $case: 'stateUpdate', value: { state: 'online' } }), NOW),
  ];
  for (const { key, value } of steps.flatMap(({ writes }) => writes)) if (value !== undefined) entries.set(key, value);
  const restored = createTwinCore();
  expect(restored.reset(entries)).toEqual([]);
  expect(restored.twins()).toEqual(core.twins());
});

test('records without their device, or of another form, are left out and named', () => {
  const core = createTwinCore();
  const entries = new Map([
    ['device/plant/new', '{"form":2}'],
    ['property/plant/gone/rpm', '{"form":1,"type":"int"}'],
  ]);
  expect(core.reset(entries)).toEqual(['device/plant/new', 'property/plant/gone/rpm']);
  expect(core.twins().size).toBe(0);
});

test('a client that was away is told every delta', () => {
  const core = coreWithPump();
  core.apply(deviceOf('pump-2', [{ name: 'rpm' }]), pumpModel, NOW);
  expect(core.deltas()).toMatchObject([{ device: { name: 'pump-1' }, result: { value: { delta: { rpm: '1500' } } } }]);
});

test('the status for the cloud holds declared properties that are to be reported', () => {
  const core = createTwinCore();
  core.apply(
    deviceOf('pump-1', [
      { name: 'rpm', desired: { value: '1500' } },
      { name: 'note', reportToCloud: false },
    ]),
    pumpModel,
    NOW,
  );
  core.answer(update({ rpm: patch({ actual: '1400' }), own: patch({ actual: '1' }) }), NOW + 1);
  const twin = core.twins().get(ID);
  expect(twin && deviceStatusOf(twin)).toEqual({
    metadata: { namespace: 'plant', name: 'pump-1' },
    status: {
      twins: [
        {
          propertyName: 'rpm',
          reported: { value: '1400', metadata: { timestamp: String(NOW + 1), type: 'int' } },
          observedDesired: { value: '1500', metadata: { timestamp: String(NOW), type: 'int' } },
        },
      ],
    },
  });
});
