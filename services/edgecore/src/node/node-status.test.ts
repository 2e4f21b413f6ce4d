// The Node object: readiness from the engine's word, and times that move only with what they date.
import { describe, expect, test } from '@jest/globals';
import type { Entry } from '@skerry/common/link/types';
import { nullLogger } from '@skerry/common/logger';
import { fakeClock } from '@skerry/common/testing/fake-clock';
import { openMetaStore } from '../meta/meta-store.js';
import { createMemoryBackend } from '../meta/testing/memory-backend.js';
import type { SidecarAlive } from '../supervisor/alive.js';
import { createNodeClock } from './node-clock.js';
import type { NodeFacts } from './node-facts.js';
import { createNodeReporter } from './node-reporter.js';
import { ALIVE_WITHIN_MS, type NodeStatusInput, nodeStatus } from './node-status.js';

const facts: NodeFacts = {
  ...{ cpus: 4, memoryBytes: 1_073_741_824, storageBytes: 10_240, architecture: 'arm64', operatingSystem: 'linux' },
  ...{ hostname: 'box', internalIp: '10.0.0.7', kernelVersion: '6.1', osImage: 'Debian', machineId: 'm', bootId: 'b' },
};
const input: NodeStatusInput = {
  ...{ node: 'edge-1', runtime: 'fake', softwareVersion: '0.1.0', facts, engine: undefined },
  ...{ monotonicMs: 1_000, startedMs: 0, nowMs: 1_700_000_000_000, before: {} },
};
const alive = (over: Partial<SidecarAlive> = {}): SidecarAlive => ({ atMs: 1_000, ok: true, reason: '', ...over });

interface NodeObject {
  metadata: { labels: Record<string, string> };
  status: { conditions: { type: string; status: string; reason: string; lastTransitionTime: string }[] };
}
const objectOf = (over: Partial<NodeStatusInput>): NodeObject => nodeStatus({ ...input, ...over }).object as NodeObject;
const readyOf = (over: Partial<NodeStatusInput>) =>
  objectOf(over).status.conditions.find(({ type }) => type === 'Ready');

describe('node status', () => {
  test('says what the machine is', () => {
    const object = objectOf({ engine: alive() });
    expect(object).toMatchObject({
      metadata: {
        name: 'edge-1',
        labels: {
          'node-role.kubernetes.io/edge': '',
          'kubernetes.io/os': 'linux',
          'kubernetes.io/arch': 'arm64',
          'kubernetes.io/hostname': 'edge-1',
        },
      },
      status: {
        capacity: { cpu: '4', memory: '1048576Ki', 'ephemeral-storage': '10Ki', pods: '110' },
        addresses: [
          { type: 'InternalIP', address: '10.0.0.7' },
          { type: 'Hostname', address: 'box' },
        ],
        nodeInfo: { architecture: 'arm64', osImage: 'Debian', containerRuntimeVersion: 'fake://0.1.0' },
      },
    });
    expect(object.status.conditions.map(({ type, status }) => `${type}=${status}`)).toEqual([
      ...['Ready=True', 'MemoryPressure=False', 'DiskPressure=False', 'PIDPressure=False'],
    ]);
  });

  test('is not ready when the engine says so, is silent for a minute, or never spoke for a minute', () => {
    expect(readyOf({ engine: alive({ ok: false, reason: 'runtime gone' }) })).toMatchObject({
      ...{ status: 'False', reason: 'EngineNotReady', message: 'runtime gone' },
    });
    expect(readyOf({ engine: alive(), monotonicMs: 1_000 + ALIVE_WITHIN_MS - 1 })?.status).toBe('True');
    expect(readyOf({ engine: alive(), monotonicMs: 1_000 + ALIVE_WITHIN_MS })?.reason).toBe('EngineSilent');
    expect(readyOf({ monotonicMs: ALIVE_WITHIN_MS })).toMatchObject({ status: 'False', reason: 'EngineSilent' });
  });

  test('while the engine starts, stays what it was', () => {
    expect(readyOf({})).toMatchObject({ status: 'False', reason: 'EngineStarting' });
    expect(readyOf({ before: { Ready: { status: 'True', sinceMs: 1 } } })?.status).toBe('True');
  });

  test('dates a condition by its last change', () => {
    const first = nodeStatus({ ...input, engine: alive() });
    const later = { ...input, nowMs: input.nowMs + 500_000, before: first.conditions };
    const same = nodeStatus({ ...later, engine: alive() }).object as NodeObject;
    expect(same.status.conditions[0]?.lastTransitionTime).toBe('2023-11-14T22:13:20Z');
    const changed = nodeStatus({ ...later, engine: alive({ ok: false }) }).object as NodeObject;
    expect(changed.status.conditions[0]?.lastTransitionTime).toBe('2023-11-14T22:21:40Z');
    expect(changed.status.conditions[1]?.lastTransitionTime).toBe('2023-11-14T22:13:20Z');
  });
});

describe('node reporter and clock', () => {
  test('speaks on change and every few minutes, and keeps times over a restart', async () => {
    const clock = fakeClock();
    const backend = createMemoryBackend();
    let engine: SidecarAlive | undefined = alive({ atMs: 0 });
    const said: NodeObject[] = [];
    const make = async () => {
      const meta = await openMetaStore({ backend, logger: nullLogger(), clock });
      const nodeClock = createNodeClock({ meta, clock, logger: nullLogger() });
      const reporter = createNodeReporter({
        ...{ node: 'edge-1', runtime: 'fake', softwareVersion: '0.1.0', meta, clock, logger: nullLogger() },
        openReporter: () => ({
          put: (_key: string, { payload }: Entry) =>
            void said.push(JSON.parse(Buffer.from(payload).toString()) as NodeObject),
          putDurable: async () => {},
          delete: () => {},
          complete: () => {},
          close: () => {},
        }),
        readFacts: async () => facts,
        engineAlive: () => engine && { ...engine, atMs: clock.monotonicMs() },
        cloudNowMs: nodeClock.cloudNowMs,
      });
      await nodeClock.start();
      await reporter.start();
      return async () => {
        await reporter.stop(AbortSignal.abort());
        await nodeClock.stop(AbortSignal.abort());
        await meta.close();
      };
    };
    const stop = await make();
    expect(said).toHaveLength(1);
    await clock.advance(235_000);
    expect(said).toHaveLength(1);
    await clock.advance(5_000);
    expect(said).toHaveLength(2);
    const ready = said[0]?.status.conditions[0]?.lastTransitionTime;
    expect(said[1]?.status.conditions[0]?.lastTransitionTime).toBe(ready);
    await stop();
    const stopAgain = await make();
    expect(said[2]?.status.conditions[0]?.lastTransitionTime).toBe(ready);
    engine = alive({ ok: false, reason: 'gone' });
    await clock.advance(5_000);
    expect(said[3]?.status.conditions[0]?.status).toBe('False');
    await stopAgain();
    expect(clock.pending()).toBe(0);
  });

  test('the clock starts at the kept time when the local one is behind, and follows the hub', async () => {
    const backend = createMemoryBackend();
    const open = (startMs: number) => {
      const clock = fakeClock(startMs);
      return openMetaStore({ backend, logger: nullLogger(), clock }).then((meta) => {
        return { clock, meta, nodeClock: createNodeClock({ meta, clock, logger: nullLogger() }) };
      });
    };
    const first = await open(1_700_000_000_000);
    await first.nodeClock.start();
    await first.nodeClock.stop(AbortSignal.abort());
    await first.meta.close();
    const { clock, nodeClock, meta } = await open(5_000);
    expect(nodeClock.cloudNowMs()).toBe(1_700_000_000_000);
    await clock.advance(1_000);
    expect(nodeClock.cloudNowMs()).toBe(1_700_000_001_000);
    nodeClock.correct(1_800_000_000_000);
    await clock.advance(7);
    expect(nodeClock.cloudNowMs()).toBe(1_800_000_000_007);
    await meta.close();
  });
});
