// The cloud side in one process: devcluster, a hub and both controllers, over real sockets. Edges are peers that speak the link.
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createCloudhub } from '@skerry/cloudhub/app';
import { systemClock } from '@skerry/common/clock';
import { createTlsSource, loadTlsFiles } from '@skerry/common/grpc/tls';
import { connectKube, type KubeClient } from '@skerry/common/kube/client';
import { loadKubeConnection } from '@skerry/common/kube/config';
import { createJoinToken, decodeSecretData, readCaCertificate } from '@skerry/common/kube/join-token';
import type { KubeObject } from '@skerry/common/kube/object';
import { type Resource, SECRETS } from '@skerry/common/kube/resources';
import type { KubeTransport } from '@skerry/common/kube/transport';
import { type Component, createLifecycle } from '@skerry/common/lifecycle';
import { nullLogger } from '@skerry/common/logger';
import { withTempDir } from '@skerry/common/testing/temp-dir';
import { createDevcluster, type Devcluster } from '@skerry/devcluster/devcluster';
import { createDeviceController } from '@skerry/devicecontroller/app';
import { createEdgeController } from '@skerry/edgecontroller/app';
import { parseAllDocuments } from 'yaml';
import { connectEdge, type Edge } from './edge.js';
import { ungranted } from './rights.js';

const clock = systemClock();
const logger = nullLogger();
const TOKEN_TTL_MS = 600_000;
const DAY_MS = 86_400_000;

export interface Running {
  stop(): Promise<void>;
}

export interface Cloud {
  /** With all rights. */
  readonly kube: KubeClient;
  readonly devcluster: { stop(): Promise<void>; start(): Promise<void> };
  startEdgeController(instance?: string): Promise<Running & { stats(): Readonly<Record<string, unknown>> }>;
  startDeviceController(): Promise<Running & { stats(): Readonly<Record<string, unknown>> }>;
  /** Enrols with a new join token and connects. */
  edge(node: string): Promise<Edge>;
}

/** Everything runs when `fn` is called, and nothing any longer when this resolves. */
export async function withCloud(
  fn: (cloud: Cloud & { kubeController: Running; deviceController: Running }) => Promise<void>,
) {
  await withTempDir(async (dir) => {
    const stops: (() => Promise<void>)[] = [];
    try {
      const cloud = await startCloud(dir, stops);
      await fn(cloud);
    } finally {
      for (const stop of stops.reverse()) await stop();
    }
  });
}

async function startCloud(dir: string, stops: (() => Promise<void>)[]) {
  const [apiPort, hubPort] = [await freePort(), await freePort()];
  const api = restartable(() => createDevcluster({ stateDir: join(dir, 'c'), port: apiPort }));
  await api.start();
  stops.push(api.stop);
  const connection = await loadKubeConnection({ kind: 'file', path: join(dir, 'c', 'kubeconfig') }, clock);
  const connect = () => connectKube({ connection, clock, random: Math.random });
  const admin = connect();
  stops.push(() => admin.transport.close());
  await applyCrds(admin.client);

  const hubs = [`127.0.0.1:${hubPort}`];
  const common = { hubs, clock, random: Math.random, logger };
  const run = async (components: readonly Component[], close: () => Promise<void>): Promise<Running> => {
    const lifecycle = createLifecycle({ components, stopTimeoutMs: 10_000, clock, logger });
    await lifecycle.start();
    const stop = async (): Promise<void> => {
      await lifecycle.stop();
      await close();
    };
    stops.push(stop);
    return { stop: once(stop) };
  };

  const startEdgeController = async (instance = 'edgecontroller-0') => {
    const { client, transport } = connect();
    const app = createEdgeController({
      ...common,
      client,
      kubeStats: transport.stats,
      instance,
      serverNames: ['hub.example'],
      nodeCertificateTtlMs: DAY_MS,
    });
    return { ...(await run(app.components, () => closeWithin('edgecontroller', transport))), stats: app.stats };
  };
  const startDeviceController = async () => {
    const { client, transport } = connect();
    const tls = createTlsSource(await loadTlsFiles(join(dir, 'd')));
    const app = createDeviceController({
      ...common,
      client,
      kubeStats: transport.stats,
      tls: tls.current,
      instance: 'devicecontroller-0',
      reportCycleMs: 200,
      writesPerSecond: 200,
    });
    return { ...(await run(app.components, () => closeWithin('devicecontroller', transport))), stats: app.stats };
  };

  const kubeController = await startEdgeController();
  await writeSecret(admin.client, 'cloudhub-tls', join(dir, 'h'));
  await writeSecret(admin.client, 'devicecontroller-tls', join(dir, 'd'));
  const hubKube = connect();
  const hub = await createCloudhub({
    host: '127.0.0.1',
    port: hubPort,
    tlsDir: join(dir, 'h'),
    instance: 'hub-0',
    kube: hubKube.client,
    clock,
    random: Math.random,
    utilization: () => 0,
    logger,
  });
  await run(hub.components, () => hubKube.transport.close());
  const deviceController = await startDeviceController();

  const edge = async (node: string): Promise<Edge> => {
    const caCertPem = await readCaCertificate(admin.client);
    const token = await createJoinToken({ kube: admin.client, caCertPem, ttlMs: TOKEN_TTL_MS, node, clock });
    const connected = await connectEdge({ hub: `127.0.0.1:${hubPort}`, node, token, caCertPem });
    stops.push(async () => connected.close());
    return connected;
  };
  return {
    kube: admin.client,
    devcluster: api,
    startEdgeController,
    startDeviceController,
    edge,
    kubeController,
    deviceController,
  };
}

/** Closes the service's connection, and complains about requests beyond its rights. */
async function closeWithin(service: string, transport: KubeTransport): Promise<void> {
  await transport.close();
  const beyond = await ungranted(service, transport.stats().requests);
  // devcluster has no namespace of ours until somebody makes it; k8s/rbac brings it along.
  const wrong = beyond.filter((request) => request !== 'create namespaces');
  if (wrong.length > 0) throw new Error(`${service} asked for what k8s/rbac does not grant: ${wrong.join(', ')}`);
}

function restartable(create: () => Devcluster): { start(): Promise<void>; stop(): Promise<void> } {
  let running: Devcluster | undefined;
  return {
    async start() {
      running = create();
      await running.start();
    },
    async stop() {
      await running?.stop(AbortSignal.timeout(10_000));
      running = undefined;
    },
  };
}

function once(stop: () => Promise<void>): () => Promise<void> {
  let stopped: Promise<void> | undefined;
  return () => {
    stopped ??= stop();
    return stopped;
  };
}

/** Free now; nobody else on this machine takes ports of the ephemeral range in the meantime but by chance. */
function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

async function writeSecret(kube: KubeClient, name: string, dir: string): Promise<void> {
  await mkdir(dir, { recursive: true });
  const data = decodeSecretData(await kube.get(SECRETS, { namespace: 'skerry-system', name }));
  for (const file of ['tls.crt', 'tls.key', 'ca.crt']) await writeFile(join(dir, file), data[file] ?? '');
}

const CRDS: Resource<KubeObject> = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  namespaced: false,
};

async function applyCrds(kube: KubeClient): Promise<void> {
  const dir = join(import.meta.dirname, '../../k8s/crds');
  for (const file of await readdir(dir)) {
    for (const document of parseAllDocuments(await readFile(join(dir, file), 'utf8'))) {
      const object = document.toJS() as KubeObject;
      if (object.kind === CRDS.kind) await kube.create(CRDS, object);
    }
  }
}

/** Asks again and again until the answer is no longer undefined or false. Throws what it last saw after 30 s. */
export async function eventually<T>(ask: () => T | Promise<T>, what: string): Promise<NonNullable<T>> {
  let last: unknown;
  for (const end = Date.now() + 30_000; Date.now() < end; ) {
    try {
      last = await ask();
      if (last !== undefined && last !== false && last !== null) return last as NonNullable<T>;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`${what} did not happen; last seen: ${last instanceof Error ? last.stack : JSON.stringify(last)}`);
}
