import { describe, expect, test } from '@jest/globals';
import { BUILTIN_COLUMNS } from './builtin-columns.js';
import { humanDuration } from './duration.js';
import { compileJsonPath } from './json-path.js';
import { podStatus } from './pod-columns.js';
import { printerColumn } from './printer-columns.js';

const S = 1_000;
const M = 60 * S;
const H = 60 * M;
const D = 24 * H;

test.each([
  [-500, '0s'],
  [-5 * S, '<invalid>'],
  [119 * S, '119s'],
  [2 * M, '2m'],
  [5 * M + 3 * S, '5m3s'],
  [45 * M, '45m'],
  [5 * H + 2 * M, '5h2m'],
  [47 * H, '47h'],
  [3 * D + 4 * H, '3d4h'],
  [30 * D, '30d'],
  [3 * 365 * D + 5 * D, '3y5d'],
  [9 * 365 * D, '9y'],
])('%d ms are %s', (ms, text) => expect(humanDuration(ms)).toBe(text));

describe('JSONPath', () => {
  const object = {
    spec: {
      a: { 'b.c': 1 },
      list: [
        { n: 'x', v: 1 },
        { n: 'y', v: 2 },
      ],
    },
  };
  test.each([
    ['.spec.a', [{ 'b.c': 1 }]],
    ['spec.list[1].v', [2]],
    ['.spec.list[-1].n', ['y']],
    ['.spec.list[*].n', ['x', 'y']],
    [".spec.a['b.c']", [1]],
    ['.spec.a.b\\.c', [1]],
    ['.spec.list[?(@.n=="y")].v', [2]],
    ['.spec.none', []],
  ])('%s', (path, expected) => expect(compileJsonPath(path)?.(object)).toEqual(expected));

  test('what is outside the subset is no path', () => expect(compileJsonPath('.a[?(@.b =~ 1)]')).toBeUndefined());

  test('printer columns', () => {
    const column = printerColumn({ name: 'V', type: 'integer', jsonPath: '.spec.list[0].v' });
    expect(column.cell({ metadata: {}, ...object }, 0)).toBe(1);
    const since = printerColumn({ name: 'Since', type: 'date', jsonPath: '.spec.at' });
    expect(since.cell({ metadata: {}, spec: { at: '1970-01-01T00:00:10Z' } }, 70_000)).toBe('60s');
    expect(since.cell({ metadata: {} }, 0)).toBeNull();
  });
});

describe('the status of a Pod', () => {
  const pod = (status: object, metadata: object = {}, spec: object = {}) => ({
    metadata: { ...metadata },
    spec: { ...spec },
    status: { ...status },
  });
  test.each([
    ['Pending', pod({ phase: 'Pending' })],
    ['Terminating', pod({ phase: 'Running' }, { deletionTimestamp: '2020-01-01T00:00:00Z' })],
    [
      'CrashLoopBackOff',
      pod({ phase: 'Running', containerStatuses: [{ state: { waiting: { reason: 'CrashLoopBackOff' } } }] }),
    ],
    [
      'Error',
      pod({ phase: 'Failed', containerStatuses: [{ state: { terminated: { reason: 'Error', exitCode: 1 } } }] }),
    ],
    ['ExitCode:3', pod({ phase: 'Failed', containerStatuses: [{ state: { terminated: { exitCode: 3 } } }] })],
    [
      'Completed',
      pod({ phase: 'Succeeded', containerStatuses: [{ state: { terminated: { reason: 'Completed', exitCode: 0 } } }] }),
    ],
    [
      'Init:0/2',
      pod({ phase: 'Pending', initContainerStatuses: [{ state: { running: {} } }] }, {}, { initContainers: [{}, {}] }),
    ],
    ['Evicted', pod({ phase: 'Failed', reason: 'Evicted' })],
    ['SchedulingGated', pod({ phase: 'Pending', conditions: [{ type: 'PodScheduled', reason: 'SchedulingGated' }] })],
  ])('%s', (expected, object) => expect(podStatus(object)).toBe(expected));
});

test('nodes show roles and scheduling', () => {
  const node = {
    metadata: { name: 'e', labels: { 'node-role.kubernetes.io/edge': '', 'node-role.kubernetes.io/agent': '' } },
    spec: { unschedulable: true },
    status: { conditions: [{ type: 'Ready', status: 'True' }], nodeInfo: { kubeletVersion: 'v1' } },
  };
  expect(BUILTIN_COLUMNS['Node']?.slice(0, 5).map((column) => column.cell(node, 0))).toEqual([
    'e',
    'Ready,SchedulingDisabled',
    'agent,edge',
    '<unknown>',
    'v1',
  ]);
});
