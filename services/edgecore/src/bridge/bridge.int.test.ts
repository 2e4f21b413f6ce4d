// MQTT clients against a real bridge and twin: every topic of the reference, its answers and errors.
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { unary, unixClient } from '@skerry/common/grpc/client';
import { deviceKey } from '@skerry/common/keys';
import { BridgeServiceClient, type GetBrokerResponse } from '@skerry/gen/skerry/edge/v1/bridge';
import { deviceOf, pumpModel } from '../twin/testing/samples.js';
import { device, NODE, type Rig, stable, type TestClient, until, withRig } from './testing/rig.js';

const ALL = [
  '$hw/events/device/+/+/twin/update/+',
  '$hw/events/device/+/+/twin/get/result',
  '$hw/events/device/+/+/state/update/result',
];

async function withPump(fn: (rig: Rig, client: TestClient) => Promise<void>): Promise<void> {
  await withRig(async (rig) => {
    rig.edgecore.putModel(pumpModel);
    rig.edgecore.putDevice(deviceOf('pump-1', [{ name: 'rpm' }, { name: 'temperature' }, { name: 'note' }]));
    const client = await rig.connect();
    await client.subscribe(...ALL, '$hw/events/node/+/membership/#');
    await knowsPump(client);
    await fn(rig, client);
  });
}

/** The device takes a moment from edgecore to the twin. */
async function knowsPump(client: TestClient): Promise<void> {
  for (;;) {
    await client.publish(device('twin/get'), {});
    if (!('code' in (await client.next(device('twin/get/result'))))) break;
  }
  client.rest();
}

describe('twin/update', () => {
  test('answers with result, document and delta, in this order, after a write of actual', () =>
    withPump(async (_rig, client) => {
      await client.publish(device('twin/update'), {
        event_id: 'e-1',
        twin: { rpm: { expected: { value: '1500' }, actual: { value: '1450' } } },
      });
      await client.next(device('twin/update/delta')).then((delta) => {
        expect(stable(delta)).toMatchObject({ twin: { rpm: { expected: { value: '1500' } } }, delta: { rpm: '1500' } });
        expect(delta['event_id']).not.toBe('e-1');
      });
      const sides = {
        expected: { value: '1500', metadata: { timestamp: 0 } },
        actual: { value: '1450', metadata: { timestamp: 0 } },
      };
      const current = { ...sides, optional: true, metadata: { type: 'int' } };
      expect(client.rest().map(({ topic, body }) => [topic, stable(body)])).toEqual([
        [device('twin/update/result'), { event_id: 'e-1', timestamp: 0, twin: { rpm: current } }],
        [
          device('twin/update/document'),
          {
            event_id: 'e-1',
            timestamp: 0,
            twin: { rpm: { last: { optional: true, metadata: { type: 'int' } }, current } },
          },
        ],
      ]);
    }));

  test('publishes no delta once the device has obeyed', () =>
    withPump(async (_rig, client) => {
      await client.publish(device('twin/update'), { twin: { rpm: { expected: { value: '1500' } } } });
      await client.next(device('twin/update/delta'));
      await client.publish(device('twin/update'), { event_id: 'done', twin: { rpm: { actual: { value: '1500' } } } });
      await client.publish(device('twin/get'), { event_id: 'after' });
      expect(await client.next(device('twin/get/result'))).toMatchObject({ event_id: 'after' });
      expect(client.rest().map(({ topic }) => topic)).not.toContain(device('twin/update/delta'));
    }));

  test('deletes an optional property by null', () =>
    withPump(async (_rig, client) => {
      await client.publish(device('twin/update'), { event_id: 'a', twin: { own: { actual: { value: 'ä {} "' } } } });
      await client.publish(device('twin/update'), { event_id: 'b', twin: { own: null } });
      expect(await client.next(device('twin/update/result'))).toMatchObject({ event_id: 'a' });
      expect(stable(await client.next(device('twin/update/result')))).toEqual({
        event_id: 'b',
        timestamp: 0,
        twin: { own: null },
      });
      await client.next(device('twin/update/document'));
      expect(await client.next(device('twin/update/document'))).toMatchObject({ twin: { own: { current: null } } });
    }));
});

describe('the other topics', () => {
  test('twin/get gives all properties', () =>
    withPump(async (_rig, client) => {
      await client.publish(device('twin/get'), { event_id: 'g-1' });
      expect(stable(await client.next(device('twin/get/result')))).toEqual({
        event_id: 'g-1',
        timestamp: 0,
        twin: {
          rpm: { optional: true, metadata: { type: 'int' } },
          temperature: { optional: true, metadata: { type: 'double' } },
          note: { optional: true, metadata: { type: 'string' } },
        },
      });
    }));

  test('state/update is answered, reported and listed', () =>
    withPump(async (rig, client) => {
      await client.publish(device('state/update'), { event_id: 's-1', state: 'Online' });
      expect(await client.next(device('state/update/result'))).toMatchObject({
        event_id: 's-1',
        device: { name: 'pump-1', state: 'Online', lastOnlineTime: expect.stringMatching(/^\d{4}-.*Z$/) },
      });
      await client.publish(`$hw/events/node/${NODE}/membership/get`, { event_id: 'm-1' });
      expect(await client.next(`$hw/events/node/${NODE}/membership/get/result`)).toMatchObject({
        event_id: 'm-1',
        devices: [{ id: 'plant/pump-1', name: 'pump-1', description: 'a pump', state: 'Online' }],
      });
      await until(() =>
        JSON.stringify(rig.edgecore.reported.get('devicestatus/plant/pump-1') ?? '').includes('Online'),
      );
    }));

  test('membership/updated tells of devices that come and go', () =>
    withPump(async (rig, client) => {
      const topic = `$hw/events/node/${NODE}/membership/updated`;
      rig.edgecore.putDevice(deviceOf('pump-2', []));
      expect(await client.next(topic)).toMatchObject({
        added_devices: [{ id: 'plant/pump-2' }],
        removed_devices: null,
      });
      rig.edgecore.deleteKey(deviceKey('plant', 'pump-2'));
      expect(await client.next(topic)).toMatchObject({
        added_devices: null,
        removed_devices: [{ id: 'plant/pump-2' }],
      });
    }));

  test('another node is not answered for', () =>
    withPump(async (_rig, client) => {
      await client.publish('$hw/events/node/other/membership/get', {});
      expect(await client.next('$hw/events/node/other/membership/get/result')).toMatchObject({ code: 404 });
    }));
});

describe('the cloud', () => {
  test('a desired value reaches a plain MQTT client as delta, and what the device reports reaches the cloud', () =>
    withPump(async (rig, client) => {
      rig.edgecore.putDevice(deviceOf('pump-1', [{ name: 'rpm', desired: { value: '1200' } }], { generation: 2 }));
      expect(await client.next(device('twin/update/delta'))).toMatchObject({ delta: { rpm: '1200' } });
      await client.publish(device('twin/update'), {
        twin: { rpm: { actual: { value: '1200' } }, secret: { actual: { value: 'x' } } },
      });
      const twins = [
        {
          propertyName: 'rpm',
          reported: { value: '1200', metadata: { type: 'int' } },
          observedDesired: { value: '1200' },
        },
      ];
      const status = (): unknown => rig.edgecore.reported.get('devicestatus/plant/pump-1');
      await until(() => JSON.stringify(status() ?? '').includes('reported'));
      expect(status()).toMatchObject({ metadata: { namespace: 'plant', name: 'pump-1' }, status: { twins } });
      expect(JSON.stringify(status())).not.toContain('secret');
    }));

  test('namespaces and names that are parts of the topic itself work', () =>
    withPump(async (rig, client) => {
      for (const [namespace, name] of [
        ['device', 'twin'],
        ['dev', 'event'],
        ['events', 'update'],
      ] as const) {
        const object = deviceOf(name, [{ name: 'rpm' }]);
        rig.edgecore.absentModel(namespace, 'pump');
        rig.edgecore.putDevice({ ...object, metadata: { ...object.metadata, namespace } });
        expect(await client.next(`$hw/events/node/${NODE}/membership/updated`)).toMatchObject({
          added_devices: [{ id: `${namespace}/${name}` }],
        });
        await client.publish(device('twin/update', name, namespace), {
          event_id: name,
          twin: { rpm: { actual: { value: '1' } } },
        });
        expect(await client.next(device('twin/update/result', name, namespace))).toMatchObject({
          event_id: name,
          twin: { rpm: {} },
        });
      }
    }));
});

describe('restarts in order', () => {
  test(
    'of the twin pass unnoticed, of the bridge are a reconnect',
    () =>
      withPump(async (rig, client) => {
        await client.publish(device('twin/update'), { twin: { rpm: { expected: { value: '5' } } } });
        await rig.restartTwin();
        await client.publish(device('twin/get'), { event_id: 'twin' });
        expect(await client.next(device('twin/get/result'))).toMatchObject({
          twin: { rpm: { expected: { value: '5' } } },
        });
        const reconnected = new Promise<void>((resolve) => client.mqtt.once('connect', () => resolve()));
        await rig.restartBridge();
        await reconnected;
        await client.subscribe(...ALL);
        await client.publish(device('twin/get'), { event_id: 'bridge' });
        expect(await client.next(device('twin/get/result'))).toMatchObject({ event_id: 'bridge' });
      }),
    15_000,
  );

  test('the state of the broker is told over gRPC', () =>
    withPump(async (rig) => {
      const broker = unixClient(BridgeServiceClient, join(rig.dir, 'run', 'bridge.sock'));
      const state = await unary<GetBrokerResponse>((done) => broker.getBroker({}, done));
      expect(state).toMatchObject({ address: `127.0.0.1:${rig.port()}`, clients: 1, refused: 0n });
      expect(state.received).toBeGreaterThan(0n);
      broker.close();
    }));
});
