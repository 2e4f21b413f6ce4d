// The whole engine against a stand-in for edgecore, with real processes: what a Pod's user relies on.
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { systemClock } from '@skerry/common/clock';
import { unary, unixClient } from '@skerry/common/grpc/client';
import { configMapKey, secretKey } from '@skerry/common/keys';
import { nullLogger } from '@skerry/common/logger';
import { withTempDir } from '@skerry/common/testing/temp-dir';
import { EngineServiceClient, type ListPodsResponse } from '@skerry/gen/skerry/edge/v1/engine';
import { createEngine } from './engine.js';
import type { Pod } from './pod/types.js';
import { createRuntime } from './runtime/create-runtime.js';
import { isLive } from './runtime/runtime.js';
import { EdgecoreDouble } from './testing/edgecore-double.js';
import { buildEngineMain, type EngineProcess, startEngineProcess } from './testing/engine-process.js';
import { containerDef, deleting, podOf } from './testing/pods.js';

const clock = systemClock();
const backoff = { baseMs: 100, maxMs: 400, resetAfterMs: 600_000 };
const STAY = 'setInterval(() => {}, 1000);';
const node = (source: string): { image: string; command: string[] } => ({
  image: 'node',
  command: ['node', '-e', source],
});

async function until(done: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 600; i++) {
    if (await done()) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error('it did not come to pass');
}

interface World {
  readonly dir: string;
  readonly edgecore: EdgecoreDouble;
  readonly paths: { readonly edgecoreSocket: string; readonly socket: string; readonly stateDir: string };
  /** Starts an engine in this process; returns how to stop it. */
  engine(): Promise<() => Promise<void>>;
  phase(uid: string): string | undefined;
  /** Of the only container. */
  pid(uid: string): Promise<number | undefined>;
  output(uid: string): Promise<string>;
}

async function withWorld(fn: (world: World) => Promise<void>): Promise<void> {
  await withTempDir(async (dir) => {
    const paths = { edgecoreSocket: join(dir, 'e.sock'), socket: join(dir, 'run', 'engine.sock'), stateDir: dir };
    const edgecore = new EdgecoreDouble(paths.edgecoreSocket, clock);
    await edgecore.start();
    const openRuntime = () => createRuntime({ kind: 'process', stateDir: dir, clock });
    const stops: (() => Promise<void>)[] = [];
    // Looks on; what it does not start it does not own either.
    const onlooker = await openRuntime();
    const containersOf = async (uid: string) => (await onlooker.inspect(uid))?.containers ?? [];
    const world: World = {
      dir,
      edgecore,
      paths,
      async engine() {
        const runtime = await openRuntime();
        const engine = createEngine({ node: 'edge-1', ...paths, runtime, backoff, clock, logger: nullLogger() });
        await engine.start();
        let running = true;
        const stop = async (): Promise<void> => {
          if (running) await engine.stop(AbortSignal.timeout(5_000));
          running = false;
        };
        stops.push(stop);
        return stop;
      },
      phase: (uid) => edgecore.status(uid)?.status.phase,
      async pid(uid) {
        const live = (await containersOf(uid)).flatMap(({ state }) => (state.kind === 'running' ? [state.pid] : []));
        return live[0];
      },
      async output(uid) {
        const [first] = await containersOf(uid);
        return first ? readFile(first.logPath, 'utf8').catch(() => '') : '';
      },
    };
    try {
      await fn(world);
    } finally {
      for (const stop of stops) await stop();
      const live = async () =>
        (await onlooker.list().catch(() => [])).flatMap(({ containers }) => containers.filter(isLive));
      for (const { id } of await live()) await onlooker.killContainer(id);
      await until(async () => (await live()).length === 0);
      await onlooker.stop();
      await edgecore.stop();
    }
  });
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

const serving = (uid: string, more: Partial<Pod['spec']> = {}): Pod =>
  podOf(uid, { hostNetwork: true, containers: [containerDef(node(STAY))], ...more });

describe('engine', () => {
  test('runs a Pod and tells its status, its Events and that it is alive', () =>
    withWorld(async (world) => {
      world.edgecore.putPod(serving('u1'));
      await world.engine();
      await until(() => world.phase('u1') === 'Running');
      const told = world.edgecore.status('u1');
      expect(told?.metadata).toEqual({ name: 'web', namespace: 'default', uid: 'u1' });
      expect(told?.status.conditions?.map(({ type, status }) => `${type}=${status}`)).toEqual([
        'PodReadyToStartContainers=True',
        'Initialized=True',
        'Ready=True',
        'ContainersReady=True',
        'PodScheduled=True',
      ]);
      expect(told?.status.podIP).toBe(told?.status.hostIP);
      expect(told?.status.containerStatuses).toEqual([
        {
          name: 'app',
          state: { running: { startedAt: expect.stringMatching(/^\d{4}-.*:\d\dZ$/) } },
          ready: true,
          started: true,
          restartCount: 0,
          image: 'node',
          imageID: 'process://host',
          containerID: 'process://u1_app_0',
        },
      ]);
      await until(() => world.edgecore.reasons('u1').length === 2);
      expect(world.edgecore.reasons('u1')).toEqual(['Created', 'Started']);
      await until(() => world.edgecore.alive.some(({ ok }) => ok) && world.edgecore.completes === 1);
      const client = unixClient(EngineServiceClient, world.paths.socket);
      const { pods } = await unary<ListPodsResponse>((done) => client.listPods({}, done));
      client.close();
      expect(pods).toMatchObject([{ uid: 'u1', phase: 'Running', containers: [{ name: 'app', state: 'running' }] }]);
    }));

  test('waits for every reference, then runs with it; a change of the ConfigMap shows in the volume', () =>
    withWorld(async (world) => {
      const source = `const fs = require('fs'); let last;
        setInterval(() => { const now = fs.readFileSync('page', 'utf8'); if (now !== last) console.log(last = now, process.env.WHO); }, 10)`;
      const pod = serving('u1', {
        containers: [
          containerDef({
            ...node(source),
            workingDir: '/srv',
            volumeMounts: [{ name: 'site', mountPath: '/srv', readOnly: true }],
            env: [{ name: 'WHO', valueFrom: { secretKeyRef: { name: 'who', key: 'name' } } }],
          }),
        ],
        volumes: [{ name: 'site', configMap: { name: 'site' } }],
      });
      await world.engine();
      world.edgecore.putPod(pod, [configMapKey('default', 'site'), secretKey('default', 'who')]);
      await until(() => world.phase('u1') === 'Pending');
      world.edgecore.putConfigMap('site', { page: 'one' });
      expect(await world.pid('u1')).toBeUndefined();
      world.edgecore.put(secretKey('default', 'who'), { data: { name: Buffer.from('ada').toString('base64') } });
      await until(async () => (await world.output('u1')) === 'one ada\n');
      world.edgecore.putConfigMap('site', { page: 'two' });
      await until(async () => (await world.output('u1')) === 'one ada\ntwo ada\n');
    }));

  test('a required ConfigMap that does not exist holds the container up, as on Kubernetes', () =>
    withWorld(async (world) => {
      const envFrom = [{ configMapRef: { name: 'settings' } }];
      const pod = serving('u1', { containers: [containerDef({ ...node(STAY), envFrom })] });
      world.edgecore.putAbsent(configMapKey('default', 'settings'));
      world.edgecore.putPod(pod, [configMapKey('default', 'settings')]);
      await world.engine();
      const waiting = () => world.edgecore.status('u1')?.status.containerStatuses?.[0]?.state?.waiting;
      await until(() => waiting()?.reason === 'CreateContainerConfigError');
      expect(waiting()?.message).toBe('configmap "settings" not found');
      await until(() => world.edgecore.reasons('u1').includes('Failed'));
      world.edgecore.putConfigMap('settings', { A: '1' });
      await until(() => world.phase('u1') === 'Running');
    }));

  test('a container that crashes is restarted with back-off, and the count survives the engine', () =>
    withWorld(async (world) => {
      world.edgecore.putPod(serving('u1', { containers: [containerDef(node('process.exit(7)'))] }));
      const stop = await world.engine();
      const app = () => world.edgecore.status('u1')?.status.containerStatuses?.[0];
      await until(() => app()?.state?.waiting?.reason === 'CrashLoopBackOff' && (app()?.restartCount ?? 0) >= 2);
      expect(app()?.lastState?.terminated).toMatchObject({ exitCode: 7, reason: 'Error' });
      const count = app()?.restartCount ?? 0;
      await stop();
      await world.engine();
      await until(() => (app()?.restartCount ?? 0) > count);
      await until(() => world.edgecore.reasons('u1').includes('BackOff'));
    }));

  test('init containers run in order before the others; restartPolicy Never ends in Succeeded, durably', () =>
    withWorld(async (world) => {
      const append = (text: string) =>
        node(`require('fs').appendFileSync(process.env.SKERRY_ROOT + '/d/log', '${text}')`);
      const volumeMounts = [{ name: 'd', mountPath: '/d' }];
      world.edgecore.putPod(
        serving('u1', {
          restartPolicy: 'Never',
          volumes: [{ name: 'd', emptyDir: {} }],
          initContainers: [
            containerDef({ ...append('1'), name: 'first', volumeMounts }),
            containerDef({ ...append('2'), name: 'second', volumeMounts }),
          ],
          containers: [containerDef({ ...append('3'), volumeMounts })],
        }),
      );
      await world.engine();
      await until(() => world.phase('u1') === 'Succeeded' && world.edgecore.status('u1')?.durable === true);
      expect(await readFile(join(world.dir, 'engine/pods/u1/volumes/d/log'), 'utf8')).toBe('123');
      expect(world.edgecore.status('u1')?.stopped).toBeUndefined();
    }));

  test('a deleted Pod is stopped gracefully, told as stopped, and cleaned up when its key goes', () =>
    withWorld(async (world) => {
      const source = `process.on('SIGTERM', () => { console.log('bye'); process.exit(0); }); console.log('up'); ${STAY}`;
      const pod = serving('u1', { containers: [containerDef(node(source))] });
      world.edgecore.putPod(pod);
      await world.engine();
      await until(async () => (await world.output('u1')) === 'up\n');
      world.edgecore.putPod(deleting(pod));
      await until(() => world.edgecore.status('u1')?.stopped === true);
      expect(world.edgecore.status('u1')).toMatchObject({ durable: true, status: { phase: 'Succeeded' } });
      expect(await world.output('u1')).toBe('up\nbye\n');
      await until(() => world.edgecore.reasons('u1').includes('Killing'));
      world.edgecore.deletePod(pod);
      await until(() => world.edgecore.status('u1') === undefined);
      expect(await readdir(join(world.dir, 'engine/pods'))).toEqual([]);
      expect(await stat(join(world.dir, 'engine/process/u1')).catch(() => 'gone')).toBe('gone');
    }));

  test('one that ignores SIGTERM is killed after its grace, also when its key just goes', () =>
    withWorld(async (world) => {
      const source = `process.on('SIGTERM', () => console.log('no')); console.log('up'); ${STAY}`;
      const pod = serving('u1', { containers: [containerDef(node(source))], terminationGracePeriodSeconds: 1 });
      world.edgecore.putPod(pod);
      await world.engine();
      await until(async () => (await world.output('u1')) === 'up\n');
      const pid = await world.pid('u1');
      world.edgecore.deletePod(pod);
      await until(async () => (await world.output('u1')) === 'up\nno\n');
      await until(() => world.edgecore.status('u1') === undefined);
      expect(pid !== undefined && isAlive(pid)).toBe(false);
    }));

  test('a Pod that asks for what this node cannot do is refused whole, naming the fields', () =>
    withWorld(async (world) => {
      const livenessProbe = { tcpSocket: { port: 80 } };
      world.edgecore.putPod(podOf('u1', { containers: [containerDef({ ...node(STAY), livenessProbe })] }));
      await world.engine();
      await until(() => world.phase('u1') === 'Failed');
      const told = world.edgecore.status('u1');
      expect(told).toMatchObject({ durable: true, status: { reason: 'UnsupportedByNode' } });
      expect(told?.status.message).toContain('spec.containers[0].livenessProbe: probes are not supported');
      expect(told?.status.message).toContain('spec.hostNetwork');
      await until(() => world.edgecore.reasons('u1').includes('UnsupportedByNode'));
    }));

  test('a recreated Pod of the same name has a worker, a container and a status of its own', () =>
    withWorld(async (world) => {
      const first = serving('u1');
      world.edgecore.putPod(first);
      await world.engine();
      await until(() => world.phase('u1') === 'Running');
      world.edgecore.putPod(serving('u2'));
      world.edgecore.deletePod(first);
      await until(() => world.phase('u2') === 'Running' && world.edgecore.status('u1') === undefined);
      expect(await world.pid('u1')).toBeUndefined();
      expect(await world.pid('u2')).toBeDefined();
    }));

  test('absence stops nothing until the store is synced', () =>
    withWorld(async (world) => {
      const pod = serving('u1');
      world.edgecore.putPod(pod);
      const stop = await world.engine();
      await until(() => world.phase('u1') === 'Running');
      const pid = await world.pid('u1');
      await stop();
      // The store was quarantined: it is empty and says that this means nothing.
      world.edgecore.entries.clear();
      world.edgecore.synced = false;
      world.edgecore.alive.length = 0;
      await world.engine();
      await until(() => world.edgecore.alive.length > 0);
      expect(pid !== undefined && isAlive(pid)).toBe(true);
      // Known again: adopted. Gone for certain: stopped.
      world.edgecore.putPod(pod);
      await until(() => world.phase('u1') === 'Running');
      expect(await world.pid('u1')).toBe(pid);
      world.edgecore.entries.clear();
      world.edgecore.deletePod(pod);
      world.edgecore.setSynced(true);
      await until(() => pid !== undefined && !isAlive(pid));
    }));

  test('edgecore may come back: the full report is told again', () =>
    withWorld(async (world) => {
      world.edgecore.putPod(serving('u1'));
      await world.engine();
      await until(() => world.phase('u1') === 'Running' && world.edgecore.completes === 1);
      await world.edgecore.stop();
      const again = new EdgecoreDouble(world.paths.edgecoreSocket, clock);
      for (const [key, entry] of world.edgecore.entries) again.entries.set(key, entry);
      await again.start();
      await until(() => again.status('u1')?.status.phase === 'Running' && again.completes === 1);
      await again.stop();
    }));
});

describe('engine process', () => {
  test('kill -9 leaves the container alone; the next engine adopts it, and sees what ended meanwhile', () =>
    withWorld(async (world) => {
      const script = await buildEngineMain(world.dir);
      const shortLived = podOf(
        'u2',
        {
          hostNetwork: true,
          restartPolicy: 'Never',
          containers: [containerDef(node('setTimeout(() => process.exit(4), 1500)'))],
        },
        { name: 'job' },
      );
      world.edgecore.putPod(serving('u1'));
      world.edgecore.putPod(shortLived);
      let engine: EngineProcess = startEngineProcess(script, world.paths);
      try {
        await until(() => world.phase('u1') === 'Running' && world.phase('u2') === 'Running');
        const pid = await world.pid('u1');
        const jobPid = await world.pid('u2');
        await engine.kill('SIGKILL');
        expect(pid !== undefined && isAlive(pid)).toBe(true);
        await until(() => jobPid !== undefined && !isAlive(jobPid));
        world.edgecore.statuses.clear();
        engine = startEngineProcess(script, world.paths);
        await until(() => world.phase('u1') === 'Running' && world.phase('u2') === 'Failed');
        expect(await world.pid('u1')).toBe(pid);
        expect(world.edgecore.status('u1')?.status.containerStatuses?.[0]?.restartCount).toBe(0);
        const ended = world.edgecore.status('u2')?.status.containerStatuses?.[0]?.state?.terminated;
        expect(ended).toMatchObject({ exitCode: 4, reason: 'Error' });
      } finally {
        await engine.kill('SIGKILL');
      }
    }));
});
