// `skerry up`: sets an instance up, shows the demonstration, stays, and leaves nothing behind.
// Invariants: whatever fails, children and the temporary folder go; the demonstration's workloads go with it, the agent's own rule (restarting
// never touches a container) notwithstanding, because here the Pod is deleted through the API first.

import { accessSync, constants } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { Metadata } from '@grpc/grpc-js';
import { type Clock, systemClock } from '@skerry/common/clock';
import { messageOf } from '@skerry/common/errors';
import { unary, unixClient } from '@skerry/common/grpc/client';
import type { KubeClient } from '@skerry/common/kube/client';
import { HUB_TLS_SECRET } from '@skerry/common/kube/join-token';
import { isNotFound } from '@skerry/common/kube/kube-error';
import type { KubeObject } from '@skerry/common/kube/object';
import {
  CONFIG_MAPS,
  type ConfigMap,
  DEVICE_MODELS,
  DEVICES,
  PODS,
  type Resource,
} from '@skerry/common/kube/resources';
import { EngineServiceClient, type ListPodsResponse } from '@skerry/gen/skerry/edge/v1/engine';
import { apply, type KubeSession, openKube, readManifests } from '../kube.js';
import { instanceFile, type Layout, layoutOf, manifests } from './layout.js';
import { openLocalDevice } from './local-device.js';
import { compileUpOptions, type UpOptions } from './options.js';
import { createReport, type Report } from './report.js';
import { readyNode, runScenario } from './scenario.js';
import { choosePorts, createStack, materialise, NODE, type Ports, type Stack, tokenFor } from './stack.js';
import { createWaiter, type Waiter } from './wait.js';

const STOP_GRACE_MS = 10_000;
/** Long enough for an edge that is just waiting to connect again, and for the Pod's own grace period. */
const WORKLOAD_GRACE_MS = 45_000;

interface Instance {
  readonly options: UpOptions;
  readonly layout: Layout;
  readonly ports: Ports;
  readonly stack: Stack;
  readonly report: Report;
  readonly waiter: Waiter;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  session?: KubeSession;
}

/** Runs until the scenario ends (`--once`) or `signal` aborts. Returns the exit code. */
export async function up(argv: readonly string[], signal: AbortSignal): Promise<number> {
  const options = compileUpOptions(argv);
  const clock = systemClock();
  const report = createReport({
    write: (text) => process.stdout.write(text),
    colour: process.stdout.isTTY === true,
    clock,
  });
  const layout = layoutOf(options.stateDir ?? (await mkdtemp(join(tmpdir(), 'skerry-'))));
  await mkdir(layout.logs, { recursive: true, mode: 0o700 });
  await mkdir(dirname(instanceFile), { recursive: true });
  await writeFile(instanceFile, String(process.pid));
  const ports = await choosePorts({ mqtt: options.mqttPort, page: options.pagePort });
  const stack = createStack({
    layout,
    ports,
    kubeconfig: options.kubeconfig ?? layout.kubeconfig,
    logLevel: options.logLevel,
    clock,
    onRestart: (name, exit, delayMs) => report.note(`  ! ${name} ended (${exit}), starting again in ${delayMs} ms`),
  });
  const waiter = createWaiter({ clock, signal, check: stack.check });
  const instance: Instance = { options, layout, ports, stack, report, waiter, clock, signal };
  let failure: unknown;
  try {
    await run(instance);
  } catch (error) {
    failure = signal.aborted ? undefined : error;
    if (failure !== undefined) report.note(`\nskerry up failed: ${messageOf(failure)}\nlogs: ${layout.logs}`);
  }
  await shutDown(instance);
  // Logs of a failure are kept for whoever wants to know why.
  if (options.stateDir === undefined && failure === undefined) await rm(layout.dir, { recursive: true, force: true });
  await rm(instanceFile, { force: true });
  return failure === undefined ? 0 : 1;
}

async function run(instance: Instance): Promise<void> {
  const { options, report, clock, signal, stack, ports } = instance;
  const startMs = clock.monotonicMs();
  await bringUp(instance);
  const kube = (instance.session as KubeSession).kube;
  await runScenario(
    {
      kube,
      waiter: instance.waiter,
      report,
      clock,
      signal,
      setLink: stack.proxy.setMode,
      pageUrl: `http://127.0.0.1:${ports.page}/`,
      applyExample: () => applyExample(instance),
      delivered: (uid) => delivered(instance.layout.engineSocket, uid),
      killProcess: (pid) => void process.kill(pid, 'SIGKILL'),
      openDevice: () => openLocalDevice(`mqtt://127.0.0.1:${ports.mqtt}`, 'default', 'thermostat'),
    },
    { mode: options.cutMode, seconds: options.cutSeconds },
  );
  report.note(`\nAll steps succeeded in ${((clock.monotonicMs() - startMs) / 1000).toFixed(1)} s.`);
  if (options.once) return;
  printHints(instance);
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

async function bringUp(instance: Instance): Promise<void> {
  const { options, layout, stack, report, waiter, clock } = instance;
  const kubeconfig = options.kubeconfig ?? layout.kubeconfig;
  report.section('Setting up');
  if (options.kubeconfig === undefined) stack.startCluster();
  const session = await report.step(
    options.kubeconfig === undefined ? 'embedded Kubernetes API' : 'Kubernetes API',
    () => waiter.until('the Kubernetes API answers', () => openWhenReady(kubeconfig, options.kubeconfig === undefined)),
    () => kubeconfig,
  );
  instance.session = session;
  const { kube } = session;
  await report.step('device CRDs', () => applyAll(instance, manifests.crds));
  stack.startEdgeController();
  const caCertPem = await report.step('edgecontroller: private CA, certificates of the services', async () => {
    await materialise(kube, waiter, 'devicecontroller-tls', layout.deviceControllerTls);
    return materialise(kube, waiter, HUB_TLS_SECRET, layout.hubTls);
  });
  stack.startCloud();
  await report.step(
    `${NODE} joins by a token, becomes Ready (runtime: process)`,
    async () => {
      await stack.startEdge(await waiter.until('a join token', () => tokenFor(kube, caCertPem, clock)));
      await waiter.until(`node ${NODE} is Ready`, () => readyNode(kube));
    },
    () => 'containers run as processes of this machine',
  );
  stack.startThermostat();
}

/** The embedded API server takes its old kubeconfig away when it starts and writes a new one when it serves: none is "not yet". */
async function openWhenReady(kubeconfig: string, embedded: boolean): Promise<KubeSession | undefined> {
  const session = await openKube(kubeconfig).catch((error: unknown) => {
    if (!embedded) throw error;
    return undefined;
  });
  if (session === undefined) return undefined;
  try {
    await session.kube.getPath('/api');
    return session;
  } catch (error) {
    await session.close();
    throw error;
  }
}

async function applyAll(instance: Instance, path: string): Promise<void> {
  const kube = (instance.session as KubeSession).kube;
  for (const object of await readManifests(path)) await applyWhenServed(instance, kube, object);
}

/** A kind that was defined a moment ago may not be served yet. */
async function applyWhenServed({ waiter }: Instance, kube: KubeSession['kube'], object: KubeObject): Promise<void> {
  await waiter.until(`apply of ${object.kind} ${object.metadata?.name}`, () => apply(kube, object));
}

/** The manifests as they are, with the port that this instance chose. */
async function applyExample(instance: Instance): Promise<void> {
  const kube = (instance.session as KubeSession).kube;
  for (const object of await readManifests(manifests.quickstart)) {
    await applyWhenServed(instance, kube, object.kind === 'ConfigMap' ? withPort(object, instance.ports.page) : object);
  }
}

function withPort(object: KubeObject, port: number): ConfigMap {
  const configMap = object as ConfigMap;
  return { ...configMap, data: { ...configMap.data, port: String(port) } };
}

async function delivered(engineSocket: string, uid: string): Promise<boolean> {
  const client = unixClient(EngineServiceClient, engineSocket);
  try {
    const { pods } = await unary<ListPodsResponse>((done) =>
      client.listPods({}, new Metadata(), { deadline: Date.now() + 2_000 }, done),
    );
    return pods.some((pod) => pod.uid === uid);
  } finally {
    client.close();
  }
}

function printHints(instance: Instance): void {
  const { report, layout, options, ports } = instance;
  const kubeconfig = options.kubeconfig ?? layout.kubeconfig;
  report.section('It stays up until Ctrl-C. Try, in another terminal:');
  report.note(`  export KUBECONFIG=${kubeconfig}`);
  report.note('  npx skerry get pods');
  report.note('  npx skerry get devicestatuses');
  report.note('  npx skerry set-desired thermostat temperature 21');
  report.note(`  npx skerry node-status --socket ${layout.edgeSocket}`);
  report.note(`  curl http://127.0.0.1:${ports.page}/`);
  if (!onPath('kubectl')) return;
  report.note('  kubectl get pods,devices,nodes -o wide');
  report.note('  kubectl edit configmap page');
  report.note('  kubectl describe pod page');
}

function onPath(command: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((dir) => {
    try {
      accessSync(join(dir, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

async function shutDown(instance: Instance): Promise<void> {
  const { report, stack, session } = instance;
  report.section('Stopping');
  if (session) {
    await removeWorkloads(instance, session).catch((error: unknown) =>
      report.note(`  ! workloads left behind: ${messageOf(error)}`),
    );
    await session.close();
  }
  await stack.stop(STOP_GRACE_MS);
  report.note('  ✓ all processes ended');
}

/** Each deletion is tried until the API server takes it. The abort that brought us here must not end these waits too. */
async function removeWorkloads(instance: Instance, { kube }: KubeSession): Promise<void> {
  const { clock, stack, report } = instance;
  stack.proxy.setMode('up');
  const waiter = createWaiter({ clock, signal: new AbortController().signal, check: () => {} });
  const remove = (resource: Resource<KubeObject>, name: string): Promise<true> =>
    waiter.until(`${resource.kind} ${name} is gone`, () => removed(kube, resource, name), WORKLOAD_GRACE_MS);
  await remove(PODS, 'page');
  await remove(DEVICES, 'thermostat');
  await remove(DEVICE_MODELS, 'thermostat');
  await remove(CONFIG_MAPS, 'page');
  report.note('  ✓ Pod and device removed');
}

async function removed(kube: KubeClient, resource: Resource<KubeObject>, name: string): Promise<true | undefined> {
  try {
    await kube.delete(resource, { namespace: 'default', name });
    return undefined;
  } catch (error) {
    if (isNotFound(error)) return true;
    throw error;
  }
}
