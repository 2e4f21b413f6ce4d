import { describe, expect, test } from '@jest/globals';
import { SkerryError } from '@skerry/common/errors';
import { type FakeClock, fakeClock } from '@skerry/common/testing/fake-clock';
import { type Behaviour, type RuntimeHarness, runtimeContract } from '../testing/contract.js';
import { createFakeRuntime, createFakeWorld } from './fake-runtime.js';
import type { FakeScript } from './script.js';

const SCRIPTS: Record<Behaviour, FakeScript> = {
  runs: {},
  'exits 0': { exitAfterMs: 50 },
  'exits 3': { exitAfterMs: 50, exitCode: 3 },
  'ignores SIGTERM': { stopDelayMs: 'never' },
  'cannot start': { startError: 'no such file' },
};

runtimeContract('fake', async (fn) => {
  const clock = fakeClock();
  const world = createFakeWorld(clock);
  const harness: RuntimeHarness = {
    runtime: createFakeRuntime({ clock, world }),
    behave: (behaviour) => ({ command: ['app'], annotation: JSON.stringify({ app: SCRIPTS[behaviour] }) }),
    ready: async () => {},
    reopen: async () => createFakeRuntime({ clock, world }),
    async until(done) {
      for (let i = 0; i < 100; i++) {
        if (await done()) return;
        await clock.advance(10);
      }
      throw new Error('it did not come to pass');
    },
  };
  await fn(harness);
});

const POD = { uid: 'u', namespace: 'default', name: 'web' };
const LABELS = {
  pod: POD,
  container: 'app',
  kind: 'main',
  attempt: 0,
  sandboxAttempt: 0,
  specHash: '',
  backoffMs: 0,
} as const;

async function started(clock: FakeClock, script: FakeScript, attempt = 0) {
  const world = createFakeWorld(clock);
  const runtime = createFakeRuntime({ clock, world, scripts: { app: script } });
  await runtime.ensureSandbox({ pod: POD, annotations: {}, hostNetwork: false, graceMs: 0 });
  const labels = { ...LABELS, attempt };
  const id = await runtime.createContainer({ labels, image: 'i', command: [], args: [], env: {}, mounts: [] });
  await runtime.startContainer(id);
  const state = async () => (await runtime.inspect('u'))?.containers[0]?.state;
  return { world, runtime, state };
}

describe('fake runtime', () => {
  test('a start delay shows as starting', async () => {
    const clock = fakeClock();
    const { state } = await started(clock, { startDelayMs: 300 });
    expect(await state()).toEqual({ kind: 'starting' });
    await clock.advance(300);
    expect(await state()).toMatchObject({ kind: 'running' });
  });

  test('an out-of-memory end', async () => {
    const clock = fakeClock();
    const { state } = await started(clock, { exitAfterMs: 5, oom: true });
    await clock.advance(5);
    expect(await state()).toMatchObject({ kind: 'exited', exit: { exitCode: 137, oom: true } });
  });

  test('only the first attempts end by themselves', async () => {
    const clock = fakeClock();
    const { state } = await started(clock, { exitAfterMs: 5, times: 2 }, 2);
    await clock.advance(1_000);
    expect(await state()).toMatchObject({ kind: 'running' });
  });

  test('an image that cannot be had', async () => {
    const { runtime } = await started(fakeClock(), { pullError: 'manifest unknown' });
    await expect(runtime.ensureImage({ image: 'i', pod: POD, container: 'app' })).rejects.toThrow('manifest unknown');
  });

  test('a reboot ends everything and makes the next sandbox a new one', async () => {
    const { runtime, state, world } = await started(fakeClock(), {});
    world.reboot();
    expect(await state()).toMatchObject({ kind: 'exited', exit: { exitCode: 255, reason: 'Unknown' } });
    expect(await runtime.ensureSandbox({ pod: POD, annotations: {}, hostNetwork: true, graceMs: 0 })).toMatchObject({
      attempt: 1,
    });
  });

  test('an outage fails every call', async () => {
    const { runtime, world } = await started(fakeClock(), {});
    world.outage = new SkerryError('unavailable', 'no daemon');
    await expect(runtime.list()).rejects.toMatchObject({ code: 'unavailable' });
    await expect(runtime.inspect('u')).rejects.toMatchObject({ code: 'unavailable' });
  });
});
