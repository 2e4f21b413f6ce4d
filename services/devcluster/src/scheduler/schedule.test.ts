import { describe, expect, test } from '@jest/globals';
import type { JsonObject, KubeObject } from '../api/objects.js';
import { isPending, schedule, viewNodes } from './schedule.js';

function node(name: string, { labels = {}, spec = {}, allocatable = {} }: Record<string, JsonObject> = {}): KubeObject {
  const resources = { cpu: '4', memory: '8Gi', pods: '110', ...allocatable };
  return { metadata: { name, labels: labels as Record<string, string> }, spec, status: { allocatable: resources } };
}

function pod(spec: JsonObject = {}, requests: JsonObject = {}): KubeObject {
  return {
    metadata: { name: 'p', namespace: 'default' },
    spec: { containers: [{ name: 'c', resources: { requests } }], ...spec },
  };
}

function decide(wanted: KubeObject, nodes: KubeObject[], pods: KubeObject[] = []): string {
  const decision = schedule(wanted, viewNodes(nodes, pods).values());
  return decision.kind === 'bind' ? decision.node : decision.message;
}

const affinity = (...nodeSelectorTerms: JsonObject[]) => ({
  affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } },
});
const expression = (key: string, operator: string, ...values: string[]) => ({
  matchExpressions: [{ key, operator, values }],
});

const NO_MATCH = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.";

describe('schedule', () => {
  test('says that there are no nodes', () => {
    expect(decide(pod(), [])).toBe('no nodes available to schedule pods');
  });

  test('counts the reasons of all nodes, sorted', () => {
    const taints = [{ key: 'edge', value: 'yes', effect: 'NoSchedule' }];
    const nodes = [
      node('a', { spec: { taints } }),
      node('b', { allocatable: { cpu: '100m', memory: '1Mi' } }),
      node('c', { allocatable: { cpu: '100m', pods: '0' } }),
      node('d', { spec: { unschedulable: true } }),
    ];
    expect(decide(pod({}, { cpu: '1', memory: '1Gi' }), nodes)).toBe(
      '0/4 nodes are available: 1 Insufficient memory, 1 Too many pods, 1 node(s) had untolerated taint {edge: yes}, 1 node(s) were unschedulable, 2 Insufficient cpu.',
    );
  });

  test('takes the least requested node; of equals the one with fewer Pods, then the first by name', () => {
    const busy = pod({ nodeName: 'a' }, { cpu: '2' });
    expect(decide(pod({}, { cpu: '1' }), [node('b'), node('a')], [busy])).toBe('b');
    expect(decide(pod(), [node('b'), node('a')])).toBe('a');
    expect(decide(pod(), [node('b'), node('a')], [pod({ nodeName: 'a' })])).toBe('b');
  });

  test('Pods that have ended occupy nothing', () => {
    const ended = { ...pod({ nodeName: 'a' }, { cpu: '4' }), status: { phase: 'Succeeded' } };
    expect(decide(pod({}, { cpu: '4' }), [node('a')], [ended])).toBe('a');
    expect(decide(pod({}, { cpu: '4' }), [node('a')], [{ ...ended, status: { phase: 'Running' } }])).toContain(
      'Insufficient cpu',
    );
  });

  test.each([
    [{ operator: 'Exists' }, 'a'],
    [{ key: 'edge', operator: 'Exists' }, 'a'],
    [{ key: 'edge', operator: 'Equal', value: 'yes', effect: 'NoExecute' }, 'a'],
    [{ key: 'edge', value: 'yes' }, 'a'],
    [{ key: 'edge', value: 'no' }, undefined],
    [{ key: 'edge', operator: 'Exists', effect: 'NoSchedule' }, undefined],
    [{ value: 'yes' }, undefined],
  ])('toleration %j', (toleration, expected) => {
    const tainted = node('a', { spec: { taints: [{ key: 'edge', value: 'yes', effect: 'NoExecute' }] } });
    const message = '0/1 nodes are available: 1 node(s) had untolerated taint {edge: yes}.';
    expect(decide(pod({ tolerations: [toleration] }), [tainted])).toBe(expected ?? message);
  });

  test('a preference not to schedule is ignored; cordoned nodes can be tolerated', () => {
    expect(decide(pod(), [node('a', { spec: { taints: [{ key: 'k', effect: 'PreferNoSchedule' }] } })])).toBe('a');
    const tolerations = [{ key: 'node.kubernetes.io/unschedulable', operator: 'Exists' }];
    expect(decide(pod({ tolerations }), [node('a', { spec: { unschedulable: true } })])).toBe('a');
  });

  test.each([
    [{ nodeSelector: { zone: 'x' } }, true],
    [{ nodeSelector: { zone: 'x', constructor: 'y' } }, false],
    [affinity(expression('zone', 'In', 'w', 'x')), true],
    [affinity(expression('zone', 'NotIn', 'x')), false],
    [affinity(expression('other', 'NotIn', 'x')), true],
    [affinity(expression('zone', 'Exists')), true],
    [affinity(expression('zone', 'DoesNotExist')), false],
    [affinity(expression('size', 'Gt', '9')), true],
    [affinity(expression('size', 'Lt', '10')), false],
    [affinity(expression('zone', 'Gt', '1')), false],
    [affinity({ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['a'] }] }), true],
    [affinity({ matchFields: [{ key: 'metadata.name', operator: 'NotIn', values: ['a'] }] }), false],
    [affinity({}), false],
    [affinity(), false],
    [affinity(expression('zone', 'In', 'w'), expression('size', 'Exists')), true],
    [{ nodeSelector: { zone: 'w' }, ...affinity(expression('zone', 'Exists')) }, false],
  ])('node selection %j', (spec, matches) => {
    expect(decide(pod(spec), [node('a', { labels: { zone: 'x', size: '10' } })])).toBe(matches ? 'a' : NO_MATCH);
  });

  test('asks for the largest moment of the initialization, sidecars and the overhead', () => {
    const container = (cpu: string, more: JsonObject = {}) => ({
      name: cpu,
      resources: { requests: { cpu } },
      ...more,
    });
    const spec = {
      initContainers: [container('100m', { restartPolicy: 'Always' }), container('900m'), container('50m')],
      containers: [container('200m'), container('300m')],
      overhead: { cpu: '10m' },
    };
    expect(decide(pod(spec), [node('a', { allocatable: { cpu: '1010m' } })])).toBe('a');
    expect(decide(pod(spec), [node('a', { allocatable: { cpu: '1009m' } })])).toContain('Insufficient cpu');
    const large = { ...spec, containers: [container('2')] };
    expect(decide(pod(large), [node('a', { allocatable: { cpu: '2110m' } })])).toBe('a');
    expect(decide(pod(large), [node('a', { allocatable: { cpu: '2109m' } })])).toContain('Insufficient cpu');
  });

  test('counts extended resources and ephemeral storage; a Pod may ask for the whole', () => {
    const gpu = { 'example.com/gpu': '1' };
    expect(decide(pod({}, gpu), [node('a')])).toBe('0/1 nodes are available: 1 Insufficient example.com/gpu.');
    expect(decide(pod({ resources: { requests: gpu } }), [node('a', { allocatable: gpu })])).toBe('a');
    expect(
      decide(pod({}, { 'ephemeral-storage': '1Gi' }), [node('a', { allocatable: { 'ephemeral-storage': '1G' } })]),
    ).toBe('0/1 nodes are available: 1 Insufficient ephemeral-storage.');
  });

  test.each([
    [
      { affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [{}] } } },
      'required pod affinity is',
    ],
    [
      { topologySpreadConstraints: [{ whenUnsatisfiable: 'DoNotSchedule' }] },
      'topologySpreadConstraints with DoNotSchedule are',
    ],
    [{ volumes: [{ persistentVolumeClaim: { claimName: 'x' } }] }, 'persistent volume claims are'],
    [{ resourceClaims: [{ name: 'x' }] }, 'resource claims are'],
  ])('refuses what it can not keep: %j', (spec, text) => {
    expect(decide(pod(spec), [node('a')])).toBe(`0/1 nodes are available: ${text} not supported by this scheduler.`);
  });
});

test.each([
  [pod(), true],
  [pod({ schedulerName: 'default-scheduler' }), true],
  [pod({ schedulerName: 'other' }), false],
  [pod({ nodeName: 'a' }), false],
  [pod({ schedulingGates: [{ name: 'g' }] }), false],
  [{ ...pod(), metadata: { name: 'p', deletionTimestamp: '2024-01-01T00:00:00Z' } }, false],
  [{ ...pod(), status: { phase: 'Failed' } }, false],
])('whether a Pod is pending: %#', (candidate, expected) => {
  expect(isPending(candidate)).toBe(expected);
});
