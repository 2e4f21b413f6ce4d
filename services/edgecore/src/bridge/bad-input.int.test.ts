// What hostile or broken clients send, each with what they get. After every case the bridge and the twin must serve others as before.
import { describe, expect, test } from '@jest/globals';
import { connectAsync } from 'mqtt';
import { deviceOf, pumpModel } from '../twin/testing/samples.js';
import { device, NODE, type Rig, type TestClient, until, withRig } from './testing/rig.js';

interface Case {
  readonly what: string;
  readonly topic?: string;
  readonly body: unknown;
  /** Undefined: no answer. */
  readonly answer: { readonly topic?: string; readonly code: number; readonly event?: string } | undefined;
}

const update = device('twin/update');
const rpm = (side: unknown, more: object = {}): object => ({ event_id: 'e', twin: { rpm: { actual: side, ...more } } });
const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`p${n}`, { actual: { value: '1' } }]));

const cases: readonly Case[] = [
  { what: 'no JSON', body: 'rpm=7', answer: { code: 400, event: '' } },
  { what: 'an empty body', body: '', answer: { code: 400, event: '' } },
  { what: 'half a JSON', body: '{"event_id":"e","twin":{', answer: { code: 400, event: '' } },
  { what: 'binary', body: Buffer.from([0xff, 0x00, 0xc3, 0x28, 0x7b]), answer: { code: 400, event: '' } },
  { what: 'a JSON list', body: [1, 2], answer: { code: 400, event: '' } },
  { what: 'JSON null', body: 'null', answer: { code: 400, event: '' } },
  { what: 'no twin', body: { event_id: 'e' }, answer: { code: 400 } },
  { what: 'twin null', body: { event_id: 'e', twin: null }, answer: { code: 400 } },
  { what: 'twin as list', body: { event_id: 'e', twin: [] }, answer: { code: 400 } },
  { what: 'an event_id that is no string', body: { event_id: 7, twin: {} }, answer: { code: 400, event: '' } },
  { what: 'a timestamp that is no number', body: { event_id: 'e', timestamp: 'now', twin: {} }, answer: { code: 400 } },
  { what: 'a property that is no object', body: { event_id: 'e', twin: { rpm: 7 } }, answer: { code: 400 } },
  { what: 'a side that is no object', body: rpm('7'), answer: { code: 400 } },
  { what: 'a number as value', body: rpm({ value: 7 }), answer: { code: 400 } },
  {
    what: 'a value timestamp that is no number',
    body: rpm({ value: '7', metadata: { timestamp: 'x' } }),
    answer: { code: 400 },
  },
  { what: 'optional that is no boolean', body: rpm({ value: '7' }, { optional: 'yes' }), answer: { code: 400 } },
  { what: 'a value that does not fit its type', body: rpm({ value: 'fast' }), answer: { code: 400 } },
  {
    what: 'an unknown type',
    body: { event_id: 'e', twin: { x: { metadata: { type: 'colour' } } } },
    answer: { code: 400 },
  },
  {
    what: 'a name with a blank',
    body: { event_id: 'e', twin: { 'a b': { actual: { value: '1' } } } },
    answer: { code: 400 },
  },
  {
    what: 'a name of 129 letters',
    body: { event_id: 'e', twin: { ['a'.repeat(129)]: { actual: { value: '1' } } } },
    answer: { code: 400 },
  },
  { what: '__proto__', body: '{"event_id":"e","twin":{"__proto__":{"actual":{"value":"1"}}}}', answer: { code: 400 } },
  { what: 'a side without a value is no change', body: rpm({}), answer: { code: 0 } },
  {
    what: 'names of built-in members are names',
    body: { event_id: 'e', twin: { constructor: { actual: { value: '1' } }, toString: null } },
    answer: { code: 0 },
  },
  {
    what: 'a value of 32 KiB',
    body: { event_id: 'e', twin: { note: { actual: { value: 'ä'.repeat(16 * 1024) } } } },
    answer: { code: 0 },
  },
  {
    what: 'a value of more than 32 KiB',
    body: { event_id: 'e', twin: { note: { actual: { value: 'a'.repeat(32 * 1024 + 1) } } } },
    answer: { code: 413 },
  },
  { what: '1 MiB', body: rpm({ value: 'a'.repeat(1024 * 1024) }), answer: { code: 413, event: '' } },
  { what: '10,000 properties', body: { event_id: 'e', twin: many }, answer: { code: 413 } },
  {
    what: 'an unknown device',
    topic: device('twin/update', 'nobody'),
    body: rpm({ value: '7' }),
    answer: { topic: device('twin/update', 'nobody'), code: 404 },
  },
  {
    what: 'an empty namespace',
    topic: device('twin/update', 'x', ''),
    body: rpm({ value: '7' }),
    answer: { topic: device('twin/update', 'x', ''), code: 404 },
  },
  {
    what: 'dots as names',
    topic: device('twin/update', '..', '..'),
    body: rpm({ value: '7' }),
    answer: { topic: device('twin/update', '..', '..'), code: 404 },
  },
  {
    what: 'built-in members as names',
    topic: device('twin/update', '__proto__', 'constructor'),
    body: rpm({ value: '7' }),
    answer: { topic: device('twin/update', '__proto__', 'constructor'), code: 404 },
  },
  {
    what: 'a name of 10,000 letters',
    topic: device('twin/update', 'a'.repeat(10_000)),
    body: rpm({ value: '7' }),
    answer: { topic: device('twin/update', 'a'.repeat(10_000)), code: 404 },
  },
  {
    what: 'a level too many',
    topic: '$hw/events/device/plant/x/pump-1/twin/update',
    body: rpm({ value: '7' }),
    answer: undefined,
  },
  {
    what: 'a level too few',
    topic: '$hw/events/device/pump-1/twin/update',
    body: rpm({ value: '7' }),
    answer: undefined,
  },
  { what: 'an answer of ours', topic: device('twin/update/result'), body: { event_id: 'forged' }, answer: undefined },
  { what: 'a delta of ours', topic: device('twin/update/delta'), body: { event_id: 'forged' }, answer: undefined },
  { what: 'an upload to the cloud', topic: '$hw/events/upload/x', body: {}, answer: undefined },
  { what: "the broker's own topics", topic: '$SYS/x', body: {}, answer: undefined },
  {
    what: 'twin/get without a body',
    topic: device('twin/get'),
    body: '',
    answer: { topic: device('twin/get'), code: 400, event: '' },
  },
  {
    what: 'twin/get of an unknown device',
    topic: device('twin/get', 'nobody'),
    body: { event_id: 'e' },
    answer: { topic: device('twin/get', 'nobody'), code: 404 },
  },
  {
    what: 'a state that does not exist',
    topic: device('state/update'),
    body: { event_id: 'e', state: 'asleep' },
    answer: { topic: device('state/update'), code: 400 },
  },
  {
    what: 'a state that is no string',
    topic: device('state/update'),
    body: { event_id: 'e', state: true },
    answer: { topic: device('state/update'), code: 400 },
  },
  {
    what: 'the state of an unknown device',
    topic: device('state/update', 'nobody'),
    body: { event_id: 'e', state: 'online' },
    answer: { topic: device('state/update', 'nobody'), code: 404 },
  },
  {
    what: 'membership of another node',
    topic: '$hw/events/node/node/membership/get',
    body: { event_id: 'e' },
    answer: { topic: '$hw/events/node/node/membership/get', code: 404 },
  },
];

async function withPump(fn: (rig: Rig, client: TestClient) => Promise<void>): Promise<void> {
  await withRig(async (rig) => {
    rig.edgecore.putModel(pumpModel);
    rig.edgecore.putDevice(deviceOf('pump-1', [{ name: 'rpm' }, { name: 'note' }]));
    await until(() => rig.edgecore.reported.has('devicestatus/plant/pump-1'));
    const client = await rig.connect();
    await client.subscribe(
      '$hw/events/device/+/+/+/+/result',
      '$hw/events/device/#',
      '$hw/events/node/#',
      '$hw/events/upload/#',
    );
    await fn(rig, client);
  });
}

/** A twin/get is answered, with what the twin holds. */
async function stillServes(rig: Rig): Promise<void> {
  const other = await rig.connect();
  await other.subscribe(device('twin/get/result'));
  await other.publish(device('twin/get'), { event_id: 'still' });
  expect(await other.next(device('twin/get/result'))).toMatchObject({
    event_id: 'still',
    twin: { rpm: { metadata: { type: 'int' } } },
  });
  await other.mqtt.endAsync();
}

describe('bad input', () => {
  test('each gets its answer, and everything goes on', () =>
    withPump(async (rig, client) => {
      for (const { what, topic = update, body, answer } of cases) {
        await client.publish(topic, body);
        if (answer) {
          const event = answer.event ?? 'e';
          const got = await client.next(`${answer.topic ?? topic}/result`);
          expect({ what, event: got['event_id'], code: got['code'] ?? 0 }).toEqual({ what, event, code: answer.code });
        }
      }
      await client.publish(device('twin/get'), { event_id: 'last' });
      await client.next(device('twin/get/result'));
      const forged = client.rest().filter(({ body }) => JSON.stringify(body ?? null).includes('forged'));
      expect(forged).toEqual([]);
      await stillServes(rig);
    }));

  test('a packet beyond the limit ends its connection only', () =>
    withPump(async (rig, client) => {
      const big = await rig.connect({ reconnectPeriod: 0 });
      const closed = new Promise<void>((resolve) => big.mqtt.once('close', () => resolve()));
      big.mqtt.publish('plain', Buffer.alloc(3 * 1024 * 1024), { qos: 1 }, () => {});
      await closed;
      expect(client.mqtt.connected).toBe(true);
      await stillServes(rig);
    }));

  test('MQTT 5 is refused with the code of 3.1.1', () =>
    withPump(async (rig) => {
      const attempt = connectAsync(`mqtt://127.0.0.1:${rig.port()}`, { protocolVersion: 5, reconnectPeriod: 0 });
      await expect(attempt).rejects.toThrow(/protocol version/i);
      await stillServes(rig);
    }));

  test('a client id that is too long is refused', () =>
    withPump(async (rig) => {
      const attempt = connectAsync(`mqtt://127.0.0.1:${rig.port()}`, {
        protocolVersion: 4,
        clientId: 'x'.repeat(300),
        reconnectPeriod: 0,
      });
      await expect(attempt).rejects.toThrow(/identifier rejected/i);
    }));

  test('requests are not retained, and a forged answer is kept for nobody', () =>
    withPump(async (rig, client) => {
      await client.mqtt.publishAsync(update, JSON.stringify({ twin: { rpm: { actual: { value: '1' } } } }), {
        qos: 1,
        retain: true,
      });
      await client.mqtt.publishAsync(device('twin/update/delta'), '{"forged":1}', { qos: 1, retain: true });
      const late = await rig.connect();
      await late.subscribe('$hw/#', '$skerry/#');
      await late.publish(`$hw/events/node/${NODE}/membership/get`, { event_id: 'm' });
      await late.next(`$hw/events/node/${NODE}/membership/get/result`);
      expect(
        late.rest().filter(({ topic }) => topic.startsWith('$hw/events/device') || topic.startsWith('$skerry')),
      ).toEqual([]);
    }));
});
