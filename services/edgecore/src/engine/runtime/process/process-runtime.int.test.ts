// The process runtime with real processes: the contract, and what only this runtime has to survive.
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { systemClock } from '@skerry/common/clock';
import { withTempDir } from '@skerry/common/testing/temp-dir';
import { isAlive, killProcess } from '../../../disk/process-identity.js';
import { readJson } from '../../read-json.js';
import type { Container, ContainerSpec, Mount, Runtime } from '../runtime.js';
import { type Behaviour, type RuntimeHarness, runtimeContract } from '../testing/contract.js';
import { findMarked } from './marked.js';
import { createProcessRuntime } from './process-runtime.js';

const node = (source: string): string[] => [process.execPath, '-e', source];
const STAY = "setInterval(() => {}, 1000); console.log('ready');";

const COMMANDS: Record<Behaviour, readonly string[]> = {
  runs: node(STAY),
  'exits 0': node(''),
  'exits 3': node('process.exit(3)'),
  'ignores SIGTERM': node(`process.on('SIGTERM', () => {}); ${STAY}`),
  'cannot start': ['/nonexistent/command'],
};

async function until(done: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (await done()) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error('it did not come to pass');
}

const logOf = (container: Container): Promise<string> => readFile(container.logPath, 'utf8');
const ready = (container: Container): Promise<void> => until(async () => (await logOf(container)).includes('ready'));

async function withRuntime(fn: (runtime: Runtime, dir: string, open: () => Promise<Runtime>) => Promise<void>) {
  await withTempDir(async (base) => {
    const dir = join(base, 'process');
    const opened: Runtime[] = [];
    const open = async (): Promise<Runtime> => {
      const runtime = await createProcessRuntime({ dir, clock: systemClock(), maxLogBytes: 2_000 });
      await runtime.start();
      opened.push(runtime);
      return runtime;
    };
    const runtime = await open();
    try {
      await fn(runtime, base, open);
    } finally {
      const left = (await runtime.list()).flatMap(({ containers }) => containers);
      for (const { id } of left) await runtime.killContainer(id);
      const ended = ({ state }: Container) => state.kind === 'exited' || state.kind === 'created';
      await until(async () => (await runtime.list()).flatMap(({ containers }) => containers).every(ended));
      for (const each of opened) await each.stop();
    }
  });
}

runtimeContract('process', (fn) =>
  withRuntime(async (runtime, _base, open) => {
    const harness: RuntimeHarness = {
      runtime,
      behave: (behaviour) => ({ command: COMMANDS[behaviour] }),
      ready,
      async reopen() {
        await harness.runtime.stop();
        return open();
      },
      until,
    };
    await fn(harness);
  }),
);

const POD = { uid: 'uid-1', namespace: 'default', name: 'web' };

function specOf(command: readonly string[], more: Partial<ContainerSpec> = {}): ContainerSpec {
  const labels = {
    pod: POD,
    container: 'app',
    kind: 'main',
    attempt: 0,
    sandboxAttempt: 0,
    specHash: '',
    backoffMs: 0,
  } as const;
  return { labels, image: 'i', command, args: [], env: {}, mounts: [], ...more };
}

async function run(runtime: Runtime, spec: ContainerSpec): Promise<Container> {
  await runtime.ensureSandbox({ pod: POD, annotations: {}, hostNetwork: true, graceMs: 1_000 });
  const id = await runtime.createContainer(spec);
  await runtime.startContainer(id);
  return look(runtime, id);
}

async function look(runtime: Runtime, id: string): Promise<Container> {
  const found = (await runtime.inspect(POD.uid))?.containers.find((container) => container.id === id);
  if (!found) throw new Error(`no container ${id}`);
  return found;
}

async function ended(runtime: Runtime, { id }: Container): Promise<Container> {
  await until(async () => (await look(runtime, id)).state.kind === 'exited');
  return look(runtime, id);
}

const wrapperOf = (container: Container) =>
  readJson<{ pid: number; startTicks: string }>(join(container.logPath, '..', 'claim.json'));

async function killWrapper(container: Container): Promise<void> {
  const wrapper = await wrapperOf(container);
  if (!wrapper) throw new Error('no wrapper');
  await killProcess(wrapper, 'SIGKILL');
  await until(async () => !(await isAlive(wrapper)));
}

describe('process runtime', () => {
  test('a folder that is no Pod’s does not hinder the others', () =>
    withRuntime(async (runtime, base) => {
      await mkdir(join(base, 'process', 'lost+found'));
      await runtime.ensureSandbox({ pod: POD, annotations: {}, hostNetwork: true, graceMs: 1_000 });
      expect((await runtime.list()).map(({ pod }) => pod.uid)).toEqual([POD.uid]);
    }));

  test('a wrapper that ends before it takes its container is an error, not a start', () =>
    withRuntime(async (runtime, base) => {
      await runtime.ensureSandbox({ pod: POD, annotations: {}, hostNetwork: true, graceMs: 1_000 });
      const id = await runtime.createContainer(specOf(['true']));
      await writeFile(join(base, 'process', 'wrapper.cjs'), 'process.exit(1)');
      await expect(runtime.startContainer(id)).rejects.toMatchObject({ code: 'unavailable' });
      expect((await look(runtime, id)).state.kind).toBe('created');
    }));

  test('volumes are links in the root folder, and the working directory of a volume is the volume', () =>
    withRuntime(async (runtime, base) => {
      await writeFile(join(base, 'page'), 'hello');
      const mounts: Mount[] = [{ hostPath: base, containerPath: '/srv', readOnly: false }];
      const source = `const fs = require('fs');
        console.log(fs.readFileSync('page', 'utf8'), fs.readFileSync(process.env.SKERRY_ROOT + '/srv/page', 'utf8'))`;
      const env = runtime.environment(POD.uid, 'app');
      const container = await run(runtime, specOf(node(source), { mounts, env, workingDir: '/srv' }));
      await ended(runtime, container);
      expect(await logOf(container)).toBe('hello hello\n');
    }));

  test('a working directory outside volumes is made in the root folder', () =>
    withRuntime(async (runtime) => {
      const env = runtime.environment(POD.uid, 'app');
      const source = "console.log(process.cwd() === process.env.SKERRY_ROOT + '/var/lib/app')";
      const container = await run(runtime, specOf(node(source), { env, workingDir: '/../var/lib/app' }));
      await ended(runtime, container);
      expect(await logOf(container)).toBe('true\n');
    }));

  test('the environment is the spec’s and nothing else; the command is found by its PATH', () =>
    withRuntime(async (runtime) => {
      const env = { PATH: runtime.environment(POD.uid, 'app')['PATH'] ?? '', GREETING: 'hi $(there) `x`' };
      const source = 'console.log(Object.keys(process.env).sort().join(), process.env.GREETING)';
      const container = await run(runtime, specOf(['node', '-e', source], { env }));
      await ended(runtime, container);
      expect(await logOf(container)).toBe('GREETING,PATH,SKERRY_CONTAINER hi $(there) `x`\n');
    }));

  test('nothing of the environment is on disk', () =>
    withRuntime(async (runtime, base) => {
      const container = await run(runtime, specOf(COMMANDS.runs, { env: { PASSWORD: 'hunter2' } }));
      await ready(container);
      const { stdout } = await (await import('node:util'))
        .promisify((await import('node:child_process')).execFile)('grep', ['-rlc', 'hunter2', base])
        .catch(() => ({ stdout: '' }));
      expect(stdout).toBe('');
    }));

  test('what a command leaves behind ends with it, also in a session of its own', () =>
    withRuntime(async (runtime) => {
      const source = `const { spawn } = require('child_process');
        spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true, stdio: 'ignore' }).unref();
        setTimeout(() => process.exit(0), 200)`;
      const container = await ended(runtime, await run(runtime, specOf(node(source))));
      expect(container.state).toMatchObject({ kind: 'exited', exit: { exitCode: 0 } });
      expect(await findMarked(container.id)).toEqual([]);
    }));

  test('output is bounded', () =>
    withRuntime(async (runtime) => {
      const source = "let n = 0; setInterval(() => console.log('x'.repeat(999)), 10)";
      const container = await run(runtime, specOf(node(source)));
      const old = `${container.logPath}.1`;
      await until(async () => (await stat(old).catch(() => undefined)) !== undefined);
      // A second's worth of writing at most on top of the bound.
      expect((await stat(container.logPath)).size).toBeLessThan(200_000);
    }));

  test('a command whose wrapper was killed goes on, is adopted, and its end is found out', () =>
    withRuntime(async (runtime, _base, open) => {
      const container = await run(runtime, specOf(COMMANDS.runs));
      await ready(container);
      await killWrapper(container);
      const next = await open();
      expect(await look(next, container.id)).toEqual(await look(runtime, container.id));
      expect((await look(next, container.id)).state).toMatchObject({ kind: 'running' });
      await next.stopContainer(container.id, 0);
      expect((await ended(next, container)).state).toMatchObject({ exit: { exitCode: 255, reason: 'Unknown' } });
      expect(await findMarked(container.id)).toEqual([]);
    }));

  test('two engines that start one container start one command', () =>
    withRuntime(async (runtime, _base, open) => {
      await runtime.ensureSandbox({ pod: POD, annotations: {}, hostNetwork: true, graceMs: 1_000 });
      const spec = specOf(COMMANDS.runs);
      const other = await open();
      const id = await runtime.createContainer(spec);
      // The second engine believes that it created it: as when a late wrapper meets a new one.
      await other.removeContainer(id);
      await other.createContainer(spec);
      await Promise.all([runtime.startContainer(id), other.startContainer(id)]);
      await ready(await look(runtime, id));
      expect(await findMarked(id)).toHaveLength(1);
    }));

  test('a container of another boot has ended, whatever its pid is now', () =>
    withRuntime(async (runtime) => {
      const container = await run(runtime, specOf(COMMANDS.runs));
      await ready(container);
      const claimPath = join(container.logPath, '..', 'claim.json');
      const claim = await readFile(claimPath, 'utf8');
      await writeFile(claimPath, JSON.stringify({ ...JSON.parse(claim), bootId: 'another' }));
      expect((await look(runtime, container.id)).state).toMatchObject({ kind: 'exited', exit: { reason: 'Unknown' } });
      // Give the real process back to the harness, which ends it.
      const { state } = container;
      if (state.kind === 'running' && state.pid !== undefined) process.kill(state.pid, 'SIGKILL');
      await until(async () => (await findMarked(container.id)).length === 0);
    }));

  test('a user that does not exist is an error', () =>
    withTempDir(async (dir) => {
      await expect(
        createProcessRuntime({ dir, user: 'nobody-of-that-name', clock: systemClock() }),
      ).rejects.toMatchObject({
        code: 'invalid_argument',
      });
    }));
});
