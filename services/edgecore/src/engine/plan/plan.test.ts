// The plan as a table: what is wanted and there, and the steps that follow.
import { describe, expect, test } from '@jest/globals';
import type { Pod } from '../pod/types.js';
import type { Container, ContainerState, ExitInfo } from '../runtime/runtime.js';
import { containerDef, podOf } from '../testing/pods.js';
import { CRASH_BACKOFF } from './backoff.js';
import { goDuration, type Instant, type Observed, type Plan, plan, type Want } from './plan.js';
import type { Step } from './steps.js';

const NOW: Instant = { wallMs: 1_000_000_000, monoMs: 500_000 };
const REF = { uid: 'u1', namespace: 'default', name: 'web' };
const GRACE_MS = 30_000;

const RUNNING: ContainerState = { kind: 'running', startedAtMs: NOW.wallMs - 5_000 };
const exited = (exitCode: number, more: Partial<ExitInfo> = {}): ContainerState => ({
  kind: 'exited',
  exit: { exitCode, oom: false, startedAtMs: NOW.wallMs - 2_000, finishedAtMs: NOW.wallMs - 1_000, ...more },
});

interface There {
  name?: string;
  attempt?: number;
  state: ContainerState;
  sandbox?: number;
  hash?: string;
  backoffMs?: number;
}

function there(list: readonly There[]): Container[] {
  return list.map(({ name = 'app', attempt = 0, state, sandbox = 0, hash = 'h', backoffMs = 0 }) => ({
    id: `${name}-${attempt}`,
    labels: { pod: REF, container: name, kind: 'main', attempt, sandboxAttempt: sandbox, specHash: hash, backoffMs },
    imageId: '',
    logPath: '',
    state,
  }));
}

interface Case {
  pod?: Pod;
  want?: Partial<Want & { kind: 'run' }>;
  containers?: readonly There[];
  /** 'none': there is none yet; 'dead': it is from before a reboot. */
  sandbox?: 'ready' | 'dead' | 'none';
  observed?: Partial<Observed>;
}

const FRESH = { stale: false, mounted: true, failure: undefined };

function observe({ containers = [], sandbox = 'ready', observed = {} }: Case): Observed {
  const one = { attempt: 0, ready: sandbox === 'ready', createdAtMs: 0, graceMs: 0, ips: [] };
  const runtime = { pod: REF, containers: there(containers), ...(sandbox === 'none' ? {} : { sandbox: one }) };
  const nothing = { stops: new Map(), exitsSeen: new Map(), failures: new Map(), volumes: FRESH };
  return { runtime: sandbox === 'none' && containers.length === 0 ? undefined : runtime, ...nothing, ...observed };
}

function planOf(given: Case): Plan {
  const want: Want = {
    kind: 'run',
    pod: given.pod ?? podOf('u1'),
    deleting: false,
    graceMs: GRACE_MS,
    referencesReady: true,
    configError: () => undefined,
    specHash: () => 'h',
    ...given.want,
  };
  return plan(want, observe(given), NOW, CRASH_BACKOFF);
}

/** A step in few words. */
function wordsOf(step: Step): string {
  switch (step.kind) {
    case 'startContainer':
      return `start ${step.containerKind} ${step.container}#${step.attempt} next ${step.backoffMs}`;
    case 'stopContainer':
      return `stop ${step.id} ${step.why}`;
    case 'killContainer':
    case 'removeContainer':
      return `${step.kind} ${step.id}`;
    case 'mountVolumes':
    case 'ensureSandbox':
    case 'removeSandbox':
    case 'removeFiles':
      return step.kind;
  }
}

const words = (result: Plan): string[] => result.steps.map(wordsOf);

const expectSteps = (given: Case, ...steps: string[]): void => expect(words(planOf(given))).toEqual(steps);

const withInit = podOf('u1', { initContainers: [containerDef({ name: 'one' }), containerDef({ name: 'two' })] });
const twoMains = podOf('u1', { containers: [containerDef(), containerDef({ name: 'side' })] });
const never = podOf('u1', { restartPolicy: 'Never' });
const onFailure = podOf('u1', { restartPolicy: 'OnFailure' });
const STALE = { stale: true, mounted: false, failure: undefined };
const failure = (delayMs: number) => ({
  reason: 'R',
  retryReason: 'Retry',
  message: 'm',
  atMs: NOW.monoMs - 1_000,
  delayMs,
});

describe('plan: starting', () => {
  test('nothing before the references', () => expectSteps({ sandbox: 'none', want: { referencesReady: false } }));
  test('volumes, then the sandbox', () =>
    expectSteps({ sandbox: 'none', observed: { volumes: STALE } }, 'mountVolumes', 'ensureSandbox'));
  test('then the containers', () =>
    expectSteps({ pod: twoMains }, 'start main app#0 next 0', 'start main side#0 next 0'));
  test('nothing when all run', () => expectSteps({ containers: [{ state: RUNNING }] }));
  test('nothing while one is starting', () => expectSteps({ containers: [{ state: { kind: 'starting' } }] }));
  test('what an engine created and did not start goes, and the attempt is made again', () =>
    expectSteps({ containers: [{ state: { kind: 'created' } }] }, 'removeContainer app-0', 'start main app#0 next 0'));
  test('nothing while volumes fail', () => {
    const result = planOf({ observed: { volumes: { ...STALE, failure: failure(3_000) } } });
    expect(words(result)).toEqual([]);
    expect(result.wakeAfterMs).toBe(2_000);
  });
  test('volumes are tried again when the wait is over', () =>
    expectSteps(
      { observed: { volumes: { ...STALE, failure: failure(900) } } },
      'mountVolumes',
      'start main app#0 next 0',
    ));
  test('volumes that worked before and fail now do not hold up a restart', () =>
    expectSteps(
      {
        containers: [{ state: exited(1) }],
        observed: { volumes: { ...STALE, mounted: true, failure: failure(9_000) } },
      },
      'start main app#1 next 10000',
    ));
  test('a changed reference is brought to the volumes of a running Pod', () =>
    expectSteps(
      { containers: [{ state: RUNNING }], observed: { volumes: { ...FRESH, stale: true } } },
      'mountVolumes',
    ));
  test('a missing key holds up its container only', () => {
    const configError = (def: { name: string }) => (def.name === 'app' ? 'configmap "x" not found' : undefined);
    const result = planOf({ pod: twoMains, want: { configError } });
    expect(words(result)).toEqual(['start main side#0 next 0']);
    expect(result.waiting.get('app')).toEqual({
      reason: 'CreateContainerConfigError',
      message: 'configmap "x" not found',
    });
  });
  test('a failed start is tried again after its wait', () => {
    const waiting = planOf({ observed: { failures: new Map([['app', failure(3_000)]]) } });
    expect(words(waiting)).toEqual([]);
    expect(waiting.waiting.get('app')).toEqual({ reason: 'Retry', message: 'm' });
    expect(waiting.wakeAfterMs).toBe(2_000);
    expectSteps({ observed: { failures: new Map([['app', failure(1_000)]]) } }, 'start main app#0 next 0');
  });
});

describe('plan: init containers', () => {
  test('the first one first, and nothing else', () => expectSteps({ pod: withInit }, 'start init one#0 next 0'));
  test('the next one when it has succeeded', () =>
    expectSteps({ pod: withInit, containers: [{ name: 'one', state: exited(0) }] }, 'start init two#0 next 0'));
  test('nothing while one runs', () =>
    expectSteps({
      pod: withInit,
      containers: [
        { name: 'one', state: exited(0) },
        { name: 'two', state: RUNNING },
      ],
    }));
  test('the others when all have succeeded', () =>
    expectSteps(
      {
        pod: withInit,
        containers: [
          { name: 'one', state: exited(0) },
          { name: 'two', state: exited(0) },
        ],
      },
      'start main app#0 next 0',
    ));
  test('a failed one again', () =>
    expectSteps({ pod: withInit, containers: [{ name: 'one', state: exited(1) }] }, 'start init one#1 next 10000'));
  test('not with restartPolicy Never', () =>
    expectSteps({
      pod: { ...withInit, spec: { ...withInit.spec, restartPolicy: 'Never' } },
      containers: [{ name: 'one', state: exited(1) }],
    }));
  test('not again when a main container ran, although their records are gone', () =>
    expectSteps({ pod: withInit, containers: [{ state: exited(1) }] }, 'start main app#1 next 10000'));
  test('again in a new sandbox', () =>
    expectSteps(
      { pod: withInit, containers: [{ name: 'one', state: exited(0), sandbox: -1 }] },
      'start init one#1 next 10000',
    ));
});

describe('plan: restarting', () => {
  test.each([
    ['Always', 0, true],
    ['Always', 1, true],
    ['OnFailure', 0, false],
    ['OnFailure', 1, true],
    ['Never', 0, false],
    ['Never', 1, false],
  ])('%s after exit %i: %s', (restartPolicy, code, restarts) =>
    expectSteps(
      { pod: podOf('u1', { restartPolicy }), containers: [{ state: exited(code) }] },
      ...(restarts ? ['start main app#1 next 10000'] : []),
    ),
  );

  test('the second restart waits 10 s from the exit', () => {
    const result = planOf({ containers: [{ attempt: 1, state: exited(1), backoffMs: 10_000 }] });
    expect(words(result)).toEqual([]);
    expect(result.wakeAfterMs).toBe(9_000);
    expect(result.waiting.get('app')).toEqual({
      reason: 'CrashLoopBackOff',
      message: 'back-off 10s restarting failed container=app pod=web_default(u1)',
    });
  });
  test('then 20 s, up to 5 min', () => {
    const late = { finishedAtMs: NOW.wallMs - 300_000, startedAtMs: NOW.wallMs - 300_000 };
    expectSteps(
      { containers: [{ attempt: 1, state: exited(1, late), backoffMs: 10_000 }] },
      'start main app#2 next 20000',
    );
    expectSteps(
      { containers: [{ attempt: 9, state: exited(1, late), backoffMs: 160_000 }] },
      'start main app#10 next 300000',
    );
    expectSteps(
      { containers: [{ attempt: 9, state: exited(1, late), backoffMs: 300_000 }] },
      'start main app#10 next 300000',
    );
  });
  test('ten minutes of running start it anew', () => {
    const long = { startedAtMs: NOW.wallMs - 700_000, finishedAtMs: NOW.wallMs - 1_000 };
    expectSteps(
      { containers: [{ attempt: 5, state: exited(1, long), backoffMs: 300_000 }] },
      'start main app#6 next 10000',
    );
  });
  test('a wall clock set back does not stretch the wait', () => {
    const future = { startedAtMs: NOW.wallMs + 9e9 - 1_000, finishedAtMs: NOW.wallMs + 9e9 };
    const containers = [{ attempt: 1, state: exited(1, future), backoffMs: 10_000 }];
    const seen = (agoMs: number) => ({ exitsSeen: new Map([['app-1', NOW.monoMs - agoMs]]) });
    expect(planOf({ containers, observed: seen(4_000) }).wakeAfterMs).toBe(6_000);
    expectSteps({ containers, observed: seen(10_000) }, 'start main app#2 next 20000');
  });
  test('only the last two dead containers of a name are kept', () =>
    expectSteps(
      { pod: never, containers: [0, 1, 2, 3].map((attempt) => ({ attempt, state: exited(1) })) },
      'removeContainer app-0',
      'removeContainer app-1',
    ));
});

describe('plan: stopping', () => {
  test('a changed definition stops the container, and starts the next whatever the policy', () => {
    const want = { specHash: () => 'new' };
    expectSteps({ pod: never, want, containers: [{ state: RUNNING }] }, 'stop app-0 changed');
    expectSteps({ pod: never, want, containers: [{ state: exited(143) }] }, 'start main app#1 next 10000');
  });
  test('two that run under one name: the older goes', () =>
    expectSteps({ containers: [{ state: RUNNING }, { attempt: 1, state: RUNNING }] }, 'stop app-0 duplicate'));
  test('deletion stops what runs, and starts nothing', () => {
    const result = planOf({ pod: twoMains, want: { deleting: true }, containers: [{ state: RUNNING }] });
    expect(words(result)).toEqual(['stop app-0 pod']);
    expect(result.wakeAfterMs).toBe(GRACE_MS);
  });
  test('so does a verdict', () =>
    expectSteps(
      { want: { verdict: { reason: 'r', message: 'm' } }, containers: [{ state: RUNNING }] },
      'stop app-0 pod',
    ));
  test('one that was asked is waited for, then killed, then killed again', () => {
    const containers = [{ state: RUNNING }];
    const asked = (agoMs: number, killedAgoMs?: number) => {
      const killed = killedAgoMs === undefined ? {} : { killedAtMs: NOW.monoMs - killedAgoMs };
      return { stops: new Map([['app-0', { atMs: NOW.monoMs - agoMs, ...killed }]]) };
    };
    expect(planOf({ want: { deleting: true }, containers, observed: asked(10_000) })).toMatchObject({
      steps: [],
      wakeAfterMs: 20_000,
    });
    expectSteps({ want: { deleting: true }, containers, observed: asked(30_000) }, 'killContainer app-0');
    expectSteps({ want: { deleting: true }, containers, observed: asked(35_000, 5_000) });
    expectSteps({ want: { deleting: true }, containers, observed: asked(45_000, 10_000) }, 'killContainer app-0');
  });
  test('a shortened grace counts', () =>
    expectSteps(
      {
        want: { deleting: true, graceMs: 1_000 },
        containers: [{ state: RUNNING }],
        observed: { stops: new Map([['app-0', { atMs: NOW.monoMs - 2_000 }]]) },
      },
      'killContainer app-0',
    ));
  test('missing references stop nothing', () =>
    expectSteps({ want: { referencesReady: false }, containers: [{ state: RUNNING }] }));
});

describe('plan: a dead sandbox', () => {
  const dead = { sandbox: 'dead' } as const;
  test('is renewed when there is something to run', () =>
    expectSteps({ ...dead, containers: [{ state: exited(255) }] }, 'ensureSandbox'));
  test('not for what has run under Never', () =>
    expectSteps({ ...dead, pod: never, containers: [{ state: exited(255) }] }));
  test('not for what has succeeded under OnFailure', () =>
    expectSteps({ ...dead, pod: onFailure, containers: [{ state: exited(0) }] }));
  test('not before what still runs in it has ended', () =>
    expectSteps({ ...dead, containers: [{ state: RUNNING }] }, 'stop app-0 sandbox'));
  test('what ended with it comes back without back-off', () =>
    expectSteps(
      { containers: [{ attempt: 4, state: exited(255), sandbox: -1, backoffMs: 160_000 }] },
      'start main app#5 next 10000',
    ));
});

describe('plan: removing', () => {
  const remove = (given: Case) => words(plan({ kind: 'remove', graceMs: 5_000 }, observe(given), NOW, CRASH_BACKOFF));
  test('stops first', () => expect(remove({ containers: [{ state: RUNNING }] })).toEqual(['stop app-0 pod']));
  test('then leaves nothing', () =>
    expect(remove({ containers: [{ state: exited(0) }, { name: 'side', state: { kind: 'created' } }] })).toEqual([
      'removeContainer app-0',
      'removeContainer side-0',
      'removeSandbox',
      'removeFiles',
    ]));
  test('only files are left of what never ran', () => expect(remove({ sandbox: 'none' })).toEqual(['removeFiles']));
});

test('durations as Go prints them', () => {
  expect([400, 10_000, 80_000, 300_000].map(goDuration)).toEqual(['400ms', '10s', '1m20s', '5m0s']);
});
