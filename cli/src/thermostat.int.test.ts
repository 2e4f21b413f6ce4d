// The thermostat against a stand-in for the node: a broker that answers its topics from a script.
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import { systemClock } from '@skerry/common/clock';
import { nullLogger } from '@skerry/common/logger';
import { Aedes, type PublishPacket } from 'aedes';
import { startThermostat, type Thermostat } from './thermostat.js';

const DEVICE = '$hw/events/device/home/t1';

interface Node {
  readonly port: number;
  /** What the thermostat said, newest last. */
  readonly states: string[];
  readonly temperatures: string[];
  /** Undefined: the device is unknown. */
  expected: string | undefined;
  sayDelta(): void;
  stop(): Promise<void>;
}

async function startNode(expected: string | undefined, port = 0): Promise<Node> {
  const states: string[] = [];
  const temperatures: string[] = [];
  const broker = await Aedes.createBroker({
    authorizePublish: (_client, packet, done) => {
      done(null);
      heard(packet);
    },
  });
  const server: Server = createServer(broker.handle);
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');

  function heard({ topic, payload }: PublishPacket): void {
    if (!topic.startsWith(DEVICE)) return;
    const { state, twin } = JSON.parse(payload.toString()) as {
      state?: string;
      twin?: { temperature: { actual: { value: string } } };
    };
    if (topic === `${DEVICE}/state/update` && state) {
      states.push(state);
      // As on a node: a device that is not known gets no answer.
      if (node.expected !== undefined) say('state/update/result', { device: { name: 't1', state } });
    }
    if (topic === `${DEVICE}/twin/update` && twin) temperatures.push(twin.temperature.actual.value);
    if (topic === `${DEVICE}/twin/get`)
      say('twin/get/result', node.expected === undefined ? { code: 404, reason: 'unknown' } : twinBody());
  }

  const twinBody = (): object => ({ twin: { temperature: { expected: { value: node.expected } } } });

  function say(rest: string, body: object): void {
    const payload = Buffer.from(JSON.stringify(body));
    broker.publish(
      { cmd: 'publish', topic: `${DEVICE}/${rest}`, payload, qos: 1, retain: false, dup: false },
      () => {},
    );
  }

  const node: Node = {
    port: (server.address() as AddressInfo).port,
    states,
    temperatures,
    expected,
    sayDelta: () => say('twin/update/delta', { ...twinBody(), delta: { temperature: node.expected } }),
    async stop() {
      server.close();
      await new Promise<void>((resolve) => broker.close(() => resolve()));
    },
  };
  return node;
}

/** Gives up before the test's time limit, so that what the test started is still stopped. */
async function until(check: () => boolean): Promise<void> {
  for (let tries = 0; !check(); tries++) {
    if (tries === 400) throw new Error('it did not happen');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function withThermostat(node: Node, fn: (thermostat: Thermostat) => Promise<void>): Promise<void> {
  const options = { brokerUrl: `mqtt://127.0.0.1:${node.port}`, namespace: 'home', name: 't1' };
  const thermostat = await startThermostat({ ...options, clock: systemClock(), logger: nullLogger() });
  try {
    await fn(thermostat);
  } finally {
    await thermostat.stop();
    await node.stop();
  }
}

describe('thermostat', () => {
  test('moves to the set point in steps, obeys a delta, and says offline when it goes', async () => {
    const node = await startNode('20.5');
    await withThermostat(node, async (thermostat) => {
      await until(() => node.temperatures.at(-1) === '20.5');
      expect(node.temperatures).toEqual(['19', '20.0', '20.5']);
      node.expected = '18';
      node.sayDelta();
      await until(() => node.temperatures.at(-1) === '18');
      expect(node.temperatures.slice(3)).toEqual(['19.5', '18.5', '18']);
      expect(node.states[0]).toBe('online');
      await thermostat.stop();
      expect(node.states.at(-1)).toBe('offline');
    });
  });

  test('asks again until the node knows the device', async () => {
    const node = await startNode(undefined);
    await withThermostat(node, async () => {
      await until(() => node.states.length > 0);
      const unheard = node.states.length;
      node.expected = '19';
      // The delta comes before it asks again: hearing of the set point must not keep it from saying that it is online.
      node.sayDelta();
      await until(() => node.temperatures.length > 0 && node.states.length > unheard);
      expect(node.temperatures).toEqual(['19']);
    });
  });

  test('reconnects when the broker comes back, and takes up what changed meanwhile', async () => {
    const first = await startNode('19');
    await withThermostat(first, async () => {
      await until(() => first.temperatures.length > 0);
      await first.stop();
      const second = await startNode('17', first.port);
      try {
        await until(() => second.temperatures.at(-1) === '17');
        expect(second.states[0]).toBe('online');
      } finally {
        await second.stop();
      }
    });
  });
});
