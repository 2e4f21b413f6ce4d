// Edgecore and its sidecars as real processes, killed in every way: nothing is orphaned and nothing runs twice.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { systemClock } from '@skerry/common/clock';
import { unary, unixClient } from '@skerry/common/grpc/client';
import { nullLogger } from '@skerry/common/logger';
import { PARENT_PIPE } from '@skerry/common/process';
import { type GetStatusResponse, type SidecarStatus, StatusServiceClient } from '@skerry/gen/skerry/edge/v1/edge';
import { identifyProcess, isAlive, type ProcessIdentity } from '../src/disk/process-identity.js';
import { createSoloHub, type SoloHub } from '../src/solo-hub/solo-hub.js';

const main = join(import.meta.dirname, '../dist/main.js');
const clock = systemClock();

let dir: string;
let hub: SoloHub;
let running: ChildProcess[];
let known: ProcessIdentity[];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sk-'));
  hub = await createSoloHub({ clock, logger: nullLogger() });
  await hub.start();
  running = [];
  known = [];
});
afterEach(async () => {
  for (const child of running) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  await hub.stop();
  // Nothing that a test started outlives it.
  for (const identity of known) if (await isAlive(identity)) process.kill(identity.pid, 'SIGKILL');
  await rm(dir, { recursive: true, force: true });
});

function start(over: Record<string, string> = {}): ChildProcess {
  const flags = {
    ...{ node: 'edge-1', hub: `127.0.0.1:${hub.port()}`, state: dir, runtime: 'fake', token: hub.token },
    ...{ 'mqtt-listen': '127.0.0.1:0', 'log-level': 'warn' },
    ...over,
  };
  const args = Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]);
  const child = spawn(process.execPath, [main, ...args], {
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { ...process.env, [PARENT_PIPE]: '1', NODE_OPTIONS: '' },
  });
  running.push(child);
  return child;
}

async function status(): Promise<GetStatusResponse> {
  const client = unixClient(StatusServiceClient, join(dir, 'run/edgecore.sock'));
  try {
    return await unary((done) => client.getStatus({}, done));
  } finally {
    client.close();
  }
}

async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const endMs = clock.monotonicMs() + 40_000;
  for (let last = ''; ; await clock.sleep(50)) {
    const found = await look().catch((error: Error) => {
      last = error.message;
      return undefined;
    });
    if (found !== undefined) return found;
    if (clock.monotonicMs() > endMs) throw new Error(`did not happen: ${what}; ${last}`);
  }
}

const sidecar = (from: GetStatusResponse, name: string): SidecarStatus | undefined =>
  from.sidecars.find((one) => one.name === name);

/** All three run; resolves with their identities. */
function allRun(): Promise<ProcessIdentity[]> {
  return until('all sidecars run', async () => {
    const { sidecars } = await status();
    if (!sidecars.every(({ state, pid }) => state === 'running' && pid > 0)) return undefined;
    const found = await Promise.all(sidecars.map(({ pid }) => identifyProcess(pid)));
    const alive = found.filter((identity) => identity !== undefined);
    known.push(...alive);
    return alive.length === sidecars.length ? alive : undefined;
  });
}

const allGone = (identities: readonly ProcessIdentity[]): Promise<true> =>
  until('all are gone', async () => {
    for (const identity of identities) if (await isAlive(identity)) return undefined;
    return true;
  });

/** Resolves when the engine has told that it works. */
const ready = (): Promise<true> =>
  until('node ready', async () => hub.kube.reported.get('node//edge-1')?.includes('EngineReady') || undefined);

describe('edgecore as processes', () => {
  test('a sidecar that is killed comes back alone; SIGTERM ends all in order', async () => {
    const edgecore = start();
    const before = await allRun();
    await ready();
    const [engine] = before;
    process.kill(engine?.pid ?? 0, 'SIGKILL');
    const after = await until('engine restarted', async () => {
      const now = sidecar(await status(), 'engine');
      return now?.restarts === 1 && now.state === 'running' ? now : undefined;
    });
    expect(after.pid).not.toBe(engine?.pid);
    expect(after.lastExit).toBe('signal SIGKILL');
    const [, twin, bridge] = await allRun();
    expect([twin, bridge]).toEqual(before.slice(1));
    edgecore.kill('SIGTERM');
    expect(await once(edgecore, 'exit')).toEqual([0, null]);
    await allGone(known);
  }, 60_000);

  test('kill -9 of edgecore takes its sidecars along, and the next one starts each once', async () => {
    const first = start();
    const orphans = await allRun();
    await ready();
    const killedMs = clock.monotonicMs();
    first.kill('SIGKILL');
    await once(first, 'exit');
    // At once: while the old ones are still leaving.
    start();
    const next = await allRun();
    await allGone(orphans);
    expect(clock.monotonicMs() - killedMs).toBeLessThan(20_000);
    for (const { pid } of next) expect(orphans.map((old) => old.pid)).not.toContain(pid);
    expect((await status()).sidecars.map(({ restarts }) => restarts)).toEqual([0, 0, 0]);
  }, 60_000);

  test('a sidecar that hangs while its edgecore dies is killed before another one starts', async () => {
    const first = start();
    const orphans = await allRun();
    await ready();
    const [engine] = orphans;
    if (!engine) throw new Error('no engine');
    process.kill(engine.pid, 'SIGSTOP');
    first.kill('SIGKILL');
    await once(first, 'exit');
    start();
    await until(
      'waiting for the old one',
      async () => sidecar(await status(), 'engine')?.state === 'starting' || undefined,
    );
    expect(await isAlive(engine)).toBe(true);
    const next = await until('another engine', async () => {
      const now = sidecar(await status(), 'engine');
      return now?.state === 'running' ? now : undefined;
    });
    expect(await isAlive(engine)).toBe(false);
    expect(next.pid).not.toBe(engine.pid);
    await allRun();
  }, 60_000);

  test('inline, all run in one process, and take over from processes', async () => {
    const first = start();
    const orphans = await allRun();
    first.kill('SIGKILL');
    await once(first, 'exit');
    const inline = start({ sidecars: 'inline' });
    const pids = (await allRun()).map(({ pid }) => pid);
    expect(new Set(pids)).toEqual(new Set([inline.pid]));
    await allGone(orphans);
    await ready();
    inline.kill('SIGTERM');
    expect(await once(inline, 'exit')).toEqual([0, null]);
  }, 60_000);

  test('a sidecar that cannot start says why, and does not disturb the others', async () => {
    const taken = createServer();
    taken.listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    start({ 'mqtt-listen': `127.0.0.1:${port}` });
    const bridge = await until('bridge in backoff', async () => {
      const now = sidecar(await status(), 'bridge');
      return now?.state === 'backoff' && now.restarts > 0 ? now : undefined;
    });
    expect(bridge.lastExit).toContain(`${port}`);
    await ready();
    await new Promise((resolve) => taken.close(resolve));
    await allRun();
  }, 60_000);

  test('what it cannot work with ends it with one line that says what to do', async () => {
    const child = spawn(process.execPath, [main, '--node', 'edge-1'], { stdio: ['ignore', 'ignore', 'pipe'] });
    running.push(child);
    let said = '';
    child.stderr?.on('data', (data: Buffer) => {
      said += data.toString();
    });
    expect(await once(child, 'close')).toEqual([1, null]);
    expect(said.trim()).toBe('--hub is missing: give host:port of a cloudhub');
  });
});
