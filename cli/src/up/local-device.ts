// A local application's view of a device: an ordinary MQTT client of the node's broker, which works with the cloud gone.
import { randomUUID } from 'node:crypto';
import { SkerryError } from '@skerry/common/errors';
import { connectAsync, type MqttClient } from 'mqtt';

export interface LocalDevice {
  /** Sets the expected value of a property; resolves when the broker has acknowledged, that is, when it is on disk. */
  expect(property: string, value: string): Promise<void>;
  /** The actual value, asked for by twin/get; undefined when the twin has none. */
  actual(property: string): Promise<string | undefined>;
  close(): Promise<void>;
}

const ANSWER_MS = 5_000;

export async function openLocalDevice(brokerUrl: string, namespace: string, name: string): Promise<LocalDevice> {
  const topic = `$hw/events/device/${namespace}/${name}/twin`;
  const client = await connectAsync(brokerUrl, { clientId: `skerry-cli-${randomUUID()}`, queueQoSZero: false });
  await client.subscribeAsync(`${topic}/get/result`, { qos: 1 });
  return {
    async expect(property, value) {
      const body = { event_id: randomUUID(), timestamp: Date.now(), twin: { [property]: { expected: { value } } } };
      await client.publishAsync(`${topic}/update`, JSON.stringify(body), { qos: 1 });
    },
    async actual(property) {
      const eventId = randomUUID();
      const answer = answerTo(client, `${topic}/get/result`, eventId);
      await client.publishAsync(`${topic}/get`, JSON.stringify({ event_id: eventId, timestamp: Date.now() }), {
        qos: 1,
      });
      return (await answer).twin?.[property]?.actual?.value;
    },
    close: () => client.endAsync(),
  };
}

interface GetResult {
  readonly event_id?: string;
  readonly twin?: Record<string, { actual?: { value?: string } } | undefined>;
}

function answerTo(client: MqttClient, topic: string, eventId: string): Promise<GetResult> {
  return new Promise((resolve, reject) => {
    const finish = (outcome: () => void): void => {
      clearTimeout(timer);
      client.off('message', onMessage);
      outcome();
    };
    const onMessage = (received: string, payload: Buffer): void => {
      if (received !== topic) return;
      const result = JSON.parse(payload.toString('utf8')) as GetResult;
      if (result.event_id === eventId) finish(() => resolve(result));
    };
    const timer = setTimeout(
      () => finish(() => reject(new SkerryError('deadline_exceeded', `no answer on ${topic} within ${ANSWER_MS} ms`))),
      ANSWER_MS,
    );
    client.on('message', onMessage);
  });
}
