// A Pod's life over time, on the fake runtime.
import { describe, expect, test } from '@jest/globals';
import { SkerryError } from '@skerry/common/errors';
import { containerDef, deleting, podOf } from '../testing/pods.js';
import { type WorkerBench, workerBench } from '../testing/worker-bench.js';

const started = (bench: WorkerBench): number[] =>
  [...(bench.world.pods.get('u1')?.containers.values() ?? [])].map(({ spec }) => spec.labels.attempt);
const app = (bench: WorkerBench) => bench.last()?.status.containerStatuses?.[0];
const reasons = (bench: WorkerBench): string[] => bench.events.map(({ reason }) => reason);

describe('pod worker', () => {
  test('brings a Pod up and tells each change once', async () => {
    const bench = workerBench({});
    bench.want(podOf('u1'));
    await bench.pass(0);
    expect(bench.running()).toEqual(['app#0']);
    expect(bench.told.map(({ status }) => status.phase)).toEqual(['Pending', 'Pending', 'Running']);
    expect(reasons(bench)).toEqual(['Created', 'Started']);
    const turns = bench.told.length;
    await bench.pass(60_000);
    expect(bench.told).toHaveLength(turns);
    expect(bench.clock.pending()).toBe(0);
  });

  test('restarts at once, then after 10 s, 20 s, 40 s ... of back-off', async () => {
    const bench = workerBench({ app: { exitAfterMs: 1_000, exitCode: 1 } });
    bench.want(podOf('u1'));
    const startedAtMs: number[] = [];
    for (let atMs = 0; atMs < 200_000; atMs += 250) {
      await bench.pass(0);
      const newest = Math.max(-1, ...started(bench));
      if (newest >= startedAtMs.length) startedAtMs.push(atMs);
      await bench.clock.advance(250);
    }
    const gaps = startedAtMs.slice(1).map((atMs, i) => Math.round((atMs - (startedAtMs[i] ?? 0)) / 1_000));
    expect(gaps).toEqual([1, 11, 21, 41, 81]);
    expect(app(bench)).toMatchObject({ restartCount: 5, state: { waiting: { reason: 'CrashLoopBackOff' } } });
    // The last two are enough to tell.
    expect(started(bench)).toEqual([4, 5]);
  });

  test('the back-off goes on where it was after an engine restart', async () => {
    const bench = workerBench({ app: { exitAfterMs: 1_000, exitCode: 1 } });
    bench.want(podOf('u1'));
    await bench.pass(5_000);
    expect(app(bench)?.restartCount).toBe(1);
    await bench.restart();
    await bench.pass(5_000);
    expect(app(bench)?.restartCount).toBe(1);
    await bench.pass(4_000);
    expect(app(bench)?.restartCount).toBe(2);
  });

  test('an image that cannot be had: the error first, then waiting, and again', async () => {
    const bench = workerBench({ app: { pullError: 'manifest unknown' } });
    bench.want(podOf('u1'));
    await bench.pass(1_000);
    expect(app(bench)?.state?.waiting).toEqual({ reason: 'ErrImagePull', message: 'manifest unknown' });
    await bench.pass(3_000);
    expect(app(bench)?.state?.waiting?.reason).toBe('ImagePullBackOff');
    expect(reasons(bench)).toEqual(['Failed', 'Failed', 'BackOff']);
    await bench.pass(8_000);
    expect(reasons(bench).filter((reason) => reason === 'Failed')).toHaveLength(4);
    expect(bench.last()?.status.phase).toBe('Pending');
  });

  test('a volume that cannot be mounted is tried again at growing distances', async () => {
    const bench = workerBench({});
    bench.mountError = 'configmap "x" not found';
    bench.want(podOf('u1'));
    await bench.pass(8_000);
    expect(reasons(bench)).toEqual(Array.from({ length: 5 }, () => 'FailedMount'));
    expect(app(bench)?.state?.waiting?.reason).toBe('ContainerCreating');
    bench.mountError = undefined;
    await bench.pass(16_000);
    expect(bench.running()).toEqual(['app#0']);
  });

  test('a command that cannot be started is an exit with Events', async () => {
    const bench = workerBench({ app: { startError: 'no such file' } });
    bench.want(podOf('u1', { restartPolicy: 'Never' }));
    await bench.pass(0);
    expect(app(bench)?.state?.terminated).toMatchObject({
      exitCode: 128,
      reason: 'StartError',
      message: 'no such file',
    });
    expect(reasons(bench)).toEqual(['Created', 'Failed']);
    expect(bench.last()).toMatchObject({ final: true, status: { phase: 'Failed' } });
  });

  test('a final status stays, whatever becomes of the containers', async () => {
    const bench = workerBench({ app: { exitAfterMs: 500 } });
    bench.want(podOf('u1', { restartPolicy: 'Never' }));
    await bench.pass(1_000);
    const final = bench.last();
    expect(final).toMatchObject({ final: true, stopped: false, status: { phase: 'Succeeded' } });
    bench.world.pods.clear();
    await bench.restart();
    await bench.pass(5_000);
    expect(bench.last()).toEqual(final);
    expect(started(bench)).toEqual([]);
  });

  test('a Pod that has ended, of which this node knows nothing any more, is not run again', async () => {
    const bench = workerBench({});
    const ended = { ...podOf('u1', { restartPolicy: 'Never' }), status: { phase: 'Succeeded' } };
    bench.want(ended);
    await bench.pass(5_000);
    expect(started(bench)).toEqual([]);
    expect(bench.told).toEqual([{ final: true, stopped: false, status: { phase: 'Succeeded' } }]);
    expect(bench.events).toEqual([]);
    bench.want(deleting(ended));
    await bench.pass(0);
    expect(bench.last()).toEqual({ final: true, stopped: true, status: { phase: 'Succeeded' } });
  });

  test('a Pod that the cloud ended while it runs is stopped, and stays so', async () => {
    const bench = workerBench({ app: { stopDelayMs: 1_000 } });
    bench.want(podOf('u1'));
    await bench.pass(0);
    bench.want({ ...podOf('u1'), status: { phase: 'Failed' } });
    await bench.pass(30_000);
    expect(bench.running()).toEqual([]);
    expect(started(bench)).toEqual([0]);
    expect(bench.last()).toMatchObject({ final: true, stopped: false, status: { phase: 'Failed' } });
  });

  test('deletion: SIGTERM, grace, SIGKILL, told as stopped, removed', async () => {
    const bench = workerBench({ app: { stopDelayMs: 'never' } });
    bench.want(podOf('u1'));
    await bench.pass(0);
    bench.want(deleting(podOf('u1'), 5));
    await bench.pass(4_500);
    expect(bench.running()).toEqual(['app#0']);
    expect(bench.last()).toMatchObject({ stopped: false, final: false, status: { phase: 'Running' } });
    await bench.pass(1_000);
    expect(bench.last()).toMatchObject({ stopped: true, final: true, status: { phase: 'Failed' } });
    expect(app(bench)?.state?.terminated).toMatchObject({ exitCode: 137 });
    expect(reasons(bench)).toEqual(['Created', 'Started', 'Killing']);
    bench.wish({ kind: 'remove' });
    await bench.pass(0);
    expect(bench.removed()).toBe(true);
    expect(bench.world.pods.size).toBe(0);
    expect(bench.clock.pending()).toBe(0);
  });

  test('what nobody knows about is left alone', async () => {
    const bench = workerBench({});
    bench.want(podOf('u1'));
    await bench.pass(0);
    bench.wish({ kind: 'leave' });
    await bench.pass(60_000);
    expect(bench.running()).toEqual(['app#0']);
  });

  test('a deadline ends the Pod, and it stays failed', async () => {
    const bench = workerBench({});
    const pod = podOf('u1', { activeDeadlineSeconds: 10 });
    bench.want(pod);
    await bench.pass(9_000);
    expect(bench.last()?.status.phase).toBe('Running');
    await bench.pass(2_000);
    expect(bench.last()).toMatchObject({ final: true, status: { phase: 'Failed', reason: 'DeadlineExceeded' } });
    await bench.restart();
    await bench.pass(60_000);
    expect(bench.running()).toEqual([]);
  });

  test('a clock that is set forward ends nothing; a restart of the engine costs a minute of the age at most', async () => {
    const bench = workerBench({});
    bench.want(podOf('u1', { activeDeadlineSeconds: 200 }));
    await bench.pass(100_000);
    bench.setWallForward(3_600_000);
    await bench.restart();
    await bench.pass(90_000);
    expect(bench.running()).toEqual(['app#0']);
    await bench.pass(60_000);
    expect(bench.last()?.status.reason).toBe('DeadlineExceeded');
  });

  test('a refused Pod starts nothing, is told at once, and stays refused', async () => {
    const bench = workerBench({});
    bench.want(podOf('u1', { containers: [containerDef({ tty: true })] }));
    await bench.pass(0);
    expect(bench.last()).toMatchObject({ final: true, status: { phase: 'Failed', reason: 'UnsupportedByNode' } });
    bench.want(podOf('u1'));
    await bench.pass(5_000);
    expect(bench.world.pods.size).toBe(0);
    bench.want(deleting(podOf('u1')));
    await bench.pass(0);
    expect(bench.last()).toMatchObject({ stopped: true, status: { reason: 'UnsupportedByNode' } });
  });

  test('a running Pod is warned about what is added to it, not stopped', async () => {
    const bench = workerBench({});
    bench.want(podOf('u1'));
    await bench.pass(0);
    bench.want(podOf('u1', { ephemeralContainers: [{ name: 'debug', image: 'sh' }] }));
    await bench.pass(1_000);
    expect(bench.running()).toEqual(['app#0']);
    expect(bench.events.at(-1)).toMatchObject({ reason: 'UnsupportedByNode', type: 'Warning' });
  });

  test('a changed image makes a new container, after the old one has ended', async () => {
    const bench = workerBench({ app: { stopDelayMs: 2_000 } });
    bench.want(podOf('u1'));
    await bench.pass(0);
    bench.want(podOf('u1', { containers: [containerDef({ image: 'app:2' })] }));
    await bench.pass(1_000);
    expect(bench.running()).toEqual(['app#0']);
    await bench.pass(2_000);
    expect(bench.running()).toEqual(['app#1']);
    expect(app(bench)).toMatchObject({ restartCount: 1, image: 'app:2' });
  });

  test('after a reboot init containers run again, then the others', async () => {
    const bench = workerBench({ one: { exitAfterMs: 500 } });
    bench.want(podOf('u1', { initContainers: [containerDef({ name: 'one' })] }));
    await bench.pass(2_000);
    expect(bench.running()).toEqual(['app#0']);
    bench.world.reboot();
    await bench.restart();
    await bench.pass(250);
    expect(bench.running()).toEqual(['one#1']);
    await bench.pass(1_000);
    expect(bench.running()).toEqual(['app#1']);
    expect(bench.last()?.status.phase).toBe('Running');
  });

  test('a runtime that is away is asked again; nothing is told meanwhile', async () => {
    const bench = workerBench({});
    bench.world.outage = new SkerryError('unavailable', 'no daemon');
    bench.want(podOf('u1'));
    await bench.pass(10_000);
    expect(bench.told).toEqual([]);
    bench.world.outage = undefined;
    await bench.pass(10_000);
    expect(bench.running()).toEqual(['app#0']);
  });

  test('pokes without end start one container', async () => {
    const bench = workerBench({ app: { startDelayMs: 1_000 } });
    for (let i = 0; i < 50; i++) {
      bench.want(podOf('u1'));
      await bench.pass(0);
    }
    await bench.pass(1_000);
    expect(started(bench)).toEqual([0]);
    expect(bench.running()).toEqual(['app#0']);
  });
});
