// Memory of an edge node's agent as it ships (bundled), connected over mTLS: idle and with 10 Pods on the fake runtime, with sidecars as
// processes and inline. The cloud is a small hub in this process, so only edgecore and its sidecars are measured, after they have settled.
// The raw floor of the same run is a Node.js process that does nothing.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@skerry/common/clock';
import { messageOf } from '@skerry/common/errors';
import { unary, unixClient } from '@skerry/common/grpc/client';
import { podKey } from '@skerry/common/keys';
import type { Entry } from '@skerry/common/link/types';
import { nullLogger } from '@skerry/common/logger';
import { PARENT_PIPE } from '@skerry/common/process';
import { versionOf } from '@skerry/common/version';
import { createSoloHub, type SoloHub } from '@skerry/edgecore/solo-hub/solo-hub';
import { type GetStatusResponse, StatusServiceClient } from '@skerry/gen/skerry/edge/v1/edge';

type Mode = 'inline' | 'process';
type Figures = Record<string, number | string>;

const BUNDLE = join(import.meta.dirname, '../../services/edgecore/dist/bundle/edgecore.mjs');
const NODE = 'bench-1';
const PODS = 10;
/** Long enough for the garbage of the start to be collected. */
const SETTLE_MS = 15_000;
const PATIENCE_MS = 60_000;

const clock = systemClock();

/** Megabytes (10^6 bytes) of one process. */
interface Memory {
  readonly rss: number;
  /** Shared pages divided among those who share them. */
  readonly pss: number;
  readonly anon: number;
}

export async function run(): Promise<Figures> {
  return {
    ...(await floor()),
    ...(await measure('inline', 'inline')),
    ...(await measure('process', 'processes')),
    pods: PODS,
  };
}

async function floor(): Promise<Figures> {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e6)'], { stdio: 'ignore' });
  try {
    await once(child, 'spawn');
    await clock.sleep(2_000);
    return figuresOf('floor', new Map([['node', await memoryOf(child.pid ?? 0)]]));
  } finally {
    await end(child);
  }
}

async function measure(mode: Mode, prefix: string): Promise<Figures> {
  const dir = await mkdtemp(join(tmpdir(), 'sk-'));
  const hub = await createSoloHub({ clock, logger: nullLogger() });
  await hub.start();
  const edgecore = startEdgecore(mode, dir, hub);
  try {
    await until('the node to be ready', async () => hub.kube.reported.get(`node//${NODE}`)?.includes('EngineReady'));
    await clock.sleep(SETTLE_MS);
    const idle = figuresOf(`${prefix}_idle`, await memories(mode, dir, edgecore));
    for (let i = 0; i < PODS; i++) hub.kube.set(podKey('default', `web-${i}`, `uid-${i}`), podEntry(i));
    await until('all Pods to run', async () => {
      const running = [...hub.kube.reported].filter(([key, text]) => key.startsWith('podstatus/') && isRunning(text));
      return running.length === PODS;
    });
    await clock.sleep(SETTLE_MS);
    const loaded = await memories(mode, dir, edgecore);
    const each =
      mode === 'process'
        ? Object.assign({}, ...[...loaded].map(([name, one]) => figuresOf(name, new Map([[name, one]]))))
        : {};
    return { ...figuresOf(prefix, loaded), ...idle, ...each };
  } finally {
    await end(edgecore);
    await hub.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

function startEdgecore(mode: Mode, dir: string, hub: SoloHub): ChildProcess {
  const flags = {
    ...{ node: NODE, hub: `127.0.0.1:${hub.port()}`, token: hub.token, state: dir, runtime: 'fake', sidecars: mode },
    ...{ 'mqtt-listen': '127.0.0.1:0', 'log-level': 'error' },
  };
  const args = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]);
  return spawn(process.execPath, [BUNDLE, ...args], {
    stdio: ['pipe', 'ignore', 'inherit'],
    env: { ...process.env, [PARENT_PIPE]: '1' },
  });
}

/** By name of the process. */
async function memories(mode: Mode, dir: string, edgecore: ChildProcess): Promise<Map<string, Memory>> {
  const found = new Map([['edgecore', await memoryOf(edgecore.pid ?? 0)]]);
  if (mode === 'inline') return found;
  const { sidecars } = await statusOf(dir);
  for (const { name, pid } of sidecars) found.set(name, await memoryOf(pid));
  return found;
}

async function statusOf(dir: string): Promise<GetStatusResponse> {
  const client = unixClient(StatusServiceClient, join(dir, 'run/edgecore.sock'));
  try {
    return await unary((done) => client.getStatus({}, done));
  } finally {
    client.close();
  }
}

async function memoryOf(pid: number): Promise<Memory> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
  const megabytes = (field: string): number => {
    const kilobytes = Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? Number.NaN);
    return (kilobytes * 1024) / 1e6;
  };
  return { rss: megabytes('Rss'), pss: megabytes('Pss'), anon: megabytes('Anonymous') };
}

function figuresOf(prefix: string, processes: ReadonlyMap<string, Memory>): Figures {
  const sum = (field: keyof Memory): number =>
    Math.round([...processes.values()].reduce((total, one) => total + one[field], 0) * 10) / 10;
  return { [`${prefix}_rss_mb`]: sum('rss'), [`${prefix}_pss_mb`]: sum('pss'), [`${prefix}_anon_mb`]: sum('anon') };
}

function podEntry(i: number): Entry {
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `web-${i}`,
      namespace: 'default',
      uid: `uid-${i}`,
      labels: { app: 'web' },
      annotations: {},
      creationTimestamp: '2026-01-01T00:00:00Z',
    },
    spec: {
      nodeName: NODE,
      restartPolicy: 'Always',
      containers: [
        { name: 'app', image: 'example.org/web:1', command: ['serve'], env: [{ name: 'PORT', value: '80' }] },
      ],
    },
  };
  const payload = Buffer.from(JSON.stringify(pod));
  return { version: versionOf(1, pod.metadata.uid, pod), payload, absent: false, references: [] };
}

function isRunning(text: string): boolean {
  const { status } = JSON.parse(text) as { status?: { phase?: string } };
  return status?.phase === 'Running';
}

async function until(what: string, look: () => Promise<boolean | undefined>): Promise<void> {
  const endMs = clock.monotonicMs() + PATIENCE_MS;
  for (let last = ''; ; await clock.sleep(100)) {
    const isThere = await look().catch((error: unknown) => {
      last = messageOf(error);
      return false;
    });
    if (isThere === true) return;
    if (clock.monotonicMs() > endMs) throw new Error(`waited ${PATIENCE_MS} ms for ${what}; ${last}`);
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}
