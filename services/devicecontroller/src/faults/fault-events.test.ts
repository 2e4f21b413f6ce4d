// Faults of Devices as Events, once each.
import { describe, expect, test } from '@jest/globals';
import { ABSENT } from '@skerry/common/controller/entry';
import { createFakeKube, turns } from '@skerry/common/controller/testing/fake-kube';
import type { Device } from '@skerry/common/kube/device-types';
import { KubeError } from '@skerry/common/kube/kube-error';
import { EVENTS } from '@skerry/common/kube/resources';
import type { Entry } from '@skerry/common/link/types';
import { nullLogger } from '@skerry/common/logger';
import { fakeClock } from '@skerry/common/testing/fake-clock';
import { modelEntry, placeDevice } from '../desired/projections.js';
import { createFaultEvents } from './fault-events.js';

const device = (value: string): Device => ({
  metadata: { namespace: 'plant', name: 'pump', uid: 'u1' },
  spec: { nodeName: 'edge-1', deviceModelRef: { name: 'm' }, properties: [{ name: 'rpm', desired: { value } }] },
});
const MODEL = modelEntry({ metadata: { uid: 'u2' }, spec: { properties: [{ name: 'rpm', type: 'INT' }] } });

async function withFaults(fn: (world: ReturnType<typeof setUp>) => Promise<void>): Promise<void> {
  const world = setUp();
  await world.faults.start();
  await fn(world);
  await world.faults.stop(new AbortController().signal);
}

function setUp() {
  const kube = createFakeKube();
  const now: { device: Device | undefined; model: Entry | undefined } = { device: device('1'), model: MODEL };
  const faults = createFaultEvents({
    client: kube.client,
    device: () => now.device && placeDevice(now.device, () => true),
    model: () => now.model,
    clock: fakeClock(),
    random: () => 0.5,
    logger: nullLogger(),
  });
  const check = async (): Promise<void> => {
    faults.add('device/plant/pump');
    await turns();
  };
  return { kube, now, faults, check, reasons: () => kube.list(EVENTS).map(({ reason }) => reason) };
}

describe('fault events', () => {
  test('nothing wrong, nothing said', () =>
    withFaults(async ({ check, reasons }) => {
      await check();
      expect(reasons()).toEqual([]);
    }));

  test('a fault is one Event on the Device, however often it is found', () =>
    withFaults(async ({ check, now, kube }) => {
      now.device = device('fast');
      await check();
      await check();
      expect(kube.list(EVENTS)).toMatchObject([
        {
          metadata: { namespace: 'plant' },
          involvedObject: { kind: 'Device', name: 'pump', uid: 'u1', apiVersion: 'devices.kubeedge.io/v1beta1' },
          type: 'Warning',
          reason: 'ValueNotFitting',
          source: { component: 'devicecontroller' },
        },
      ]);
      expect(kube.requests).toHaveLength(1);
    }));

  test('waits until the model is known, then says that it is missing', () =>
    withFaults(async ({ check, now, reasons }) => {
      now.model = undefined;
      await check();
      expect(reasons()).toEqual([]);
      now.model = ABSENT;
      await check();
      expect(reasons()).toEqual(['UnknownModel']);
    }));

  test('another fault of the same Device is another Event', () =>
    withFaults(async ({ check, now, reasons }) => {
      now.device = device('fast');
      await check();
      now.device = device('faster');
      await check();
      expect(reasons()).toEqual(['ValueNotFitting', 'ValueNotFitting']);
    }));

  test('tells what others found', () =>
    withFaults(async ({ faults, now, kube }) => {
      const placed = now.device && placeDevice(now.device, () => true);
      if (!placed) throw new Error('the device is on a node');
      faults.tell(placed, { reason: 'StatusRefused', message: 'too long' });
      faults.tell(placed, { reason: 'StatusRefused', message: 'too long' });
      await turns();
      expect(kube.list(EVENTS)).toMatchObject([{ reason: 'StatusRefused', message: 'too long' }]);
    }));

  test('an Event that the API refuses is dropped and counted, not asked for again and again', () =>
    withFaults(async ({ faults, now, kube }) => {
      const placed = now.device && placeDevice(now.device, () => true);
      if (!placed) throw new Error('the device is on a node');
      kube.before = () => {
        throw new KubeError('permission_denied', 'the namespace is going', { httpStatus: 403 });
      };
      faults.tell(placed, { reason: 'StatusRefused', message: 'too long' });
      await turns();
      expect(faults.metrics()).toMatchObject({ dropped: 1, failed: 0, delayed: 0 });
    }));
});
