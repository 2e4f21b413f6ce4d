// Bridge, twin and a stand-in for edgecore in one process, over real sockets; and MQTT clients that remember what they were sent.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@skerry/common/clock';
import type { Component } from '@skerry/common/lifecycle';
import { nullLogger } from '@skerry/common/logger';
import { connectAsync, type IClientOptions, type MqttClient } from 'mqtt';
import { createFakeEdgecore, type FakeEdgecore } from '../../twin/testing/fake-edgecore.js';
import { createTwin } from '../../twin/twin.js';
import { type Bridge, createBridge } from '../bridge.js';

export const NODE = 'edge-1';
const DEADLINE_MS = 5_000;

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
      async connect(options = {}) {
        const mqtt = await connectAsync(`mqtt://127.0.0.1:${port()}`, {
          protocolVersion: 4,
          reconnectPeriod: 50,
          ...options,
        });
        clients.push(mqtt);
        return testClient(mqtt);
      },
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

export function testClient(mqtt: MqttClient): TestClient {
  const received: { topic: string; body: unknown }[] = [];
  let wake: () => void = () => {};
  mqtt.on('error', () => {});
  mqtt.on('message', (topic, payload) => {
    received.push({ topic, body: parse(payload) });
    wake();
  });

  async function next(topic: string): Promise<Received> {
    for (;;) {
      const at = received.findIndex((message) => message.topic === topic);
      if (at >= 0) return received.splice(at, 1)[0]?.body as Received;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
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

/** Resolves when `check` holds; a test's time limit ends a wait that never does. */
export async function until(check: () => boolean): Promise<void> {
  while (!check()) await new Promise((resolve) => setTimeout(resolve, 10));
}
