// The gate alone: what is acknowledged, in which order, and what is not.
import { describe, expect, test } from '@jest/globals';
import { SkerryError } from '@skerry/common/errors';
import { nullLogger } from '@skerry/common/logger';
import { fakeClock } from '@skerry/common/testing/fake-clock';
import type { ExchangeResponse } from '@skerry/gen/skerry/edge/v1/twin';
import type { Client, PublishPacket } from 'aedes';
import { createCounters } from './counters.js';
import { createGate } from './gate.js';
import { createOccasionalLog } from './occasional-log.js';
import type { Publication } from './publications.js';
import type { TwinRequest } from './twin-link.js';

interface Asked {
  readonly request: TwinRequest;
  answer(result: NonNullable<ExchangeResponse['result']>): void;
  fail(): void;
}

function newGate(connected = true) {
  const clock = fakeClock();
  const counters = createCounters();
  const asked: Asked[] = [];
  const published: Publication[] = [];
  const acknowledged: string[] = [];
  const gate = createGate({
    node: 'edge-1',
    link: {
      request: (request) =>
        new Promise((resolve, reject) => {
          asked.push({
            request,
            answer: (result) =>
              resolve({ id: 1n, device: request.device, eventId: request.eventId, timestampMs: 5n, result }),
            fail: () => reject(new SkerryError('unavailable', 'the twin is away')),
          });
        }),
      connected: () => connected,
      start: () => {},
      stop: async () => {},
    },
    publisher: { publish: (_lane, publications) => void published.push(...publications) },
    counters,
    clock,
    log: createOccasionalLog(nullLogger(), clock),
  });
  const publish = (
    client: Client,
    topic: string,
    body: object = { event_id: topic },
    qos: 0 | 1 = 1,
  ): PublishPacket => {
    const packet: PublishPacket = {
      cmd: 'publish',
      topic,
      payload: Buffer.from(JSON.stringify(body)),
      qos,
      retain: true,
      dup: false,
    };
    gate.authorizePublish(client, packet, (error) => void acknowledged.push(error ? `closed: ${topic}` : topic));
    return packet;
  };
  return { clock, counters, asked, published, acknowledged, publish };
}

const client = (id: string): Client => ({ id }) as Client;
const GET = '$hw/events/device/plant/pump-1/twin/get';
const UPDATE = '$hw/events/device/plant/pump-1/twin/update';
const empty = { $case: 'twinDocument', value: { twins: {} } } as const;

describe('gate', () => {
  test('nothing is acknowledged before the twin has answered, and the answer is published', async () => {
    const { clock, asked, acknowledged, published, publish } = newGate();
    publish(client('a'), GET, { event_id: 'g' });
    await clock.advance(1);
    expect(acknowledged).toEqual([]);
    asked[0]?.answer(empty);
    await clock.advance(1);
    expect(acknowledged).toEqual([GET]);
    expect(published).toEqual([{ topic: `${GET}/result`, payload: '{"event_id":"g","timestamp":5,"twin":{}}' }]);
  });

  test('acknowledgements of a client keep the order of its messages; other clients are not delayed', async () => {
    const { clock, asked, acknowledged, publish } = newGate();
    const [a, b] = [client('a'), client('b')];
    publish(a, GET);
    publish(a, 'plain/a');
    publish(a, UPDATE, { twin: {} });
    publish(b, 'plain/b');
    await clock.advance(1);
    expect(acknowledged).toEqual(['plain/b']);
    asked[1]?.answer(empty);
    await clock.advance(1);
    expect(acknowledged).toEqual(['plain/b']);
    asked[0]?.answer(empty);
    await clock.advance(1);
    expect(acknowledged).toEqual(['plain/b', GET, 'plain/a', UPDATE]);
    publish(a, 'plain/again');
    expect(acknowledged.at(-1)).toBe('plain/again');
  });

  test.each([
    ['the twin does not answer', (one: Asked | undefined) => one?.fail()],
    [
      'the twin cannot store it',
      (one: Asked | undefined) => one?.answer({ $case: 'error', value: { code: 500, reason: 'disk full' } }),
    ],
  ])('when %s, a QoS 1 client is closed and a QoS 0 client is not', async (_what, fail) => {
    const { clock, counters, asked, acknowledged, publish } = newGate();
    publish(client('a'), UPDATE, { twin: {} }, 1);
    publish(client('b'), GET, {}, 0);
    fail(asked[0]);
    fail(asked[1]);
    await clock.advance(1);
    expect(acknowledged.sort()).toEqual([GET, `closed: ${UPDATE}`]);
    expect(counters).toMatchObject({ unacknowledged: 1, lostAtQos0: 1 });
  });

  test('a QoS 0 message does not wait for a twin that is away', async () => {
    const { clock, counters, asked, acknowledged, publish } = newGate(false);
    publish(client('a'), GET, {}, 0);
    await clock.advance(1);
    expect([acknowledged, asked, counters.lostAtQos0]).toEqual([[GET], [], 1]);
  });

  test('a request is never retained, a refused message is emptied and goes nowhere', () => {
    const { counters, acknowledged, publish } = newGate();
    expect(publish(client('a'), GET).retain).toBe(false);
    const forged = publish(client('b'), `${UPDATE}/delta`);
    expect(forged).toMatchObject({ topic: '$skerry/nowhere', retain: false });
    expect(forged.payload).toHaveLength(0);
    expect(publish(client('c'), 'plain/c')).toMatchObject({ topic: 'plain/c', retain: true });
    expect([counters.refused, acknowledged]).toEqual([1, [`${UPDATE}/delta`, 'plain/c']]);
  });
});
