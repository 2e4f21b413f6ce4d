// What every runtime promises, as tests. A harness says how a container of its runtime is made to behave.
import { describe, expect, test } from '@jest/globals';
import type { Container, ContainerLabels, ContainerSpec, PodRef, Runtime, SandboxSpec } from '../runtime.js';

/** Behaviours that a harness can give to a container. */
export type Behaviour = 'runs' | 'exits 0' | 'exits 3' | 'ignores SIGTERM' | 'cannot start';

export interface RuntimeHarness {
  runtime: Runtime;
  /** Command, annotations ... that make a container behave so; `container` is its name. */
  behave(behaviour: Behaviour): { readonly command: readonly string[]; readonly annotation?: string };
  /** Resolves when a running container has set itself up. */
  ready(container: Container): Promise<void>;
  /** As after kill -9 of the engine: a new runtime on what is left. */
  reopen(): Promise<Runtime>;
  /** Lets time pass until `done` or a bound; then throws. */
  until(done: () => Promise<boolean>): Promise<void>;
}

const GRACE_MS = 2_000;

export function runtimeContract(
  name: string,
  withHarness: (fn: (harness: RuntimeHarness) => Promise<void>) => Promise<void>,
): void {
  describe(`runtime contract: ${name}`, () => {
    const contract = (title: string, fn: (h: Harness) => Promise<void>): void =>
      test(title, () => withHarness((harness) => fn(new Harness(harness))));

    contract('nothing is there at first', async (h) => {
      expect(await h.runtime.list()).toEqual([]);
      expect(await h.runtime.inspect('uid-1')).toBeUndefined();
    });

    contract('a sandbox is made once and found again', async (h) => {
      const first = await h.runtime.ensureSandbox(h.sandbox('runs'));
      expect(first).toMatchObject({ attempt: 0, ready: true, graceMs: GRACE_MS });
      expect(await h.runtime.ensureSandbox(h.sandbox('runs'))).toEqual(first);
      expect(await h.runtime.list()).toEqual([{ pod: POD, sandbox: first, containers: [] }]);
    });

    contract('a container needs a sandbox', async (h) => {
      await expect(h.runtime.createContainer(h.spec('runs'))).rejects.toMatchObject({ code: 'failed_precondition' });
    });

    contract('a created container does nothing, and tells its labels', async (h) => {
      const id = await h.create('runs');
      expect(await h.container(id)).toMatchObject({ id, labels: LABELS, state: { kind: 'created' } });
    });

    contract('an attempt is created at most once', async (h) => {
      await h.create('runs');
      await expect(h.runtime.createContainer(h.spec('runs'))).rejects.toMatchObject({ code: 'already_exists' });
    });

    contract('a started container runs and cannot be started again', async (h) => {
      const id = await h.start('runs');
      await h.untilState(id, 'running');
      await expect(h.runtime.startContainer(id)).rejects.toMatchObject({ code: 'failed_precondition' });
    });

    contract('an exit is told with its code and times', async (h) => {
      const id = await h.start('exits 3');
      const exit = await h.exitOf(id);
      expect(exit).toMatchObject({ exitCode: 3, oom: false });
      expect(exit.startedAtMs).toBeLessThanOrEqual(exit.finishedAtMs);
    });

    contract('a workload that cannot be started has exited with 128', async (h) => {
      const id = await h.start('cannot start');
      expect(await h.exitOf(id)).toMatchObject({ exitCode: 128, reason: 'StartError', message: expect.any(String) });
    });

    contract('stop ends a container by SIGTERM', async (h) => {
      const id = await h.running('runs');
      await h.runtime.stopContainer(id, GRACE_MS);
      expect(await h.exitOf(id)).toMatchObject({ exitCode: 143, signal: 'SIGTERM' });
    });

    contract('kill ends one that ignores SIGTERM', async (h) => {
      const id = await h.running('ignores SIGTERM');
      await h.runtime.stopContainer(id, 60_000);
      expect(await h.container(id)).toMatchObject({ state: { kind: 'running' } });
      await h.runtime.killContainer(id);
      expect(await h.exitOf(id)).toMatchObject({ exitCode: 137, signal: 'SIGKILL' });
    });

    contract('stop and kill of what does not run are harmless', async (h) => {
      const id = await h.start('exits 0');
      expect(await h.exitOf(id)).toMatchObject({ exitCode: 0 });
      await h.runtime.stopContainer(id, GRACE_MS);
      await h.runtime.killContainer(id);
      expect(await h.exitOf(id)).toMatchObject({ exitCode: 0 });
    });

    contract('what runs is not removed; what does not is, once and again', async (h) => {
      const id = await h.running('runs');
      await expect(h.runtime.removeContainer(id)).rejects.toMatchObject({ code: 'failed_precondition' });
      await expect(h.runtime.removeSandbox(POD.uid)).rejects.toMatchObject({ code: 'failed_precondition' });
      await h.runtime.killContainer(id);
      await h.exitOf(id);
      await h.runtime.removeContainer(id);
      await h.runtime.removeContainer(id);
      await h.runtime.removeSandbox(POD.uid);
      expect(await h.runtime.list()).toEqual([]);
    });

    contract('a created container can be removed and created again', async (h) => {
      const id = await h.create('runs');
      await h.runtime.removeContainer(id);
      expect(await h.runtime.createContainer(h.spec('runs'))).toBe(id);
      await h.runtime.startContainer(id);
      await h.untilState(id, 'running');
    });

    contract('an end is hinted at', async (h) => {
      const hints: string[] = [];
      const unsubscribe = h.runtime.subscribe((podUid) => hints.push(podUid));
      await h.start('exits 0');
      await h.harness.until(async () => hints.length > 0);
      expect(new Set(hints)).toEqual(new Set([POD.uid]));
      unsubscribe();
    });

    contract('what runs survives the runtime and is found by the next one, which can end it', async (h) => {
      const id = await h.running('runs');
      const before = await h.container(id);
      await h.reopen();
      expect(await h.container(id)).toEqual(before);
      await h.runtime.stopContainer(id, GRACE_MS);
      expect(await h.exitOf(id)).toMatchObject({ exitCode: 143 });
    });

    contract('the end of an adopted container is hinted at', async (h) => {
      const id = await h.running('runs');
      await h.reopen();
      const hints: string[] = [];
      h.runtime.subscribe((podUid) => hints.push(podUid));
      await h.runtime.list();
      await h.runtime.stopContainer(id, GRACE_MS);
      await h.harness.until(async () => hints.includes(POD.uid));
    });

    contract('attempts are containers of their own', async (h) => {
      const first = await h.start('exits 3');
      await h.exitOf(first);
      const second = await h.start('exits 3', 1);
      expect(await h.exitOf(second)).toMatchObject({ exitCode: 3 });
      expect(await h.exitOf(first)).toMatchObject({ exitCode: 3 });
      const pod = await h.runtime.inspect(POD.uid);
      expect(pod?.containers.map(({ labels }) => labels.attempt).sort()).toEqual([0, 1]);
    });
  });
}

const POD: PodRef = { uid: 'uid-1', namespace: 'default', name: 'web' };
const LABELS: ContainerLabels = {
  pod: POD,
  container: 'app',
  kind: 'main',
  attempt: 0,
  sandboxAttempt: 0,
  specHash: 'abc',
  backoffMs: 10_000,
};

/** The contract's verbs over a harness. */
class Harness {
  constructor(readonly harness: RuntimeHarness) {}

  get runtime(): Runtime {
    return this.harness.runtime;
  }

  async reopen(): Promise<void> {
    this.harness.runtime = await this.harness.reopen();
  }

  sandbox(behaviour: Behaviour): SandboxSpec {
    const { annotation } = this.harness.behave(behaviour);
    const annotations = annotation === undefined ? {} : { 'fake.skerry.dev/script': annotation };
    return { pod: POD, annotations, hostNetwork: true, graceMs: GRACE_MS };
  }

  spec(behaviour: Behaviour, attempt = 0): ContainerSpec {
    const { command } = this.harness.behave(behaviour);
    return { labels: { ...LABELS, attempt }, image: 'app:1', command, args: [], env: {}, mounts: [] };
  }

  async create(behaviour: Behaviour, attempt = 0): Promise<string> {
    await this.runtime.ensureSandbox(this.sandbox(behaviour));
    return this.runtime.createContainer(this.spec(behaviour, attempt));
  }

  async start(behaviour: Behaviour, attempt = 0): Promise<string> {
    const id = await this.create(behaviour, attempt);
    await this.runtime.startContainer(id);
    return id;
  }

  async running(behaviour: Behaviour): Promise<string> {
    const id = await this.start(behaviour);
    await this.untilState(id, 'running');
    const container = await this.container(id);
    if (container) await this.harness.ready(container);
    return id;
  }

  async container(id: string): Promise<Container | undefined> {
    return (await this.runtime.inspect(POD.uid))?.containers.find((container) => container.id === id);
  }

  untilState(id: string, kind: Container['state']['kind']): Promise<void> {
    return this.harness.until(async () => (await this.container(id))?.state.kind === kind);
  }

  async exitOf(id: string) {
    await this.untilState(id, 'exited');
    const state = (await this.container(id))?.state;
    if (state?.kind !== 'exited') throw new Error(`container ${id} has not exited`);
    return state.exit;
  }
}
