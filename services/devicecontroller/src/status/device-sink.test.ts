// Which reports on Devices are taken.
import { describe, expect, test } from '@jest/globals';
import { createFakeKube } from '@skerry/common/controller/testing/fake-kube';
import { DEVICES } from '@skerry/common/kube/resources';
import { nullLogger } from '@skerry/common/logger';
import { fakeClock } from '@skerry/common/testing/fake-clock';
import { Done_Outcome } from '@skerry/gen/skerry/link/v1/link';
import type { DeviceRecord } from '../desired/projections.js';
import { createDeviceSink } from './device-sink.js';
import type { Report } from './device-targets.js';
import type { StatusWriter } from './status-writer.js';

const { OUTCOME_APPLIED: APPLIED, OUTCOME_GONE: GONE, OUTCOME_REJECTED: REJECTED } = Done_Outcome;

function setUp(known?: DeviceRecord) {
  const kube = createFakeKube();
  const taken: string[] = [];
  const counters = { applied: 0, gone: 0, rejected: 0 };
  const sink = createDeviceSink({
    node: 'edge-1',
    client: kube.client,
    device: () => known,
    writer: {
      report: (device: DeviceRecord, { version }: Report) => taken.push(`${device.name} ${version}`) > 0,
    } as unknown as StatusWriter,
    counters,
    retry: { signal: new AbortController().signal, clock: fakeClock(), random: () => 0.5 },
    logger: nullLogger(),
  });
  const put = (key: string, value: unknown = { status: { state: 'online' } }) =>
    sink.put(key, { version: 'v1', payload: Buffer.from(JSON.stringify(value)), absent: false, references: [] }, 0n);
  return { kube, taken, counters, put };
}

const record = (node: string): DeviceRecord => ({
  namespace: 'plant',
  name: 'pump',
  uid: 'u1',
  node,
  properties: new Set(),
});

describe('device sink', () => {
  test('takes a report on a Device of the node, without asking the API', async () => {
    const { put, taken, kube } = setUp(record('edge-1'));
    expect(await put('devicestatus/plant/pump')).toMatchObject({ outcome: APPLIED });
    expect(taken).toEqual(['pump v1']);
    expect(kube.requests).toEqual([]);
  });

  test('asks the API about a Device that it does not know, or knows elsewhere', async () => {
    const { put, taken, kube } = setUp(record('edge-2'));
    await kube.put(DEVICES, { metadata: { namespace: 'plant', name: 'pump' }, spec: { nodeName: 'edge-1' } });
    expect(await put('devicestatus/plant/pump')).toMatchObject({ outcome: APPLIED });
    expect(taken).toEqual(['pump v1']);
  });

  test("refuses a report on another node's Device", async () => {
    const { put, taken, kube, counters } = setUp();
    await kube.put(DEVICES, { metadata: { namespace: 'plant', name: 'pump' }, spec: { nodeName: 'edge-2' } });
    expect(await put('devicestatus/plant/pump')).toMatchObject({ outcome: REJECTED, code: 'Forbidden' });
    expect(taken).toEqual([]);
    expect(counters.rejected).toBe(1);
  });

  test('has nowhere to write for a Device that is gone', async () => {
    expect(await setUp().put('devicestatus/plant/pump')).toMatchObject({ outcome: GONE });
  });

  test('refuses what is no report', async () => {
    const { put } = setUp(record('edge-1'));
    expect(await put('devicestatus/plant/pump', [])).toMatchObject({ outcome: REJECTED, code: 'Invalid' });
    expect(await put('podstatus/a/b/c')).toMatchObject({ outcome: REJECTED, code: 'UnknownKind' });
    expect(await put('x')).toMatchObject({ outcome: REJECTED, code: 'Invalid' });
  });
});
