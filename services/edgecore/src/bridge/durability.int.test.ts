// What PUBACK promises: an acknowledged update is on disk, whoever dies. Twin and bridge run as processes and are killed with -9.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { nullLogger } from '@skerry/common/logger';
import type { IClientOptions, MqttClient } from 'mqtt';
import { createDurableStore } from '../store/durable-store.js';
import { createFakeEdgecore, type FakeEdgecore } from '../twin/testing/fake-edgecore.js';
import { deviceOf, pumpModel } from '../twin/testing/samples.js';
import { type PartProcess, spawnPart } from './testing/process.js';
import { device, openClient, type TestClient, until } from './testing/rig.js';

interface Site {
  readonly dir: string;
  readonly edgecore: FakeEdgecore;
  twin: PartProcess;
  bridge: PartProcess;
  startTwin(): Promise<PartProcess>;
  startBridge(): Promise<PartProcess>;
  connect(options?: IClientOptions): Promise<TestClient>;
}

async function withSite(fn: (site: Site) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'sk-'));
  const run = (name: string): string => join(dir, 'run', `${name}.sock`);
  const edgecore = createFakeEdgecore(run('edgecore'));
  const clients: MqttClient[] = [];
  await edgecore.start();
  edgecore.putModel(pumpModel);
  edgecore.putDevice(deviceOf('pump-1', [{ name: 'rpm' }, { name: 'note' }]));
  const startTwin = (): Promise<PartProcess> =>
    spawnPart('twin', {
      node: 'edge-1',
      edgecoreSocket: run('edgecore'),
      socket: run('twin'),
      stateDir: join(dir, 'twin'),
    });
  let listen = '127.0.0.1:0';
  const startBridge = async (): Promise<PartProcess> => {
    const options = {
      node: 'edge-1',
      twinSocket: run('twin'),
      socket: run('bridge'),
      stateDir: join(dir, 'bridge'),
      listen,
    };
    const started = await spawnPart('bridge', options);
    listen = started.address;
    return started;
  };
  const site: Site = {
    dir,
    edgecore,
    twin: await startTwin(),
    bridge: await startBridge(),
    startTwin,
    startBridge,
    connect: (options = {}) => openClient(`mqtt://${listen}`, options, clients),
  };
  try {
    await until(() => edgecore.reported.has('devicestatus/plant/pump-1'));
    await fn(site);
  } finally {
    for (const client of clients) await client.endAsync(true);
    await site.bridge.kill9();
    await site.twin.kill9();
    await edgecore.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

/** The actual values in the twin's store, by property. */
async function storedActuals(dir: string): Promise<Record<string, string>> {
  const store = createDurableStore({ file: join(dir, 'twin', 'twins.db'), logger: nullLogger(), nowMs: () => 0 });
  const { entries } = await store.load();
  await store.close();
  const prefix = 'property/plant/pump-1/';
  return Object.fromEntries(
    [...entries].flatMap(([key, text]) => {
      if (!key.startsWith(prefix)) return [];
      const { actual } = JSON.parse(text) as { actual?: { value: string } };
      return [[key.slice(prefix.length), actual?.value ?? '']];
    }),
  );
}

const reading = (n: number): string =>
  JSON.stringify({ event_id: `n-${n}`, twin: { [`p${n % 20}`]: { actual: { value: String(n) } } } });

describe('PUBACK', () => {
  test(
    'kill -9 of the twin in a QoS 1 stream: every acknowledged update is on disk',
    () =>
      withSite(async (site) => {
        const client = await site.connect();
        const acknowledged = new Map<string, number>();
        let sending = true;
        const sender = (async () => {
          for (let n = 0; sending; n++) {
            client.mqtt
              .publishAsync(device('twin/update'), reading(n), { qos: 1 })
              .then(() => acknowledged.set(`p${n % 20}`, n))
              .catch(() => {});
            if (n % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
          }
        })();
        for (let round = 0; round < 3; round++) {
          const before = acknowledged.get('p7') ?? -1;
          await until(() => (acknowledged.get('p7') ?? -1) > before + 40);
          await site.twin.kill9();
          const atKill = new Map(acknowledged);
          const stored = await storedActuals(site.dir);
          for (const [name, n] of atKill) expect(Number(stored[name])).toBeGreaterThanOrEqual(n);
          site.twin = await site.startTwin();
        }
        sending = false;
        await sender;
      }),
    20_000,
  );

  test(
    'a short absence of the twin passes unnoticed: the message is acknowledged later, on the same connection',
    () =>
      withSite(async (site) => {
        const client = await site.connect();
        let closed = 0;
        client.mqtt.on('close', () => {
          closed += 1;
        });
        await site.twin.kill9();
        const published = client.publish(device('twin/update'), { twin: { rpm: { actual: { value: '7' } } } });
        site.twin = await site.startTwin();
        await published;
        expect(closed).toBe(0);
        await site.twin.kill9();
        expect(await storedActuals(site.dir)).toMatchObject({ rpm: '7' });
      }),
    20_000,
  );

  test(
    'kill -9 of the bridge: a durable session gets what came while its client was away',
    () =>
      withSite(async (site) => {
        const durable = { clean: false, clientId: 'keeper', protocolVersion: 4 } as const;
        const first = await site.connect(durable);
        await first.subscribe(device('twin/update/delta'));
        await first.mqtt.endAsync();
        const writer = await site.connect();
        await writer.subscribe(device('twin/update/delta'));
        for (const value of ['1', '2', '3']) {
          await writer.publish(device('twin/update'), { event_id: value, twin: { rpm: { expected: { value } } } });
          await writer.next(device('twin/update/delta'));
        }
        await site.bridge.kill9();
        site.bridge = await site.startBridge();
        await writer.publish(device('twin/update'), { event_id: '4', twin: { rpm: { expected: { value: '4' } } } });
        const again = await site.connect(durable);
        // Some may come twice: a bridge that connects to the twin says again what still differs.
        const heard = new Set<unknown>();
        while (!heard.has('4'))
          heard.add(((await again.next(device('twin/update/delta')))['delta'] as { rpm: string }).rpm);
        expect([...heard]).toEqual(['1', '2', '3', '4']);
      }),
    20_000,
  );
});
