// The coalescing set: how often, in which order and to which object reported values are written.
import { describe, expect, test } from '@jest/globals';
import { createFakeKube, turns } from '@skerry/common/controller/testing/fake-kube';
import type { DeviceStatus } from '@skerry/common/kube/device-types';
import { KubeError } from '@skerry/common/kube/kube-error';
import { DEVICE_STATUSES } from '@skerry/common/kube/resources';
import { nullLogger } from '@skerry/common/logger';
import { fakeClock } from '@skerry/common/testing/fake-clock';
import type { DeviceRecord } from '../desired/projections.js';
import { createStatusWriter } from './status-writer.js';

const device = (name: string, changes: Partial<DeviceRecord> = {}): DeviceRecord => ({
  namespace: 'plant',
  name,
  uid: `uid-of-${name}`,
  node: 'edge-1',
  properties: new Set(['rpm']),
  ...changes,
});

function setUp(budgetPerSecond = 200) {
  const kube = createFakeKube();
  const clock = fakeClock();
  const refused: string[] = [];
  const claim: { epoch: number | undefined } = { epoch: 1 };
  const writer = createStatusWriter({
    client: kube.client,
    cycleMs: 1_000,
    budgetPerSecond,
    epochOf: () => claim.epoch,
    onRefused: ({ name }, reason) => refused.push(`${name}: ${reason}`),
    clock,
    random: () => 0.5,
    logger: nullLogger(),
  });
  let reports = 0;
  const report = (of: DeviceRecord, value: string): void => {
    reports += 1;
    const fields = { twins: [{ propertyName: 'rpm', reported: { value } }] };
    writer.report(of, { key: `devicestatus/plant/${of.name}`, version: `v${reports}`, fields });
  };
  const status = (name: string): DeviceStatus | undefined => kube.get(DEVICE_STATUSES, { namespace: 'plant', name });
  const value = (name: string): string | undefined => status(name)?.status?.twins?.[0]?.reported?.value;
  const patches = (): number => kube.requests.filter((request) => request.startsWith('patch')).length;
  /** Lets time pass in small steps, so that requests are answered in between. */
  const pass = async (ms: number, stepMs = 100): Promise<void> => {
    for (let passed = 0; passed < ms; passed += stepMs) {
      await clock.advance(stepMs);
      await turns(8);
    }
  };
  const stop = async (): Promise<void> => {
    const stopping = writer.stop(new AbortController().signal);
    await pass(1_000);
    await stopping;
    expect(clock.pending()).toBe(0);
  };
  return { kube, clock, claim, writer, refused, report, status, value, patches, pass, stop };
}

describe('device status writer', () => {
  test('makes the DeviceStatus of a Device, owned by it', async () => {
    const world = setUp();
    await world.writer.start();
    world.writer.seen(device('pump'));
    await world.pass(100);
    expect(world.status('pump')).toMatchObject({
      metadata: {
        ownerReferences: [
          {
            apiVersion: 'devices.kubeedge.io/v1beta1',
            kind: 'Device',
            name: 'pump',
            uid: 'uid-of-pump',
            controller: true,
          },
        ],
      },
    });
    expect(world.patches()).toBe(0);
    await world.stop();
  });

  test('writes the first value at once and then the newest once a cycle', async () => {
    const world = setUp();
    await world.writer.start();
    world.report(device('pump'), '1');
    await world.pass(100);
    expect(world.value('pump')).toBe('1');
    for (let n = 2; n <= 500; n++) world.report(device('pump'), String(n));
    await world.pass(800);
    expect(world.value('pump')).toBe('1');
    await world.pass(300);
    expect(world.value('pump')).toBe('500');
    expect(world.patches()).toBe(2);
    await world.pass(5_000);
    expect(world.patches()).toBe(2);
    await world.stop();
  });

  test('writes nothing when nothing differs', async () => {
    const world = setUp();
    await world.writer.start();
    world.report(device('pump'), '1');
    await world.pass(1_500);
    world.report(device('pump'), '1');
    await world.pass(1_500);
    expect(world.patches()).toBe(1);
    expect(world.writer.stats()).toMatchObject({ writes: 1, reports: 2, pending: 0 });
    await world.stop();
  });

  test('a write that was held up until another replica has written changes nothing', async () => {
    const world = setUp();
    await world.writer.start();
    world.report(device('pump'), '1');
    await world.pass(1_500);
    let heldUp = false;
    world.kube.before = async (request) => {
      if (heldUp || !request.startsWith('patch')) return;
      heldUp = true;
      world.claim.epoch = undefined;
      const body = { status: { twins: [{ propertyName: 'rpm', reported: { value: '3' } }] } };
      await world.kube.client.patch(DEVICE_STATUSES, { namespace: 'plant', name: 'pump' }, { type: 'merge', body });
    };
    world.report(device('pump'), '2');
    await world.pass(5_000);
    expect(heldUp).toBe(true);
    expect(world.value('pump')).toBe('3');
    await world.stop();
  });

  test('keeps all Devices together within the budget', async () => {
    const world = setUp(20);
    const devices = Array.from({ length: 100 }, (_, n) => device(`d${n}`));
    await world.writer.start();
    for (const each of devices) world.writer.seen(each);
    await world.pass(1_000);
    const start = world.patches();
    for (let round = 0; round < 20; round++) {
      for (const each of devices) world.report(each, String(round));
      await world.pass(100);
    }
    const written = world.patches() - start;
    expect(written).toBeLessThanOrEqual(20 * 2 + 2 + 1);
    expect(written).toBeGreaterThan(30);
    await world.pass(10_000);
    expect(devices.map(({ name }) => world.value(name))).toEqual(devices.map(() => '19'));
    await world.stop();
  });

  test('goes on with the newest after the API was away', async () => {
    const world = setUp();
    await world.writer.start();
    world.report(device('pump'), '1');
    await world.pass(1_500);
    world.kube.down = true;
    world.report(device('pump'), '2');
    await world.pass(20_000, 1_000);
    world.report(device('pump'), '3');
    expect(world.writer.stats().pending).toBe(1);
    world.kube.down = false;
    await world.pass(15_000, 1_000);
    expect(world.value('pump')).toBe('3');
    expect(world.patches()).toBeGreaterThan(2);
    await world.stop();
  });

  test('a value that comes while another is written is written after it', async () => {
    const world = setUp();
    await world.writer.start();
    world.kube.before = (request) => {
      if (!request.startsWith('patch')) return;
      world.kube.before = () => {};
      world.report(device('pump'), '2');
    };
    world.report(device('pump'), '1');
    await world.pass(500);
    expect(world.value('pump')).toBe('1');
    await world.pass(1_000);
    expect(world.value('pump')).toBe('2');
    await world.stop();
  });

  test('takes over what an earlier replica wrote, without the properties that are gone', async () => {
    const world = setUp();
    const twins = [
      { propertyName: 'rpm', reported: { value: '7' } },
      { propertyName: 'removed', reported: { value: '1' } },
    ];
    await world.kube.put(DEVICE_STATUSES, {
      metadata: {
        namespace: 'plant',
        name: 'pump',
        ownerReferences: [{ apiVersion: 'x', kind: 'Device', name: 'pump', uid: 'uid-of-pump', controller: true }],
      },
      status: { state: 'online', twins, extensions: { kept: true } },
    });
    await world.writer.start();
    world.writer.seen(device('pump'));
    await world.pass(200);
    expect(world.status('pump')?.status).toEqual({
      state: 'online',
      twins: twins.slice(0, 1),
      extensions: { kept: true },
    });
    await world.stop();
  });

  test('a Device never gets what its predecessor of the same name reported', async () => {
    const world = setUp();
    await world.writer.start();
    world.report(device('pump'), 'old');
    await world.pass(200);
    const before = world.status('pump')?.metadata?.uid;
    world.writer.seen(device('pump', { uid: 'uid-2' }));
    await world.pass(2_000);
    expect(world.status('pump')?.metadata?.uid).not.toBe(before);
    expect(world.status('pump')?.metadata?.ownerReferences?.[0]?.uid).toBe('uid-2');
    expect(world.value('pump')).toBeUndefined();
    // The predecessor's end is heard of late.
    world.writer.gone('plant', 'pump', 'uid-of-pump');
    expect(world.writer.stats().devices).toBe(1);
    await world.stop();
  });

  test('makes a DeviceStatus again that somebody deleted', async () => {
    const world = setUp();
    await world.writer.start();
    world.report(device('pump'), '1');
    await world.pass(1_500);
    await world.kube.remove(DEVICE_STATUSES, { namespace: 'plant', name: 'pump' });
    world.writer.lost('plant', 'pump');
    await world.pass(1_500);
    expect(world.value('pump')).toBe('1');
    await world.stop();
  });

  test('tells whose reports it has, and forgets those of a Device that moved', async () => {
    const world = setUp();
    await world.writer.start();
    world.report(device('pump'), '1');
    expect([...world.writer.versions('edge-1')]).toEqual([['devicestatus/plant/pump', 'v1']]);
    world.writer.seen(device('pump', { node: 'edge-2' }));
    expect([...world.writer.versions('edge-1')]).toEqual([]);
    expect([...world.writer.versions('edge-2')]).toEqual([]);
    await world.stop();
  });

  test('never overwrites what another replica wrote while the shard was its', async () => {
    const world = setUp();
    await world.writer.start();
    world.report(device('pump'), '1');
    await world.pass(1_500);
    world.kube.down = true;
    world.report(device('pump'), '2');
    await world.pass(2_000);
    // The claim is lost; the new owner writes a newer value.
    world.claim.epoch = undefined;
    const status = { twins: [{ propertyName: 'rpm', reported: { value: '3' } }] };
    await world.kube.put(DEVICE_STATUSES, { ...world.status('pump'), status });
    world.kube.down = false;
    await world.pass(15_000, 1_000);
    expect(world.value('pump')).toBe('3');
    // And gained again: nothing that was known before counts, neither the old report nor what the API had.
    world.claim.epoch = 2;
    expect([...world.writer.versions('edge-1')]).toEqual([]);
    world.report(device('pump'), '1');
    await world.pass(1_500);
    expect(world.value('pump')).toBe('1');
    await world.stop();
  });

  test('takes no report for a shard that is served elsewhere', () => {
    const world = setUp();
    world.claim.epoch = undefined;
    const report = { key: 'devicestatus/plant/pump', version: 'v', fields: {} };
    expect(world.writer.report(device('pump'), report)).toBe(false);
  });

  test('writes again when it is not certain that a write took effect', async () => {
    const world = setUp();
    await world.writer.start();
    world.report(device('pump'), '1');
    await world.pass(1_500);
    world.kube.after = (request) => {
      if (!request.startsWith('patch')) return;
      world.kube.after = () => {};
      throw new KubeError('unavailable', 'the answer was lost', { httpStatus: 0 });
    };
    world.report(device('pump'), '2');
    await world.pass(200);
    expect(world.value('pump')).toBe('2');
    world.report(device('pump'), '1');
    await world.pass(3_000);
    expect(world.value('pump')).toBe('1');
    await world.stop();
  });

  test('tells of a status that the API refuses, and goes on with the next', async () => {
    const world = setUp();
    await world.writer.start();
    world.kube.before = (request) => {
      if (request.startsWith('patch')) throw new KubeError('invalid_argument', 'too long', { httpStatus: 422 });
    };
    world.report(device('pump'), 'bad');
    await world.pass(1_500);
    expect(world.refused).toEqual(['pump: too long']);
    world.kube.before = () => {};
    world.report(device('pump'), 'good');
    await world.pass(1_500);
    expect(world.value('pump')).toBe('good');
    await world.stop();
  });

  test('writes what is left when it stops', async () => {
    const world = setUp();
    await world.writer.start();
    for (const name of ['a', 'b']) world.report(device(name), '1');
    await world.pass(200);
    for (const name of ['a', 'b']) world.report(device(name), '2');
    await world.stop();
    expect([world.value('a'), world.value('b')]).toEqual(['2', '2']);
  });
});
