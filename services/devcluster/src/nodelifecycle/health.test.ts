import { describe, expect, test } from '@jest/globals';
import type { JsonObject, KubeObject } from '../api/objects.js';
import { stayMs } from './eviction.js';
import { correctedTaints, silentStatus, trustLeftMs } from './health.js';

const LIMITS = { graceMs: 40_000, startupGraceMs: 60_000 };
const NOW = '2024-01-01T00:00:00Z';

function node(conditions: Record<string, string>, spec: JsonObject = {}): KubeObject {
  const list = Object.entries(conditions).map(([type, status]) => ({
    type,
    status,
    reason: 'Kubelet',
    lastHeartbeatTime: 'h',
    lastTransitionTime: 't',
  }));
  return { metadata: { name: 'a' }, spec, status: { conditions: list, capacity: { cpu: '1' } } };
}

describe('trustLeftMs', () => {
  test.each([
    [node({ Ready: 'True' }), 10_000, 30_000],
    [node({ Ready: 'False' }), 40_000, 0],
    [node({ Ready: 'True' }), 90_000, 0],
    [node({}), 40_000, 20_000],
    [node({ Ready: 'Unknown' }), 90_000, undefined],
  ])('%#', (given, silentMs, expected) => {
    expect(trustLeftMs(given, silentMs, LIMITS)).toBe(expected);
  });
});

describe('silentStatus', () => {
  test('everything that the node vouched for is unknown; the rest of the status stays', () => {
    const status = silentStatus(node({ Ready: 'True', DiskPressure: 'False', Custom: 'True' }), NOW);
    const unknown = {
      status: 'Unknown',
      reason: 'NodeStatusUnknown',
      message: 'Kubelet stopped posting node status.',
      lastHeartbeatTime: 'h',
      lastTransitionTime: NOW,
    };
    expect(status).toMatchObject({
      capacity: { cpu: '1' },
      conditions: [
        { type: 'Ready', ...unknown },
        { type: 'DiskPressure', ...unknown },
        { type: 'Custom', status: 'True' },
      ],
    });
  });

  test('a node that never reported', () => {
    expect(silentStatus({ metadata: {} }, NOW)).toEqual({
      conditions: [
        {
          type: 'Ready',
          status: 'Unknown',
          reason: 'NodeStatusNeverUpdated',
          message: 'Kubelet never posted node status.',
          lastTransitionTime: NOW,
        },
      ],
    });
  });
});

describe('correctedTaints', () => {
  const taint = (name: string, effect: string, more: JsonObject = {}) => ({
    key: `node.kubernetes.io/${name}`,
    effect,
    ...more,
  });

  test('not ready, silent, ready again: taints come and go, those of others stay', () => {
    const foreign = { key: 'mine', effect: 'NoExecute' };
    const added = { timeAdded: NOW };
    const notReady = correctedTaints(
      node({ Ready: 'False' }, { taints: [foreign, taint('not-ready', 'NoSchedule')] }),
      NOW,
    );
    expect(notReady).toEqual([foreign, taint('not-ready', 'NoSchedule'), taint('not-ready', 'NoExecute', added)]);
    const silent = correctedTaints(node({ Ready: 'Unknown' }, { taints: notReady }), NOW);
    expect(silent).toEqual([
      foreign,
      taint('unreachable', 'NoSchedule', added),
      taint('unreachable', 'NoExecute', added),
    ]);
    expect(correctedTaints(node({ Ready: 'Unknown' }, { taints: silent }), NOW)).toBeUndefined();
    expect(correctedTaints(node({ Ready: 'True' }, { taints: silent }), NOW)).toEqual([foreign]);
    expect(correctedTaints(node({ Ready: 'True' }, { taints: [foreign] }), NOW)).toBeUndefined();
  });

  test('pressure, cordoned, and a node that never reported', () => {
    expect(correctedTaints(node({ Ready: 'True', DiskPressure: 'True' }, { unschedulable: true }), NOW)).toMatchObject([
      taint('disk-pressure', 'NoSchedule'),
      taint('unschedulable', 'NoSchedule'),
    ]);
    expect(correctedTaints(node({}), NOW)).toMatchObject([taint('not-ready', 'NoSchedule')]);
  });
});

describe('stayMs', () => {
  const taints = ['a', 'b'].map((key) => ({ key, value: '', effect: 'NoExecute' }));
  const stay = (...tolerations: JsonObject[]) => stayMs({ metadata: {}, spec: { tolerations } }, taints);
  const exists = (key: string, more: JsonObject = {}) => ({ key, operator: 'Exists', ...more });

  test('at once, for a time, for ever', () => {
    expect(stay()).toBe(0);
    expect(stay(exists('a'))).toBe(0);
    expect(stay(exists('a'), exists('b'))).toBe(Number.POSITIVE_INFINITY);
    expect(stay({ operator: 'Exists' })).toBe(Number.POSITIVE_INFINITY);
    expect(stay(exists('a', { tolerationSeconds: 300 }), exists('b', { tolerationSeconds: 60 }))).toBe(60_000);
    expect(stay(exists('a', { tolerationSeconds: -5 }), exists('b'))).toBe(0);
    expect(stay(exists('a', { effect: 'NoSchedule' }), exists('b'))).toBe(0);
  });
});
