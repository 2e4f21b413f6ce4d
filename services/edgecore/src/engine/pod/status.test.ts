import { describe, expect, test } from '@jest/globals';
import type { Container, ContainerState, RuntimePod } from '../runtime/runtime.js';
import { containerDef, podOf } from '../testing/pods.js';
import { qosClassOf } from './qos.js';
import { podStatus, refusedStatus, type StatusInputs } from './status.js';
import type { PodSpec, Waiting } from './types.js';

const NOW_MS = Date.parse('2024-05-01T12:00:00.700Z');
const REF = { uid: 'u1', namespace: 'default', name: 'web' };
const RUNNING: ContainerState = { kind: 'running', startedAtMs: NOW_MS - 5_000 };
const exited = (exitCode: number, oom = false): ContainerState => ({
  kind: 'exited',
  exit: { exitCode, oom, startedAtMs: NOW_MS - 4_000, finishedAtMs: NOW_MS - 2_000 },
});

function container(name: string, state: ContainerState, attempt = 0): Container {
  const kind = name.startsWith('init') ? 'init' : 'main';
  const labels = { pod: REF, container: name, kind, attempt, sandboxAttempt: 0, specHash: '', backoffMs: 0 } as const;
  return { id: `${name}-${attempt}`, labels, imageId: 'img', logPath: '', state };
}

function statusOf(spec: Partial<PodSpec>, containers: readonly Container[], more: Partial<StatusInputs> = {}) {
  const sandbox = { attempt: 0, ready: true, createdAtMs: 0, graceMs: 0, ips: ['10.1.2.3'] };
  const runtime: RuntimePod = { pod: REF, sandbox, containers };
  return podStatus({
    pod: podOf('u1', spec),
    runtime,
    runtimeName: 'process',
    waiting: new Map(),
    verdict: undefined,
    ending: false,
    hostIPs: ['192.168.0.5'],
    startedAtMs: NOW_MS - 10_000,
    previous: undefined,
    nowMs: NOW_MS,
    ...more,
  });
}

const waitingFor = (reason: string): ReadonlyMap<string, Waiting> => new Map([['app', { reason, message: 'm' }]]);
const two = { containers: [containerDef(), containerDef({ name: 'side' })] };
const init = { initContainers: [containerDef({ name: 'init' })] };
const policy = (restartPolicy: string, more: Partial<PodSpec> = {}) => ({ restartPolicy, ...more });

describe('phase', () => {
  const crashed = container('app', exited(1));
  const done = container('app', exited(0));
  const running = container('app', RUNNING);
  test.each<[string, string, Partial<PodSpec>, Container[], Partial<StatusInputs>]>([
    ['nothing yet', 'Pending', {}, [], {}],
    ['running', 'Running', {}, [running], {}],
    ['one of two', 'Pending', two, [running], {}],
    ['starting', 'Pending', {}, [container('app', { kind: 'starting' })], {}],
    ['crashed under Always', 'Running', {}, [crashed], {}],
    ['waiting to restart', 'Running', {}, [crashed], { waiting: waitingFor('CrashLoopBackOff') }],
    ['missing key', 'Pending', {}, [], { waiting: waitingFor('CreateContainerConfigError') }],
    ['done under Always', 'Running', {}, [done], {}],
    ['done under OnFailure', 'Succeeded', policy('OnFailure'), [done], {}],
    ['crashed under OnFailure', 'Running', policy('OnFailure'), [crashed], {}],
    ['done under Never', 'Succeeded', policy('Never'), [done], {}],
    ['crashed under Never', 'Failed', policy('Never'), [crashed], {}],
    ['one done, one running', 'Running', policy('Never', two), [done, container('side', RUNNING)], {}],
    ['one done, one crashed', 'Failed', policy('Never', two), [done, container('side', exited(2))], {}],
    ['init running', 'Pending', init, [container('init', RUNNING)], {}],
    ['init failed', 'Pending', init, [container('init', exited(1))], {}],
    ['init failed under Never', 'Failed', policy('Never', init), [container('init', exited(1))], {}],
    ['ending, still running', 'Running', {}, [running], { ending: true }],
    ['ended by SIGTERM', 'Failed', {}, [container('app', exited(143))], { ending: true }],
    ['ended well', 'Succeeded', {}, [done], { ending: true }],
    ['ended before it began', 'Failed', {}, [], { ending: true }],
    ['judged, still running', 'Running', {}, [running], { verdict: { reason: 'r', message: 'm' } }],
    ['judged and stopped', 'Failed', {}, [done], { verdict: { reason: 'r', message: 'm' } }],
  ])('%s: %s', (_title, phase, spec, containers, more) => expect(statusOf(spec, containers, more).phase).toBe(phase));
});

describe('container status', () => {
  const first = (spec: Partial<PodSpec>, containers: readonly Container[], more: Partial<StatusInputs> = {}) =>
    statusOf(spec, containers, more).containerStatuses?.[0];

  test('never started', () =>
    expect(first({}, [])).toEqual({
      name: 'app',
      state: { waiting: { reason: 'ContainerCreating' } },
      ready: false,
      started: false,
      restartCount: 0,
      image: 'app:1',
      imageID: '',
    }));
  test('behind init containers', () =>
    expect(first(init, [])?.state).toEqual({ waiting: { reason: 'PodInitializing' } }));
  test('created only counts as never started', () =>
    expect(first({}, [container('app', { kind: 'created' })])?.containerID).toBeUndefined());
  test('running after a crash tells of the crash', () =>
    expect(first({}, [container('app', exited(3)), container('app', RUNNING, 1)])).toMatchObject({
      state: { running: { startedAt: '2024-05-01T11:59:55Z' } },
      lastState: { terminated: { exitCode: 3, reason: 'Error', containerID: 'process://app-0' } },
      restartCount: 1,
      ready: true,
      started: true,
      containerID: 'process://app-1',
    }));
  test('in back-off the last exit is the last state', () =>
    expect(first({}, [container('app', exited(3), 4)], { waiting: waitingFor('CrashLoopBackOff') })).toMatchObject({
      state: { waiting: { reason: 'CrashLoopBackOff', message: 'm' } },
      lastState: { terminated: { exitCode: 3 } },
      restartCount: 4,
    }));
  test.each([
    [0, false, 'Completed'],
    [2, false, 'Error'],
    [137, true, 'OOMKilled'],
  ])('exit %i, out of memory %s: %s', (code, oom, reason) =>
    expect(first({}, [container('app', exited(code, oom))])?.state?.terminated).toEqual({
      exitCode: code,
      reason,
      startedAt: '2024-05-01T11:59:56Z',
      finishedAt: '2024-05-01T11:59:58Z',
      containerID: 'process://app-0',
    }),
  );
  test('an init container is ready when it has succeeded', () =>
    expect(statusOf(init, [container('init', exited(0))]).initContainerStatuses?.[0]).toMatchObject({
      ready: true,
      started: false,
    }));
});

describe('conditions', () => {
  const conditions = (...args: Parameters<typeof statusOf>) =>
    Object.fromEntries(
      (statusOf(...args).conditions ?? []).map(({ type, status, reason }) => [type, reason ?? status]),
    );

  test('pending', () =>
    expect(conditions(init, [])).toEqual({
      PodReadyToStartContainers: 'True',
      Initialized: 'ContainersNotInitialized',
      Ready: 'ContainersNotReady',
      ContainersReady: 'ContainersNotReady',
      PodScheduled: 'True',
    }));
  test('ready', () =>
    expect(conditions(init, [container('init', exited(0)), container('app', RUNNING)])).toEqual({
      PodReadyToStartContainers: 'True',
      Initialized: 'True',
      Ready: 'True',
      ContainersReady: 'True',
      PodScheduled: 'True',
    }));
  test('completed', () =>
    expect(conditions(policy('Never'), [container('app', exited(0))])).toEqual({
      PodReadyToStartContainers: 'False',
      Initialized: 'PodCompleted',
      Ready: 'PodCompleted',
      ContainersReady: 'PodCompleted',
      PodScheduled: 'True',
    }));
  test('who is not ready', () =>
    expect(statusOf(two, [container('app', RUNNING)]).conditions?.find(({ type }) => type === 'Ready')).toMatchObject({
      status: 'False',
      message: 'containers with unready status: [side]',
    }));
  test('a transition time changes only with its status', () => {
    const before = statusOf({}, []);
    const later = statusOf({}, [container('app', RUNNING)], { previous: before, nowMs: NOW_MS + 60_000 });
    const times = Object.fromEntries((later.conditions ?? []).map((each) => [each.type, each.lastTransitionTime]));
    expect(times).toMatchObject({ PodScheduled: '2024-05-01T12:00:00Z', Ready: '2024-05-01T12:01:00Z' });
  });
});

test('addresses', () => {
  expect(statusOf({}, [])).toMatchObject({ hostIP: '192.168.0.5', podIP: '10.1.2.3', podIPs: [{ ip: '10.1.2.3' }] });
  expect(statusOf({ hostNetwork: true }, [])).toMatchObject({ podIP: '192.168.0.5' });
  expect(statusOf({}, [], { runtime: undefined })).not.toHaveProperty('podIP');
});

test('a refused Pod has no containers to tell of', () =>
  expect(refusedStatus(podOf('u1'), { reason: 'UnsupportedByNode', message: 'why' }, NOW_MS)).toEqual({
    phase: 'Failed',
    reason: 'UnsupportedByNode',
    message: 'why',
    startTime: '2024-05-01T12:00:00Z',
    qosClass: 'BestEffort',
  }));

test.each<[string, object[]]>([
  ['BestEffort', [{}]],
  ['BestEffort', [{ requests: { cpu: '0' } }]],
  ['Burstable', [{ requests: { cpu: '1' } }]],
  ['Burstable', [{ limits: { cpu: '1', memory: '1Gi' } }, {}]],
  ['Guaranteed', [{ limits: { cpu: '1', memory: '1Gi' } }]],
  ['Burstable', [{ limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '500m' } }]],
])('quality of service %s', (expected, list) =>
  expect(
    qosClassOf(podOf('u1', { containers: list.map((resources, i) => containerDef({ name: `c${i}`, resources })) })),
  ).toBe(expected),
);
