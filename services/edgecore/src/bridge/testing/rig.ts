// Bridge, twin and a stand-in for edgecore in one process, over real sockets; and MQTT clients that remember what they were sent.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@skerry/common/clock';
import type { Component } from '@skerry/common/lifecycle';
import { nullLogger } from '@skerry/common/logger';
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import { createFakeEdgecore, type FakeEdgecore } from '../../twin/testing/fake-edgecore.js';
import { createTwin } from '../../twin/twin.js';
import { type Bridge, createBridge } from '../bridge.js';

export const NODE = 'edge-1';
const DEADLINE_MS = 5_000;
const WAIT_MS = 4_000;
const POLL_MS = 5;

export interface Rig {
  readonly dir: string;
  readonly edgecore: FakeEdgecore;
  readonly bridge: Bridge;
  readonly twin: Component;
  readonly port: () => number;
  /** A client that is closed with the rig. */
  connect(options?: IClientOptions): Promise<TestClient>;
  restartTwin(): Promise<void>;
  restartBridge(): Promise<void>;
}

export interface TestClient {
  readonly mqtt: MqttClient;
  subscribe(...topics: string[]): Promise<void>;
  /** QoS 1: resolves with PUBACK. */
  publish(topic: string, body: unknown): Promise<void>;
  /** The next message on the topic that was not taken yet. */
  next(topic: string): Promise<Received>;
  /** Everything that came and was not taken, in order. */
  rest(): { topic: string; body: unknown }[];
}

export type Received = Record<string, unknown>;

export const device = (rest: string, name = 'pump-1', namespace = 'plant'): string =>
  `$hw/events/device/${namespace}/${name}/${rest}`;

/** What differs from run to run, made constant. */
export function stable(body: unknown): unknown {
  return JSON.parse(JSON.stringify(body), (key, value: unknown) => (key === 'timestamp' ? 0 : value));
}

export async function withRig(fn: (rig: Rig) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'sk-'));
  const edgecoreSocket = join(dir, 'run', 'edgecore.sock');
  const twinSocket = join(dir, 'run', 'twin.sock');
  const shared = { node: NODE, clock: systemClock(), logger: nullLogger() };
  const edgecore = createFakeEdgecore(edgecoreSocket);
  const newTwin = (): Component =>
    createTwin({ ...shared, edgecoreSocket, socket: twinSocket, stateDir: join(dir, 'twin') });
  const newBridge = (listen: string): Bridge =>
    createBridge({
      ...shared,
      twinSocket,
      socket: join(dir, 'run', 'bridge.sock'),
      stateDir: join(dir, 'bridge'),
      listen,
    });
  let twin = newTwin();
  let bridge = newBridge('127.0.0.1:0');
  const clients: MqttClient[] = [];
  const stop = (component: Component): Promise<void> => component.stop(AbortSignal.timeout(DEADLINE_MS));
  const port = (): number => Number(bridge.address().split(':').at(-1));
  try {
    await edgecore.start();
    await twin.start();
    await bridge.start();
    await fn({
      dir,
      edgecore,
      get bridge() {
        return bridge;
      },
      get twin() {
        return twin;
      },
      port,
      connect: (options = {}) => openClient(`mqtt://127.0.0.1:${port()}`, options, clients),
      async restartTwin() {
        await stop(twin);
        twin = newTwin();
        await twin.start();
      },
      async restartBridge() {
        const listen = bridge.address();
        await stop(bridge);
        bridge = newBridge(listen);
        await bridge.start();
      },
    });
  } finally {
    for (const client of clients) await client.endAsync(true);
    await stop(bridge);
    await stop(twin);
    await edgecore.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

/** Listens before it connects, so that what waited for a session is not missed. */
export async function openClient(url: string, options: IClientOptions, opened: MqttClient[]): Promise<TestClient> {
  const mqtt = connect(url, { protocolVersion: 4, reconnectPeriod: 50, connectTimeout: 2_000, ...options });
  opened.push(mqtt);
  const client = testClient(mqtt);
  await new Promise<void>((resolve, reject) => {
    mqtt.once('connect', () => resolve());
    mqtt.once('error', reject);
  });
  return client;
}

function testClient(mqtt: MqttClient): TestClient {
  const received: { topic: string; body: unknown }[] = [];
  mqtt.on('error', () => {});
  mqtt.on('message', (topic, payload) => {
    received.push({ topic, body: parse(payload) });
  });

  async function next(topic: string): Promise<Received> {
    const found = (): number => received.findIndex((message) => message.topic === topic);
    await until(() => found() >= 0).catch(() => {
      throw new Error(`nothing came on ${topic}; there is ${JSON.stringify(received).slice(0, 2_000)}`);
    });
    return received.splice(found(), 1)[0]?.body as Received;
  }

  return {
    mqtt,
    async subscribe(...topics) {
      await mqtt.subscribeAsync(topics, { qos: 1 });
    },
    async publish(topic, body) {
      const payload = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
      await mqtt.publishAsync(topic, payload, { qos: 1 });
    },
    next,
    rest: () => received.splice(0),
  };
}

function parse(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString('utf8'));
  } catch {
    return payload.toString('utf8');
  }
}

/** Gives up before a test's time limit, so that what the test started is still stopped. */
export async function until(check: () => boolean): Promise<void> {
  for (let tries = 0; !check(); tries++) {
    if (tries === WAIT_MS / POLL_MS) throw new Error('it did not happen');
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
